// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package gitops_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/revert/gittest"
)

// released is a Rollout that asks for a revert of its aborts.
const released = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "registry.internal/web:1"}]
  strategy:
    canary:
      steps: [{setWeight: 50}, {pause: {}}]
      onAbort:
        revert:
          repository: REPOSITORY
          branch: main
          path: apps/web
          mode: commit
          author: {name: Sluice, email: sluice@example.com}
          secretRef: {name: git}
          github: {apiURL: API}
`

const path = "apps/web/rollout.yaml"

// A stand is a control plane and a Git server whose main is synced by hand.
type stand struct {
	*bed.Bed
	git *gittest.Server
	log string
}

func newStand(t *testing.T) *stand {
	t.Helper()
	git, err := gittest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(git.Close)
	cert := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(cert, git.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", cert)
	s := &stand{Bed: bed.New(t, cluster.Options{}), git: git, log: filepath.Join(t.TempDir(), "log")}
	s.Namespace(bed.ControllerNamespace)
	s.Namespace("shop")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "git"}, StringData: map[string]string{"username": gittest.User, "token": gittest.Password}}
	if err := s.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stand) process(leader, hosts string) (*bed.Process, string) {
	s.Helper()
	p := s.Process(s.log, "--loglevel=debug", "--leader-election-lease-duration=1s", "--leader-election-renew-deadline=700ms", "--leader-election-retry-period=150ms", "--revert-hosts="+hosts)
	return p, s.Led(p, leader)
}

// merge commits a manifest, and syncs it.
func (s *stand) merge(message string, replace ...string) {
	s.Helper()
	text := strings.NewReplacer(append(replace, "REPOSITORY", s.git.URL(), "API", s.git.API())...).Replace(released)
	if _, err := s.git.Commit(message, map[string]string{path: text}); err != nil {
		s.Fatal(err)
	}
	s.sync()
}

func (s *stand) sync() {
	s.Helper()
	sync(s.Bed, s.git.Show("main", path))
}

func (s *stand) abort() {
	s.Helper()
	s.Phase("shop", "web", v1alpha1.RolloutPhasePaused)
	ro := s.Rollout("shop", "web")
	if err := s.Client.Status().Patch(s.Context(), ro, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"abort":true}}`))); err != nil {
		s.Fatal(err)
	}
	s.Phase("shop", "web", v1alpha1.RolloutPhaseDegraded)
}

func (s *stand) quiet() {
	s.Helper()
	s.Eventually("the outbox is empty", func() error {
		if box := s.Rollout("shop", "web").Status.Sluice.Outbox; box == nil || len(box.Notices) > 0 {
			text, _ := os.ReadFile(s.log)
			return fmt.Errorf("it holds %+v; the log ends:\n%s", box, text[max(0, len(text)-2000):])
		}
		return nil
	})
}

func (s *stand) events(reason string) []string {
	s.Helper()
	var list eventsv1.EventList
	if err := s.Client.List(s.Context(), &list, client.InNamespace("shop")); err != nil {
		s.Fatal(err)
	}
	var out []string
	for i := range list.Items {
		if list.Items[i].Reason == reason {
			out = append(out, list.Items[i].Note)
		}
	}
	return out
}

func (s *stand) wantLog(want ...string) {
	s.Helper()
	if got, err := s.git.Subjects("main"); err != nil || !slices.Equal(got, want) {
		s.Errorf("main holds %q: %v", got, err)
	}
}

// The whole promise: an abort is reverted in Git exactly once, although the
// server is away first, and the controller is killed when the push has arrived
// and nothing is recorded.
func TestAnAbortIsRevertedInGitOnce(t *testing.T) {
	s := newStand(t)
	p, leader := s.process("", s.git.Host())
	s.merge("begin")
	s.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	s.merge("release 2", "web:1", "web:2")

	pushed := make(chan struct{})
	asked := 0
	s.git.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			if asked++; asked == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		if !strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
			return false
		}
		s.git.Answer(r) // it arrives, and the answer never does
		close(pushed)
		<-r.Context().Done()
		return true
	})
	s.abort()
	<-pushed
	p.Kill()
	s.git.Break(nil)
	s.wantLog(`Revert "release 2"`, "release 2", "begin")
	s.process(leader, s.git.Host())
	s.quiet()
	s.wantLog(`Revert "release 2"`, "release 2", "begin")
	if err := s.git.Check(); err != nil {
		t.Error(err)
	}
	if got := s.git.Show("main", "%B"); !strings.HasPrefix(got, "Sluice <sluice@example.com>\n") || !strings.Contains(got, "Sluice-Abort: "+string(s.Rollout("shop", "web").UID)+"/") {
		t.Errorf("the commit says %q", got)
	}

	// Git and the cluster agree again after the next sync, and stay so.
	s.sync()
	ro := s.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	if got := ro.Spec.Template.Spec.Containers[0].Image; got != "registry.internal/web:1" {
		t.Errorf("the image is %s", got)
	}
	// The same release once more is reverted once more: as a pull request now.
	s.merge("release 2 again", "web:1", "web:2", "mode: commit", "mode: pullRequest")
	s.abort()
	s.Eventually("a pull request is open", func() error {
		if got := s.git.Pulls(); len(got) != 1 || got[0].Title != `Revert "release 2 again"` {
			return fmt.Errorf("there are %+v", got)
		}
		return nil
	})
	s.quiet()
	s.wantLog("release 2 again", `Revert "release 2"`, "release 2", "begin")
	s.Eventually("people are told", func() error {
		if got := s.events(v1alpha1.EventRevertMade); len(got) != 1 || !strings.Contains(got[0], "/acme/config/pull/1 reverts commit") {
			return fmt.Errorf("events are %q", got)
		}
		return nil
	})
	log, err := os.ReadFile(s.log)
	if err != nil || strings.Contains(string(log), gittest.Password) {
		t.Errorf("the password is in the log, or there is none: %v", err)
	}
}

// What cannot be told is not guessed, and a host that nobody allowed hears
// nothing.
func TestAnAbortThatCannotBeTracedIsLeftAlone(t *testing.T) {
	s := newStand(t)
	p, leader := s.process("", s.git.Host())
	s.merge("begin")
	s.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	edit(s.Bed, "kubectl-edit", `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"registry.internal/web:9"}]}}}}`)
	s.abort()
	s.Eventually("the condition says so", func() error {
		for _, c := range s.Rollout("shop", "web").Status.Conditions {
			if c.Type == v1alpha1.RolloutNotified && c.Status == corev1.ConditionFalse && strings.Contains(c.Message, "the abort was not reverted in Git (notice 1): it cannot be done: it cannot be told which commit brought in the aborted template") {
				return nil
			}
		}
		return errors.New("it does not")
	})
	if got := s.events(v1alpha1.EventRevertLost); len(got) != 1 {
		t.Errorf("events are %q", got)
	}
	s.wantLog("begin")

	p.Kill()
	s.process(leader, "git.example.com")
	s.sync()
	s.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	s.merge("release 2", "web:1", "web:2")
	before := len(s.git.Seen())
	s.abort()
	s.Eventually("people are told", func() error {
		if got := s.events(v1alpha1.EventRevertFailed); len(got) != 1 || !strings.Contains(got[0], "may not talk to "+s.git.Host()) {
			return fmt.Errorf("events are %q", got)
		}
		return nil
	})
	if got := s.git.Seen()[before:]; len(got) > 0 {
		t.Errorf("the host that is not allowed was asked: %q", got)
	}
	s.wantLog("release 2", "begin")
}
