// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysistemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
)

// redacted stands in place of a secret.
const redacted = "*****"

// Values are the arguments of a run with their values, those of secrets among
// them. They are kept in memory only.
type Values struct {
	values  map[string]string
	secrets []string
}

// Resolve returns the values of a run's arguments. secret returns the value of
// one key of a Secret in the run's namespace; its errors say which is missing.
func Resolve(args []v1alpha1.Argument, secret func(v1alpha1.SecretKeyRef) (string, error)) (Values, error) {
	v := Values{values: make(map[string]string, len(args))}
	var errs []error
	for i := range args {
		arg := &args[i]
		switch {
		case arg.Value != nil:
			v.values[arg.Name] = *arg.Value
		case arg.ValueFrom != nil && arg.ValueFrom.SecretKeyRef != nil:
			value, err := secret(*arg.ValueFrom.SecretKeyRef)
			if err != nil {
				errs = append(errs, fmt.Errorf("argument %q: %w", arg.Name, err))
				continue
			}
			v.values[arg.Name] = value
			v.hide(value)
		case arg.ValueFrom != nil && arg.ValueFrom.FieldRef != nil:
			errs = append(errs, fmt.Errorf("argument %q: valueFrom.fieldRef %q is a field of a Rollout; give the run its value", arg.Name, arg.ValueFrom.FieldRef.FieldPath))
		default:
			errs = append(errs, fmt.Errorf("argument %q has no value", arg.Name))
		}
	}
	return v, errors.Join(errs...)
}

// hide remembers a secret, with and without the white space around it, and the
// forms that it takes in addresses and JSON.
func (v *Values) hide(secret string) {
	for _, s := range []string{secret, strings.TrimSpace(secret)} {
		forms := []string{s, url.QueryEscape(s), url.PathEscape(s)}
		if quoted, err := json.Marshal(s); err == nil {
			forms = append(forms, string(quoted[1:len(quoted)-1]))
		}
		for _, form := range forms {
			if form != "" && !slices.Contains(v.secrets, form) {
				v.secrets = append(v.secrets, form)
			}
		}
	}
	slices.SortFunc(v.secrets, func(a, b string) int { return len(b) - len(a) })
}

// Equal reports whether v and w hold the same arguments.
func (v Values) Equal(w Values) bool { return maps.Equal(v.values, w.values) }

// Redact returns s without the secrets among the arguments.
func (v Values) Redact(s string) string {
	for _, secret := range v.secrets {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	return s
}

// Substitute returns m with every {{args.name}} in it replaced, in all strings,
// map keys included. A value is taken as it is: quotes in it stay quotes. What
// stands in braces and is no argument of the run is an error.
func (v Values) Substitute(m v1alpha1.Metric) (v1alpha1.Metric, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("metric %q: %w", m.Name, err)
	}
	if !strings.Contains(string(data), "{{") {
		return *m.DeepCopy(), nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return m, fmt.Errorf("metric %q: %w", m.Name, err)
	}
	var missing []string
	tree = v.walk(tree, &missing)
	if len(missing) > 0 {
		slices.Sort(missing)
		return m, fmt.Errorf("metric %q uses %s, which is no argument of the run: declare it in args", m.Name, strings.Join(slices.Compact(missing), ", "))
	}
	if data, err = json.Marshal(tree); err != nil {
		return m, fmt.Errorf("metric %q: %w", m.Name, err)
	}
	var out v1alpha1.Metric
	if err := json.Unmarshal(data, &out); err != nil {
		return m, fmt.Errorf("metric %q, with its arguments filled in: %w", m.Name, err)
	}
	return out, nil
}

func (v Values) walk(tree any, missing *[]string) any {
	switch t := tree.(type) {
	case string:
		return v.fill(t, missing)
	case []any:
		for i := range t {
			t[i] = v.walk(t[i], missing)
		}
		return t
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			out[v.fill(k, missing)] = v.walk(e, missing)
		}
		return out
	default:
		return tree
	}
}

// fill replaces the arguments in one string. What was filled in is not looked
// at again.
func (v Values) fill(s string, missing *[]string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		tag, after, closed := strings.Cut(rest, "}}")
		if !closed {
			b.WriteString("{{" + rest)
			return b.String()
		}
		name, isArg := strings.CutPrefix(strings.TrimSpace(tag), "args.")
		value, known := v.values[name]
		if !isArg || !known {
			*missing = append(*missing, "{{"+strings.TrimSpace(tag)+"}}")
		}
		b.WriteString(value)
		s = after
	}
}
