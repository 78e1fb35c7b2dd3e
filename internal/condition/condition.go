// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package condition compiles and evaluates the expressions that judge one
// reading: successCondition, failureCondition and abortCondition. They are
// expr-lang, because the manifests that exist are. It says whether an
// expression holds; what follows from that is the business of package
// analysis. It replaces no arguments: an expression that still holds "{{" is a
// mistake of its caller and does not compile.
package condition

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

const (
	// MaxLength is the longest expression that compiles, in bytes.
	MaxLength = 8 << 10
	// MaxNesting is how deep predicates may stand inside one another:
	// all(result, any(#.parts, # > 0)) is two.
	MaxNesting = 3

	maxNodes = 2_000
)

// A Condition is a compiled expression. It keeps nothing between evaluations
// and is safe for concurrent use.
type Condition struct {
	source  string
	program *vm.Program
	seen    traits
}

// A dialect says how the functions of the environment behave.
type dialect struct {
	// legacy makes isNil, default and len what they are on Argo Rollouts.
	legacy bool
}

// Compile compiles expression. Its environment is `result`, which may be any
// value, the functions asInt, asFloat, isNaN, isInf, isNil and default, and
// the built-in functions of expr-lang, with now() being the time of the
// measurement.
//
// isNil(x) and default(x, y) look at x. On Argo Rollouts they look at the whole
// result whatever x is; [CompileLegacy] keeps that.
func Compile(expression string) (*Condition, error) {
	return compile(expression, dialect{})
}

// CompileLegacy is [Compile] with the functions as they are on Argo Rollouts:
// isNil(x) and default(x, y) ignore x and look at result, and len(nil) is an
// error.
func CompileLegacy(expression string) (*Condition, error) {
	return compile(expression, dialect{legacy: true})
}

func compile(expression string, d dialect) (c *Condition, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, fmt.Errorf("condition %s cannot be compiled: %v", quote(expression), r)
		}
	}()
	switch {
	case strings.TrimSpace(expression) == "":
		return nil, errors.New("the condition is empty: write an expression such as `result < 0.01`")
	case len(expression) > MaxLength:
		return nil, fmt.Errorf("the condition is %d bytes long; at most %d are allowed", len(expression), MaxLength)
	case strings.Contains(expression, "{{"):
		return nil, fmt.Errorf("condition %s still holds an argument in braces: pass the argument to the run", quote(expression))
	}
	w := &rewriter{dialect: d}
	options := append(functions(d),
		expr.Env(types.Map{"result": types.Any, nowName: types.TypeOf(time.Time{}), meterName: types.TypeOf(&meter{})}),
		expr.AsBool(),
		expr.Optimize(false), // it would build literal ranges of any size while compiling
		expr.MaxNodes(maxNodes),
		expr.Patch(w),
	)
	program, err := expr.Compile(expression, options...)
	if w.err != nil {
		err = w.err // said about what was written, not about what it was rewritten to
	}
	if err != nil {
		return nil, fmt.Errorf("condition %s does not compile: %w", quote(expression), err)
	}
	return &Condition{source: expression, program: program, seen: w.traits}, nil
}

// String returns the expression as it was written.
func (c *Condition) String() string { return c.source }

// HandlesAbsence reports whether the expression says itself what no data
// means: it asks isNil, isNaN, len or default of result, or uses ??, == nil or
// != nil on it. It is decided by syntax, so that it can be known beforehand.
func (c *Condition) HandlesAbsence() bool { return c.seen.asksNil || c.seen.asksNaN }

// Eval evaluates the expression on value, a float64, []float64, string, bool,
// nil or any JSON value, at the time now. An error names the expression and
// what is wrong; no value makes Eval panic or run for long.
func (c *Condition) Eval(value any, now time.Time) (holds bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			holds, err = false, c.errorf("%v", r)
		}
	}()
	out, err := expr.Run(c.program, map[string]any{
		"result":  value,
		nowName:   now,
		meterName: &meter{left: budget},
	})
	if err != nil {
		return false, c.errorf("%s", describe(err, value))
	}
	holds, ok := out.(bool)
	if !ok {
		return false, c.errorf("it gives %v (%T), not true or false", out, out)
	}
	return holds, nil
}

// EvalAbsent evaluates the expression on a reading that holds no data. The
// absence is shown in the form that the expression asks for: as NaN where it
// only asks isNaN, else as nil. value is what the provider gave, which is kept
// where it is a NaN or a list of them and the expression asks isNaN.
func (c *Condition) EvalAbsent(value any, now time.Time) (bool, error) {
	switch {
	case !c.seen.asksNaN:
		value = nil
	case !c.seen.asksNil && value == nil:
		value = math.NaN()
	}
	return c.Eval(value, now)
}

func (c *Condition) errorf(format string, args ...any) error {
	return fmt.Errorf("condition %s cannot be evaluated: %s", quote(c.source), fmt.Sprintf(format, args...))
}

// describe returns the first line of err: the rest is a drawing of the
// rewritten expression. It names the usual cause where value is nil.
func describe(err error, value any) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if i := strings.LastIndex(text, " ("); i > 0 && strings.HasSuffix(text, ")") && isPosition(text[i+2:len(text)-1]) {
		text = text[:i]
	}
	if kind, ok := strings.CutPrefix(text, "invalid operation: bool("); ok {
		return "it gives a " + strings.TrimSuffix(kind, ")") + ", not true or false"
	}
	if isNil(value) {
		return text + ": the result is nil, the provider returned no data"
	}
	return text
}

func isPosition(s string) bool {
	return s != "" && strings.Trim(s, "0123456789:") == ""
}

// isNil reports whether v is nil, or a nil pointer, slice or map.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return r.IsNil()
	default:
		return false
	}
}

// quote returns s in quotation marks, short enough for a message.
func quote(s string) string {
	const longest = 200
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
