// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
)

// server holds one Rollout at revision v2, in its first attempt, with the
// changes that somebody made after it was observed.
func server(t *testing.T, changed func(*v1alpha1.Rollout)) (client.Client, *v1alpha1.Rollout) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	observed := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u1", Generation: 3},
		Status:     v1alpha1.RolloutStatus{CurrentPodHash: "v2", StableRS: "v1", ObservedGeneration: "3", Sluice: &v1alpha1.SluiceStatus{Attempt: 1}},
	}
	live := observed.DeepCopy()
	live.ResourceVersion = "8"
	changed(live)
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(live).WithObjects(live).Build()
	observed.ResourceVersion = "7"
	return c, observed
}

func TestAnAbortIsStoredAfterAConflict(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		why     string
		changed func(*v1alpha1.Rollout)
		// stays says that the Rollout is another's business now.
		stays bool
	}{
		"when somebody wrote the status": {
			changed: func(ro *v1alpha1.Rollout) { ro.Status.PromoteFull = true },
		},
		"when somebody changed the spec, which stays to be looked at": {
			why:     "The generation that was not looked at must not count as seen: its template would never be rolled out.",
			changed: func(ro *v1alpha1.Rollout) { ro.Generation = 4 },
		},
		"but not onto another revision": {
			changed: func(ro *v1alpha1.Rollout) { ro.Status.CurrentPodHash = "v3" },
			stays:   true,
		},
		"nor onto another attempt": {
			changed: func(ro *v1alpha1.Rollout) { ro.Status.Sluice.Attempt = 2 },
			stays:   true,
		},
		"nor onto a Rollout that was made anew": {
			changed: func(ro *v1alpha1.Rollout) { ro.UID = "u2" },
			stays:   true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, observed := server(t, tc.changed)
			a := &Applier{Client: c, Live: c, Overlay: observe.NewOverlay(), Clock: clock.RealClock{}}
			w := &observe.World{Rollout: observed}
			plan := &rollout.Plan{Status: rollout.Status{Current: "v2", Stable: "v1", Attempt: 1, Abort: true}}
			if err := a.Commit(t.Context(), w, plan); err == nil {
				t.Fatal("no conflict")
			}
			same, err := a.Recommit(t.Context(), w, plan)
			if err != nil || same == tc.stays {
				t.Fatalf("still the same: %t, %v\n%s", same, err, tc.why)
			}
			got := &v1alpha1.Rollout{}
			if err := c.Get(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web"}, got); err != nil {
				t.Fatal(err)
			}
			if got.Status.Abort == tc.stays || got.Status.ObservedGeneration != "3" {
				t.Errorf("abort is %t, observedGeneration %s, want 3\n%s", got.Status.Abort, got.Status.ObservedGeneration, tc.why)
			}
		})
	}
}

func TestAComplaintFitsAnEvent(t *testing.T) {
	t.Parallel()
	recorder := events.NewFakeRecorder(1)
	a := &Applier{Events: recorder}
	a.Complain(&observe.World{Rollout: &v1alpha1.Rollout{}}, errors.New(strings.Repeat("ä", 2000)))
	got := <-recorder.Events
	const head = "Warning ReconciliationError "
	if !strings.HasPrefix(got, head) || len(got)-len(head) > 1024 {
		t.Errorf("%d bytes: %.60s", len(got), got)
	}
}

// What happened in an attempt is stored with a status that is, and is no reason
// to store one.
func TestWhatHappenedGoesWithAWriteThatIsDue(t *testing.T) {
	t.Parallel()
	c, observed := server(t, func(*v1alpha1.Rollout) {})
	observed.ResourceVersion = "8"
	a := &Applier{Client: c, Live: c, Overlay: observe.NewOverlay(), Clock: clock.RealClock{}}
	w := &observe.World{Rollout: observed}
	w.Snapshot.Spec = rollout.Spec{Routed: true, MaxWeight: 100, Steps: []rollout.Step{{Kind: rollout.StepSetWeight, Weight: 20}}}
	w.Snapshot.Router = &rollout.Router{Weights: rollout.Weights{Stable: 100}}
	plan := &rollout.Plan{
		Status:  rollout.Status{Current: "v2", Stable: "v1", Attempt: 1, Phase: rollout.Progressing},
		Weights: &rollout.Weights{Stable: 80, Canary: 20},
	}
	if err := a.Commit(t.Context(), w, plan); err != nil {
		t.Fatal(err)
	}
	stored := w.Rollout
	all := stored.Status.Sluice.Attempts
	if len(all) != 1 || len(all[0].Marks) != 2 || all[0].Marks[1].Kind != v1alpha1.MarkWeight || all[0].Marks[1].Value != 20 {
		t.Fatalf("on record are %+v", all)
	}
	plan.Weights = &rollout.Weights{Stable: 90, Canary: 10}
	w.Snapshot.Router.Weights = rollout.Weights{Stable: 80, Canary: 20}
	if err := a.Commit(t.Context(), w, plan); err != nil {
		t.Fatal(err)
	}
	if w.Rollout.ResourceVersion != stored.ResourceVersion {
		t.Error("the status was stored for what is on record alone")
	}
}
