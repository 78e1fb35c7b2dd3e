// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
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
	"sluice.dev/sluice/internal/metric"
)

const (
	// maxWords is how much of Datadog's own words a message repeats, in bytes.
	maxWords = 300
	// maxRetryAfter bounds a wait that a broken proxy may ask for.
	maxRetryAfter = time.Hour
)

// errorf makes an error whose message holds no key, whatever went into it.
func (a asker) errorf(class metric.Class, format string, args ...any) *metric.Error {
	err := metric.Errorf(class, format, args...)
	err.Message = a.redact(err.Message)
	return err
}

func (a asker) redact(text string) string {
	return httpclient.Redact(text, a.creds.apiKey.Reveal(), a.creds.appKey.Reveal())
}

// words makes what others say fit for a message. Keys go first: a text that is
// cut short may end within one.
func (a asker) words(text string, limit int) string {
	return httpclient.Clean(a.redact(text), limit)
}

// unreachable is a request without an answer.
func (a asker) unreachable(path string, err error) error {
	if cause := waiting(err); cause != nil {
		return a.late(path, cause)
	}
	// The URL in a *url.Error repeats the query; the rest says what happened.
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	e := a.errorf(metric.Unavailable, "%s could not be reached: %s", a.asked(path),
		a.words(err.Error(), maxWords))
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		e.Message += fmt.Sprintf("; likely cause: no such host, check address in %s", a.creds.origin)
	}
	return e
}

// waiting returns why waiting ended, if that is what err is.
func waiting(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return context.DeadlineExceeded
	}
	return nil
}

func (a asker) late(path string, cause error) error {
	e := a.errorf(metric.Unavailable, "%s did not answer within %s (requestTimeout)", a.asked(path), a.timeout)
	if errors.Is(cause, context.Canceled) {
		e = a.errorf(metric.Unavailable, "the question to %s was cancelled before it was answered", a.asked(path))
	}
	e.Err = cause
	return e
}

// cutOff is a 200 whose body could not be read to its end.
func (a asker) cutOff(path string, err error) error {
	if cause := waiting(err); cause != nil {
		return a.late(path, cause)
	}
	if errors.Is(err, httpclient.ErrTooLarge) {
		e := a.errorf(metric.Malformed, "%s answered with more than %d MiB; ask for fewer groups", a.asked(path), maxBody>>20)
		e.Status, e.Err = http.StatusOK, httpclient.ErrTooLarge
		return e
	}
	e := a.errorf(metric.Unavailable, "%s broke off in the middle of its answer: %s", a.asked(path),
		a.words(err.Error(), maxWords))
	e.Status = http.StatusOK
	return e
}

// undecodable is a whole 200 that says nothing we understand, or that Datadog
// could not answer the question.
func (a asker) undecodable(path string, err error) error {
	class, what := metric.Malformed, "answered with something that is not a query result"
	if _, ok := errors.AsType[answerError](err); ok {
		class, what = metric.Misconfigured, "could not answer the query"
	}
	e := a.errorf(class, "%s %s: %s", a.asked(path), what, a.words(err.Error(), maxWords))
	e.Status = http.StatusOK
	return e
}

// refused is an answer other than 200.
func (a asker) refused(path string, resp *http.Response, body []byte) error {
	class, cause := a.cause(resp)
	var b strings.Builder
	fmt.Fprintf(&b, "%s answered %d %s", a.asked(path), resp.StatusCode, http.StatusText(resp.StatusCode))
	if words := a.words(ownWords(body), maxWords); words != "" {
		fmt.Fprintf(&b, ": %q", words)
	}
	if cause != "" {
		b.WriteString("; " + cause)
	}
	e := a.errorf(class, "%s", b.String())
	e.Status = resp.StatusCode
	if class == metric.RateLimited {
		e.RetryAfter = retryAfter(resp.Header)
	}
	return e
}

// cause says what class a status is of, and what is the likely cause.
func (a asker) cause(resp *http.Response) (metric.Class, string) {
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return metric.Unauthorized, fmt.Sprintf("likely cause: %s is not the site of the organisation that the keys belong to "+
			"(address), or a key is wrong or revoked, or the application key lacks the scope timeseries_query; the keys are from %s",
			a.creds.site(), a.creds.origin)
	case status == http.StatusNotFound:
		return metric.Misconfigured, fmt.Sprintf("likely cause: %s is not a Datadog API (address in %s); it looks like %s or https://api.datadoghq.eu",
			a.creds.site(), a.creds.origin, defaultAddress)
	case status == http.StatusTooManyRequests:
		return metric.RateLimited, a.limitWords(resp.Header)
	case status == http.StatusRequestTimeout || status >= 500:
		return metric.Unavailable, ""
	case status >= 300 && status < 400:
		return metric.Misconfigured, fmt.Sprintf("a redirect%s was not followed, because the keys are for %s only (address in %s)",
			a.target(resp), a.creds.site(), a.creds.origin)
	case status == http.StatusBadRequest:
		return metric.Misconfigured, "the query itself is at fault; try it in Datadog's Metrics Explorer"
	case status >= 400:
		return metric.Misconfigured, ""
	}
	return metric.Malformed, ""
}

func (a asker) target(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil || u.Host == "" {
		return ""
	}
	return " to " + a.words(u.Host, 100)
}

// limitWords names the limit that was hit. It does not count the seconds: a
// message should change when the state does.
func (a asker) limitWords(h http.Header) string {
	name, limit, period := h.Get("X-RateLimit-Name"), h.Get("X-RateLimit-Limit"), h.Get("X-RateLimit-Period")
	words := "the rate limit"
	if name != "" {
		words += fmt.Sprintf(" %q", a.words(name, 60))
	}
	if limit != "" && period != "" {
		words += fmt.Sprintf(" of %s requests in %s seconds", a.words(limit, 20), a.words(period, 20))
	}
	return words + " is used up; asked again when Datadog allows it"
}

// retryAfter is how long Datadog asks us to wait, 0 if it does not say.
func retryAfter(h http.Header) time.Duration {
	if d, ok := wait(h.Get("Retry-After"), h.Get("Date")); ok {
		return d
	}
	d, _ := wait(h.Get("X-RateLimit-Reset"), h.Get("Date"))
	return d
}

// wait understands seconds, and an HTTP date relative to the answer's own.
func wait(text, date string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, false
	}
	var d time.Duration
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		// In seconds first: a large number would overflow a Duration.
		d = time.Duration(min(max(seconds, 0), maxRetryAfter.Seconds()) * float64(time.Second))
	} else {
		then, err := http.ParseTime(text)
		now, errNow := http.ParseTime(date)
		if err != nil || errNow != nil {
			return 0, false
		}
		d = then.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter), true
}

// ownWords finds what Datadog says in an error body.
func ownWords(body []byte) string {
	var said struct {
		Errors any `json:"errors"`
		Error  any `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil {
		if words := joinWords(said.Errors, said.Error); words != "" {
			return words
		}
	}
	// A message repeats maxWords of it at most.
	return string(body[:min(len(body), 64<<10)])
}

// joinWords collects strings out of the shapes that errors come in.
func joinWords(values ...any) string {
	var words []string
	for _, v := range values {
		switch v := v.(type) {
		case string:
			words = append(words, v)
		case []any:
			words = append(words, joinWords(v...))
		case map[string]any:
			words = append(words, joinWords(v["title"], v["detail"], v["message"]))
		}
	}
	words = deleteEmpty(words)
	return strings.Join(words, "; ")
}

func deleteEmpty(words []string) []string {
	kept := words[:0]
	for _, w := range words {
		if strings.TrimSpace(w) != "" {
			kept = append(kept, w)
		}
	}
	return kept
}
