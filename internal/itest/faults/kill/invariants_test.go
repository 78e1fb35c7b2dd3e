// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kill

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const hashLabel = "rollouts-pod-template-hash"

// A release is one attempt at one revision of one rollout.
type release struct {
	rollout, hash string
	attempt       int64
}

// A world is what was stored at one moment. It is told every state in order,
// and says what must never have been.
type world struct {
	rollouts, services, routes, runs map[string]*unstructured.Unstructured
	pods                             map[string]*unstructured.Unstructured // ReplicaSets, by rollout/hash
	failed                           map[release]string
	broken                           []string
}

func newWorld() *world {
	m := func() map[string]*unstructured.Unstructured { return map[string]*unstructured.Unstructured{} }
	return &world{m(), m(), m(), m(), m(), map[release]string{}, nil}
}

func (w *world) complain(v *version, format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("version %d of %s %s: ", v.at, v.obj.GetKind(), v.obj.GetName())+fmt.Sprintf(format, args...))
}

// see takes in the next state.
func (w *world) see(v *version) {
	obj := v.obj
	switch obj.GetKind() {
	case "Rollout":
		w.rollout(v)
	case "ReplicaSet":
		owner, hash := owner(obj, "Rollout"), obj.GetLabels()[hashLabel]
		if owner == "" {
			return
		}
		w.grown(v, owner, hash)
		w.pods[owner+"/"+hash] = obj
		w.carried(v, owner)
	case "VirtualService":
		w.shifted(v)
		w.routes[obj.GetName()] = obj
		w.carried(v, obj.GetName())
	case "Service":
		w.pointed(v)
		w.services[obj.GetName()] = obj
	case "AnalysisRun":
		w.ran(v)
		w.runs[obj.GetName()] = obj
	}
}

func owner(obj *unstructured.Unstructured, kind string) string {
	for _, r := range obj.GetOwnerReferences() {
		if r.Kind == kind {
			return r.Name
		}
	}
	return ""
}

func (w *world) available(name, hash string) int64 {
	rs := w.pods[name+"/"+hash]
	if rs == nil {
		return 0
	}
	return number(rs, "status", "availableReplicas")
}

// weights are the shares of the stable and the canary Service.
func weights(vs *unstructured.Unstructured) (stable, canary int64) {
	routes, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	if len(routes) == 0 {
		return 0, 0
	}
	dests, _, _ := unstructured.NestedSlice(routes[0].(map[string]any), "route")
	for _, d := range dests {
		u := &unstructured.Unstructured{Object: d.(map[string]any)}
		if strings.HasSuffix(text(u, "destination", "host"), "-canary") {
			canary = number(u, "weight")
		} else {
			stable = number(u, "weight")
		}
	}
	return stable, canary
}

// behind is the revision that a Service sends its traffic to.
func (w *world) behind(service string) string {
	svc := w.services[service]
	if svc == nil {
		return ""
	}
	return text(svc, "spec", "selector", hashLabel)
}

// shares is what each revision of a rollout gets, by what is stored now.
func (w *world) shares(name string, vs *unstructured.Unstructured) map[string]int64 {
	out := map[string]int64{}
	if vs == nil {
		return out
	}
	stable, canary := weights(vs)
	if hash := w.behind(name + "-stable"); hash != "" {
		out[hash] += stable
	}
	if hash := w.behind(name + "-canary"); hash != "" {
		out[hash] += canary
	}
	return out
}

// raised checks that nobody got more traffic than it may have (I1, I2, I3).
func (w *world) raised(v *version, name string, before, after map[string]int64) {
	ro := w.rollouts[name]
	if ro == nil || text(ro, "status", "stableRS") == "" {
		return
	}
	full := number(ro, "spec", "replicas")
	for hash, share := range after {
		if share <= before[hash] {
			continue
		}
		if need := (full*share + 99) / 100; w.available(name, hash) < need {
			w.complain(v, "I1: %s of %s got %d %% with %d pods available, it needs %d", hash, name, share, w.available(name, hash), need)
		}
		if why, fell := w.failed[w.current(ro)]; fell && text(ro, "status", "currentPodHash") == hash {
			w.complain(v, "I2: %s of %s got %d %% after it had failed: %s", hash, name, share, why)
		}
		if hash == text(ro, "status", "currentPodHash") && hash != text(ro, "status", "stableRS") && share == 100 {
			w.passed(v, name, hash)
		}
	}
}

func (w *world) current(ro *unstructured.Unstructured) release {
	return release{ro.GetName(), text(ro, "status", "currentPodHash"), number(ro, "status", "sluice", "attempt")}
}

// passed checks that every gate of a revision has passed.
func (w *world) passed(v *version, name, hash string) {
	steps := 0
	for _, run := range w.runs {
		if owner(run, "Rollout") != name || run.GetLabels()[hashLabel] != hash {
			continue
		}
		switch phase := text(run, "status", "phase"); {
		case phase == "Failed" || phase == "Error":
			w.complain(v, "I3: %s of %s has everything although %s is %s", hash, name, run.GetName(), phase)
		case failures(run) > failureLimit:
			w.complain(v, "I3: %s of %s has everything although %s has %d failed readings", hash, name, run.GetName(), failures(run))
		case run.GetLabels()["rollout-type"] == "Step" && phase == "Successful":
			steps++
		}
	}
	if steps == 0 {
		w.complain(v, "I3: %s of %s has everything and its gate has not passed", hash, name)
	}
}

// failureLimit is the template's.
const failureLimit = 2

func failures(run *unstructured.Unstructured) (n int64) {
	results, _, _ := unstructured.NestedSlice(run.Object, "status", "metricResults")
	for _, r := range results {
		n += number(&unstructured.Unstructured{Object: r.(map[string]any)}, "failed")
	}
	return n
}

func (w *world) shifted(v *version) {
	name := v.obj.GetName()
	old := w.routes[name]
	w.raised(v, name, w.shares(name, old), w.shares(name, v.obj))
}

func (w *world) pointed(v *version) {
	name := strings.TrimSuffix(strings.TrimSuffix(v.obj.GetName(), "-stable"), "-canary")
	vs := w.routes[name]
	if vs == nil {
		return
	}
	before := w.shares(name, vs)
	old := w.services[v.obj.GetName()]
	w.services[v.obj.GetName()] = v.obj
	after := w.shares(name, vs)
	w.services[v.obj.GetName()] = old
	w.raised(v, name, before, after)
}

// carried checks that stable can carry everything (I4).
func (w *world) carried(v *version, name string) {
	ro, vs := w.rollouts[name], w.routes[name]
	if ro == nil || vs == nil || text(ro, "status", "stableRS") == "" {
		return
	}
	if n, full := w.available(name, text(ro, "status", "stableRS")), number(ro, "spec", "replicas"); n < full {
		w.complain(v, "I4: the stable revision of %s has %d of %d pods", name, n, full)
	}
}

// grown checks that a failed revision without a router gets no more pods.
func (w *world) grown(v *version, name, hash string) {
	ro, old := w.rollouts[name], w.pods[name+"/"+hash]
	if ro == nil || old == nil || text(ro, "status", "currentPodHash") != hash {
		return
	}
	if why, fell := w.failed[w.current(ro)]; fell && number(v.obj, "spec", "replicas") > number(old, "spec", "replicas") {
		w.complain(v, "I2: %s of %s got more pods after it had failed: %s", hash, name, why)
	}
}

// rollout checks what the status says: a verdict stays, a step index goes
// forward, and a promotion has passed its gate.
func (w *world) rollout(v *version) {
	obj, old := v.obj, w.rollouts[v.obj.GetName()]
	w.rollouts[obj.GetName()] = obj
	now := w.current(obj)
	if truth(obj, "status", "abort") {
		w.failed[now] = "aborted"
	}
	if old == nil {
		return
	}
	was := w.current(old)
	if why, fell := w.failed[was]; fell && was == now && !truth(obj, "status", "abort") && truth(old, "status", "abort") {
		w.complain(v, "I2: %s of %s is no longer aborted and nobody asked for a retry: %s", now.hash, now.rollout, why)
	}
	if was != now {
		return
	}
	if a, b := number(old, "status", "currentStepIndex"), number(obj, "status", "currentStepIndex"); b < a && !truth(obj, "status", "abort") {
		w.complain(v, "the step of %s went from %d back to %d", now.rollout, a, b)
	}
	if s, r := text(old, "status", "stableRS"), text(obj, "status", "stableRS"); s != "" && s != r {
		w.passed(v, now.rollout, r)
		if why, fell := w.failed[now]; fell {
			w.complain(v, "I2: %s of %s is stable and had failed: %s", r, now.rollout, why)
		}
	}
}

// ran checks that there is one run for each gate, and that a verdict stays.
func (w *world) ran(v *version) {
	run, old := v.obj, w.runs[v.obj.GetName()]
	name := owner(run, "Rollout")
	ro := w.rollouts[name]
	if old == nil {
		for _, other := range w.runs {
			same := owner(other, "Rollout") == name
			for _, label := range []string{hashLabel, "rollout-type", "step-index"} {
				same = same && other.GetLabels()[label] == run.GetLabels()[label]
			}
			if same {
				w.complain(v, "%s does again what %s does", run.GetName(), other.GetName())
			}
		}
	}
	phase := text(run, "status", "phase")
	if old != nil && text(old, "status", "phase") == "Failed" && phase != "Failed" {
		w.complain(v, "the verdict of %s is lost: it was Failed and is %s", run.GetName(), phase)
	}
	if phase == "Failed" && ro != nil && text(ro, "status", "currentPodHash") == run.GetLabels()[hashLabel] {
		w.failed[w.current(ro)] = run.GetName() + " failed"
	}
}

// end checks what must be true when nothing goes on any more.
func (w *world) end() {
	for r, why := range w.failed {
		ro := w.rollouts[r.rollout]
		if w.current(ro) != r {
			continue
		}
		if !truth(ro, "status", "abort") {
			w.broken = append(w.broken, fmt.Sprintf("the end: %s of %s is not aborted although %s", r.hash, r.rollout, why))
		}
		if share := w.shares(r.rollout, w.routes[r.rollout])[r.hash]; share != 0 {
			w.broken = append(w.broken, fmt.Sprintf("the end: %s of %s has %d %% although %s", r.hash, r.rollout, share, why))
		}
	}
	for _, ro := range w.rollouts {
		name := text(ro, "status", "sluice", "verdict", "run")
		if run := w.runs[name]; name != "" && (run == nil || text(run, "status", "phase") != "Failed") {
			w.broken = append(w.broken, fmt.Sprintf("the end: %s aborted %s and is not Failed", name, ro.GetName()))
		}
	}
	for _, run := range w.runs {
		if phase := text(run, "status", "phase"); phase == "Running" || phase == "Pending" {
			w.broken = append(w.broken, fmt.Sprintf("the end: %s is still %s", run.GetName(), phase))
		}
	}
}
