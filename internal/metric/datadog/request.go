// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/metric"
)

// maxBody is the longest answer that is read, 4 MiB.
const maxBody = 4 << 20

const (
	seriesPath = "/api/v1/query"
	scalarPath = "/api/v2/query/scalar"
)

type scalarQuery struct {
	Aggregator string `json:"aggregator"`
	DataSource string `json:"data_source"`
	Name       string `json:"name"`
	Query      string `json:"query"`
}

type scalarFormula struct {
	Formula string `json:"formula"`
}

type scalarAttributes struct {
	From     int64           `json:"from"`
	To       int64           `json:"to"`
	Queries  []scalarQuery   `json:"queries"`
	Formulas []scalarFormula `json:"formulas,omitempty"`
}

// scalar is the request for API v2. With a formula, every query is asked for
// as a formula of its own too, so that a silent query can be told from a zero.
func (s spec) scalar(w metric.Window) scalarAttributes {
	a := scalarAttributes{From: w.From.UnixMilli(), To: w.To.UnixMilli()}
	for _, q := range s.queries {
		a.Queries = append(a.Queries, scalarQuery{s.aggregator, "metrics", q.name, q.text})
	}
	for _, f := range s.formulas() {
		a.Formulas = append(a.Formulas, scalarFormula{f})
	}
	return a
}

// formulas are the columns that are asked for, the metric's own first.
func (s spec) formulas() []string {
	if s.formula == "" {
		return nil
	}
	fs := []string{s.formula}
	for _, q := range s.queries {
		if q.name != s.formula {
			fs = append(fs, q.name)
		}
	}
	return fs
}

// An asker sends the requests of one measurement.
type asker struct {
	client  *http.Client
	creds   credentials
	timeout time.Duration
}

// scalar asks API v2.
func (a asker) scalar(ctx context.Context, attributes scalarAttributes) (table, error) {
	type data struct {
		Type       string           `json:"type"`
		Attributes scalarAttributes `json:"attributes"`
	}
	body, err := json.Marshal(struct {
		Data data `json:"data"`
	}{data{"scalar_request", attributes}})
	if err != nil {
		return table{}, metric.Errorf(metric.Misconfigured, "encode the Datadog query: %w", err)
	}
	answer, err := a.do(ctx, http.MethodPost, scalarPath, nil, body)
	if err != nil {
		return table{}, err
	}
	t, err := decodeScalar(answer)
	if err != nil {
		return table{}, a.undecodable(scalarPath, err)
	}
	return t, nil
}

// points asks API v1.
func (a asker) points(ctx context.Context, query string, w metric.Window) (points, error) {
	from, to := w.From.Unix(), w.To.Unix()
	answer, err := a.do(ctx, http.MethodGet, seriesPath, url.Values{
		"query": {query},
		// v1 knows whole seconds only, and an empty window has no data.
		"from": {strconv.FormatInt(min(from, to-1), 10)},
		"to":   {strconv.FormatInt(to, 10)},
	}, nil)
	if err != nil {
		return points{}, err
	}
	p, err := decodePoints(answer)
	if err != nil {
		return points{}, a.undecodable(seriesPath, err)
	}
	return p, nil
}

// do sends one request and returns the body of a 200.
func (a asker) do(ctx context.Context, method, path string, query url.Values, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	u := *a.creds.address
	u.Path, u.RawQuery = u.Path+path, query.Encode()
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), reader)
	if err != nil {
		return nil, a.errorf(metric.Misconfigured, "make the request for %s: %s", path, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("DD-API-KEY", a.creds.apiKey.Reveal())
	req.Header.Set("DD-APPLICATION-KEY", a.creds.appKey.Reveal())
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, a.unreachable(path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := httpclient.ReadBody(resp.Body, maxBody)
	if resp.StatusCode != http.StatusOK {
		// Half a body is better than none to say what was wrong.
		return nil, a.refused(path, resp, answer)
	}
	if err != nil {
		return nil, a.cutOff(path, err)
	}
	return answer, nil
}

// asked says what was asked of whom.
func (a asker) asked(path string) string {
	return fmt.Sprintf("Datadog at %s (%s)", a.creds.site(), path)
}
