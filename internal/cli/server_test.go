// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sluice.dev/sluice/api/v1alpha1"
)

// A server is as much of an API server as the commands use: get, list, watch
// and patch of the objects it holds. It records the patches and applies none.
type server struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	version int
	// objects by path, such as /apis/argoproj.io/v1alpha1/namespaces/payments/rollouts/checkout.
	objects  map[string]map[string]any
	watchers map[chan map[string]any]string
	patches  []string
	// noStatus makes it answer 404 to every status subresource, absent to every
	// resource of a group, and deny 403 to a resource.
	noStatus     bool
	absent, deny string
	// down makes it answer 503 to everything.
	down bool
	// refuse is how many patches it answers with 409.
	refuse int
}

const apiPath = "/apis/argoproj.io/v1alpha1"

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, objects: map[string]map[string]any{}, watchers: map[chan map[string]any]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// put stores an object of a collection and tells the watchers.
func (s *server) put(collection, kind, apiVersion string, object any) {
	raw, err := json.Marshal(object)
	if err != nil {
		s.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		s.t.Fatal(err)
	}
	m["kind"], m["apiVersion"] = kind, apiVersion
	meta, _ := m["metadata"].(map[string]any)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	meta["resourceVersion"] = strconv.Itoa(s.version)
	at := collection + "/" + fmt.Sprint(meta["name"])
	event := "MODIFIED"
	if s.objects[at] == nil {
		event = "ADDED"
	}
	s.objects[at] = m
	s.tell(collection, event, m)
}

func (s *server) remove(collection, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := collection + "/" + name
	m := s.objects[at]
	delete(s.objects, at)
	s.tell(collection, "DELETED", m)
}

// tell sends an event to the watchers of a collection; the lock is held.
func (s *server) tell(collection, event string, m map[string]any) {
	for ch, of := range s.watchers {
		if of == collection {
			ch <- map[string]any{"type": event, "object": m}
		}
	}
}

// drop ends all watches, as a server does that restarts; down is whether it
// stays away.
func (s *server) drop(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	for ch := range s.watchers {
		close(ch)
		delete(s.watchers, ch)
	}
}

func (s *server) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.patches...)
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
	})
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resource := path.Base(r.URL.Path)
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	switch {
	case down:
		fail(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the server is starting")
	case s.absent != "" && strings.HasPrefix(r.URL.Path, s.absent):
		http.NotFound(w, r)
	case s.deny != "" && resource == s.deny:
		fail(w, http.StatusForbidden, "Forbidden", s.deny+" is forbidden")
	case r.Method == http.MethodPatch:
		s.patch(w, r)
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r)
	default:
		s.get(w, r)
	}
}

func (s *server) patch(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patches = append(s.patches, fmt.Sprintf("%s %s %s", r.URL.Path, strings.TrimPrefix(r.Header.Get("Content-Type"), "application/"), body))
	if s.refuse > 0 {
		s.refuse--
		fail(w, http.StatusConflict, "Conflict", "somebody else changed it")
		return
	}
	at, status := strings.CutSuffix(r.URL.Path, "/status")
	m := s.objects[at]
	if m == nil || status && s.noStatus {
		fail(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(m)
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if m := s.objects[r.URL.Path]; m != nil {
		_ = json.NewEncoder(w).Encode(m)
		return
	}
	switch path.Base(path.Dir(r.URL.Path)) {
	case "rollouts", "experiments", "analysisruns", "deployments", "configmaps":
		fail(w, http.StatusNotFound, "NotFound", "not found")
		return
	}
	items := s.collect(r)
	if items == nil {
		items = []map[string]any{}
	}
	kind, version := kindOf(r)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": kind + "List", "apiVersion": version, "metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "items": items,
	})
}

// kindOf is the kind and the version of a collection's objects.
func kindOf(r *http.Request) (kind, version string) {
	kind = map[string]string{
		"rollouts": "Rollout", "analysisruns": "AnalysisRun", "experiments": "Experiment", "replicasets": "ReplicaSet", "pods": "Pod", "configmaps": "ConfigMap",
	}[path.Base(r.URL.Path)]
	version, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/"), "/namespaces/")
	return kind, strings.TrimSuffix(version, "/"+path.Base(r.URL.Path))
}

// collect is the objects that a list asks for; without a namespace in the path,
// those of all namespaces. The lock is held.
func (s *server) collect(r *http.Request) []map[string]any {
	var items []map[string]any
	name := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	everywhere := !strings.Contains(r.URL.Path, "/namespaces/")
	for at, m := range s.objects {
		collection := path.Dir(at)
		same := collection == r.URL.Path
		if everywhere {
			same = path.Base(collection) == path.Base(r.URL.Path)
		}
		if same && (name == "" || path.Base(at) == name) {
			items = append(items, m)
		}
	}
	return items
}

func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder, flush := json.NewEncoder(w), w.(http.Flusher)
	ch := make(chan map[string]any, 100)
	s.mu.Lock()
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for _, m := range s.collect(r) {
			_ = encoder.Encode(map[string]any{"type": "ADDED", "object": m})
		}
		kind, version := kindOf(r)
		_ = encoder.Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
			"kind": kind, "apiVersion": version, "metadata": map[string]any{
				"resourceVersion": strconv.Itoa(s.version), "annotations": map[string]any{"k8s.io/initial-events-end": "true"},
			},
		}})
	}
	s.watchers[ch] = r.URL.Path
	s.mu.Unlock()
	flush.Flush()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, ch)
		s.mu.Unlock()
	}()
	for {
		select {
		case <-r.Context().Done():
			return
		case event, open := <-ch:
			if !open {
				return
			}
			_ = encoder.Encode(event)
			flush.Flush()
		}
	}
}

func (s *server) rollout(ro *v1alpha1.Rollout) {
	s.put(apiPath+"/namespaces/"+ro.Namespace+"/rollouts", "Rollout", "argoproj.io/v1alpha1", ro)
}
