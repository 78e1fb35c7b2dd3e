// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/podtemplate"
	"sluice.dev/sluice/internal/rollout"
)

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
}

func TestWhichRevisionIsAskedFor(t *testing.T) {
	t.Parallel()
	invalid := []v1alpha1.RolloutCondition{{Type: "InvalidSpec", Status: corev1.ConditionTrue}}
	fresh := template("web:2")
	newest := podtemplate.Hash(&fresh, nil)
	for name, tc := range map[string]struct {
		why      string
		observed string
		conds    []v1alpha1.RolloutCondition
		image    string
		want     string
	}{
		"a generation that was decided on is not compared again": {
			why: "Comparing defaulted templates costs more than the rest of a pass.", observed: "4", image: "web:2", want: "argo1",
		},
		"a new generation is": {
			observed: "3", image: "web:2", want: newest,
		},
		"a release that came while something was missing is not forgotten": {
			why:      "The status had seen its generation, and named the revision before it.",
			observed: "4", conds: invalid, image: "web:2", want: newest,
		},
		"a ReplicaSet with the template keeps the hash that another controller gave it": {
			observed: "3", image: "web:1", want: "argo1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Generation: 4}}
			ro.Spec.Template = template(tc.image)
			ro.Status = v1alpha1.RolloutStatus{CurrentPodHash: "argo1", StableRS: "argo1", ObservedGeneration: tc.observed, Conditions: tc.conds}
			rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-argo1", Labels: map[string]string{v1alpha1.LabelPodTemplateHash: "argo1"}}}
			rs.Spec.Template = template("web:1")
			w := &World{Rollout: ro, ReplicaSets: map[rollout.Revision]*appsv1.ReplicaSet{"argo1": rs}}
			if got := w.find([]*appsv1.ReplicaSet{rs}); got != tc.want {
				t.Errorf("got %s, want %s\n%s", got, tc.want, tc.why)
			}
		})
	}
}

func TestTheFirstRevisionIsNotJudged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status rollout.Status
		pools  map[rollout.Revision]rollout.Pool
		want   bool
	}{
		"nothing is there":                         {want: true},
		"its ReplicaSet was made":                  {status: rollout.Status{Current: "v1"}, pools: map[rollout.Revision]rollout.Pool{"v1": {Desired: 2}}, want: true},
		"it is stable":                             {status: rollout.Status{Current: "v1", Stable: "v1"}},
		"the status is lost, and pods are there":   {pools: map[rollout.Revision]rollout.Pool{"v1": {Desired: 2}}},
		"the status is lost, and no pods are left": {pools: map[rollout.Revision]rollout.Pool{"v1": {}}, want: true},
	} {
		w := &World{Snapshot: rollout.Snapshot{Status: tc.status, Pools: tc.pools}}
		if got := w.initial(); got != tc.want {
			t.Errorf("%s: initial is %t, want %t", name, got, tc.want)
		}
	}
}
