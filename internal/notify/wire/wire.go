// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire is one HTTP exchange with a service that people are told by, and
// what its outcome means. It never retries, and it knows no service.
package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

const (
	maxAnswer = 1 << 20
	maxWords  = 300
	maxAfter  = time.Hour
)

// A Request is what is asked.
type Request struct {
	// Who names the service in errors, such as "Slack".
	Who    string
	Method string
	URL    string
	Header http.Header
	Body   []byte
	// Secrets are what no error may show. The URL is never shown but for its
	// host: for some services it is a secret.
	Secrets []secret.Text
}

// A Response is what was answered.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON sets the body to v.
func (r *Request) JSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return notify.Errorf(outbox.Broken, "%s: encode the message: %v", r.Who, err)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Body = data
	return nil
}

// Do asks, and returns an answer below 300 or a [*notify.Error].
func Do(ctx context.Context, client *http.Client, r *Request) (*Response, error) {
	resp, err := exchange(ctx, client, r)
	if err != nil {
		return nil, err
	}
	if resp.Status >= http.StatusMultipleChoices {
		return resp, r.refused(resp)
	}
	return resp, nil
}

func exchange(ctx context.Context, client *http.Client, r *Request) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil || req.URL.Host == "" {
		return nil, notify.Errorf(outbox.Broken, "%s: the URL in the configuration is not one: it needs a scheme and a host", r.Who)
	}
	for k, v := range r.Header {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	req.Header.Set("User-Agent", "sluice")
	resp, err := client.Do(req)
	if err != nil {
		return nil, r.failed(req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err := httpclient.ReadBody(resp.Body, maxAnswer)
	if err != nil {
		e := r.failed(req.URL.Host, err)
		e.Status = resp.StatusCode
		return nil, e
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// failed is an exchange without a whole answer. What was never connected did
// not arrive; of all else nobody knows.
func (r *Request) failed(host string, err error) *notify.Error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	op, dialled := errors.AsType[*net.OpError](err)
	e := notify.Errorf(outbox.Later, "%s at %s did not answer: %s", r.Who, host, r.clean(err.Error()))
	e.Uncertain = !dialled || op.Op != "dial"
	return e
}

// refused is an answer that is not a success.
func (r *Request) refused(resp *Response) *notify.Error {
	e := &notify.Error{Status: resp.Status, Fate: outbox.Refused}
	advice := ""
	switch s := resp.Status; {
	case s < http.StatusBadRequest:
		advice = " (a redirect, which is not followed: it would carry the key elsewhere; correct the URL in the configuration)"
		e.Fate = outbox.Broken
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		e.Fate, advice = outbox.Broken, " (the key in the Secret is wrong, has ended, or may not do this)"
	case s == http.StatusTooManyRequests:
		e.Fate, e.After = outbox.Later, After(resp.Header)
	case s == http.StatusRequestTimeout, s >= http.StatusInternalServerError:
		e.Fate, e.Uncertain, e.After = outbox.Later, true, After(resp.Header)
	}
	e.Message = fmt.Sprintf("%s answered %d %s%s", r.Who, resp.Status, http.StatusText(resp.Status), advice)
	if words := r.clean(string(resp.Body)); words != "" {
		e.Message += ": " + words
	}
	return e
}

// clean is somebody else's text without our secrets.
func (r *Request) clean(text string) string {
	hidden := make([]string, 0, len(r.Secrets)+1)
	for _, s := range r.Secrets {
		hidden = append(hidden, s.Reveal())
	}
	if u, err := url.Parse(r.URL); err == nil && len(u.Path) > 1 {
		hidden = append(hidden, strings.TrimPrefix(u.RequestURI(), "/"))
	}
	return httpclient.Clean(httpclient.Redact(text, hidden...), maxWords)
}

// After is how long a service asks to be left alone.
func After(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, maxAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		if date, err := http.ParseTime(h.Get("Date")); err == nil && at.After(date) {
			return min(at.Sub(date), maxAfter)
		}
	}
	return 0
}

// Raw is a text of a template that must be JSON; an empty one is nil.
func Raw(field, text string) (json.RawMessage, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, notify.Errorf(outbox.Broken, "the template's %s is not JSON: %v; a text in it that may hold quotes wants | toJson", field, err)
	}
	return json.RawMessage(text), nil
}

// Clients are the connections of a kind of service.
type Clients struct{ strict, lax *http.Client }

// NewClients returns Clients.
func NewClients() *Clients {
	return &Clients{strict: httpclient.New(), lax: httpclient.Insecure()}
}

// For returns the client that trusts certificates as it should, or any.
func (c *Clients) For(insecure bool) *http.Client {
	if insecure {
		return c.lax
	}
	return c.strict
}

// Options asserts what a Kind's Open is given.
func Options[T any](options any) (T, error) {
	o, ok := options.(T)
	if !ok {
		return o, notify.Errorf(outbox.Broken, "options are %T", options)
	}
	return o, nil
}

// Fit returns s in at most most characters, which end in "…" if something was
// cut off.
func Fit(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}
