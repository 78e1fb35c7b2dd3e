// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Mode is a way to fail.
type Mode string

// The ways to fail. Those that are a number are answered with it.
const (
	Standby             Mode = "429"
	RecoverySecondary   Mode = "472"
	PerformanceStandby  Mode = "473"
	Sealed              Mode = "503"
	ServerError         Mode = "500"
	Forbidden           Mode = "403"
	InconsistentReplica Mode = "412"
	// Hang answers nothing until the client goes away.
	Hang Mode = "hang"
	// CutOff breaks the connection in the middle of the answer.
	CutOff Mode = "cut-off"
	// RedirectAway answers with a redirect to Fault.Location.
	RedirectAway Mode = "redirect"
	// HugeBody answers with JSON of about 4 MiB.
	HugeBody Mode = "huge-body"
	// NotVault answers 404 with a web page, as a load balancer does.
	NotVault Mode = "not-vault"
	// NotJSON answers 200 with something that is not JSON.
	NotJSON Mode = "not-json"
	// VersionOne answers as a key-value store of version 1 does.
	VersionOne Mode = "version-1"
	// Echo answers 400 and repeats all that it was sent.
	Echo Mode = "echo"
)

// A Fault says how to fail, where and how often.
type Fault struct {
	Mode Mode
	// Path below which requests fail, without /v1/. Default: all.
	Path string
	// Times is how many requests fail. Default: all, until Clear.
	Times int
	// Location is where RedirectAway points to.
	Location string
}

// Fail makes requests fail. Of several faults for one path the first is used
// until its Times are over.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// Clear ends all faults. Requests that hang already go on hanging.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the fault for one request.
func (s *core) fault(path string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !strings.HasPrefix(path, f.Path) {
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

func (m Mode) status() int {
	status, err := strconv.Atoi(string(m))
	if err != nil {
		return 0
	}
	return status
}

// words are what Vault says with a status.
var words = map[Mode]string{Sealed: "Vault is sealed", Forbidden: "permission denied", ServerError: "internal error", InconsistentReplica: "required index state not present"}

func (s *core) spoil(w http.ResponseWriter, r *http.Request, f Fault) {
	if status := f.Mode.status(); status != 0 {
		said := []string{}
		if words[f.Mode] != "" {
			said = append(said, words[f.Mode])
		}
		reply(w, nil, refuse(status, said...))
		return
	}
	switch f.Mode {
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		panic(http.ErrAbortHandler)
	case CutOff:
		cutOff(w)
	case Echo:
		echo(w, r)
	default:
		other(w, r, f)
	}
}

func cutOff(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"request_id":"0","data":{"data":{"api-k`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// other answers with something that is not what was asked for.
func other(w http.ResponseWriter, r *http.Request, f Fault) {
	switch f.Mode {
	case RedirectAway:
		http.Redirect(w, r, f.Location+r.URL.Path, http.StatusTemporaryRedirect) //nolint:gosec // the fault that was asked for
	case HugeBody:
		_, _ = io.WriteString(w, `{"data":{"data":{"padding":"`+strings.Repeat("x", 4<<20)+`"},"metadata":{"version":1}}}`)
	case NotVault:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>default backend - 404</html>")
	case VersionOne:
		reply(w, envelope(map[string]any{"data": map[string]any{"api-key": "of version one", "app-key": "too"}}), nil)
	default:
		_, _ = io.WriteString(w, "<html>hello</html>")
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxRequest)) // what there is of it
	var fields map[string]any
	_ = json.Unmarshal(body, &fields) // nothing of it is as good
	w.Header().Set("X-Echo", r.Header.Get("X-Vault-Token"))
	reply(w, nil, refuse(http.StatusBadRequest, "sent: "+r.Header.Get("X-Vault-Token"), fmt.Sprint(fields), string(body)))
}
