// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package s3test is a strict object store for tests. It takes PUT requests for
// objects, addressed by path, and refuses what a store would: a signature that is
// wrong, a header that is not signed, a body that is not what was signed, an old
// date, an unknown bucket. It shares no code with what it tests.
package s3test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Object is what was stored under a key.
type Object struct {
	ContentType string
	Data        []byte
}

// A Server is an object store with one bucket.
type Server struct {
	*httptest.Server
	Bucket, Region, AccessKey, SecretKey, SessionToken string
	// Now is the clock of the store.
	Now func() time.Time

	mu       sync.Mutex
	objects  map[string]Object
	puts     int
	failures []int
}

// New starts a store; close it when done.
func New(bucket string) *Server {
	s := &Server{
		Bucket: bucket, Region: "eu-test-1", AccessKey: "AKIDTEST",
		Now: time.Now, objects: map[string]Object{},
	}
	s.SecretKey = "not/a+real=secret"
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Fail makes the next requests fail with these status codes, one after the
// other; 0 closes the connection half-way.
func (s *Server) Fail(codes ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, codes...)
}

// Objects is what is stored, by key.
func (s *Server) Objects() map[string]Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.objects)
}

// Puts is how many requests there were.
func (s *Server) Puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

// A refusal is an answer of the store that is none of success.
type refusal struct {
	status        int
	code, message string
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		deny(w, &refusal{http.StatusBadRequest, "IncompleteBody", err.Error()})
		return
	}
	if len(s.failures) > 0 {
		code := s.failures[0]
		s.failures = s.failures[1:]
		if code == 0 {
			panic(http.ErrAbortHandler)
		}
		deny(w, &refusal{code, "SlowDown", "Please reduce your request rate."})
		return
	}
	key, no := s.check(r, body)
	if no != nil {
		deny(w, no)
		return
	}
	s.objects[key] = Object{ContentType: r.Header.Get("Content-Type"), Data: body}
	w.Header().Set("ETag", `"x"`)
}

func deny(w http.ResponseWriter, no *refusal) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(no.status)
	text, _ := xml.Marshal(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: no.code, Message: no.message})
	_, _ = w.Write(text)
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/s3/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$`)

// check returns the key of the object that r may store.
func (s *Server) check(r *http.Request, body []byte) (string, *refusal) {
	if r.Method != http.MethodPut || r.URL.RawQuery != "" {
		return "", &refusal{http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method + " " + r.URL.RawQuery}
	}
	if r.ContentLength != int64(len(body)) {
		return "", &refusal{http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header."}
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != s.Bucket || key == "" {
		return "", &refusal{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"}
	}
	if no := s.signed(r, body); no != nil {
		return "", no
	}
	return key, nil
}

// signed checks who signed r, and what.
func (s *Server) signed(r *http.Request, body []byte) *refusal {
	part := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if part == nil || part[3] != s.Region {
		return &refusal{http.StatusBadRequest, "AuthorizationHeaderMalformed", fmt.Sprintf("The authorization header is malformed; expecting region %q", s.Region)}
	}
	if part[1] != s.AccessKey || r.Header.Get("X-Amz-Security-Token") != s.SessionToken {
		return &refusal{http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if skew := s.Now().Sub(at); err != nil || skew.Abs() > 15*time.Minute || at.Format("20060102") != part[2] {
		return &refusal{http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."}
	}
	sum := sha256.Sum256(body)
	if r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		return &refusal{http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."}
	}
	return s.signature(r, part[2], strings.Split(part[4], ";"), part[5])
}

// signature checks that everything that has to be signed is, and how.
func (s *Server) signature(r *http.Request, day string, signed []string, got string) *refusal {
	if !slices.IsSorted(signed) || !slices.Contains(signed, "host") {
		return &refusal{http.StatusForbidden, "AccessDenied", "the signed headers are not sorted, or lack the host"}
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if (strings.HasPrefix(name, "x-amz-") || name == "content-type") && !slices.Contains(signed, name) {
			return &refusal{http.StatusForbidden, "AccessDenied", "There were headers present in the request which were not signed: " + name}
		}
	}
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	lines := []string{r.Method, path, ""}
	for _, name := range signed {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		lines = append(lines, name+":"+strings.TrimSpace(value))
	}
	lines = append(lines, "", strings.Join(signed, ";"), r.Header.Get("X-Amz-Content-Sha256"))
	hash := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	scope := day + "/" + s.Region + "/s3/aws4_request"
	key := keyed(keyed(keyed(keyed([]byte("AWS4"+s.SecretKey), day), s.Region), "s3"), "aws4_request")
	want := hex.EncodeToString(keyed(key, "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+scope+"\n"+hex.EncodeToString(hash[:])))
	if !hmac.Equal([]byte(got), []byte(want)) {
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."}
	}
	return nil
}

func keyed(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}
