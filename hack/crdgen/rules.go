// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// A rule is an expression that must hold for a node. It refuses only what Argo
// Rollouts refuses too, or what never does what it says there.
//
// It asks with has() even for required fields: an expression that fails to
// evaluate blocks every write to an object that was stored without them.
type rule struct {
	kinds []string
	path  string
	// expr is in CEL.
	expr string
	// message says what is wrong, for people.
	message string
	// field is the field below path that the message is about.
	field string
	// tolerant lets an update keep what was stored before the rule existed. It
	// is for nodes that hold more than the rule is about: there an edit of
	// something else, such as a change of scale, must go through. Narrow nodes do
	// not need it, because the API server itself keeps quiet about a node that an
	// update leaves alone.
	tolerant bool
	// before is what made the rule false for the stored object, where tolerant
	// would cost too much.
	before string
}

// wordSelf finds self, and not oldSelf.
var wordSelf = regexp.MustCompile(`\bself\b`)

func (r rule) validation() apiextensionsv1.ValidationRule {
	expr := strings.Join(strings.Fields(r.expr), " ")
	v := apiextensionsv1.ValidationRule{
		Rule:      expr,
		Message:   r.message,
		FieldPath: r.field,
	}
	switch {
	case r.before != "":
		v.Rule = fmt.Sprintf("(%s) || (oldSelf.hasValue() && %s)", expr, strings.Join(strings.Fields(r.before), " "))
		v.OptionalOldSelf = new(true)
	case r.tolerant:
		before := wordSelf.ReplaceAllString(expr, "oldSelf.value()")
		v.Rule = fmt.Sprintf("(%s) || (oldSelf.hasValue() && !(%s))", expr, before)
		v.OptionalOldSelf = new(true)
	}
	return v
}

// applyRules sets the rules of a kind.
func applyRules(kind string, root *apiextensionsv1.JSONSchemaProps) error {
	for _, r := range slices.Concat(rolloutRules(), canaryRules(), stepRules(), metricRules(), experimentRules()) {
		if !slices.Contains(r.kinds, kind) {
			continue
		}
		err := at(root, r.path, func(s *apiextensionsv1.JSONSchemaProps) {
			s.XValidations = append(s.XValidations, r.validation())
		})
		if err != nil {
			return fmt.Errorf("rule %q: %w", r.message, err)
		}
	}
	return nil
}

// literal is a duration as Go parses it, not negative.
const literal = `r'^\\+?(0|(([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|µs|ms|s|m|h))+)$'`

// isDuration accepts what parses, nothing, and what an argument will fill in.
var isDuration = strings.ReplaceAll(`size(self) == 0 || self.contains('{{') || self.matches(`+literal+`)`, `\\`, `\`)

// durationRule is the rule of a field that holds a duration.
func durationRule(kinds []string, path string) rule {
	return rule{
		kinds: kinds, path: path, expr: isDuration,
		message: name(path) + ` must be a duration such as "30s", "5m" or "1h30m"`,
	}
}

// numberRule is the rule of a field that holds a whole number as a number or as a
// string.
func numberRule(kinds []string, path string, least int) rule {
	literal := `'^[+]?[0-9]*$'`
	if least < 0 {
		literal = `'^([+]?[0-9]*|-1)$'`
	}
	return rule{
		kinds: kinds, path: path,
		expr:    fmt.Sprintf(`type(self) == int ? self >= %d : self.contains('{{') || self.matches(%s)`, least, literal),
		message: fmt.Sprintf("%s must be a whole number, %d or more", name(path), least),
	}
}

// percentRule is the rule of a field that holds a number of pods or a percentage.
func percentRule(kinds []string, path string) rule {
	return rule{
		kinds: kinds, path: path,
		expr:    `type(self) == int ? self >= 0 : self.contains('{{') || self.matches('^[0-9]+%?$')`,
		message: name(path) + ` must be a number of pods such as 2, or a percentage such as "25%"`,
	}
}

// uniqueRule is the rule of a list whose items have different names.
func uniqueRule(kinds []string, path string) rule {
	return rule{
		kinds: kinds, path: path,
		expr:    `self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))`,
		message: "the names of " + name(path) + " must differ",
	}
}

// selectorRules say that a selector is not empty and matches the pod template
// beside it. self holds both, unless guard is true. With tolerant an update may
// keep a template that did not match before.
func selectorRules(kinds []string, path, guard string, tolerant bool) []rule {
	byLabels := func(owner string) string {
		labels := owner + ".template.metadata.labels"
		return guard + `!has(self.selector.matchLabels) || self.selector.matchLabels.all(k,
			has(` + owner + `.template) && has(` + owner + `.template.metadata) && has(` + labels + `) && k in ` + labels + `
			&& self.selector.matchLabels[k] == ` + labels + `[k])`
	}
	byExpressions := func(owner string) string {
		labels := owner + ".template.metadata.labels"
		return guard + `!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(e,
			!has(e.key) || !has(e.operator) ? false :
			(has(` + owner + `.template) && has(` + owner + `.template.metadata) && has(` + labels + `) && e.key in ` + labels + `)
			? (e.operator == 'Exists'
				|| (e.operator == 'In' && has(e.values) && ` + labels + `[e.key] in e.values)
				|| (e.operator == 'NotIn' && has(e.values) && !(` + labels + `[e.key] in e.values)))
			: e.operator in ['NotIn', 'DoesNotExist'])`
	}
	match := func(expr func(owner string) string, message string) rule {
		r := rule{kinds: kinds, path: path, field: ".selector", expr: expr("self"), message: message}
		if tolerant {
			r.before = `has(oldSelf.value().template) && !(` + expr("oldSelf.value()") + `)`
		}
		return r
	}
	return []rule{
		{
			kinds: kinds, path: path + ".selector",
			expr: `(has(self.matchLabels) && size(self.matchLabels) > 0)
				|| (has(self.matchExpressions) && size(self.matchExpressions) > 0)`,
			message: "selector must not be empty: it would select every pod of the namespace",
		},
		match(byLabels, "selector.matchLabels must be among template.metadata.labels"),
		match(byExpressions, "selector.matchExpressions must match template.metadata.labels"),
	}
}

// name is the last field of a path.
func name(path string) string {
	return strings.TrimSuffix(path[strings.LastIndex(path, ".")+1:], "[]")
}
