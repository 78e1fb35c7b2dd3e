// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Mode is a way to fail.
type Mode string

// The ways to fail.
const (
	Unauthorized       Mode = "401"
	Forbidden          Mode = "403"
	NotFound           Mode = "404"
	RateLimited        Mode = "429" // with X-RateLimit-* and Retry-After
	ServerError        Mode = "500"
	BadGateway         Mode = "502"
	ServiceUnavailable Mode = "503"
	// Hang answers nothing until the client goes away.
	Hang Mode = "hang"
	// HalfBody breaks the connection in the middle of the answer.
	HalfBody Mode = "half-body"
	// NullValues answers with null in place of every number.
	NullValues Mode = "null-values"
	// EmptySeries answers as if nothing had ever been measured.
	EmptySeries Mode = "empty-series"
	// RedirectAway answers with a redirect to Fault.Location.
	RedirectAway Mode = "redirect"
	// HugeBody answers with JSON of about 16 MiB.
	HugeBody Mode = "huge-body"
	// MalformedJSON answers with something that is not JSON.
	MalformedJSON Mode = "malformed-json"
	// EchoKeys answers 403 and repeats the keys that it was sent.
	EchoKeys Mode = "echo-keys"
)

// A Fault says how to fail, where and how often.
type Fault struct {
	Mode Mode
	// Path that fails. Default: all that need both keys.
	Path string
	// Times is how many requests fail. Default: all, until Clear.
	Times int
	// RetryAfter is what RateLimited asks for. Default 10 s. A negative one
	// leaves the header out.
	RetryAfter time.Duration
	// Reset is the seconds until the limit's window ends (X-RateLimit-Reset).
	// Default: as RetryAfter.
	Reset time.Duration
	// Location is where RedirectAway points to.
	Location string
}

type faults struct {
	mu   sync.Mutex
	list []Fault
}

// Fail makes requests fail. Of several faults for one path the first is used
// until its Times are over.
func (s *Server) Fail(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, f)
}

// Clear ends all faults. Requests that hang already go on hanging.
func (s *Server) Clear() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

// next takes the fault for one request.
func (f *faults) next(path string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		fault := f.list[i]
		if fault.Path != path && (fault.Path != "" || path == ValidatePath) {
			continue
		}
		if fault.Times == 1 {
			f.list = slices.Delete(f.list, i, i+1)
		} else if fault.Times > 1 {
			f.list[i].Times--
		}
		return fault
	}
	return Fault{}
}

// fail answers a request that the fault spoils before its answer is of any
// matter.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f Fault) bool {
	if status, err := strconv.Atoi(string(f.Mode)); err == nil && f.Mode != RateLimited {
		refuse(w, status, http.StatusText(status))
		return true
	}
	switch f.Mode {
	case RateLimited:
		limited(w, f)
	case Hang:
		s.hang(r)
	case RedirectAway:
		http.Redirect(w, r, f.Location, http.StatusTemporaryRedirect)
	case HugeBody:
		overflow(w)
	case MalformedJSON:
		_, _ = w.Write([]byte(`<html><body>upstream connect error</body></html>`))
	case EchoKeys:
		refuse(w, http.StatusForbidden, "Forbidden for api_key="+r.Header.Get("DD-API-KEY")+
			" application_key="+r.Header.Get("DD-APPLICATION-KEY"))
	default:
		return false
	}
	return true
}

// hang keeps the client waiting, and the connection from being used again.
func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closed:
	}
	panic(http.ErrAbortHandler)
}

func overflow(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"data":{"attributes":{"columns":[]}},"series":[],"padding":"`))
	chunk := []byte(strings.Repeat("x", 64<<10))
	for range 256 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
	_, _ = w.Write([]byte(`"}`))
}

func limited(w http.ResponseWriter, f Fault) {
	if f.RetryAfter == 0 {
		f.RetryAfter = 10 * time.Second
	}
	if f.Reset == 0 {
		f.Reset = max(f.RetryAfter, 0)
	}
	h := w.Header()
	rateLimitHeaders(h, "0")
	h.Set("X-RateLimit-Reset", seconds(f.Reset))
	if f.RetryAfter > 0 {
		h.Set("Retry-After", seconds(f.RetryAfter))
	}
	refuse(w, http.StatusTooManyRequests, "Rate limit of 100 requests in 60 seconds reached. Please try again later.")
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func rateLimitHeaders(h http.Header, remaining string) {
	h.Set("X-RateLimit-Limit", "100")
	h.Set("X-RateLimit-Period", "60")
	h.Set("X-RateLimit-Remaining", remaining)
	h.Set("X-RateLimit-Reset", "60")
	h.Set("X-RateLimit-Name", "metrics_query")
}

// send writes an answer, spoilt as the fault says.
func send(w http.ResponseWriter, f Fault, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	switch f.Mode {
	case HalfBody:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text[:len(text)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case NullValues:
		text = nulled(text)
	case EmptySeries:
		text = emptied(text)
	default: // not spoilt
	}
	writeJSON(w, http.StatusOK, json.RawMessage(text))
}
