// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"fmt"
	"strconv"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
)

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w; %w", fmt.Errorf(format, args...), act.ErrRefused)
}

// ready refuses a drill that could not end well.
func ready(ro *v1alpha1.Rollout, o Options) error {
	if o.Image == "" && len(o.Env) == 0 && len(o.Args) == 0 {
		return refuse("what makes the release bad? give --image, --set-env or --set-arg")
	}
	if err := drillable(ro); err != nil {
		return err
	}
	if err := calm(ro); err != nil {
		return err
	}
	if who := keeper(ro); who != "" && !o.SyncPaused {
		return refuse("%s keeps rollout '%s' as it is in Git, and with automated sync it would put the good version back in the middle of the drill, "+
			"which then proves nothing: pause the sync of this application, run the drill with --sync-paused, and resume it afterwards", who, ro.Name)
	}
	return nil
}

// drillable refuses a spec that has nothing to prove or cannot be guarded.
func drillable(ro *v1alpha1.Rollout) error {
	canary := ro.Spec.Strategy.Canary
	switch {
	case ro.Spec.WorkloadRef != nil:
		return refuse("rollout '%s' takes its pod template from another object (spec.workloadRef), which a drill does not change", ro.Name)
	case canary == nil:
		return refuse("rollout '%s' is no canary: a drill needs steps that it can stop", ro.Name)
	case !Gated(ro):
		return refuse("rollout '%s' has no gate: add an analysis to spec.strategy.canary, as a step or in the background", ro.Name)
	case len(canary.Steps) == 0:
		return refuse("rollout '%s' has no steps, so a bad version would get all traffic at once: add spec.strategy.canary.steps", ro.Name)
	}
	return nil
}

// calm refuses while something else is going on.
func calm(ro *v1alpha1.Rollout) error {
	st := &ro.Status
	switch {
	case ro.Annotations[AnnotationRecord] != "":
		return refuse("a drill of rollout '%s' is under way, or was interrupted: 'drill %s --clean-up' puts everything back", ro.Name, ro.Name)
	case st.ObservedGeneration != strconv.FormatInt(ro.Generation, 10):
		return refuse("the controller has not yet looked at rollout '%s' as it is now: wait, or see whether a controller runs", ro.Name)
	case st.StableRS == "" || st.CurrentPodHash != st.StableRS:
		return refuse("a release of rollout '%s' is under way: wait until it has ended", ro.Name)
	case st.Phase != v1alpha1.RolloutPhaseHealthy:
		return refuse("rollout '%s' is %s and not Healthy: %s", ro.Name, st.Phase, st.Message)
	case ro.Spec.Paused:
		return refuse("rollout '%s' is paused: promote it first", ro.Name)
	}
	return nil
}

// keeper is the GitOps tool that ro belongs to; empty when there is no sign of
// one. Whether it syncs by itself is not written on the Rollout.
func keeper(ro *v1alpha1.Rollout) string {
	if id := ro.Annotations["argocd.argoproj.io/tracking-id"]; id != "" {
		app, _, _ := strings.Cut(id, ":")
		return fmt.Sprintf("Argo CD (application %q)", app)
	}
	if app := ro.Labels["argocd.argoproj.io/instance"]; app != "" {
		return fmt.Sprintf("Argo CD (application %q)", app)
	}
	for _, label := range []string{"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"} {
		if name := ro.Labels[label]; name != "" {
			return fmt.Sprintf("Flux (%q)", name)
		}
	}
	for _, m := range ro.ManagedFields {
		if strings.HasPrefix(m.Manager, "argocd") && m.Subresource == "" {
			return "Argo CD (field manager " + m.Manager + ")"
		}
	}
	return ""
}
