// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
)

// Names that the rewriter puts into expressions. A user cannot write them:
// identifiers that start with two underscores do not compile.
const (
	nowName     = "__now"
	meterName   = "__meter"
	lenName     = "__len"
	chargeName  = "__charge"
	squareName  = "__square"
	addName     = "__add"
	repeatName  = "__repeat"
	replaceName = "__replace"
	joinName    = "__join"
	matchesName = "__matches"
)

// budget is how much work one evaluation may do, counted in elements visited
// times the size of the expression applied to each: a fraction of a second.
const budget = 2_000_000

// maxDepth bounds the walk over nested values.
const maxDepth = 1_000

var errBudget = errors.New("it takes too long: it visits more than two million elements; use fewer nested predicates or a query that returns less")

// A meter counts the work of one evaluation. expr-lang bounds the memory of
// what it allocates itself, but neither the time nor what its functions make.
type meter struct{ left int }

func (m *meter) spend(n int) error {
	if n > m.left {
		return errBudget
	}
	m.left -= n
	return nil
}

// charge(meter, weight, x) spends weight for every element of x and returns x.
func charge(args ...any) (any, error) {
	m, weight, x := args[0].(*meter), args[1].(int), args[2]
	n, err := m.size(x)
	if err != nil {
		return nil, err
	}
	return x, m.spend(n * weight)
}

// square(meter, x) spends the square of the size of x and returns x.
func square(args ...any) (any, error) {
	m, x := args[0].(*meter), args[1]
	n, err := m.size(x)
	if err != nil {
		return nil, err
	}
	return x, m.spendProduct(n, n)
}

// spendProduct spends a times b, neither of which is negative.
func (m *meter) spendProduct(a, b int) error {
	if b > 0 && a > m.left/b {
		return errBudget
	}
	return m.spend(a * b)
}

// size returns how many elements x has, all levels together, at least 1. It
// gives up as soon as there are more than m can pay.
func (m *meter) size(x any) (int, error) {
	n := 1
	if err := m.count(x, &n, 0); err != nil {
		return 0, err
	}
	return n, nil
}

func (m *meter) count(x any, n *int, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("the value is nested deeper than %d levels", maxDepth)
	}
	switch v := x.(type) {
	case nil, bool, float64, int:
	case string:
		*n += len(v)
	case []float64:
		*n += len(v)
	case []any:
		return m.countAll(slices.Values(v), n, depth)
	case map[string]any:
		for k := range v {
			*n += len(k)
		}
		return m.countAll(maps.Values(v), n, depth)
	default:
		return m.reflectCount(x, n, depth)
	}
	return m.affords(*n)
}

func (m *meter) affords(n int) error {
	if n > m.left {
		return errBudget
	}
	return nil
}

// countAll counts the elements of a collection and what they hold.
func (m *meter) countAll(elements iter.Seq[any], n *int, depth int) error {
	for e := range elements {
		*n++
		if err := m.affords(*n); err != nil {
			return err
		}
		if err := m.count(e, n, depth+1); err != nil {
			return err
		}
	}
	return m.affords(*n)
}

// reflectCount counts values of types that providers do not return but
// expr-lang makes: []int of a range, map[any][]any of groupBy.
func (m *meter) reflectCount(x any, n *int, depth int) error {
	v := reflect.ValueOf(x)
	if k := v.Kind(); k != reflect.Slice && k != reflect.Array && k != reflect.Map {
		return nil
	}
	if k := v.Type().Elem().Kind(); k != reflect.Interface && k != reflect.Slice && k != reflect.Map && k != reflect.String {
		*n += v.Len()
		return m.affords(*n)
	}
	return m.countAll(func(yield func(any) bool) {
		for _, e := range v.Seq2() {
			if !yield(e.Interface()) {
				return
			}
		}
	}, n, depth)
}
