// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	core "sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/revert"
)

func replicaSet(hash string, annotations map[string]string, images ...string) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: "payments", Name: "checkout-" + hash, Labels: map[string]string{v1alpha1.LabelPodTemplateHash: hash},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "checkout", UID: "the-uid", Controller: new(true)}},
	}}
	rs.Spec.Template.Annotations = annotations
	for _, i := range images {
		rs.Spec.Template.Spec.Containers = append(rs.Spec.Template.Spec.Containers, corev1.Container{Name: i, Image: i})
	}
	return rs
}

// asks makes the Rollout of s ask for reverts.
func (s *stand) asks(bad, good *appsv1.ReplicaSet, change func(*v1alpha1.Rollout)) {
	s.Helper()
	for _, rs := range []*appsv1.ReplicaSet{bad, good} {
		if rs == nil {
			continue
		}
		if err := s.api.Create(s.Context(), rs); err != nil {
			s.Fatal(err)
		}
	}
	ro := s.rollout()
	ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{OnAbort: &v1alpha1.OnAbort{Revert: &v1alpha1.GitRevert{
		Repository: "https://git.example.com/acme/config.git", SecretRef: v1alpha1.GitSecretRef{Name: "git"},
	}}}
	if err := s.api.Update(s.Context(), ro); err != nil {
		s.Fatal(err)
	}
	before := ro.DeepCopy()
	ro.Status.StableRS = "newest"
	ro.Status.Sluice.Attempts = []v1alpha1.RolloutAttempt{{Hash: "new", Attempt: 1, Stable: "old", Commit: "abc1234"}}
	if change != nil {
		change(ro)
	}
	if err := s.api.Status().Patch(s.Context(), ro, client.MergeFrom(before)); err != nil {
		s.Fatal(err)
	}
}

// A call is a revert that was asked for.
type call struct {
	images []string
	commit string
	byHand bool
}

func TestWhatIsAskedToBeReverted(t *testing.T) {
	t.Parallel()
	old := replicaSet("old", nil, "web:1", "proxy:1")
	good := map[string][]byte{"username": []byte("bot"), "password": []byte("secret")}
	for name, tc := range map[string]struct {
		bad    *appsv1.ReplicaSet
		change func(*v1alpha1.Rollout)
		secret map[string][]byte
		want   *call
		dead   string
	}{
		"a new image": {bad: replicaSet("new", nil, "web:2", "proxy:1"), secret: good, want: &call{images: []string{"web:2"}, commit: "abc1234"}},
		"no new one":  {bad: replicaSet("new", nil, "web:1", "proxy:1"), secret: good, want: &call{commit: "abc1234"}},
		"changed by hand": {bad: replicaSet("new", nil, "web:2"), secret: good, change: func(ro *v1alpha1.Rollout) {
			ro.Status.Sluice.HandChanges = []v1alpha1.HandChange{{Manager: "kubectl-edit", Tool: "argocd-controller", At: metav1.NewTime(noon)}}
		}, want: &call{images: []string{"web:2"}, commit: "abc1234", byHand: true}},
		"a drill":                  {bad: replicaSet("new", map[string]string{v1alpha1.AnnotationDrill: "x"}, "web:1"), secret: good},
		"the ReplicaSet is gone":   {secret: good, dead: "it cannot be done: the ReplicaSet of the aborted revision new or of the stable one old is gone, so it cannot be told what to revert"},
		"there is no Secret":       {bad: replicaSet("new", nil, "web:2"), dead: "not delivered within 1h0m0s: there is no Secret payments/git: create it with the key token, or username and password"},
		"the Secret lacks the key": {bad: replicaSet("new", nil, "web:2"), secret: map[string][]byte{"username": []byte("bot")}, dead: "not delivered within 1h0m0s: Secret payments/git has neither the key token nor the keys username and password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.cm = nil
			s.asks(tc.bad, old.DeepCopy(), tc.change)
			s.happens(v1alpha1.RolloutPhaseDegraded, core.Event{Reason: "RolloutAborted", Message: "aborted"})
			var got []call
			r := s.reverting(tc.secret, func(_ context.Context, r *revert.Request) (revert.Result, error) {
				got = append(got, call{images: r.Images, commit: r.Commit, byHand: r.ByHand})
				return revert.Result{Made: true, Text: "made"}, nil
			})
			s.run(r)
			var want []call
			if tc.want != nil {
				want = []call{*tc.want}
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(call{})); diff != "" {
				t.Error(diff)
			}
			box := s.rollout().Status.Sluice.Outbox
			if tc.dead == "" && len(box.Dead) > 0 || tc.dead != "" && (len(box.Dead) != 1 || box.Dead[0].Why != tc.dead || box.Dead[0].To != v1alpha1.NoticeToRevert) {
				t.Errorf("given up: %+v", box.Dead)
			}
		})
	}
}

// reverting is a controller whose reverts f makes.
func (s *stand) reverting(data map[string][]byte, f Revert) *Reconciler {
	s.Helper()
	r := s.controller()
	r.Revert, r.MaxAge, r.Client = f, time.Hour, s.api
	r.Secrets = func(_ context.Context, namespace, name string) (map[string][]byte, error) {
		if name == notify.SecretName {
			return nil, nil
		}
		if namespace != "payments" || name != "git" || data == nil {
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
		}
		return data, nil
	}
	return r
}

// run lets r work until nothing waits.
func (s *stand) run(r *Reconciler) {
	s.Helper()
	for range 200 {
		_, err := r.Reconcile(s.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "payments", Name: "checkout"}})
		if err != nil {
			s.Fatal(err)
		}
		if !pending(s.rollout()) {
			return
		}
		s.now = s.now.Add(time.Minute)
		r.Clock = clocktesting.NewFakePassiveClock(s.now)
	}
	s.Fatalf("it does not come to rest: %+v", s.rollout().Status.Sluice.Outbox)
}

func TestTheSecretIsOfTheRolloutsNamespace(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.cm = nil
	s.asks(replicaSet("new", nil, "web:2"), replicaSet("old", nil, "web:1"), nil)
	s.happens(v1alpha1.RolloutPhaseDegraded, core.Event{Reason: "RolloutAborted", Message: "aborted"})
	var read, used []string
	r := s.reverting(nil, func(_ context.Context, r *revert.Request) (revert.Result, error) {
		used = append(used, r.Credentials.Username+" "+r.Credentials.Secret.Reveal())
		return revert.Result{}, nil
	})
	r.Secrets = func(_ context.Context, namespace, name string) (map[string][]byte, error) {
		read = append(read, namespace+"/"+name)
		return map[string][]byte{"token": []byte("of " + namespace + "\n")}, nil
	}
	s.run(r)
	if !slices.Equal(read, []string{"payments/git"}) || !slices.Equal(used, []string{"x-access-token of payments"}) {
		t.Errorf("read %q, used %q", read, used)
	}
}

func TestARevertIsTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.asks(replicaSet("new", nil, "web:2"), replicaSet("old", nil, "web:1"), nil)
	s.happens(v1alpha1.RolloutPhaseDegraded, core.Event{Reason: "RolloutAborted", Message: "aborted", Run: "run"})
	n := 0
	s.left = 1000
	r := s.reverting(map[string][]byte{"token": []byte("t")}, func(context.Context, *revert.Request) (revert.Result, error) {
		if n++; n < 4 {
			return revert.Result{}, notify.Errorf(core.Later, "away")
		}
		return revert.Result{}, notify.Errorf(core.Never, "a conflict")
	})
	secrets := r.Secrets
	r.Secrets = func(ctx context.Context, namespace, name string) (map[string][]byte, error) {
		if name == notify.SecretName {
			return map[string][]byte{"password": []byte("password")}, nil
		}
		return secrets(ctx, namespace, name)
	}
	s.run(r)
	box := s.rollout().Status.Sluice.Outbox
	if n != 4 || len(box.Dead) != 1 || box.Dead[0].Why != "it cannot be done: a conflict" {
		t.Errorf("%d tries, given up: %+v", n, box.Dead)
	}
	// Nobody else waited for it.
	if len(s.snow.Incidents()) != 1 || len(s.chat) == 0 {
		t.Errorf("%d incidents, the chat heard %q", len(s.snow.Incidents()), s.chat)
	}
}
