// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strings"

	"sluice.dev/sluice/internal/view"
)

// crowd is the number of pods of a ReplicaSet that are drawn one by one.
const crowd = 12

func rolloutNode(o Options, v view.Rollout) node {
	root := node{
		name: "⟳ " + v.Name, kind: "Rollout", status: string(v.Phase), mark: markOf(string(v.Phase)), age: age(v.Age),
	}
	for _, r := range v.Tree {
		root.kids = append(root.kids, revisionNode(o, r))
	}
	return root
}

func revisionNode(o Options, r view.Revision) node {
	n := node{name: fmt.Sprintf("# revision:%d", r.Number), heading: true}
	if r.Number == 0 {
		n.name = "# no revision"
	}
	for _, rs := range r.ReplicaSets {
		n.kids = append(n.kids, replicaSetNode(o, rs))
	}
	for _, e := range r.Experiments {
		n.kids = append(n.kids, experimentNode(o, e))
	}
	for _, run := range r.Runs {
		n.kids = append(n.kids, runNode(o, run, r.Current))
	}
	return n
}

func replicaSetNode(o Options, rs view.ReplicaSet) node {
	n := node{
		name: "⧉ " + rs.Name, kind: "ReplicaSet", status: rs.Status, mark: markOf(rs.Status), age: age(rs.Age),
		info: replicaSetInfo(rs),
	}
	well := 0
	counted := !o.AllPods && (o.Small || len(rs.Pods) > crowd)
	for _, p := range rs.Pods {
		if counted && p.Status == "Running" && p.Ready == p.Of {
			well++
			continue
		}
		n.kids = append(n.kids, podNode(p))
	}
	if well > 0 {
		n.kids = append(n.kids, node{lines: []string{wellText(well, len(n.kids) > 0)}})
	}
	return n
}

func wellText(well int, more bool) string {
	switch {
	case well == 1:
		return "□ 1 " + pick(more, "more ", "") + "pod, running and ready"
	case more:
		return fmt.Sprintf("□ %d more pods, all running and ready", well)
	}
	return fmt.Sprintf("□ %d pods, all running and ready", well)
}

func replicaSetInfo(rs view.ReplicaSet) string {
	var out []string
	role := strings.Join(rs.Roles, ",")
	if rs.Weight >= 0 && role != "" {
		role = fmt.Sprintf("%s %d%%", role, rs.Weight)
	}
	if role != "" {
		out = append(out, role)
	}
	if rs.Aborted {
		out = append(out, "aborted")
	}
	if rs.Status == "Progressing" {
		out = append(out, fmt.Sprintf("ready:%d/%d", rs.Ready, rs.Desired))
	}
	if rs.ScaleDown >= 0 {
		out = append(out, "delay:"+age(rs.ScaleDown))
	}
	return strings.Join(out, ", ")
}

func podNode(p view.Pod) node {
	n := node{
		name: "□ " + p.Name, kind: "Pod", status: p.Status, mark: markOf(p.Status), age: age(p.Age),
		info: fmt.Sprintf("ready:%d/%d", p.Ready, p.Of),
	}
	if p.Status == "Running" && p.Ready < p.Of {
		n.mark = busy
	}
	if p.Restarts > 0 {
		n.info += fmt.Sprintf(", restarts:%d", p.Restarts)
	}
	return n
}

// runNode draws a run; detail adds its metrics.
func runNode(o Options, run view.AnalysisRun, detail bool) node {
	n := node{
		name: "α " + run.Name, kind: "AnalysisRun", status: string(run.Phase), mark: markRun(string(run.Phase)), age: age(run.Age),
		info: strings.TrimSpace(runKind(run) + "  " + counts(run.Counts)),
	}
	if detail {
		n.kids = metricNodes(o, run)
	}
	return n
}

func runKind(run view.AnalysisRun) string {
	switch {
	case run.Kind == "Step" && run.Step >= 0:
		return fmt.Sprintf("step %d", run.Step)
	case run.Kind == "PrePromotion":
		return "pre-promotion"
	case run.Kind == "PostPromotion":
		return "post-promotion"
	}
	return strings.ToLower(run.Kind)
}

// counts draws how many measurements came to which verdict.
func counts(c view.Counts) string {
	var out []string
	for _, e := range []struct {
		mark mark
		n    int32
	}{{good, c.Successful}, {bad, c.Failed}, {unsure, c.Inconclusive}, {trouble, c.Error}} {
		if e.n > 0 {
			out = append(out, fmt.Sprintf("%s %d", e.mark.icon, e.n))
		}
	}
	return strings.Join(out, "  ")
}

func experimentNode(o Options, e view.Experiment) node {
	n := node{
		name: "Σ " + e.Name, kind: "Experiment", status: string(e.Phase), mark: markRun(string(e.Phase)), age: age(e.Age),
	}
	if e.Left >= 0 {
		n.info = age(e.Left) + " left"
	}
	for _, v := range e.Versions {
		k := node{
			name: "⧉ " + v.Name, kind: "Version", status: v.Status, mark: markRun(v.Status),
			info: fmt.Sprintf("available:%d/%d", v.Available, v.Desired),
		}
		if v.Image != "" {
			k.info += "  " + v.Image
		}
		if v.Message != "" {
			k.kids = append(k.kids, node{lines: []string{v.Message}})
		}
		n.kids = append(n.kids, k)
	}
	for _, run := range e.Runs {
		n.kids = append(n.kids, runNode(o, run, true))
	}
	return n
}
