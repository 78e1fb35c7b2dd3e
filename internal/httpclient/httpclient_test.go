// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package httpclient_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/httpclient"
)

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Key", "the-key")
	resp, err := httpclient.New().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestRedirectToAnotherHostIsNotFollowed(t *testing.T) {
	t.Parallel()
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("X-Key") != "")
	}))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()

	resp := get(t, first.URL)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect || leaked.Load() {
		t.Errorf("got status %d, key leaked: %t; want 307 and no request to the other host", resp.StatusCode, leaked.Load())
	}
}

func TestRedirectWithinAnOriginIsFollowedAFewTimes(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("/once", http.RedirectHandler("/there", http.StatusTemporaryRedirect))
	mux.Handle("/for-ever", http.RedirectHandler("/for-ever", http.StatusTemporaryRedirect))
	mux.HandleFunc("/there", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	s := httptest.NewServer(mux)
	defer s.Close()

	for path, want := range map[string]int{"/once": http.StatusTeapot, "/for-ever": http.StatusTemporaryRedirect} {
		resp := get(t, s.URL+path)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestReadBodyStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	if body, err := httpclient.ReadBody(strings.NewReader("12345"), 5); err != nil || string(body) != "12345" {
		t.Errorf("at the limit: got %q, %v", body, err)
	}
	if _, err := httpclient.ReadBody(strings.NewReader("12345"), 4); !errors.Is(err, httpclient.ErrTooLarge) {
		t.Errorf("over the limit: got %v, want ErrTooLarge", err)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	if e.read > 1<<20 {
		return 0, errors.New("read on and on")
	}
	return len(p), nil
}

func TestReadBodyDoesNotReadOn(t *testing.T) {
	t.Parallel()
	if _, err := httpclient.ReadBody(&endless{}, 1000); !errors.Is(err, httpclient.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	const key, short = `Ab/c"d+e`, "cafe"
	for _, in := range []string{
		key, strings.ToUpper(key), "Ab%2Fc%22d%2Be", `Ab/c\"d+e`, "Ab/c&#34;d+e",
		base64.StdEncoding.EncodeToString([]byte(key)), "41622f632264" + "2b65",
	} {
		got := httpclient.Redact("x "+in+" y", short, key)
		if want := "x *****"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " y") {
			t.Errorf("Redact(%q) = %q", in, got)
		}
	}
	if got, want := httpclient.Redact("nothing here", "", key), "nothing here"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                        "plain",
		"a\x00b\x1b[31m\r\n c\u202e\t": "a b [31m c",
		"bad \xff\xfe bytes":           "bad bytes",
		strings.Repeat("é", 100):       strings.Repeat("é", 8) + "…",
		strings.Repeat("\n", 1000):     "…",
	} {
		if diff := cmp.Diff(want, httpclient.Clean(in, 20)); diff != "" {
			t.Errorf("Clean(%.20q): -want +got:\n%s", in, diff)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\xffb\u202e", 10)
	f.Fuzz(func(t *testing.T, in string, limit int) {
		limit = 3 + (limit&0xff+256)%256
		got := httpclient.Clean(in, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n\r\x1b") {
			t.Errorf("Clean(%q, %d) = %q", in, limit, got)
		}
	})
}
