// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/vm/runtime"
)

// The functions here make or search strings. Each pays its meter, the first
// argument, before it works.

// add is a + b for operands that may be strings, whose sum grows.
func add(args ...any) (any, error) {
	m, a, b := args[0].(*meter), args[1], args[2]
	if s, ok := a.(string); ok {
		t, err := text("+", b)
		if err != nil {
			return nil, err
		}
		return s + t, m.spend(len(s) + len(t))
	}
	return runtime.Add(a, b), nil
}

func repeat(args ...any) (any, error) {
	m := args[0].(*meter)
	s, err := text("repeat", args[1])
	if err != nil {
		return nil, err
	}
	n, err := asInt(args[2])
	if err != nil {
		return nil, fmt.Errorf("repeat: %w", err)
	}
	times := n.(int64)
	if times < 0 || times > budget {
		return nil, fmt.Errorf("repeat: %d times is out of range", times)
	}
	if err := m.spendProduct(len(s), int(times)); err != nil {
		return nil, err
	}
	return strings.Repeat(s, int(times)), nil
}

func replace(args ...any) (any, error) {
	m := args[0].(*meter)
	var parts [3]string
	for i := range parts {
		s, err := text("replace", args[i+1])
		if err != nil {
			return nil, err
		}
		parts[i] = s
	}
	if err := m.spendProduct(len(parts[0])+1, len(parts[1])+len(parts[2])+1); err != nil {
		return nil, err
	}
	if len(args) < 5 {
		return strings.ReplaceAll(parts[0], parts[1], parts[2]), nil
	}
	n, err := asInt(args[4])
	if err != nil {
		return nil, fmt.Errorf("replace: %w", err)
	}
	return strings.Replace(parts[0], parts[1], parts[2], int(n.(int64))), nil
}

func join(args ...any) (any, error) {
	m, glue := args[0].(*meter), ""
	if len(args) > 2 {
		s, err := text("join", args[2])
		if err != nil {
			return nil, err
		}
		glue = s
	}
	n, err := m.size(args[1])
	if err != nil {
		return nil, err
	}
	if err := m.spendProduct(n, len(glue)+1); err != nil {
		return nil, err
	}
	v := reflect.ValueOf(args[1])
	if v.Kind() != reflect.Slice {
		return nil, fmt.Errorf("join takes a list of strings, not %T", args[1])
	}
	parts := make([]string, v.Len())
	for i := range parts {
		if parts[i], err = text("join", v.Index(i).Interface()); err != nil {
			return nil, err
		}
	}
	return strings.Join(parts, glue), nil
}

// matches is the operator of that name with a pattern that is not a literal.
func matches(args ...any) (any, error) {
	m := args[0].(*meter)
	if args[1] == nil || args[2] == nil {
		return false, nil
	}
	s, err := text("matches", args[1])
	if err != nil {
		return nil, err
	}
	pattern, err := text("matches", args[2])
	if err != nil {
		return nil, err
	}
	if err := m.spendProduct(len(s)+1, len(pattern)+1); err != nil {
		return nil, err
	}
	return regexp.MatchString(pattern, s)
}

func text(name string, x any) (string, error) {
	if s, ok := x.(string); ok {
		return s, nil
	}
	return "", fmt.Errorf("%s takes strings, not %T", name, x)
}
