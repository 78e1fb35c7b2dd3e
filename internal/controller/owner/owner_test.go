// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestWhoIsWoken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ref  metav1.OwnerReference
		want int
	}{
		"a Rollout that controls it":        {metav1.OwnerReference{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "web", Controller: new(true)}, 1},
		"in another version":                {metav1.OwnerReference{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "web", Controller: new(true)}, 1},
		"a Rollout that only owns it":       {metav1.OwnerReference{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "web"}, 0},
		"a Deployment":                      {metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", Controller: new(true)}, 0},
		"an Experiment":                     {metav1.OwnerReference{APIVersion: "argoproj.io/v1alpha1", Kind: "Experiment", Name: "web", Controller: new(true)}, 0},
		"a Rollout of somebody else's kind": {metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Rollout", Name: "web", Controller: new(true)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer queue.ShutDown()
			rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", OwnerReferences: []metav1.OwnerReference{tc.ref}}}
			Handler().Update(t.Context(), event.UpdateEvent{ObjectOld: rs, ObjectNew: rs}, queue)
			if queue.Len() != tc.want {
				t.Fatalf("%d woken, want %d", queue.Len(), tc.want)
			}
			if tc.want == 0 {
				return
			}
			if got, _ := queue.Get(); got.String() != "shop/web" {
				t.Errorf("woken is %s", got)
			}
		})
	}
}
