// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// A node is a formula understood: + - * / and parentheses over numbers, the
// names of queries, default_zero() and abs().
type node interface {
	// eval returns the value, unknown if something needed is.
	eval(env map[string]cell) cell
}

type (
	number float64
	ref    string
	binary struct {
		op   byte
		l, r node
	}
	negation struct{ of node }
	call     struct {
		name string
		of   node
	}
)

func (n number) eval(map[string]cell) cell { return some(float64(n)) }

func (n ref) eval(env map[string]cell) cell { return env[string(n)] }

func (n negation) eval(env map[string]cell) cell {
	c := n.of.eval(env)
	c.value = -c.value
	return c
}

func (n call) eval(env map[string]cell) cell {
	c := n.of.eval(env)
	if n.name == "abs" {
		c.value = math.Abs(c.value)
		return c
	}
	if !c.known() {
		return some(0)
	}
	return c
}

func (n binary) eval(env map[string]cell) cell {
	l, r := n.l.eval(env), n.r.eval(env)
	if !l.known() || !r.known() {
		return cell{}
	}
	switch n.op {
	case '+':
		return some(l.value + r.value)
	case '-':
		return some(l.value - r.value)
	case '*':
		return some(l.value * r.value)
	}
	return some(l.value / r.value)
}

// walk calls visit for n and all below it; visit returns false to go no deeper.
func walk(n node, visit func(node) bool) {
	if !visit(n) {
		return
	}
	switch n := n.(type) {
	case binary:
		walk(n.l, visit)
		walk(n.r, visit)
	case negation:
		walk(n.of, visit)
	case call:
		walk(n.of, visit)
	}
}

// references are the names that n mentions, sorted.
func references(n node) []string { return refs(n, true) }

// needed are the names without which n has no value: those outside
// default_zero, sorted.
func needed(n node) []string { return refs(n, false) }

func refs(n node, inDefault bool) []string {
	var names []string
	walk(n, func(n node) bool {
		if r, ok := n.(ref); ok {
			names = append(names, string(r))
		}
		c, ok := n.(call)
		return inDefault || !ok || c.name != "default_zero"
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// zeroDivisors are the names in divisors that are zero, sorted.
func zeroDivisors(n node, env map[string]cell) []string {
	var names []string
	walk(n, func(n node) bool {
		b, ok := n.(binary)
		if !ok || b.op != '/' {
			return true
		}
		if d := b.r.eval(env); d.known() && d.value == 0 {
			names = append(names, references(b.r)...)
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// maxDepth bounds how deeply a formula may nest.
const maxDepth = 100

var errFormula = errors.New("not plain arithmetic")

type formulaParser struct {
	text  string
	pos   int
	depth int
}

// parseFormula understands a formula, or returns an error if it uses more of
// Datadog's language than a node knows.
func parseFormula(text string) (node, error) {
	p := &formulaParser{text: text}
	n, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.peek() != 0 {
		return nil, fmt.Errorf("%w at %d", errFormula, p.pos)
	}
	return n, nil
}

// peek skips space and returns the next byte, 0 at the end.
func (p *formulaParser) peek() byte {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; c {
		case ' ', '\t', '\n', '\r':
			p.pos++
		case 0:
			return 1 // never part of a formula, and not its end
		default:
			return c
		}
	}
	return 0
}

func (p *formulaParser) sum() (node, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, fmt.Errorf("%w: nested too deeply", errFormula)
	}
	return p.chain("+-", p.product)
}

func (p *formulaParser) product() (node, error) { return p.chain("*/", p.unary) }

// chain parses operands with left-associative operators between them.
func (p *formulaParser) chain(ops string, operand func() (node, error)) (node, error) {
	l, err := operand()
	if err != nil {
		return nil, err
	}
	for length := 0; ; length++ {
		op := p.peek()
		if op != ops[0] && op != ops[1] {
			return l, nil
		}
		if length > maxDepth {
			return nil, fmt.Errorf("%w: too long", errFormula)
		}
		p.pos++
		r, err := operand()
		if err != nil {
			return nil, err
		}
		l = binary{op, l, r}
	}
}

func (p *formulaParser) unary() (node, error) {
	switch c := p.peek(); {
	case c == '-':
		p.pos++
		p.depth++
		defer func() { p.depth-- }()
		if p.depth > maxDepth {
			return nil, fmt.Errorf("%w: nested too deeply", errFormula)
		}
		n, err := p.unary()
		return negation{n}, err
	case c == '(':
		return p.parenthesis()
	case c >= '0' && c <= '9' || c == '.':
		return p.number()
	case letter(c):
		return p.name()
	}
	return nil, fmt.Errorf("%w at %d", errFormula, p.pos)
}

func (p *formulaParser) parenthesis() (node, error) {
	p.pos++
	n, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.peek() != ')' {
		return nil, fmt.Errorf("%w: no ) at %d", errFormula, p.pos)
	}
	p.pos++
	return n, nil
}

func (p *formulaParser) number() (node, error) {
	start := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		exponent := (c == '+' || c == '-') && (p.text[p.pos-1]|0x20) == 'e' && p.pos > start
		if !digit(c) && c != '.' && c|0x20 != 'e' && !exponent {
			break
		}
		p.pos++
	}
	v, err := strconv.ParseFloat(p.text[start:p.pos], 64)
	if err != nil {
		return nil, fmt.Errorf("%w: number at %d", errFormula, start)
	}
	return number(v), nil
}

func (p *formulaParser) name() (node, error) {
	start := p.pos
	for p.pos < len(p.text) && (letter(p.text[p.pos]) || digit(p.text[p.pos])) {
		p.pos++
	}
	name := p.text[start:p.pos]
	if p.peek() != '(' {
		return ref(name), nil
	}
	if name != "default_zero" && name != "abs" {
		return nil, fmt.Errorf("%w: function %s", errFormula, name)
	}
	n, err := p.parenthesis()
	return call{name, n}, err
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
