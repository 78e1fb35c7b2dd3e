// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The paths that the server answers.
const (
	SeriesPath   = "/api/v1/query"
	ScalarPath   = "/api/v2/query/scalar"
	ValidatePath = "/api/v1/validate"
)

const maxRequest = 1 << 20

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+SeriesPath, s.endpoint(true, s.series))
	mux.HandleFunc("POST "+ScalarPath, s.endpoint(true, s.scalar))
	mux.HandleFunc("GET "+ValidatePath, s.endpoint(false, func(*Request, *http.Request) (any, error) {
		return map[string]bool{"valid": true}, nil
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.log.add(Request{Time: time.Now(), Method: r.Method, Path: r.URL.Path, Status: http.StatusNotFound})
		refuse(w, http.StatusNotFound, "Not found")
	})
	return mux
}

// endpoint checks the keys, applies a fault, answers, and keeps the log.
func (s *Server) endpoint(app bool, answer func(*Request, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		entry := Request{
			Time: time.Now(), Method: r.Method, Path: r.URL.Path,
			Keys: Keys{API: r.Header.Get("DD-API-KEY"), App: r.Header.Get("DD-APPLICATION-KEY")},
		}
		// The log has the request before the client has the answer.
		id := s.log.add(entry)
		defer func() {
			entry.Status = rec.status
			s.log.replace(id, entry)
		}()
		if entry.Keys.API == "" || (app && entry.Keys.App == "") {
			refuse(rec, http.StatusUnauthorized, "Unauthorized")
			return
		}
		if !s.accepts(entry.Keys, app) {
			refuse(rec, http.StatusForbidden, "Forbidden")
			return
		}
		// Evaluated before it may fail, so that the log knows what was asked.
		body, err := answer(&entry, r)
		s.log.replace(id, entry)
		fault := s.faults.next(r.URL.Path)
		if s.fail(rec, r, fault) {
			return
		}
		if err != nil {
			refuse(rec, http.StatusBadRequest, err.Error())
			return
		}
		rateLimitHeaders(rec.Header(), "99")
		send(rec, fault, body)
	}
}

// A recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func refuse(w http.ResponseWriter, status int, words string) {
	writeJSON(w, status, map[string][]string{"errors": {words}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// A value is a number or null on the wire.
type value float64

// MarshalJSON writes null for what is not a number.
func (v value) MarshalJSON() ([]byte, error) {
	if isNull(float64(v)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(v), 'g', -1, 64), nil
}

type seriesAnswer struct {
	Status   string       `json:"status"`
	ResType  string       `json:"res_type"`
	Version  int          `json:"resp_version"`
	Query    string       `json:"query"`
	From     int64        `json:"from_date"`
	To       int64        `json:"to_date"`
	Series   []seriesData `json:"series"`
	GroupBy  []string     `json:"group_by"`
	Message  string       `json:"message"`
	Warnings []string     `json:"warnings,omitempty"`
}

type seriesData struct {
	Expression string     `json:"expression"`
	Scope      string     `json:"scope"`
	TagSet     []string   `json:"tag_set"`
	Interval   float64    `json:"interval"`
	Length     int        `json:"length"`
	Points     [][2]value `json:"pointlist"`
}

// series answers API v1.
func (s *Server) series(entry *Request, r *http.Request) (any, error) {
	args := r.URL.Query()
	from, errFrom := strconv.ParseInt(args.Get("from"), 10, 64)
	to, errTo := strconv.ParseInt(args.Get("to"), 10, 64)
	text := args.Get("query")
	if errFrom != nil || errTo != nil || from >= to {
		return nil, refusal("Invalid query input: from must be before to")
	}
	entry.From, entry.To = time.Unix(from, 0), time.Unix(to, 0)
	entry.Queries = map[string]string{"": text}
	e, err := parseExpr(text, false)
	if err != nil {
		return nil, err
	}
	f, err := world{store: s.store, from: entry.From, to: entry.To, buckets: s.opts.Buckets}.eval(e)
	if err != nil {
		return nil, err
	}
	answer := seriesAnswer{
		Status: "ok", ResType: "time_series", Version: 1, Query: text, From: from * 1000, To: to * 1000,
		Series: []seriesData{}, GroupBy: append([]string{}, f.by...),
	}
	width := entry.To.Sub(entry.From) / time.Duration(f.buckets)
	for _, key := range slices.Sorted(maps.Keys(f.rows)) {
		d := seriesData{Expression: text, Interval: width.Seconds(), TagSet: tagSet(f.by, key), Points: [][2]value{}}
		d.Scope = strings.Join(d.TagSet, ",")
		if d.Scope == "" {
			d.Scope = "*"
		}
		for i, v := range f.rows[key] {
			// Datadog leaves out buckets without a value.
			if at := entry.From.Add(time.Duration(i) * width); !isNull(v) {
				d.Points = append(d.Points, [2]value{value(at.UnixMilli()), value(v)})
			}
		}
		if d.Length = len(d.Points); d.Length > 0 {
			answer.Series = append(answer.Series, d)
		}
	}
	return answer, nil
}

func tagSet(by []string, key string) []string {
	tags := []string{}
	values := strings.Split(key, "\x00")
	for i, tag := range by {
		tags = append(tags, tag+":"+values[i])
	}
	return tags
}

type scalarRequest struct {
	Data struct {
		Type       string `json:"type"`
		Attributes struct {
			From     int64 `json:"from"`
			To       int64 `json:"to"`
			Formulas []struct {
				Formula string `json:"formula"`
			} `json:"formulas"`
			Queries []scalarQuery `json:"queries"`
		} `json:"attributes"`
	} `json:"data"`
}

type scalarQuery struct {
	Aggregator string `json:"aggregator"`
	DataSource string `json:"data_source"`
	Name       string `json:"name"`
	Query      string `json:"query"`
}

var scalarAggregators = []string{"area", "avg", "l2norm", "last", "max", "mean", "min", "percentile", "sum"}

// scalar answers API v2.
func (s *Server) scalar(entry *Request, r *http.Request) (any, error) {
	var req scalarRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, maxRequest)).Decode(&req); err != nil {
		return nil, refusal("Invalid JSON: " + err.Error())
	}
	a := req.Data.Attributes
	if req.Data.Type != "scalar_request" || a.From >= a.To || len(a.Queries) == 0 {
		return nil, refusal("Invalid scalar_request: type, from before to and queries are required")
	}
	entry.From, entry.To = time.UnixMilli(a.From), time.UnixMilli(a.To)
	entry.Queries = map[string]string{}
	w := world{store: s.store, from: entry.From, to: entry.To, refs: map[string]frame{}}
	for i, q := range a.Queries {
		if q.Name == "" {
			q.Name = fmt.Sprintf("query%d", i)
		}
		entry.Queries[q.Name] = q.Query
		entry.Formulas = append(entry.Formulas, q.Name)
		f, err := w.reduced(q, s.opts.Buckets)
		if err != nil {
			return nil, err
		}
		w.refs[q.Name] = f
	}
	if len(a.Formulas) > 0 {
		entry.Formulas = nil
	}
	for _, f := range a.Formulas {
		entry.Formulas = append(entry.Formulas, f.Formula)
	}
	return w.columns(entry.Formulas)
}

// reduced evaluates a query to one bucket. The percentile aggregator looks at
// the window as a whole.
func (w world) reduced(q scalarQuery, buckets int) (frame, error) {
	if q.DataSource != "metrics" || !slices.Contains(scalarAggregators, q.Aggregator) {
		return frame{}, refusal(fmt.Sprintf("Invalid data_source %q or aggregator %q", q.DataSource, q.Aggregator))
	}
	e, err := parseExpr(q.Query, false)
	if err != nil {
		return frame{}, err
	}
	if w.buckets = buckets; q.Aggregator == "percentile" {
		w.buckets = 1
	}
	f, err := w.eval(e)
	if err != nil {
		return frame{}, err
	}
	return f.reduce(q.Aggregator, w.to.Sub(w.from)/time.Duration(max(f.buckets, 1))), nil
}

type column struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Values any    `json:"values"`
}

// columns evaluates the formulas and lays them side by side.
func (w world) columns(formulas []string) (any, error) {
	var by []string
	frames := make([]frame, len(formulas))
	together := frame{free: true, buckets: 1}
	for i, text := range formulas {
		e, err := parseExpr(text, true)
		if err != nil {
			return nil, err
		}
		if frames[i], err = w.eval(e); err != nil {
			return nil, err
		}
		if by, _, err = shape(together, frames[i]); err != nil {
			return nil, err
		}
		together = frame{by: by, buckets: 1}
	}
	rows := keys(by, frames...)
	cols := []column{}
	for i, tag := range by {
		values := [][]string{}
		for _, key := range rows {
			values = append(values, []string{strings.Split(key, "\x00")[i]})
		}
		cols = append(cols, column{tag, "group", values})
	}
	for i, text := range formulas {
		values := []value{}
		for _, key := range rows {
			values = append(values, value(frames[i].at(key, 0)))
		}
		cols = append(cols, column{text, "number", values})
	}
	return map[string]any{"data": map[string]any{
		"id": "0", "type": "scalar_response", "attributes": map[string]any{"columns": cols},
	}}, nil
}
