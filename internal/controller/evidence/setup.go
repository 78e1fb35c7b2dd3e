// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/controller/owner"
	record "sluice.dev/sluice/internal/evidence"
)

var configMaps = corev1.SchemeGroupVersion.WithKind("ConfigMap")

// threads is how many Rollouts are looked at at once. Nothing waits for it.
const threads = 2

// Setup adds the controller, and the exporter if there is one, to mgr. The
// indexes of package observe must be in mgr's cache.
func (r *Recorder) Setup(mgr ctrl.Manager) error {
	_, err := ctrl.NewControllerManagedBy(mgr).
		Named("evidence").
		For(&v1alpha1.Rollout{}, builder.WithPredicates(happened)).
		Watches(&v1alpha1.AnalysisRun{}, owner.Handler(), builder.WithPredicates(runEnded)).
		WithOptions(controller.Options{MaxConcurrentReconciles: threads}).
		Build(r)
	if err != nil {
		return fmt.Errorf("set up the evidence controller: %w", err)
	}
	if r.Exporter == nil {
		return nil
	}
	if err := mgr.Add(r.Exporter); err != nil {
		return fmt.Errorf("set up the export of evidence: %w", err)
	}
	return nil
}

// happened lets those changes of a Rollout through that change its attempts.
var happened = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	was, okWas := e.ObjectOld.(*v1alpha1.Rollout)
	is, okIs := e.ObjectNew.(*v1alpha1.Rollout)
	return okWas && okIs && !equality.Semantic.DeepEqual(attempts(was), attempts(is))
}}

func attempts(ro *v1alpha1.Rollout) []v1alpha1.RolloutAttempt {
	if ro.Status.Sluice == nil {
		return nil
	}
	return ro.Status.Sluice.Attempts
}

// runEnded lets runs through that have ended.
var runEnded = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return completed(e.Object) },
	UpdateFunc: func(e event.UpdateEvent) bool { return completed(e.ObjectNew) && !completed(e.ObjectOld) },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

func completed(o client.Object) bool {
	run, ok := o.(*v1alpha1.AnalysisRun)
	return ok && run.Status.Phase.Completed()
}

// pageSize is how many ConfigMaps are listed at once.
const pageSize = 500

// load finds out what is kept, the first time.
func (r *Recorder) load(ctx context.Context) error {
	if r.memory.isLoaded() {
		return nil
	}
	all := map[types.UID][]record.Kept{}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(configMaps.GroupVersion().WithKind("ConfigMapList"))
	for {
		options := []client.ListOption{client.HasLabels{record.LabelOf}, client.Limit(pageSize), client.Continue(list.Continue)}
		if r.Namespace != "" {
			options = append(options, client.InNamespace(r.Namespace))
		}
		if err := r.Live.List(ctx, list, options...); err != nil {
			return fmt.Errorf("list the ConfigMaps that keep evidence: %w", err)
		}
		keptOf(list.Items, all)
		if r.Exporter != nil {
			r.Exporter.resume(list.Items)
		}
		if list.Continue == "" {
			r.memory.load(all)
			return nil
		}
	}
}
