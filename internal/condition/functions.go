// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
)

// functions returns what an expression may call beside the built-in functions,
// in dialect d, and what the rewriter puts into it.
func functions(d dialect) []expr.Option {
	length := lengthOf
	if d.legacy {
		length = lengthOfValue
	}
	otherwise := orDefault
	if d.legacy {
		otherwise = orDefaultNil
	}
	return []expr.Option{
		expr.Function("asInt", unary("asInt", asInt), new(func(any) int64)),
		expr.Function("asFloat", unary("asFloat", asFloat), new(func(any) float64)),
		expr.Function("isNaN", unary("isNaN", asksNaN), new(func(any) bool)),
		expr.Function("isInf", unary("isInf", asksInf), new(func(any) bool)),
		expr.Function("isNil", unary("isNil", func(x any) (any, error) { return isNil(x), nil }), new(func(any) bool)),
		expr.Function("default", otherwise, new(func(any, any) any)),
		expr.Function(lenName, unary("len", length), new(func(any) int)),
		expr.Function(chargeName, charge),
		expr.Function(squareName, square),
		expr.Function(addName, add, new(func(*meter, any, any) any)),
		expr.Function(repeatName, repeat, new(func(*meter, any, any) string)),
		expr.Function(replaceName, replace, new(func(*meter, any, any, any) string), new(func(*meter, any, any, any, any) string)),
		expr.Function(joinName, join, new(func(*meter, any) string), new(func(*meter, any, any) string)),
		expr.Function(matchesName, matches, new(func(*meter, any, any) bool)),
	}
}

func unary(name string, f func(any) (any, error)) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		if len(args) != 1 {
			return nil, fmt.Errorf("%s takes one argument, not %d", name, len(args))
		}
		return f(args[0])
	}
}

// orDefault returns its second argument when the first is no data: nil, NaN,
// or an empty or nil list or map.
func orDefault(args ...any) (any, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("default takes two arguments, not %d", len(args))
	}
	x := args[0]
	if isNil(x) {
		return args[1], nil
	}
	v := reflect.ValueOf(x)
	empty := (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
	if empty || v.CanFloat() && math.IsNaN(v.Float()) {
		return args[1], nil
	}
	return x, nil
}

// orDefaultNil is default on Argo Rollouts, where only nil is replaced.
func orDefaultNil(args ...any) (any, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("default takes two arguments, not %d", len(args))
	}
	if isNil(args[0]) {
		return args[1], nil
	}
	return args[0], nil
}

// lengthOf is len, with nil being empty: a provider says no data with nil
// where others say it with an empty list.
func lengthOf(x any) (any, error) {
	if x == nil {
		return 0, nil
	}
	return lengthOfValue(x)
}

func lengthOfValue(x any) (any, error) {
	switch v := reflect.ValueOf(x); v.Kind() {
	case reflect.String:
		return len([]rune(v.String())), nil
	case reflect.Slice, reflect.Array, reflect.Map:
		return v.Len(), nil
	default:
		return nil, fmt.Errorf("len takes a list, a map or a string, not %T", x)
	}
}

func asInt(x any) (any, error) {
	switch v := reflect.ValueOf(x); {
	case !v.IsValid():
	case v.CanInt():
		return v.Int(), nil
	case v.CanUint():
		return int64(min(v.Uint(), math.MaxInt64)), nil
	case v.CanFloat():
		f := v.Float()
		if math.IsNaN(f) || f < math.MinInt64 || f >= math.MaxInt64 {
			return nil, fmt.Errorf("asInt: %v is not a whole number that fits", f)
		}
		return int64(f), nil
	case v.Kind() == reflect.String:
		n, err := strconv.ParseInt(strings.TrimSpace(v.String()), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("asInt: %q is not a whole number", v.String())
		}
		return n, nil
	}
	return nil, fmt.Errorf("asInt takes a number or a string, not %T", x)
}

func asFloat(x any) (any, error) {
	switch v := reflect.ValueOf(x); {
	case !v.IsValid():
	case v.CanInt():
		return float64(v.Int()), nil
	case v.CanUint():
		return float64(v.Uint()), nil
	case v.CanFloat():
		return v.Float(), nil
	case v.Kind() == reflect.String:
		f, err := strconv.ParseFloat(strings.TrimSpace(v.String()), 64)
		if err != nil {
			return nil, fmt.Errorf("asFloat: %q is not a number", v.String())
		}
		return f, nil
	}
	return nil, fmt.Errorf("asFloat takes a number or a string, not %T", x)
}

// asksNaN is false for nil, which is absent but not a NaN.
func asksNaN(x any) (any, error) {
	f, number, err := toFloat("isNaN", x)
	return number && math.IsNaN(f), err
}

func asksInf(x any) (any, error) {
	f, number, err := toFloat("isInf", x)
	return number && math.IsInf(f, 0), err
}

func toFloat(name string, x any) (f float64, number bool, err error) {
	switch v := reflect.ValueOf(x); {
	case !v.IsValid():
		return 0, false, nil
	case v.CanFloat():
		return v.Float(), true, nil
	case v.CanInt(), v.CanUint():
		return 0, true, nil // no whole number is NaN or infinite
	default:
		return 0, false, fmt.Errorf("%s takes a number, not %T", name, x)
	}
}
