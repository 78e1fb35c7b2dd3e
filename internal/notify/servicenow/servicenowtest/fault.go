// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package servicenowtest

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Mode is a way to fail.
type Mode string

// The ways to fail. Those that are a number are answered with it.
const (
	Unauthorized Mode = "401"
	Forbidden    Mode = "403"
	NotFound     Mode = "404"
	RateLimited  Mode = "429"
	ServerError  Mode = "500"
	BadGateway   Mode = "502"
	Away         Mode = "503"
	// Hang does nothing and answers nothing until the client goes away.
	Hang Mode = "hang"
	// Reset breaks the connection before anything was done.
	Reset Mode = "reset"
	// CutOff does what is asked and breaks the connection in the middle of the
	// answer.
	CutOff Mode = "cut-off"
	// Lost does what is asked and never answers.
	Lost Mode = "lost"
	// Slow does what is asked when Release is called, whether or not the client
	// still waits.
	Slow Mode = "slow"
	// Asleep answers 200 with a web page, as an instance that hibernates does.
	Asleep Mode = "asleep"
	// Echo answers 400 and repeats what it was sent.
	Echo Mode = "echo"
	// Redirect answers with a redirect to Fault.Location.
	Redirect Mode = "redirect"
	// Everything answers a query with every record, as ServiceNow does when it
	// does not understand the query.
	Everything Mode = "everything"
)

// late reports whether what is asked is done before it fails.
func (m Mode) late() bool { return m == CutOff || m == Lost || m == Slow }

func (m Mode) status() int {
	n, err := strconv.Atoi(string(m))
	if err != nil {
		return 0
	}
	return n
}

// A Fault says how to fail, where and how often.
type Fault struct {
	Mode Mode
	// Method and Path below which requests fail. Default: all.
	Method, Path string
	// Times is how many requests fail. Default: all, until Clear.
	Times int
	// Location is where Redirect points to.
	Location string
	// RetryAfter is said with a status, in seconds, unless it is 0.
	RetryAfter int
}

// Fail makes requests fail. Of several faults for one path the first is used
// until its Times are over.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// Release lets the requests that are slow be done, and waits until they are.
func (s *Server) Release() {
	s.mu.Lock()
	waiting := s.slow
	s.slow = nil
	s.mu.Unlock()
	for _, w := range waiting {
		close(w.start)
		<-w.done
	}
}

// A slowRequest is one that waits to be done.
type slowRequest struct{ start, done chan struct{} }

// Slow is how many requests wait for Release.
func (s *Server) Slow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slow)
}

func (s *core) slowly() (done func()) {
	w := slowRequest{make(chan struct{}), make(chan struct{})}
	s.mu.Lock()
	s.slow = append(s.slow, w)
	s.mu.Unlock()
	select {
	case <-w.start:
	case <-s.closed:
	}
	return func() { close(w.done) }
}

// Clear ends all faults. Requests that hang already go on hanging.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *core) fault(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !strings.HasPrefix(r.URL.Path, f.Path) || f.Method != "" && f.Method != r.Method {
			continue
		}
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			s.faults[i].Times--
		}
		return f, true
	}
	return Fault{}, false
}

func (s *Server) spoil(w http.ResponseWriter, r *http.Request, f Fault) {
	if status := f.Mode.status(); status != 0 {
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":{"message":"as told","detail":null},"status":"failure"}`)
		return
	}
	switch f.Mode {
	case Hang, Lost:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		panic(http.ErrAbortHandler)
	case CutOff, Slow:
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"result":{"sys_id":"`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Redirect:
		w.Header().Set("Location", f.Location+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case Echo:
		w.WriteHeader(http.StatusBadRequest)
		user, password, _ := r.BasicAuth()
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{
			"message": "sent " + user + " " + password + " " + r.Header.Get("Authorization"), "detail": r.URL.RawQuery,
		}})
	case Asleep:
		_, _ = io.WriteString(w, "<html>Your instance is hibernating</html>")
	case Everything:
		s.everything(w)
	default:
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) everything(w http.ResponseWriter) {
	var rows []string
	for _, rec := range s.Incidents() {
		rows = append(rows, fmt.Sprintf(`{"sys_id":%q,"correlation_id":%q,"number":%q}`, rec.ID, rec.Fields["correlation_id"], rec.Fields["number"]))
	}
	_, _ = io.WriteString(w, `{"result":[`+strings.Join(rows, ",")+`]}`)
}

// authentic checks basic authentication or a token.
func (s *core) authentic(r *http.Request) bool {
	if user, password, ok := r.BasicAuth(); ok {
		return equal(user, s.opts.User) && equal(password, s.opts.Password)
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	until, known := s.tokens[token]
	return ok && known && s.opts.Now().Before(until)
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// token is OAuth's endpoint.
func (s *core) token(r *http.Request, body []byte) answer {
	bad := func(why string) answer { return answer{http.StatusUnauthorized, map[string]string{"error": why}} }
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return bad("invalid_request")
	}
	if !equal(form.Get("client_id"), s.opts.ClientID) || !equal(form.Get("client_secret"), s.opts.ClientSecret) {
		return bad("invalid_client")
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "password":
		if !equal(form.Get("username"), s.opts.User) || !equal(form.Get("password"), s.opts.Password) {
			return bad("access_denied")
		}
	default:
		return bad("unsupported_grant_type")
	}
	s.issued++
	token := fmt.Sprintf("token-of-servicenow-%06d", s.issued)
	s.tokens[token] = s.opts.Now().Add(s.opts.TokenLife)
	return answer{http.StatusOK, map[string]any{
		"access_token": token, "token_type": "Bearer", "scope": "useraccount", "expires_in": int(s.opts.TokenLife / time.Second),
	}}
}
