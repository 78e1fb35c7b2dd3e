// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
)

// arguments resolves what a Rollout passes to an analysis.
func (w *World) arguments(args []v1alpha1.AnalysisRunArgument) (map[string]string, error) {
	out := make(map[string]string, len(args))
	for i := range args {
		value, err := w.argument(&args[i])
		if err != nil {
			return nil, fmt.Errorf("args[%d] (%s): %w", i, args[i].Name, err)
		}
		out[args[i].Name] = value
	}
	return out, nil
}

func (w *World) argument(arg *v1alpha1.AnalysisRunArgument) (string, error) {
	from := arg.ValueFrom
	switch {
	case from == nil:
		return arg.Value, nil
	case from.PodTemplateHashValue != nil:
		if *from.PodTemplateHashValue == v1alpha1.Stable {
			return string(w.Snapshot.Status.Stable), nil
		}
		return string(w.Snapshot.Spec.Revision), nil
	case from.FieldRef != nil:
		return w.field(from.FieldRef.FieldPath)
	}
	return arg.Value, nil
}

// field resolves a fieldPath against the Rollout. The pod-template hash is the
// canary's: a Rollout has no such label of its own. A path that leads nowhere
// is an error, never an empty string.
func (w *World) field(path string) (string, error) {
	if kind, key, ok := subscript(path); ok {
		if key == v1alpha1.LabelPodTemplateHash {
			return string(w.Snapshot.Spec.Revision), nil
		}
		values := w.Rollout.Labels
		if kind == "annotations" {
			values = w.Rollout.Annotations
		}
		value, ok := values[key]
		if !ok || value == "" {
			return "", fmt.Errorf("fieldPath %q: the Rollout has no value in metadata.%s[%q]", path, kind, key)
		}
		return value, nil
	}
	data, err := json.Marshal(w.Rollout)
	if err != nil {
		return "", fmt.Errorf("fieldPath %q: %w", path, err)
	}
	var at any
	if err := json.Unmarshal(data, &at); err != nil {
		return "", fmt.Errorf("fieldPath %q: %w", path, err)
	}
	for part := range strings.SplitSeq(path, ".") {
		if at = descend(at, part); at == nil {
			return "", fmt.Errorf("fieldPath %q: the Rollout has no %q", path, part)
		}
	}
	return scalar(path, at)
}

// subscript takes apart metadata.labels['key'] and metadata.annotations['key'].
func subscript(path string) (kind, key string, ok bool) {
	for _, kind := range []string{"labels", "annotations"} {
		rest, found := strings.CutPrefix(path, "metadata."+kind+"[")
		if !found {
			continue
		}
		rest, found = strings.CutSuffix(rest, "]")
		if found && len(rest) >= 2 && (rest[0] == '\'' || rest[0] == '"') && rest[len(rest)-1] == rest[0] {
			return kind, rest[1 : len(rest)-1], true
		}
	}
	return "", "", false
}

// descend goes one field down, and into lists by name[0].
func descend(at any, part string) any {
	name, index, indexed := strings.Cut(part, "[")
	fields, ok := at.(map[string]any)
	if !ok {
		return nil
	}
	at = fields[name]
	if !indexed {
		return at
	}
	list, ok := at.([]any)
	n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
	if !ok || err != nil || n < 0 || n >= len(list) {
		return nil
	}
	return list[n]
}

func scalar(path string, at any) (string, error) {
	switch v := at.(type) {
	case string:
		if v != "" {
			return v, nil
		}
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fmt.Errorf("fieldPath %q: not a single value", path)
}
