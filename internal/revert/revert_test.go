// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/revert"
	"sluice.dev/sluice/internal/revert/gittest"
	"sluice.dev/sluice/internal/secret"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A stand is a repository, and what makes reverts in it.
type stand struct {
	*testing.T
	*gittest.Server
	service *revert.Service
}

func newStand(t *testing.T, hosts ...string) *stand {
	t.Helper()
	t.Parallel()
	server, err := gittest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if hosts == nil {
		hosts = []string{server.Host()}
	}
	s := &stand{T: t, Server: server, service: revert.New(hosts, server.Client(), func() time.Time { return noon })}
	t.Cleanup(func() {
		if err := server.Check(); err != nil {
			t.Errorf("the repository is broken: %v", err)
		}
	})
	return s
}

func (s *stand) clock() time.Time { return noon }

func (s *stand) commit(message string, files ...string) string {
	s.Helper()
	m := map[string]string{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = files[i+1]
	}
	h, err := s.Commit(message, m)
	if err != nil {
		s.Fatal(err)
	}
	return h
}

const manifest = "apps/checkout/rollout.yaml"

func yaml(tag string) string {
	return "kind: Rollout\nspec:\n  replicas: 2\n  template:\n    spec:\n      containers:\n        - name: checkout\n          image: registry.internal/checkout:" + tag + "\n  strategy:\n    canary: {}\n"
}

// released is a repository in which version 2 was merged.
func (s *stand) released() (bad string) {
	s.Helper()
	s.commit("begin", "README.md", "hello\n", manifest, yaml("1"), "apps/other/rollout.yaml", yaml("7"))
	bad = s.commit("release checkout 2", manifest, yaml("2"))
	s.commit("release other 8", "apps/other/rollout.yaml", yaml("8"))
	return bad
}

func (s *stand) request(change ...func(*revert.Request)) *revert.Request {
	r := &revert.Request{
		Target: v1alpha1.GitRevert{
			Repository: s.URL(), Branch: "main", Path: "apps/checkout", Author: v1alpha1.GitAuthor{Name: "Sluice", Email: "sluice@example.com"},
			SecretRef: v1alpha1.GitSecretRef{Name: "git"},
		},
		Credentials: revert.Credentials{Username: gittest.User, Secret: secret.New(gittest.Password)},
		Namespace:   "payments", Name: "checkout", UID: "11112222-3333", Revision: "5d4f", Attempt: 2,
		Why: "error-rate is 0.07\nSluice-Abort: forged", Images: []string{"registry.internal/checkout:2"},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func pulls(s *stand) func(*revert.Request) {
	return func(r *revert.Request) {
		r.Target.Mode, r.Target.GitHub = v1alpha1.RevertPullRequest, &v1alpha1.GitHubAPI{APIURL: s.API()}
	}
}

func (s *stand) revert(r *revert.Request) revert.Result {
	s.Helper()
	got, err := s.service.Revert(s.Context(), r)
	if err != nil {
		s.Fatal(err)
	}
	return got
}

// fails reports what Revert says, and checks that no secret is in it.
func (s *stand) fails(r *revert.Request) *notify.Error {
	s.Helper()
	got, err := s.service.Revert(s.Context(), r)
	if err == nil {
		s.Fatalf("it worked: %s", got.Text)
	}
	e, ok := errors.AsType[*notify.Error](err)
	if !ok {
		s.Fatalf("%T: %v", err, err)
	}
	if strings.Contains(e.Message, gittest.Password) {
		s.Errorf("the password is in %q", e.Message)
	}
	return e
}

func (s *stand) log() []string {
	s.Helper()
	out, err := s.Subjects("main")
	if err != nil {
		s.Fatal(err)
	}
	return out
}

func (s *stand) wantLog(want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, s.log()); diff != "" {
		s.Error(diff)
	}
}

func TestTheCommitIsRevertedOnce(t *testing.T) {
	s := newStand(t)
	bad := s.released()
	got := s.revert(s.request())
	if !got.Made || !strings.Contains(got.Text, "reverts commit "+bad) {
		t.Errorf("got %+v", got)
	}
	s.wantLog(`Revert "release checkout 2"`, "release other 8", "release checkout 2", "begin")
	if s.Show("main", manifest) != yaml("1") || s.Show("main", "apps/other/rollout.yaml") != yaml("8") || s.Show("main", "README.md") != "hello\n" {
		t.Errorf("main holds %q and %q", s.Show("main", manifest), s.Show("main", "apps/other/rollout.yaml"))
	}
	want := "Sluice <sluice@example.com>\nRevert \"release checkout 2\"\n\nThis reverts commit " + bad + ".\n\n" +
		"Rollout payments/checkout aborted attempt 2 at revision 5d4f, and its traffic is back on the\nstable revision. Why it was aborted:\n\n" +
		"    error-rate is 0.07 Sluice-Abort: forged\n\nSluice-Abort: 11112222-3333/5d4f/2"
	if diff := cmp.Diff(want, s.Show("main", "%B")); diff != "" {
		t.Error(diff)
	}
	// A crash before it was recorded.
	if again := s.revert(s.request()); again.Made || !strings.Contains(again.Text, "already") {
		t.Errorf("again: %+v", again)
	}
	s.commit("something else", "README.md", "bye\n")
	s.revert(s.request())
	s.wantLog("something else", `Revert "release checkout 2"`, "release other 8", "release checkout 2", "begin")
	// The release is made anew, and aborted anew.
	s.commit("release checkout 2 again", manifest, yaml("2"))
	if again := s.revert(s.request()); !again.Made {
		t.Errorf("a new release: %+v", again)
	}
	if s.Show("main", manifest) != yaml("1") {
		t.Errorf("main holds %q", s.Show("main", manifest))
	}
}

func TestWhatIsLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*stand)
		change  func(*stand, *revert.Request)
		fate    outbox.Fate // empty: there is nothing to do
		want    string
	}{
		"somebody reverted it": {prepare: func(s *stand) {
			_ = s.Work([]string{"revert", "--no-edit", "HEAD~1"}, []string{"push", "origin", "main"})
		}, want: "has reverted commit"},
		"somebody wrote the old one":    {prepare: func(s *stand) { s.commit("back", manifest, yaml("1")) }, want: "does not ask for it any more"},
		"a fix came meanwhile":          {prepare: func(s *stand) { s.commit("release checkout 3", manifest, yaml("3")) }, want: "does not ask for it any more"},
		"an image that is not in Git":   {change: func(_ *stand, r *revert.Request) { r.Images = []string{"registry.internal/checkout:9"} }, fate: outbox.Never, want: "none of the last 100 commits brought in registry.internal/checkout:9 there"},
		"a longer tag":                  {change: func(_ *stand, r *revert.Request) { r.Images = []string{"registry.internal/checkout:"} }, fate: outbox.Never, want: "none of the last 100"},
		"another path":                  {change: func(_ *stand, r *revert.Request) { r.Target.Path = "apps/other" }, fate: outbox.Never, want: "none of the last 100 commits"},
		"a part of a folder's name":     {change: func(_ *stand, r *revert.Request) { r.Target.Path = "apps/check" }, fate: outbox.Never, want: "none of the last 100 commits"},
		"two images, one of them new":   {change: func(_ *stand, r *revert.Request) { r.Images = append(r.Images, "registry.internal/proxy:2") }, fate: outbox.Never, want: "brought in some of its images"},
		"no new image, no annotation":   {change: func(_ *stand, r *revert.Request) { r.Images = nil }, fate: outbox.Never, want: "sluice.dev/commit does not name the newest commit"},
		"an annotation of another time": {change: func(s *stand, r *revert.Request) { r.Images, r.Commit = nil, head(s, "HEAD~2") }, fate: outbox.Never, want: "sluice.dev/commit does not name the newest commit"},
		"changed by hand":               {change: func(s *stand, r *revert.Request) { r.Images, r.Commit, r.ByHand = nil, head(s, "HEAD~1"), true }, fate: outbox.Never, want: "changed by hand"},
		"the first commit":              {change: func(_ *stand, r *revert.Request) { r.Images = []string{"registry.internal/checkout:1"} }, fate: outbox.Never, want: "none of the last"},
		"a conflict": {prepare: func(s *stand) {
			s.commit("more replicas", manifest, strings.Replace(yaml("2"), "checkout:2\n", "checkout:2\n          args: [x]\n", 1))
		}, fate: outbox.Never, want: "cannot be reverted without a conflict, and Git was left alone: apps/checkout/rollout.yaml was changed again since"},
		"no such branch":     {change: func(_ *stand, r *revert.Request) { r.Target.Branch = "master" }, fate: outbox.Broken, want: "has no branch master"},
		"no such repository": {change: func(_ *stand, r *revert.Request) { r.Target.Repository += "x" }, fate: outbox.Broken, want: "there is no such repository"},
		"wrong credentials":  {change: func(_ *stand, r *revert.Request) { r.Credentials.Secret = secret.New("wrong") }, fate: outbox.Broken, want: "it refuses the credentials in Secret payments/git"},
		"another host":       {change: func(_ *stand, r *revert.Request) { r.Target.Repository = "https://evil.example.com/acme/config.git" }, fate: outbox.Broken, want: "may not talk to evil.example.com; its administrator can allow it with --revert-hosts"},
		"another port":       {change: func(_ *stand, r *revert.Request) { r.Target.Repository = "https://127.0.0.1:1/acme/config.git" }, fate: outbox.Broken, want: "may not talk to 127.0.0.1:1"},
		"no TLS": {change: func(_ *stand, r *revert.Request) {
			r.Target.Repository = strings.Replace(r.Target.Repository, "https", "http", 1)
		}, fate: outbox.Broken, want: "is not an https URL"},
		"a user in the URL": {change: func(_ *stand, r *revert.Request) {
			r.Target.Repository = strings.Replace(r.Target.Repository, "//", "//a:b@", 1)
		}, fate: outbox.Broken, want: "is not an https URL"},
		"a path that leads out": {change: func(_ *stand, r *revert.Request) { r.Target.Path = "apps/../../x" }, fate: outbox.Broken, want: "leads out"},
		"an API elsewhere":      {change: func(s *stand, r *revert.Request) { pulls(s)(r); r.Target.GitHub.APIURL = "https://evil.example.com" }, fate: outbox.Broken, want: "github.apiURL: the controller may not talk to evil.example.com"},
		"no API":                {change: func(s *stand, r *revert.Request) { pulls(s)(r); r.Target.GitHub = nil }, fate: outbox.Broken, want: "github.apiURL is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.released()
			if tc.prepare != nil {
				tc.prepare(s)
			}
			r, before := s.request(), head(s, "HEAD")
			if tc.change != nil {
				tc.change(s, r)
			}
			if tc.fate == "" {
				if got := s.revert(r); got.Made || !strings.Contains(got.Text, tc.want) {
					t.Errorf("got %+v", got)
				}
			} else if e := s.fails(r); e.Fate != tc.fate || !strings.Contains(e.Message, tc.want) {
				t.Errorf("got %s: %s", e.Fate, e.Message)
			}
			if after := head(s, "HEAD"); after != before {
				t.Errorf("main moved:\n%s", s.log())
			}
		})
	}
}

// head is a commit of the server's main.
func head(s *stand, rev string) string {
	s.Helper()
	h, err := s.Rev(strings.Replace(rev, "HEAD", "main", 1))
	if err != nil {
		s.Fatal(err)
	}
	return h
}

func TestWhatIsFound(t *testing.T) {
	const kustomization = "images:\n  - name: registry.internal/checkout\n    newTag: \"TAG\"\n"
	for name, tc := range map[string]struct {
		files  func(tag string) []string
		change func(*stand, *revert.Request)
	}{
		"a kustomization": {files: func(tag string) []string {
			return []string{"apps/checkout/kustomization.yaml", strings.ReplaceAll(kustomization, "TAG", tag)}
		}},
		"values of a chart": {files: func(tag string) []string {
			return []string{"apps/checkout/values.yaml", "replicas: 2\nimage:\n  repository: registry.internal/checkout\n  tag: " + tag + " # the release\n"}
		}},
		"a file as the path":    {files: func(tag string) []string { return []string{manifest, yaml(tag)} }, change: func(_ *stand, r *revert.Request) { r.Target.Path = manifest }},
		"the whole repository":  {files: func(tag string) []string { return []string{manifest, yaml(tag)} }, change: func(_ *stand, r *revert.Request) { r.Target.Path = "/" }},
		"a short annotation":    {files: func(tag string) []string { return []string{manifest, yaml(tag)} }, change: func(s *stand, r *revert.Request) { r.Commit = head(s, "HEAD")[:9] }},
		"a foreign annotation":  {files: func(tag string) []string { return []string{manifest, yaml(tag)} }, change: func(_ *stand, r *revert.Request) { r.Commit = "0123456789abcdef0123456789abcdef01234567" }},
		"only by annotation":    {files: func(tag string) []string { return []string{manifest, yaml("1") + "# env " + tag + "\n"} }, change: func(s *stand, r *revert.Request) { r.Images, r.Commit = nil, head(s, "HEAD") }},
		"a file that was added": {files: func(tag string) []string { return []string{"apps/checkout/new/r" + tag + ".yaml", yaml(tag)} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.commit("begin", append([]string{"README.md", "hello\n"}, tc.files("1")...)...)
			before := head(s, "HEAD")
			s.commit("release", tc.files("2")...)
			r := s.request()
			if tc.change != nil {
				tc.change(s, r)
			}
			if got := s.revert(r); !got.Made {
				t.Errorf("got %+v", got)
			}
			if same, err := s.Same(before, "main"); err != nil || !same {
				t.Errorf("the files differ from those before the release: %v", err)
			}
		})
	}
}

func TestAMergeIsReverted(t *testing.T) {
	s := newStand(t)
	s.released()
	if err := s.Work([]string{"checkout", "-q", "-b", "feature"}); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := s.Write(manifest, text); err != nil {
			t.Fatal(err)
		}
	}
	write(yaml("2-rc"))
	_ = s.Work([]string{"commit", "-qam", "try"})
	write(yaml("3"))
	if err := s.Work([]string{"commit", "-qam", "release 3"}, []string{"checkout", "-q", "main"}, []string{"commit", "-q", "--allow-empty", "-m", "meanwhile"},
		[]string{"merge", "-q", "--no-ff", "-m", "Merge pull request #7", "feature"}, []string{"push", "-q", "origin", "main"}); err != nil {
		t.Fatal(err)
	}
	merge := head(s, "HEAD")
	got := s.revert(s.request(func(r *revert.Request) { r.Images = []string{"registry.internal/checkout:3"} }))
	if !got.Made || !strings.Contains(got.Text, "reverts commit "+merge) || s.Show("main", manifest) != yaml("2") {
		t.Errorf("got %+v, main holds %q", got, s.Show("main", manifest))
	}
}

func TestALaterChangeElsewhereInTheFileIsKept(t *testing.T) {
	s := newStand(t)
	s.released()
	s.commit("more replicas", manifest, strings.Replace(yaml("2"), "replicas: 2", "replicas: 5", 1))
	s.revert(s.request())
	if got, want := s.Show("main", manifest), strings.Replace(yaml("1"), "replicas: 2", "replicas: 5", 1); got != want {
		t.Errorf("main holds %q", got)
	}
}

func TestAPullRequestIsOpenedOnce(t *testing.T) {
	s := newStand(t)
	bad := s.released()
	got := s.revert(s.request(pulls(s)))
	if !got.Made || !strings.Contains(got.Text, "/acme/config/pull/1 reverts commit "+bad) {
		t.Errorf("got %+v", got)
	}
	s.wantLog("release other 8", "release checkout 2", "begin")
	one := s.Pulls()
	if len(one) != 1 || one[0].Title != `Revert "release checkout 2"` || one[0].Base != "main" || !strings.Contains(one[0].Body, "Sluice-Abort: 11112222-3333/5d4f/2") {
		t.Fatalf("got %+v", one)
	}
	if s.Show(one[0].Head, manifest) != yaml("1") {
		t.Errorf("%s holds %q", one[0].Head, s.Show(one[0].Head, manifest))
	}
	if again := s.revert(s.request(pulls(s))); again.Made {
		t.Errorf("again: %+v", again)
	}
	s.ClosePull(1) // somebody does not want it: it is not opened again
	if again := s.revert(s.request(pulls(s))); again.Made || len(s.Pulls()) != 1 {
		t.Errorf("after it was closed: %+v", again)
	}
	// A crash after the push.
	s.Forget()
	if again := s.revert(s.request(pulls(s))); !again.Made || len(s.Pulls()) != 1 {
		t.Errorf("after a crash: %+v, %+v", again, s.Pulls())
	}
	if b, err := s.Branches(); err != nil || len(b) != 2 {
		t.Errorf("branches are %v: %v", b, err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	s := newStand(t)
	s.released()
	var stolen []string
	thief := newThief(t, &stolen)
	for _, mode := range []func(*revert.Request){func(*revert.Request) {}, pulls(s)} {
		s.Break(func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, thief+r.URL.Path+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
			return true
		})
		s.fails(s.request(mode))
	}
	if len(stolen) > 0 {
		t.Errorf("the other host got %q", stolen)
	}
}
