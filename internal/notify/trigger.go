// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
	"go.yaml.in/yaml/v3"
)

// A condition says which templates are sent when.
type condition struct {
	Description string   `yaml:"description"`
	When        string   `yaml:"when"`
	OncePer     string   `yaml:"oncePer"`
	Send        []string `yaml:"send"`

	when, once *vm.Program
}

func parseTrigger(text string) ([]*condition, error) {
	node, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	if node.Kind != yaml.SequenceNode {
		return nil, &lineError{node.Line, "a trigger is a list of conditions, such as: - send: [rollout-aborted]"}
	}
	var out []*condition
	for _, item := range node.Content {
		c := &condition{}
		if err := known(item, c); err != nil {
			return nil, err
		}
		if err := item.Decode(c); err != nil {
			return nil, err
		}
		if c.when, err = compile(c.When); err != nil {
			return nil, &lineError{item.Line, fmt.Sprintf("when: %v", err)}
		}
		if c.once, err = compile(c.OncePer); err != nil {
			return nil, &lineError{item.Line, fmt.Sprintf("oncePer: %v", err)}
		}
		out = append(out, c)
	}
	return out, nil
}

// maxNesting is how deep predicates may be nested: each level multiplies what
// an expression costs.
const maxNesting = 2

// compile compiles an expression; an empty one is nil.
func compile(text string) (*vm.Program, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil //nolint:nilnil // no expression is none
	}
	guard := &costGuard{}
	program, err := expr.Compile(text, expr.Patch(guard))
	if err != nil {
		return nil, errors.New(firstLine(err.Error()))
	}
	if guard.err != nil {
		return nil, guard.err
	}
	return program, nil
}

func firstLine(s string) string { line, _, _ := strings.Cut(s, "\n"); return line }

// A costGuard refuses expressions that could run away.
type costGuard struct{ err error }

// Visit looks at one node; those inside it were visited before.
func (g *costGuard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		if nesting(n.Node) >= maxNesting {
			g.err = fmt.Errorf("predicates are nested more than %d deep", maxNesting)
		}
	case *ast.BinaryNode:
		if n.Operator == ".." {
			g.err = errors.New("ranges (..) are not allowed here")
		}
	}
}

func nesting(n ast.Node) int {
	d := &depth{}
	ast.Walk(&n, d)
	return d.n
}

type depth struct{ n int }

// Visit counts predicates.
func (d *depth) Visit(node *ast.Node) {
	if _, ok := (*node).(*ast.PredicateNode); ok {
		d.n++
	}
}

// run evaluates program; nil is what there is without one.
func run(program *vm.Program, env map[string]any) (any, error) {
	if program == nil {
		return nil, nil //nolint:nilnil // no expression has no value
	}
	v, err := expr.Run(program, env)
	if err != nil {
		return nil, errors.New(firstLine(err.Error()))
	}
	return v, nil
}

// Clock is what expressions and templates know as time.
func Clock(now time.Time) map[string]any {
	return map[string]any{
		"Now": func() time.Time { return now },
		"Parse": func(text string) (time.Time, error) {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return t, fmt.Errorf("%q is no time, such as 2026-01-02T15:04:05Z", text)
			}
			return t, nil
		},
	}
}

var (
	beforeWord = regexp.MustCompile("(.)([A-Z][a-z]+)")
	afterSmall = regexp.MustCompile("([a-z0-9])([A-Z])")
)

// Trigger is the name of the trigger for a reason: on-rollout-aborted for
// RolloutAborted.
func Trigger(reason string) string {
	s := afterSmall.ReplaceAllString(beforeWord.ReplaceAllString(reason, "$1-$2"), "$1-$2")
	return "on-" + strings.ToLower(s)
}

// onceKey is what the outbox remembers of a value of oncePer.
func onceKey(trigger string, i int, value any) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%d\x00%v", trigger, i, value)
	return strconv.FormatUint(h.Sum64(), 36)
}
