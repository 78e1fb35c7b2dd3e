// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// change is what attempt was to bring.
func change(sets []*appsv1.ReplicaSet, attempt *v1alpha1.RolloutAttempt) Change {
	from, to := find(sets, attempt.Stable), find(sets, attempt.Hash)
	c := Change{Commit: attempt.Commit, From: revisionOf(from, attempt.Stable), To: revisionOf(to, attempt.Hash)}
	if c.To.Number == 0 {
		c.To.Number = attempt.Revision
	}
	if from == nil || to == nil {
		if to != nil {
			c.Images = imageChanges(nil, containers(to))
			for i := range c.Images {
				c.Images[i].From = "(not known)"
			}
		}
		return c
	}
	c.Images = imageChanges(containers(from), containers(to))
	c.Template = fieldChanges(&from.Spec.Template, &to.Spec.Template)
	return c
}

func find(sets []*appsv1.ReplicaSet, hash string) *appsv1.ReplicaSet {
	for _, rs := range sets {
		if hash != "" && rs.Labels[v1alpha1.LabelPodTemplateHash] == hash {
			return rs
		}
	}
	return nil
}

func revisionOf(rs *appsv1.ReplicaSet, hash string) Revision {
	r := Revision{Hash: hash}
	if rs != nil {
		r.ReplicaSet = rs.Name
		r.Number, _ = strconv.ParseInt(rs.Annotations[v1alpha1.AnnotationRevision], 10, 64)
	}
	return r
}

func containers(rs *appsv1.ReplicaSet) []corev1.Container {
	return slices.Concat(rs.Spec.Template.Spec.InitContainers, rs.Spec.Template.Spec.Containers)
}

func imageChanges(from, to []corev1.Container) []ImageChange {
	var out []ImageChange
	before := map[string]string{}
	for _, c := range from {
		before[c.Name] = c.Image
	}
	for _, c := range to {
		if was, ok := before[c.Name]; !ok || was != c.Image {
			out = append(out, ImageChange{Container: c.Name, From: was, To: c.Image})
		}
		delete(before, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		out = append(out, ImageChange{Container: name, From: before[name]})
	}
	return out
}

// fieldChanges are the fields in which two templates differ, but for the hash.
func fieldChanges(from, to *corev1.PodTemplateSpec) []FieldChange {
	a, b := map[string]string{}, map[string]string{}
	for template, into := range map[*corev1.PodTemplateSpec]map[string]string{from: a, to: b} {
		data, err := json.Marshal(template)
		var tree any
		if err == nil && json.Unmarshal(data, &tree) == nil {
			flatten("", tree, into)
		}
	}
	delete(a, hashPath)
	delete(b, hashPath)
	paths := map[string]bool{}
	for _, m := range []map[string]string{a, b} {
		for p := range m {
			paths[p] = true
		}
	}
	var out []FieldChange
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		was, is := a[p], b[p]
		if was == is {
			continue
		}
		f := FieldChange{Path: p, From: clip(was), To: clip(is)}
		if secretive(p, was, is) {
			f.From, f.To, f.Hidden = hide(was), hide(is), true
		}
		out = append(out, f)
	}
	return out
}

// hashPath is the label that differs between any two revisions.
const hashPath = "metadata.labels." + v1alpha1.LabelPodTemplateHash

// What a value's name or the value itself looks like when it may be secret
// although it stands in a template.
var (
	secretName  = regexp.MustCompile(`(?i)pass|pwd|secret|token|key|credential|auth|private|dsn|connection`)
	secretValue = regexp.MustCompile(`://[^/\s:@"]*:[^/\s@"]+@`)
)

// secretive reports whether a changed field may be secret: an environment
// variable, an annotation or an argument that sounds like it, or an address with
// a password in it.
func secretive(path, was, is string) bool {
	if secretValue.MatchString(was) || secretValue.MatchString(is) {
		return true
	}
	switch {
	case strings.Contains(path, ".env["):
		return strings.HasSuffix(path, ".value") && secretName.MatchString(path[strings.Index(path, ".env["):])
	case strings.HasPrefix(path, "metadata.annotations"):
		return secretName.MatchString(path)
	case strings.Contains(path, ".args[") || strings.Contains(path, ".command["):
		return secretName.MatchString(was) || secretName.MatchString(is)
	}
	return false
}

func hide(value string) string {
	if value == "" {
		return ""
	}
	return "(hidden)"
}

// flatten writes the leaves of a JSON tree by their paths. Elements of a list
// that have a name go by it, so that one that moves is no change.
func flatten(path string, tree any, into map[string]string) {
	switch x := tree.(type) {
	case map[string]any:
		for k, v := range x {
			flatten(join(path, k), v, into)
		}
	case []any:
		for i, v := range x {
			flatten(fmt.Sprintf("%s[%s]", path, element(v, i)), v, into)
		}
	case nil:
	default:
		if data, err := json.Marshal(x); err == nil {
			into[path] = string(data)
		}
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func join(path, key string) string {
	if !plainKey.MatchString(key) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	return strings.TrimPrefix(path+"."+key, ".")
}

func element(v any, i int) string {
	if m, ok := v.(map[string]any); ok {
		if name, ok := m["name"].(string); ok && name != "" {
			return name
		}
	}
	return strconv.Itoa(i)
}
