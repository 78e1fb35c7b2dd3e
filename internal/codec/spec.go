// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/rollout"
)

const (
	atCanary = "spec.strategy.canary"
	// maxSeconds keeps a literal number of seconds from overflowing.
	maxSeconds = int64(1<<31 - 1)
)

// Spec returns what ro asks for, and what in it cannot be followed: sentences
// that name the field. hash is the revision of its template and stepsHash the
// hash of its steps.
func Spec(ro *v1alpha1.Rollout, hash, stepsHash string) (rollout.Spec, []string) {
	in := &ro.Spec
	spec := rollout.Spec{
		Replicas:         orDefault(in.Replicas, v1alpha1.DefaultReplicas),
		Revision:         rollout.Revision(hash),
		StepsHash:        stepsHash,
		Settled:          ro.Status.ObservedGeneration == strconv.FormatInt(ro.Generation, 10),
		Paused:           in.Paused,
		MaxWeight:        v1alpha1.DefaultMaxTrafficWeight,
		ProgressDeadline: seconds(orDefault(in.ProgressDeadlineSeconds, v1alpha1.DefaultProgressDeadlineSeconds)),
		DeadlineAborts:   in.ProgressDeadlineAbort,
		HistoryLimit:     orDefault(in.RevisionHistoryLimit, v1alpha1.DefaultRevisionHistoryLimit),
	}
	if in.RestartAt != nil {
		spec.RestartAt = in.RestartAt.Time
	}
	problems := workload(in)
	canary := in.Strategy.Canary
	if canary == nil {
		return spec, append(problems, noCanary(in)...)
	}
	spec.CanaryService, spec.StableService = canary.CanaryService != "", canary.StableService != ""
	spec.DynamicStable = canary.DynamicStableScale
	spec.MinPods = orDefault(canary.MinPodsPerReplicaSet, 0)
	delays(&spec, canary)
	problems = append(problems, bounds(&spec, canary)...)
	problems = append(problems, routing(&spec, canary)...)
	problems = append(problems, steps(&spec, canary)...)
	if canary.Analysis != nil {
		spec.Background = true
		spec.BackgroundFrom = int(orDefault(canary.Analysis.StartingStep, 0))
	}
	return spec, problems
}

// workload checks the parts of the spec that no strategy is needed for.
func workload(in *v1alpha1.RolloutSpec) []string {
	if in.WorkloadRef != nil {
		return []string{"spec.workloadRef: this version rolls out spec.template only; put the pod template there"}
	}
	var problems []string
	if in.Selector == nil {
		problems = append(problems, "spec.selector: required")
	} else if sel, err := metav1.LabelSelectorAsSelector(in.Selector); err != nil {
		problems = append(problems, "spec.selector: "+err.Error())
	} else if sel.Empty() || !sel.Matches(labels.Set(in.Template.Labels)) {
		problems = append(problems, "spec.selector: does not match spec.template.metadata.labels")
	}
	deadline := orDefault(in.ProgressDeadlineSeconds, v1alpha1.DefaultProgressDeadlineSeconds)
	if deadline <= in.MinReadySeconds {
		problems = append(problems, fmt.Sprintf("spec.progressDeadlineSeconds: %d must be greater than spec.minReadySeconds, %d", deadline, in.MinReadySeconds))
	}
	return problems
}

func noCanary(in *v1alpha1.RolloutSpec) []string {
	if in.Strategy.BlueGreen != nil {
		return []string{"spec.strategy.blueGreen: this version has the canary strategy only"}
	}
	return []string{"spec.strategy.canary: required"}
}

func delays(spec *rollout.Spec, canary *v1alpha1.CanaryStrategy) {
	if canary.TrafficRouting == nil {
		return
	}
	spec.ScaleDownDelay = seconds(orDefault(canary.ScaleDownDelaySeconds, v1alpha1.DefaultScaleDownDelaySeconds))
	abort := orDefault(canary.AbortScaleDownDelaySeconds, v1alpha1.DefaultAbortScaleDownDelaySeconds)
	spec.AbortDelay, spec.KeepAborted = seconds(abort), abort == 0
}

// bounds resolves maxSurge, rounded up, and maxUnavailable, rounded down. They
// may not both be zero: then one pod may be unavailable.
func bounds(spec *rollout.Spec, canary *v1alpha1.CanaryStrategy) []string {
	var problems []string
	surge, err := scaled(canary.MaxSurge, v1alpha1.DefaultMaxSurge, spec.Replicas, true)
	if err != nil {
		problems = append(problems, atCanary+".maxSurge: "+err.Error())
	}
	unavailable, err := scaled(canary.MaxUnavailable, v1alpha1.DefaultMaxUnavailable, spec.Replicas, false)
	if err != nil {
		problems = append(problems, atCanary+".maxUnavailable: "+err.Error())
	}
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	spec.MaxSurge, spec.MaxUnavailable = surge, min(unavailable, max(spec.Replicas, 1))
	return problems
}

// scaled resolves a number or a percentage. A string without a percent sign is
// a percentage too, as Argo Rollouts reads it.
func scaled(v *intstr.IntOrString, def string, replicas int32, up bool) (int32, error) {
	value := intstr.FromString(def)
	if v != nil {
		value = *v
	}
	if value.Type == intstr.String && !strings.HasSuffix(value.StrVal, "%") {
		value.StrVal += "%"
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, int(replicas), up)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a number nor a percentage", strings.TrimSuffix(value.StrVal, "%"))
	}
	if n < 0 {
		return 0, fmt.Errorf("%s must not be negative", value.String())
	}
	return int32(min(int64(n), maxSeconds)), nil
}

func routing(spec *rollout.Spec, canary *v1alpha1.CanaryStrategy) []string {
	tr := canary.TrafficRouting
	if tr == nil {
		return nil
	}
	spec.Routed = true
	spec.MaxWeight = orDefault(tr.MaxTrafficWeight, v1alpha1.DefaultMaxTrafficWeight)
	at := atCanary + ".trafficRouting"
	var problems []string
	for name, set := range map[string]bool{
		"nginx": tr.Nginx != nil, "alb": tr.ALB != nil, "smi": tr.SMI != nil, "ambassador": tr.Ambassador != nil,
		"appMesh": tr.AppMesh != nil, "traefik": tr.Traefik != nil, "apisix": tr.Apisix != nil, "plugins": len(tr.Plugins) > 0,
	} {
		if set {
			problems = append(problems, fmt.Sprintf("%s.%s: this version routes traffic with istio only", at, name))
		}
	}
	slices.Sort(problems)
	if tr.Istio == nil && len(problems) == 0 {
		problems = append(problems, at+": names no router; set istio")
	}
	return append(problems, destinations(spec, canary)...)
}

// destinations checks the Services that the router splits traffic between.
func destinations(spec *rollout.Spec, canary *v1alpha1.CanaryStrategy) []string {
	tr, at := canary.TrafficRouting, atCanary+".trafficRouting"
	var problems []string
	if canary.PingPong != nil {
		problems = append(problems, atCanary+".pingPong: not in this version; use canaryService and stableService")
	}
	if spec.MaxWeight != v1alpha1.DefaultMaxTrafficWeight && tr.Istio != nil {
		problems = append(problems, at+".maxTrafficWeight: istio's weights add up to 100")
	}
	if canary.CanaryService == "" && canary.PingPong == nil {
		problems = append(problems, atCanary+".canaryService: required with trafficRouting")
	}
	if canary.StableService == "" && canary.PingPong == nil {
		problems = append(problems, atCanary+".stableService: required with trafficRouting")
	}
	if canary.CanaryService != "" && canary.CanaryService == canary.StableService {
		problems = append(problems, fmt.Sprintf("%s.canaryService: must not be the stableService, %q", atCanary, canary.StableService))
	}
	return problems
}

func steps(spec *rollout.Spec, canary *v1alpha1.CanaryStrategy) []string {
	var problems []string
	for i := range canary.Steps {
		step, problem := oneStep(spec, &canary.Steps[i])
		if problem != "" {
			problems = append(problems, fmt.Sprintf("%s.steps[%d].%s", atCanary, i, problem))
		}
		spec.Steps = append(spec.Steps, step)
	}
	return problems
}

func oneStep(spec *rollout.Spec, in *v1alpha1.CanaryStep) (step rollout.Step, problem string) {
	switch {
	case in.SetWeight != nil:
		if w := *in.SetWeight; w < 0 || w > spec.MaxWeight {
			return step, fmt.Sprintf("setWeight: %d is not between 0 and %d", w, spec.MaxWeight)
		}
		return rollout.Step{Kind: rollout.StepSetWeight, Weight: *in.SetWeight}, ""
	case in.Pause != nil:
		d, err := pauseDuration(in.Pause)
		if err != nil {
			return step, "pause.duration: " + err.Error()
		}
		if in.Pause.Duration != nil {
			// Zero is without end to package rollout; here it was asked for.
			d = max(d, time.Nanosecond)
		}
		return rollout.Step{Kind: rollout.StepPause, Duration: d}, ""
	case in.Analysis != nil:
		if len(in.Analysis.Templates) == 0 {
			return step, "analysis.templates: names no template"
		}
		return rollout.Step{Kind: rollout.StepAnalysis}, ""
	}
	return step, unsupported(in) + ": this version has the steps setWeight, pause and analysis"
}

func unsupported(in *v1alpha1.CanaryStep) string {
	switch {
	case in.Experiment != nil:
		return "experiment"
	case in.SetCanaryScale != nil:
		return "setCanaryScale"
	case in.SetHeaderRoute != nil:
		return "setHeaderRoute"
	case in.SetMirrorRoute != nil:
		return "setMirrorRoute"
	case in.Plugin != nil:
		return "plugin"
	}
	return "(empty)"
}

// pauseDuration returns how long a pause lasts; zero is until somebody
// promotes. A bare number is seconds.
func pauseDuration(p *v1alpha1.RolloutPause) (time.Duration, error) {
	if p.Duration == nil {
		return 0, nil
	}
	if p.Duration.Type == intstr.Int {
		if p.Duration.IntVal < 0 {
			return 0, fmt.Errorf("%d must not be negative", p.Duration.IntVal)
		}
		return seconds(p.Duration.IntVal), nil
	}
	text := p.Duration.StrVal
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 || n > maxSeconds {
			return 0, fmt.Errorf("%q is out of range", text)
		}
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 30, \"90s\" or \"1h30m\"", text)
	}
	return d, nil
}

func orDefault(v *int32, def int32) int32 {
	if v == nil {
		return def
	}
	return *v
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
