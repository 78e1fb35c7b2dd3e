// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// traits is what can be known of an expression from its syntax.
type traits struct{ asksNil, asksNaN bool }

// A rewriter walks an expression once, from the leaves up. It notes the
// traits, refuses what could run away, and puts a meter on whatever works
// through a collection or makes a longer string.
type rewriter struct {
	dialect dialect
	traits  traits
	depths  map[*ast.PredicateNode]int
	err     error
}

// Visit rewrites one node, whose children have been rewritten before.
func (w *rewriter) Visit(node *ast.Node) {
	if w.err != nil {
		return
	}
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		w.refuse(strings.HasPrefix(n.Value, "__"), "the name %s is reserved", n.Value)
	case *ast.VariableDeclaratorNode:
		w.refuse(strings.HasPrefix(n.Name, "__"), "the name %s is reserved", n.Name)
	case *ast.PredicateNode:
		depth := w.nesting(n)
		w.refuse(depth > MaxNesting, "predicates are nested %d deep, at most %d are allowed: they could run for hours", depth, MaxNesting)
	case *ast.BinaryNode:
		w.binary(node, n)
	case *ast.SliceNode:
		n.Node = metered(n.Node, 1)
	case *ast.BuiltinNode:
		w.builtin(node, n)
	case *ast.CallNode:
		w.call(n)
	}
}

func (w *rewriter) refuse(when bool, format string, args ...any) {
	if when && w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *rewriter) binary(node *ast.Node, n *ast.BinaryNode) {
	switch n.Operator {
	case "??":
		w.traits.asksNil = w.traits.asksNil || mentionsResult(n.Left)
	case "==", "!=":
		w.equality(n)
	case "in", "not in", "contains", "startsWith", "endsWith":
		n.Left, n.Right = metered(n.Left, 1), metered(n.Right, 1)
	case "matches":
		matching(node, n)
	case "+":
		if !isNumber(n.Left) && !isNumber(n.Right) {
			ast.Patch(node, callNode(addName, meterNode(), n.Left, n.Right))
		}
	}
}

func (w *rewriter) equality(n *ast.BinaryNode) {
	if isNilLiteral(n.Right) && mentionsResult(n.Left) || isNilLiteral(n.Left) && mentionsResult(n.Right) {
		w.traits.asksNil = true
	}
	if !isLiteral(n.Left) && !isLiteral(n.Right) {
		n.Left, n.Right = metered(n.Left, 1), metered(n.Right, 1)
	}
}

// matching makes a match pay for the length of its pattern, too.
func matching(node *ast.Node, n *ast.BinaryNode) {
	if pattern, ok := n.Right.(*ast.StringNode); ok {
		n.Left = metered(n.Left, 1+len(pattern.Value))
		return
	}
	ast.Patch(node, callNode(matchesName, meterNode(), n.Left, n.Right))
}

// ownName holds the built-in functions whose result may be as large as the
// product of their arguments; ours pay before they make it.
var ownName = map[string]string{"repeat": repeatName, "replace": replaceName, "join": joinName}

// constantTime holds the built-in functions that look at one element or none.
var constantTime = map[string]bool{
	"get": true, "type": true, "first": true, "last": true, "abs": true, "ceil": true, "floor": true,
	"round": true, "int": true, "float": true, "duration": true, "date": true, "timezone": true,
	"bitand": true, "bitor": true, "bitxor": true, "bitnand": true, "bitnot": true, "bitshl": true,
	"bitshr": true, "bitushr": true,
}

func (w *rewriter) builtin(node *ast.Node, n *ast.BuiltinNode) {
	switch {
	case n.Name == "now":
		w.refuse(len(n.Arguments) > 0, "now takes no argument")
		ast.Patch(node, &ast.IdentifierNode{Value: nowName})
	case n.Name == "len" && len(n.Arguments) == 1:
		w.traits.asksNil = w.traits.asksNil || mentionsResult(n.Arguments[0])
		ast.Patch(node, callNode(lenName, n.Arguments[0]))
	case constantTime[n.Name]:
	case ownName[n.Name] != "":
		ast.Patch(node, callNode(ownName[n.Name], append([]ast.Node{meterNode()}, n.Arguments...)...))
	case n.Name == "uniq" && len(n.Arguments) == 1:
		n.Arguments[0] = callNode(squareName, meterNode(), n.Arguments[0])
	default:
		meterArguments(n)
	}
}

// meterArguments makes a function pay for each element of its arguments, and
// as often as its predicate is long.
func meterArguments(n *ast.BuiltinNode) {
	weight := 1
	if n.Name == "sort" || n.Name == "sortBy" || n.Name == "median" {
		weight = 16
	}
	for _, a := range n.Arguments {
		if p, ok := a.(*ast.PredicateNode); ok {
			weight += length(p.Node)
		}
	}
	for i, a := range n.Arguments {
		if _, ok := a.(*ast.PredicateNode); !ok {
			n.Arguments[i] = metered(a, weight)
		}
	}
}

func (w *rewriter) call(n *ast.CallNode) {
	name, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || len(n.Arguments) == 0 {
		return
	}
	switch name.Value {
	case "isNil", "default":
		if w.dialect.legacy {
			n.Arguments[0] = &ast.IdentifierNode{Value: "result"}
		}
		w.traits.asksNil = w.traits.asksNil || mentionsResult(n.Arguments[0])
	case "isNaN":
		w.traits.asksNaN = w.traits.asksNaN || mentionsResult(n.Arguments[0])
	}
}

func meterNode() ast.Node { return &ast.IdentifierNode{Value: meterName} }

func callNode(name string, args ...ast.Node) ast.Node {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

// metered returns x, made to pay weight for each of its elements. Literals and
// ranges are not: the virtual machine bounds what it builds for them.
func metered(x ast.Node, weight int) ast.Node {
	if b, ok := x.(*ast.BinaryNode); isLiteral(x) || ok && b.Operator == ".." && weight == 1 {
		return x
	}
	return callNode(chargeName, meterNode(), &ast.IntegerNode{Value: weight}, x)
}

func isNilLiteral(x ast.Node) bool {
	_, ok := x.(*ast.NilNode)
	return ok
}

func isLiteral(x ast.Node) bool {
	switch x.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
		return true
	}
	return false
}

// isNumber reports whether x is known to be a number, which adding does not
// make longer.
func isNumber(x ast.Node) bool {
	switch x.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return true
	}
	t := x.Type()
	if t == nil {
		return false
	}
	k := t.Kind()
	return k >= reflect.Int && k <= reflect.Float64
}

func mentionsResult(x ast.Node) bool {
	return ast.Find(x, func(n ast.Node) bool {
		id, ok := n.(*ast.IdentifierNode)
		return ok && id.Value == "result"
	}) != nil
}

// nesting returns how deep predicates stand inside n, itself included. Inner
// predicates have been visited before.
func (w *rewriter) nesting(n *ast.PredicateNode) int {
	depth := 0
	ast.Find(n.Node, func(x ast.Node) bool {
		if p, ok := x.(*ast.PredicateNode); ok {
			depth = max(depth, w.depths[p])
		}
		return false
	})
	if w.depths == nil {
		w.depths = map[*ast.PredicateNode]int{}
	}
	w.depths[n] = depth + 1
	return depth + 1
}

// length returns the number of nodes of x.
func length(x ast.Node) int {
	n := counter(0)
	ast.Walk(&x, &n)
	return int(n)
}

type counter int

// Visit counts the node.
func (c *counter) Visit(*ast.Node) { *c++ }
