// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The language of queries and formulas:
//
//	sum     = product { ("+" | "-") product }
//	product = unary { ("*" | "/") unary }
//	unary   = "-" unary | "(" sum ")" | number | name | query |
//	          ("default_zero" | "abs") "(" sum ")"
//	query   = [aggregator ":"] metric "{" filter "}" ["by" "{" keys "}"] { "." function }
//	filter  = "*" | ["!" | "NOT"] key ":" value { ("," | "AND") ... }
//	function = as_count() | as_rate() | rollup([method,] seconds) | fill(method)
//
// A value may hold "*". A name refers to a query of the request.
type expr any

type (
	constant  float64
	reference string
	negated   struct{ of expr }
	function  struct {
		name string
		of   expr
	}
	operation struct {
		op   byte
		l, r expr
	}
	query struct {
		aggregator, metric string
		filter             []term
		by                 []string
		rate, fill         bool
		rollup             float64 // seconds; 0 is the server's choice
	}
	term struct {
		key, value string
		not        bool
	}
)

var queryAggregators = []string{"avg", "count", "max", "min", "p50", "p75", "p90", "p95", "p99", "sum"}

const (
	maxNesting = 64
	maxRollup  = 90 * 24 * 3600 // seconds
)

type parser struct {
	text       string
	pos, depth int
	// names tells whether names of queries may be used.
	names bool
}

// parseExpr parses a query, or a formula if names of queries may be used.
func parseExpr(text string, names bool) (expr, error) {
	p := &parser{text: text, names: names}
	e, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.skip(); p.pos < len(p.text) {
		return nil, p.wrong("the end")
	}
	return e, nil
}

func (p *parser) wrong(want string) error {
	return refusal(fmt.Sprintf("Error parsing query: \n unable to parse %.200s: Rule 'scope_expr' didn't match at '%.30s', wanted %s",
		p.text, p.text[min(p.pos, len(p.text)):], want))
}

func (p *parser) skip() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// accept skips space and takes s if it is next.
func (p *parser) accept(s string) bool {
	p.skip()
	if !strings.HasPrefix(p.text[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// word takes the longest run of letters, digits and the bytes of more.
func (p *parser) word(more string) string {
	start := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		alnum := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !alnum && strings.IndexByte(more, c) < 0 {
			break
		}
		p.pos++
	}
	return p.text[start:p.pos]
}

func (p *parser) sum() (expr, error) { return p.chain("+", "-", p.product) }

func (p *parser) product() (expr, error) { return p.chain("*", "/", p.unary) }

func (p *parser) chain(a, b string, operand func() (expr, error)) (expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.wrong("less nesting")
	}
	defer func() { p.depth-- }()
	l, err := operand()
	for n := 0; err == nil && n < maxNesting; n++ {
		op := b[0]
		if p.accept(a) {
			op = a[0]
		} else if !p.accept(b) {
			return l, nil
		}
		var r expr
		r, err = operand()
		l = operation{op, l, r}
	}
	if err == nil {
		err = p.wrong("fewer terms")
	}
	return nil, err
}

func (p *parser) unary() (expr, error) {
	if p.accept("-") {
		if p.depth++; p.depth > maxNesting {
			return nil, p.wrong("less nesting")
		}
		defer func() { p.depth-- }()
		e, err := p.unary()
		return negated{e}, err
	}
	if p.accept("(") {
		return p.closed()
	}
	if p.pos < len(p.text) && (p.text[p.pos] == '.' || p.text[p.pos] >= '0' && p.text[p.pos] <= '9') {
		return p.number()
	}
	return p.named()
}

func (p *parser) closed() (expr, error) {
	e, err := p.sum()
	if err == nil && !p.accept(")") {
		err = p.wrong(")")
	}
	return e, err
}

func (p *parser) number() (expr, error) {
	start := p.pos
	if p.word("."); p.pos < len(p.text) && p.pos > start && p.text[p.pos-1]|0x20 == 'e' {
		p.word("+-")
	}
	v, err := strconv.ParseFloat(p.text[start:p.pos], 64)
	if err != nil {
		return nil, p.wrong("a number")
	}
	return constant(v), nil
}

// named parses what begins with a name: a function, a query, a reference.
func (p *parser) named() (expr, error) {
	p.skip()
	name := p.word("_.")
	switch {
	case name == "":
		return nil, p.wrong("a query")
	case p.accept("("):
		if name != "default_zero" && name != "abs" {
			return nil, p.wrong("a function that exists")
		}
		e, err := p.closed()
		return function{name, e}, err
	case p.accept(":"):
		if !slices.Contains(queryAggregators, name) {
			return nil, p.wrong("an aggregator")
		}
		return p.query(name, p.word("_."))
	case p.accept("{"):
		p.pos--
		return p.query("avg", name)
	case p.names && !strings.Contains(name, "."):
		return reference(name), nil
	}
	return nil, p.wrong("{")
}

func (p *parser) query(aggregator, metric string) (expr, error) {
	q := query{aggregator: aggregator, metric: metric}
	if metric == "" || !p.accept("{") {
		return nil, p.wrong("a metric and {")
	}
	if err := p.filter(&q); err != nil {
		return nil, err
	}
	if p.accept("by") {
		if err := p.groups(&q); err != nil {
			return nil, err
		}
	}
	for p.accept(".") {
		if err := p.modifier(&q); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// groups parses the tags after "by".
func (p *parser) groups(q *query) error {
	if !p.accept("{") {
		return p.wrong("{")
	}
	for {
		p.skip()
		key := p.word("_.-/")
		if key == "" {
			return p.wrong("a tag")
		}
		q.by = append(q.by, key)
		if p.accept("}") {
			return nil
		}
		if !p.accept(",") {
			return p.wrong("}")
		}
	}
}

func (p *parser) filter(q *query) error {
	if p.accept("*") {
		if !p.accept("}") {
			return p.wrong("}")
		}
		return nil
	}
	for {
		t := term{not: p.accept("!") || p.accept("NOT ")}
		p.skip()
		t.key = p.word("_.-/")
		if t.key == "" {
			return p.wrong("a tag")
		}
		if p.accept(":") {
			if t.value = p.word("_.-/:*@+"); t.value == "" {
				return p.wrong("a value")
			}
		}
		q.filter = append(q.filter, t)
		if p.accept("}") {
			return nil
		}
		if !p.accept(",") && !p.accept("AND ") {
			return p.wrong("}")
		}
	}
}

func (p *parser) modifier(q *query) error {
	name := p.word("_")
	if !p.accept("(") {
		return p.wrong("(")
	}
	end := strings.IndexByte(p.text[p.pos:], ')')
	if end < 0 {
		return p.wrong(")")
	}
	args := strings.Split(p.text[p.pos:p.pos+end], ",")
	last := strings.TrimSpace(args[len(args)-1])
	switch name {
	case "as_count":
	case "as_rate":
		q.rate = true
	case "fill":
		q.fill = strings.TrimSpace(args[0]) == "zero"
	case "rollup":
		seconds, err := strconv.ParseFloat(last, 64)
		if err != nil || !(seconds > 0 && seconds <= maxRollup) || len(args) > 2 {
			return p.wrong("rollup(method, seconds)")
		}
		q.rollup = seconds
	default:
		return p.wrong("a modifier that exists")
	}
	p.pos += end + 1
	return nil
}
