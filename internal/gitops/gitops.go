// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops tells from the managed fields of a Rollout whether somebody
// has changed its spec by hand since a GitOps tool wrote it. It does not know
// what Git says, and it changes nothing.
//
// By hand is everything that is not a GitOps tool: kubectl, the plugin, a
// dashboard, another controller. What the API server does not record cannot be
// seen: a field that was only removed leaves no trace.
package gitops

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/internal/fit"
	"sluice.dev/sluice/internal/rollout"
)

const (
	// maxChanges is how many changes are reported, and maxFields how many fields
	// of each.
	maxChanges = 5
	maxFields  = 10
	maxName    = 128
	maxField   = 256
)

// Tools are field managers that count as GitOps tools beside those that are
// known. The zero value knows the usual ones.
type Tools []string

// known are the field managers of GitOps tools, and what people call them.
// argocd-server is none of them: with it people change things in Argo CD's UI.
var known = map[string]string{
	"argocd-controller":             "Argo CD",
	"argocd-application-controller": "Argo CD",
	"kustomize-controller":          "Flux",
	"helm-controller":               "Flux",
	"fleetagent":                    "Fleet",
	"fleet-agent":                   "Fleet",
}

// people are the field managers of what people type, and how they know it.
var people = map[string]string{
	"kubectl":                   "kubectl apply --server-side",
	"kubectl-annotate":          "kubectl annotate",
	"kubectl-argo-rollouts":     "kubectl argo rollouts",
	"kubectl-client-side-apply": "kubectl apply",
	"kubectl-create":            "kubectl create",
	"kubectl-edit":              "kubectl edit",
	"kubectl-patch":             "kubectl patch",
	"kubectl-replace":           "kubectl replace",
	"kubectl-set":               "kubectl set",
	"argocd-server":             "the UI or API of Argo CD",
}

// Tool is what people call the GitOps tool with the field manager m; empty when
// it is none.
func (t Tools) Tool(m string) string {
	if name := known[m]; name != "" {
		return name
	}
	if slices.Contains(t, m) {
		return m
	}
	return ""
}

// Who is what people call the program with the field manager m.
func Who(m string) string {
	if name := people[m]; name != "" {
		return name + " (" + m + ")"
	}
	return m
}

// commands are the fields with which people tell a Rollout to do something.
// They say nothing of what should run, and are shown where they have an effect.
var commands = []string{"spec.paused", "spec.restartAt"}

// A writer is an entry of somebody who owns fields of the spec.
type writer struct {
	*metav1.ManagedFieldsEntry
	fields *fieldpath.Set
}

func (w *writer) at() time.Time {
	if w.Time == nil {
		return time.Time{}
	}
	return w.Time.Time
}

// writers returns everybody who owns fields of the spec, the newest first.
func writers(entries []metav1.ManagedFieldsEntry) []writer {
	var out []writer
	for i := range entries {
		e := &entries[i]
		if e.Subresource != "" || e.FieldsV1 == nil {
			continue
		}
		all, spec := fieldpath.NewSet(), fieldpath.NewSet()
		if err := all.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
			continue
		}
		all.Leaves().Iterate(func(p fieldpath.Path) {
			if len(p) > 0 && p[0].FieldName != nil && *p[0].FieldName == "spec" {
				spec.Insert(p.Copy())
			}
		})
		if !spec.Empty() {
			out = append(out, writer{e, spec})
		}
	}
	slices.SortStableFunc(out, func(a, b writer) int { return b.at().Compare(a.at()) })
	return out
}

// A change is what a writer owns that the GitOps tool does not own.
type change struct {
	writer
	paths []fieldpath.Path
	more  bool
}

// changes returns the newest entry of a GitOps tool and what others have
// written since, the newest first. The times are in whole seconds: what was
// written in the same second counts as since, unless the tool owns it too.
func (t Tools) changes(entries []metav1.ManagedFieldsEntry) (tool *writer, since []change) {
	owned, all := fieldpath.NewSet(), writers(entries)
	for i := range all {
		if t.Tool(all[i].Manager) == "" {
			continue
		}
		if tool == nil {
			tool = &all[i]
		}
		owned = owned.Union(all[i].fields)
	}
	if tool == nil {
		return nil, nil
	}
	for _, w := range all {
		if t.Tool(w.Manager) != "" || w.at().Before(tool.at()) || len(since) == maxChanges {
			continue
		}
		if c := beside(w, owned); len(c.paths) > 0 {
			since = append(since, c)
		}
	}
	return tool, since
}

// beside is what w owns that is not in owned, without commands.
func beside(w writer, owned *fieldpath.Set) change {
	c := change{writer: w}
	w.fields.Difference(owned).Iterate(func(p fieldpath.Path) {
		if slices.Contains(commands, name(p)) {
			return
		}
		if c.more = len(c.paths) == maxFields; !c.more {
			c.paths = append(c.paths, p.Copy())
		}
	})
	return c
}

// name is a path as people write it, such as
// spec.template.spec.containers[name="checkout"].image.
func name(p fieldpath.Path) string { return strings.TrimPrefix(p.String(), ".") }

// HandChanges are the changes of the spec since a GitOps tool wrote it that are
// not the tool's, by the managed fields of a Rollout; the newest first. There
// are none when no GitOps tool has ever written it.
func (t Tools) HandChanges(entries []metav1.ManagedFieldsEntry) []rollout.HandChange {
	tool, since := t.changes(entries)
	out := make([]rollout.HandChange, 0, len(since))
	for _, c := range since {
		h := rollout.HandChange{Manager: fit.Bytes(c.Manager, maxName), At: c.at(), Tool: fit.Bytes(tool.Manager, maxName), More: c.more}
		for _, p := range c.paths {
			h.Fields = append(h.Fields, fit.Bytes(name(p), maxField))
		}
		h.Sentence = t.sentence(&h)
		out = append(out, h)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// sentence tells somebody of h.
func (t Tools) sentence(h *rollout.HandChange) string {
	return fmt.Sprintf("The spec was changed by hand, with %s, at %s: %s. %s had written it before, and the next sync undoes what Git says otherwise. To keep the change, commit it to Git; to undo it now, sync",
		Who(h.Manager), h.At.UTC().Format(time.RFC3339), Fields(h.Fields, h.More), cmp.Or(t.Tool(h.Tool), h.Tool))
}

// Fields lists the fields of a change.
func Fields(fields []string, more bool) string {
	text := strings.Join(fields, ", ")
	if more {
		text += " and others"
	}
	return text
}

// Compact returns the little of entries that HandChanges says the same of: nil
// but after a change by hand.
func (t Tools) Compact(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	tool, since := t.changes(entries)
	if len(since) == 0 {
		return nil
	}
	out := []metav1.ManagedFieldsEntry{brief(tool.ManagedFieldsEntry, `{"f:spec":{}}`)}
	for _, c := range since {
		set := fieldpath.NewSet(c.paths...)
		if c.more {
			set.Insert(fieldpath.MakePathOrDie("spec", "~"))
		}
		data, err := set.ToJSON()
		if err != nil {
			continue
		}
		out = append(out, brief(c.ManagedFieldsEntry, string(data)))
	}
	return out
}

func brief(e *metav1.ManagedFieldsEntry, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: e.Manager, Operation: e.Operation, Time: e.Time, FieldsV1: metav1.NewFieldsV1(fields)}
}
