// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/revert"
)

func newThief(t *testing.T, stolen *[]string) string {
	t.Helper()
	var mu sync.Mutex
	web := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		*stolen = append(*stolen, r.URL.Path+" "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(web.Close)
	return web.URL
}

func writes(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

func reads(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-upload-pack")
}

func opens(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pulls")
}

// status answers with a status, and says the password back.
func status(code int) func(*stand, http.ResponseWriter, *http.Request) {
	return func(_ *stand, w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		http.Error(w, "no: "+password+r.Header.Get("Authorization"), code)
	}
}

// cut sends half of what the server says.
func cut(s *stand, w http.ResponseWriter, r *http.Request) {
	rec := s.Answer(r)
	body := rec.Body.Bytes()
	maps.Copy(w.Header(), rec.Header())
	w.Header().Set("Content-Length", "1000000")
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

// swallow does what is asked, and does not answer.
func swallow(s *stand, _ http.ResponseWriter, r *http.Request) {
	s.Answer(r)
	panic(http.ErrAbortHandler)
}

// Whatever fails, and at whatever request, there is one revert in the end.
func TestThereIsOneRevertWhateverFails(t *testing.T) {
	any := func(*http.Request) bool { return true }
	for name, tc := range map[string]struct {
		at   func(*http.Request) bool
		does func(*stand, http.ResponseWriter, *http.Request)
		pull bool
		fate outbox.Fate
		want string
	}{
		"the server errs":                   {at: any, does: status(500), fate: outbox.Later},
		"the server errs when it is read":   {at: reads, does: status(502), fate: outbox.Later},
		"it errs when it is written":        {at: writes, does: status(503), fate: outbox.Later},
		"it may be read only":               {at: writes, does: status(403), fate: outbox.Broken, want: "it refuses the credentials in Secret payments/git"},
		"the answer is cut off":             {at: reads, does: cut, fate: outbox.Later},
		"the push is lost":                  {at: writes, does: func(*stand, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fate: outbox.Later},
		"the push arrives and nobody hears": {at: writes, does: swallow, fate: outbox.Later},
		"GitHub errs":                       {at: opens, does: status(500), pull: true, fate: outbox.Later, want: "GitHub answered 500"},
		"GitHub is busy": {at: opens, pull: true, fate: outbox.Later, does: func(_ *stand, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusForbidden)
		}},
		"GitHub refuses the token": {at: opens, does: status(401), pull: true, fate: outbox.Broken},
		"GitHub says nonsense": {at: opens, pull: true, fate: outbox.Later, does: func(_ *stand, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("<html>"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.released()
			r := s.request()
			if tc.pull {
				pulls(s)(r)
			}
			s.Break(func(w http.ResponseWriter, req *http.Request) bool {
				if tc.at(req) {
					tc.does(s, w, req)
					return true
				}
				return false
			})
			if e := s.fails(r); e.Fate != tc.fate || !strings.Contains(e.Message, tc.want) {
				t.Errorf("got %s: %s", e.Fate, e.Message)
			}
			s.Break(nil)
			s.revert(r)
			if tc.pull {
				s.wantLog("release other 8", "release checkout 2", "begin")
				if got := s.Pulls(); len(got) != 1 {
					t.Errorf("pull requests are %+v", got)
				}
				return
			}
			s.wantLog(`Revert "release checkout 2"`, "release other 8", "release checkout 2", "begin")
		})
	}
}

func TestAPushThatLosesTheRaceIsMadeAnew(t *testing.T) {
	s := newStand(t)
	s.released()
	var races atomic.Int32
	s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/git-receive-pack") && races.Add(1) <= 2 {
			s.commit("meanwhile", "README.md", strings.Repeat("x", int(races.Load()))+"\n")
		}
		return false
	})
	s.revert(s.request())
	s.wantLog(`Revert "release checkout 2"`, "meanwhile", "meanwhile", "release other 8", "release checkout 2", "begin")
	if s.Show("main", "README.md") != "xx\n" || s.Show("main", manifest) != yaml("1") {
		t.Errorf("main holds %q and %q", s.Show("main", "README.md"), s.Show("main", manifest))
	}
}

func TestABranchThatNeverRestsIsTriedLater(t *testing.T) {
	s := newStand(t)
	s.released()
	n := 0
	s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if writes(r) {
			n++
			s.commit("meanwhile", "README.md", strings.Repeat("x", n)+"\n")
		}
		return false
	})
	if e := s.fails(s.request()); e.Fate != outbox.Soon {
		t.Errorf("got %s: %s", e.Fate, e.Message)
	}
	if n != 5 {
		t.Errorf("it was tried %d times", n)
	}
}

func TestTwoAtOnceMakeOne(t *testing.T) {
	s := newStand(t)
	s.released()
	other := revert.New([]string{s.Host()}, s.Client(), s.clock)
	var group sync.WaitGroup
	for _, service := range []*revert.Service{s.service, other, s.service} {
		group.Go(func() {
			if _, err := service.Revert(t.Context(), s.request()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	s.wantLog(`Revert "release checkout 2"`, "release other 8", "release checkout 2", "begin")
}

func TestAServerThatRefusesTheBranchIsHeard(t *testing.T) {
	s := newStand(t)
	s.released()
	if err := s.Hook("pre-receive", "#!/bin/sh\necho protected >&2\nexit 1\n"); err != nil {
		t.Fatal(err)
	}
	if e := s.fails(s.request()); e.Fate != outbox.Refused || !strings.Contains(e.Message, "does not take the revert on branch main") {
		t.Errorf("got %s: %s", e.Fate, e.Message)
	}
}
