// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// A rule is an expression that must hold for a node. It refuses only what Argo
// Rollouts refuses too, or what never does what it says there.
//
// It asks with has() even for required fields: an expression that fails to
// evaluate blocks every write to an object that was stored without them.
//
// The API server evaluates all of them at every write, of the status too, and
// each look at a field of a node costs as much as the node has fields: what is
// true for most objects comes first, and nothing is looked at twice.
// BenchmarkStatusWrite in api/v1alpha1 says what they cost together.
type rule struct {
	kinds []string
	path  string
	// expr is in CEL.
	expr string
	// message says what is wrong, for people.
	message string
	// also are further expressions that must hold, each with its message, where
	// they share a look at the node: all of them hold where unless does.
	also   []clause
	unless string
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

// A clause is an expression that must hold, and what is wrong where it does not.
type clause struct{ expr, message string }

// wordSelf finds self, and not oldSelf.
var wordSelf = regexp.MustCompile(`\bself\b`)

func (r rule) validation() apiextensionsv1.ValidationRule {
	expr := oneLine(r.expr)
	v := apiextensionsv1.ValidationRule{Message: r.message, FieldPath: r.field}
	if len(r.also) > 0 {
		expr, v.MessageExpression = r.joined()
	}
	v.Rule = expr
	switch {
	case r.before != "":
		v.Rule = fmt.Sprintf("(%s) || (oldSelf.hasValue() && %s)", expr, oneLine(r.before))
		v.OptionalOldSelf = new(true)
	case r.tolerant:
		before := wordSelf.ReplaceAllString(expr, "oldSelf.value()")
		v.Rule = fmt.Sprintf("(%s) || (oldSelf.hasValue() && !(%s))", expr, before)
		v.OptionalOldSelf = new(true)
	}
	return v
}

// joined is one expression for all clauses, and one that says which is not true.
func (r rule) joined() (expr, message string) {
	clauses := append([]clause{{r.expr, r.message}}, r.also...)
	var all []string
	for i, c := range clauses {
		all = append(all, "("+oneLine(c.expr)+")")
		if i < len(clauses)-1 {
			message += "!" + all[i] + " ? " + strconv.Quote(c.message) + " : "
		}
	}
	expr = strings.Join(all, " && ")
	if r.unless != "" {
		expr = oneLine(r.unless) + " || (" + expr + ")"
	}
	return expr, message + strconv.Quote(clauses[len(clauses)-1].message)
}

func oneLine(expr string) string { return strings.Join(strings.Fields(expr), " ") }

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
		expr:    `[self.map(m, has(m.name) ? m.name : '')].all(names, names.all(a, a == '' || names.exists_one(b, a == b)))`,
		message: "the names of " + name(path) + " must differ",
	}
}

// selectorRules say that a selector is not empty and matches the pod template
// beside it. self holds both, unless unless is true. With tolerant an update may
// keep a template that did not match before.
func selectorRules(kinds []string, path, unless string, tolerant bool) []rule {
	labels := func(owner string) string { return `[` + owner + `.?template.?metadata.?labels.orValue({})]` }
	byLabels := func(owner string) string {
		return `!self.?selector.?matchLabels.hasValue() || ` + labels(owner) + `.all(l, self.selector.matchLabels.all(k,
			k in l && l[k] == self.selector.matchLabels[k]))` + unless
	}
	byExpressions := func(owner string) string {
		return `!self.?selector.?matchExpressions.hasValue() || ` + labels(owner) + `.all(l, self.selector.matchExpressions.all(e,
			!has(e.key) || !has(e.operator) ? false : e.key in l
			? (e.operator == 'Exists'
				|| (e.operator == 'In' && has(e.values) && l[e.key] in e.values)
				|| (e.operator == 'NotIn' && has(e.values) && !(l[e.key] in e.values)))
			: e.operator in ['NotIn', 'DoesNotExist']))` + unless
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
