// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package servicenowtest is a server that speaks the part of ServiceNow's HTTP
// API that recording an incident takes: the Table API (create, query, read,
// change), the Attachment API, basic authentication and OAuth. It keeps state,
// and can be told to fail in the ways ServiceNow fails.
//
// It is stricter than ServiceNow, which ignores columns and query terms that it
// does not know (and then answers with every record): it refuses them with 400.
package servicenowtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are the choices of a Server; the zero value is ready to use.
type Options struct {
	// User and Password are accepted by basic authentication, and by OAuth's
	// password grant. Default: "sluice" and "password".
	User, Password string
	// ClientID and ClientSecret are accepted by OAuth. Default: "client" and
	// "client-secret".
	ClientID, ClientSecret string
	// TokenLife is how long a token is good. Default: half an hour.
	TokenLife time.Duration
	// Now is the clock that tokens age by; nil means the system's.
	Now func() time.Time
}

// A Server is a listening server. Its methods may be used concurrently.
type Server struct {
	*core
	http *httptest.Server
	once sync.Once
}

// A core is what a server knows, and answers by.
type core struct {
	opts   Options
	closed chan struct{}

	mu          sync.Mutex
	records     []*Record
	attachments []Attachment
	tokens      map[string]time.Time
	issued      int
	faults      []Fault
	log         []Request
	slow        []slowRequest
}

// A Record is an incident.
type Record struct {
	ID     string
	Fields map[string]string
	// Notes are its work notes, oldest first.
	Notes []string
}

// An Attachment is a file at an incident.
type Attachment struct {
	ID, Record, Name, Type string
	Data                   []byte
}

// A Request is what was asked.
type Request struct {
	Method, Path, Query string
	Status              int
}

// New returns a Server that listens on this machine.
func New(o Options) *Server {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&o.User, "sluice")
	def(&o.Password, "password")
	def(&o.ClientID, "client")
	def(&o.ClientSecret, "client-secret")
	if o.TokenLife == 0 {
		o.TokenLife = 30 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{core: &core{opts: o, closed: make(chan struct{}), tokens: map[string]time.Time{}}}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// URL is the address to give to a client.
func (s *Server) URL() string { return s.http.URL }

// Close stops the server and ends the requests that hang.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.http.CloseClientConnections()
		s.http.Close()
	})
}

// Incidents returns the incidents, oldest first.
func (s *Server) Incidents() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Record, 0, len(s.records))
	for _, r := range s.records {
		out = append(out, Record{ID: r.ID, Fields: maps.Clone(r.Fields), Notes: slices.Clone(r.Notes)})
	}
	return out
}

// Attachments returns the files at an incident, oldest first.
func (s *Server) Attachments(id string) []Attachment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Attachment
	for _, a := range s.attachments {
		if a.Record == id {
			out = append(out, a)
		}
	}
	return out
}

// Requests returns what was asked so far, faults included.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Count is how many requests of a method for a path below prefix there were.
func (s *Server) Count(method, prefix string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Method == method && strings.HasPrefix(r.Path, prefix) {
			n++
		}
	}
	return n
}

// Revoke ends every token.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = map[string]time.Time{}
}

// Set changes a field of an incident, as a person does.
func (s *Server) Set(id, field, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.ID == id {
			r.Fields[field] = value
		}
	}
}

// The paths of the API.
const (
	TablePath      = "/api/now/table/incident"
	AttachmentPath = "/api/now/attachment"
	TokenPath      = "/oauth_token.do" //nolint:gosec // a path, not a secret
)

const maxRequest = 16 << 20

// An answer is a status and a body.
type answer struct {
	status int
	body   any
}

func refuse(status int, message, detail string) answer {
	return answer{status, map[string]any{"error": map[string]string{"message": message, "detail": detail}, "status": "failure"}}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return // the client is gone
	}
	f, failing := s.fault(r)
	if failing && !f.Mode.late() {
		s.record(r, f.Mode.status())
		s.spoil(w, r, f)
		return
	}
	done := func() {}
	if failing && f.Mode == Slow {
		done = s.slowly()
	}
	a := s.answer(r, body)
	done()
	s.record(r, a.status)
	if failing {
		s.spoil(w, r, f)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the client may be gone
}

func (s *core) record(r *http.Request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Status: status})
}

// answer does what is asked.
func (s *core) answer(r *http.Request, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == TokenPath {
		return s.token(r, body)
	}
	if !s.authentic(r) {
		return refuse(http.StatusUnauthorized, "User Not Authenticated", "Required to provide Auth information")
	}
	if r.Header.Get("Accept") != "application/json" {
		return refuse(http.StatusNotAcceptable, "Requested response type not supported", "Accept: application/json")
	}
	if id, one := strings.CutPrefix(r.URL.Path, TablePath+"/"); one && r.Method == http.MethodPatch {
		return s.change(r, id, body)
	}
	switch r.Method + " " + r.URL.Path {
	case "GET " + TablePath:
		return s.query(r)
	case "POST " + TablePath:
		return s.create(r, body)
	case "GET " + AttachmentPath:
		return s.files(r)
	case "POST " + AttachmentPath + "/file":
		return s.attach(r, body)
	}
	return refuse(http.StatusBadRequest, "Requested URI does not represent any resource", r.Method+" "+r.URL.Path)
}

func id(kind string, n int) string { return fmt.Sprintf("%s%031d", kind, n) }
