// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"math"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestEval(t *testing.T) {
	t.Parallel()
	list := []float64{0.2, 0.3}
	object := map[string]any{"ok": true, "items": []any{map[string]any{"n": 1.0}, map[string]any{"n": 3.0}}, "name": "web"}
	tests := map[string]struct {
		expression string
		value      any
		want       bool
		wantErr    string
		legacy     bool
	}{
		"a number is below a limit":                    {expression: "result < 0.01", value: 0.001, want: true},
		"a number is not below a limit":                {expression: "result < 0.01", value: 0.01},
		"whole numbers compare with floats":            {expression: "result >= 400", value: 400.0, want: true},
		"one program serves numbers and lists":         {expression: "len(result) == 2 && result[0] < 0.5", value: list, want: true},
		"a list is searched with a predicate":          {expression: "all(result, # < 0.25)", value: list},
		"any element is enough for any":                {expression: "any(result, {# > 0.25})", value: list, want: true},
		"an object's field is read":                    {expression: "result.ok == true && result.name == 'web'", value: object, want: true},
		"nested predicates work":                       {expression: "all(result.items, any([1, 3], # > 0))", value: object, want: true},
		"fields of elements are summed":                {expression: "sum(map(result.items, .n)) == 4", value: object, want: true},
		"a string is converted":                        {expression: "asFloat(result) < 0.5 && asInt(' 7 ') == 7", value: "0.25", want: true},
		"asInt cuts":                                   {expression: "asInt(result) == 3", value: 3.9, want: true},
		"asInt refuses what is no number":              {expression: "asInt(result) == 3", value: "three", wantErr: `asInt: "three" is not a whole number`},
		"asInt refuses NaN":                            {expression: "asInt(result) == 3", value: math.NaN(), wantErr: "not a whole number that fits"},
		"asInt refuses what does not fit":              {expression: "asInt(result) == 3", value: 1e300, wantErr: "not a whole number that fits"},
		"asFloat refuses a list":                       {expression: "asFloat(result) < 3", value: list, wantErr: "takes a number or a string"},
		"isNaN sees NaN":                               {expression: "isNaN(result)", value: math.NaN(), want: true},
		"isNaN of nil is false":                        {expression: "isNaN(result)", value: nil},
		"isNaN of a string is an error":                {expression: "isNaN(result)", value: "x", wantErr: "isNaN takes a number, not string"},
		"isInf sees both infinities":                   {expression: "isInf(result) && isInf(-result)", value: math.Inf(1), want: true},
		"isNil looks at its argument":                  {expression: "isNil(result.gone) && !isNil(result.ok)", value: object, want: true},
		"isNil of an absent field, as it was":          {expression: "isNil(result.gone)", value: object, legacy: true},
		"default looks at its argument":                {expression: "default(result.gone, 5) == 5", value: object, want: true},
		"default as it was looks at the result":        {expression: "default(result.gone, 5) == result", value: object, legacy: true, want: true},
		"default takes the place of nil":               {expression: "default(result, 0) < 0.01", value: nil, want: true},
		"default as it was takes the place of nil":     {expression: "default(result, 0) < 0.01", value: nil, legacy: true, want: true},
		"default takes the place of NaN":               {expression: "default(result, 0) < 0.01", value: math.NaN(), want: true},
		"default as it was keeps NaN":                  {expression: "default(result, 0) < 0.01", value: math.NaN(), legacy: true},
		"default takes the place of an empty list":     {expression: "default(result, [0.0])[0] == 0", value: []float64{}, want: true},
		"default in a pipe":                            {expression: "(result | default(0)) < 1", value: nil, want: true},
		"the coalescing operator":                      {expression: "(result ?? 0) < 0.01", value: nil, want: true},
		"nil can be asked for":                         {expression: "result == nil || result < 1", value: nil, want: true},
		"len of nil is zero":                           {expression: "len(result) == 0", value: nil, want: true},
		"len of nil, as it was, is an error":           {expression: "len(result) == 0", value: nil, legacy: true, wantErr: "the result is nil"},
		"len of a number is an error":                  {expression: "len(result) == 0", value: 1.0, wantErr: "len takes a list, a map or a string, not float64"},
		"nil is no number":                             {expression: "result < 0.01", value: nil, wantErr: "the result is nil, the provider returned no data"},
		"an index outside of the list is an error":     {expression: "result[4] < 1", value: list, wantErr: "index out of range"},
		"a string is no number":                        {expression: "result < 1", value: "high", wantErr: "invalid operation"},
		"a comparison with NaN is false":               {expression: "result < 1 || result >= 1", value: math.NaN()},
		"now is the time of the measurement":           {expression: "now() == date('2026-03-01T12:00:00Z')", value: 1.0, want: true},
		"now can be reckoned with":                     {expression: "now().Hour() == 12 && now() - duration('1h') < now()", value: 1.0, want: true},
		"strings are joined and compared":              {expression: "result.name + '-1' == 'web-1'", value: object, want: true},
		"numbers of unknown type are added":            {expression: "result[0] + result[1] == 0.5", value: list, want: true},
		"a string and a number cannot be added":        {expression: "result.name + result.ok == 'x'", value: object, wantErr: "takes strings"},
		"strings are built":                            {expression: "repeat('a', 3) == 'aaa' && replace('aba', 'a', 'c') == 'cbc' && join(['x','y'], '-') == 'x-y'", value: 0.0, want: true},
		"a literal pattern matches":                    {expression: "result matches '^5[0-9]+$'", value: "503", want: true},
		"a pattern from the result matches":            {expression: "'503' matches result", value: "^5", want: true},
		"in looks at lists and keys":                   {expression: "'ok' in result && !('x' in ['a', 'b'])", value: object, want: true},
		"uniq, sort and median":                        {expression: "len(uniq(result)) == 2 && sort(result)[0] == 0.2 && median(result) == 0.25", value: list, want: true},
		"values of two fields compare deeply":          {expression: "result.items == result.items", value: object, want: true},
		"variables":                                    {expression: "let r = result * 100; r > 1 && r < 3", value: 0.02, want: true},
		"a slice of a list":                            {expression: "sum(result[1:]) == 0.3", value: list, want: true},
		"what is no bool is an error":                  {expression: "result", value: 1.0, wantErr: "it gives a float64, not true or false"},
		"a bool result is enough":                      {expression: "result", value: true, want: true},
		"a large list in a predicate runs out of work": {expression: "let r = 1..3000; all(r, all(r, # >= 0))", value: 1.0, wantErr: "takes too long"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compile := Compile
			if tc.legacy {
				compile = CompileLegacy
			}
			c, err := compile(tc.expression)
			var got bool
			if err == nil {
				got, err = c.Eval(tc.value, noon)
			}
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error is %v, want one that says %q", err, tc.wantErr)
				}
				if !strings.Contains(err.Error(), "condition ") || strings.Contains(err.Error(), "__") || strings.Contains(err.Error(), "\n") && !strings.Contains(err.Error(), "compile") {
					t.Errorf("error is not fit for a person: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("%s on %v is %v, want %v", tc.expression, tc.value, got, tc.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ expression, want string }{
		"nothing":                {" ", "the condition is empty"},
		"an argument left over":  {"result < {{args.limit}}", "still holds an argument"},
		"a syntax error":         {"result <", "unexpected token"},
		"an unknown name":        {"rezult < 1", "unknown name rezult"},
		"what is never a bool":   {"1 + 2", "expected bool"},
		"a reserved name":        {"__now == nil", "the name __now is reserved"},
		"a reserved variable":    {"let __x = 1; __x == 1", "the name __x is reserved"},
		"a reserved function":    {"__charge(1, 2, 3)", "the name __charge is reserved"},
		"an argument of now":     {"now(1) == nil", "now takes no argument"},
		"too long a text":        {"result < " + strings.Repeat("1", MaxLength), "at most"},
		"too many nodes":         {"result" + strings.Repeat("+1", 3000) + " > 0", "exceeds maximum allowed nodes"},
		"predicates too deep":    {"all(result, all(#, all(#, all(#, true))))", "nested 4 deep"},
		"a pattern out of order": {"result matches '('", "missing closing )"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(tc.expression)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Compile: %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

func TestHandlesAbsence(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"result < 0.01":                           false,
		"all(result, # < 1)":                      false,
		"isInf(result)":                           false,
		"isNil(result) || result < 1":             true,
		"default(result, 0) < 1":                  true,
		"(result | default(0)) < 1":               true,
		"len(result) == 0":                        true,
		"isNaN(result) || result < 1":             true,
		"isNaN(result[0]) || result[0] < 1":       true,
		"(result ?? 0) < 1":                       true,
		"(result.errors ?? 0) < 1":                true,
		"result == nil || result < 1":             true,
		"result != nil && result < 1":             true,
		"nil != result && result < 1":             true,
		"1 == nil || result < 1":                  false,
		"len('abc') == 3 && result < 1":           false,
		"(1 ?? 0) < result":                       false,
		"isNil(1) || result < 1":                  false,
		"all(result, # != nil) && result[0] < 1":  false,
		"let r = result; r < 1":                   false,
		"result < 1 ? true : default(result,0)<1": true,
	}
	for expression, want := range tests {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			c, err := Compile(expression)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.HandlesAbsence(); got != want {
				t.Errorf("HandlesAbsence of %s is %v, want %v", expression, got, want)
			}
		})
	}
}

func TestEvalAbsentShowsTheFormThatIsAskedFor(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	tests := map[string]struct {
		expression string
		value      any
		want       bool
		wantErr    bool
	}{
		"nil to who asks for nil":           {expression: "isNil(result)", value: nil, want: true},
		"nil for NaN to who asks for nil":   {expression: "(result ?? 0) < 1", value: nan, want: true},
		"NaN for nil to who asks for NaN":   {expression: "isNaN(result) || result < 1", value: nil, want: true},
		"NaN stays to who asks for NaN":     {expression: "isNaN(result)", value: nan, want: true},
		"a list of NaN stays":               {expression: "isNaN(result[0])", value: []float64{nan}, want: true},
		"a list of NaN is empty":            {expression: "len(result) == 0", value: []float64{nan}, want: true},
		"nil stays to who asks for both":    {expression: "isNil(result) || isNaN(result)", value: nil, want: true},
		"NaN stays to who asks for both":    {expression: "!isNil(result) && isNaN(result)", value: nan, want: true},
		"what cannot be evaluated says so":  {expression: "default(result[0], 1) < 2", value: nil, wantErr: true},
		"who asks for nothing gets nil too": {expression: "result < 1", value: nan, wantErr: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Compile(tc.expression)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.EvalAbsent(tc.value, noon)
			if (err != nil) != tc.wantErr || got != tc.want {
				t.Errorf("%s on %v is %v, %v", tc.expression, tc.value, got, err)
			}
		})
	}
}

// runaways are expressions that would run for hours or fill the memory.
var runaways = []string{
	"reduce(1..60, #acc + #acc, 'x') == ''",
	"let a = 'xxxxxxxxxxxxxxxx' + 'x';" + doubling(40) + "a40 == ''",
	"all(1..900, all(1..900, all(1..900, true)))",
	"let r = 1..900; all(r, all(r, all(r, # > 0)))",
	"let s = repeat('x', 900000); len(replace(s, '', s)) > 0",
	"len(repeat(repeat('x', 900000), 900000)) > 0",
	"len(1..100000000) > 0",
	"len(uniq(1..900000)) > 0",
	"let r = map(1..2000, string(#)); all(r, join(r, 'xxxxxxxxxxxxxxxxxxxxxxxx') != '')",
	"let s = repeat('a', 100000) ; s matches repeat('a?', 100000)",
	"reduce(1..40, concat(#acc, #acc), [1]) == []",
	"let a = [result, result];" + pairing(40) + "a40 == a39",
	"let a = [result, result];" + pairing(40) + "toJSON(a40) == ''",
	"let a = [result, result];" + pairing(40) + "len(flatten(a40)) == 1",
	"let r = 1..100000; any(1..1000, 200000 in r)",
	"let r = 1..100000; all(1..1000, r == 1..100000)",
	"all(1..1000, toJSON(1..1000) != '')",
}

func doubling(n int) string { return chain(n, "+") }
func pairing(n int) string  { return chain(n, ",") }

func chain(n int, op string) string {
	var b strings.Builder
	name := "a"
	for i := 1; i <= n; i++ {
		next := "a" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		if i < 10 {
			next = "a" + string(rune('0'+i))
		}
		if op == "+" {
			b.WriteString("let " + next + " = " + name + " + " + name + ";")
		} else {
			b.WriteString("let " + next + " = [" + name + "," + name + "];")
		}
		name = next
	}
	return b.String()
}

func TestNothingRunsAway(t *testing.T) {
	t.Parallel()
	for _, expression := range runaways {
		c, err := Compile(expression)
		if err != nil {
			t.Logf("refused: %v", err)
			continue
		}
		if _, err := c.Eval(1.0, noon); err == nil {
			t.Errorf("%s was evaluated to its end", expression)
		}
	}
}

func TestADeepValueIsRefused(t *testing.T) {
	t.Parallel()
	var v any = 1.0
	for range 2 * maxDepth {
		v = []any{v}
	}
	c, err := Compile("toJSON(result) != ''")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Eval(v, noon); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("Eval: %v, want nested deeper", err)
	}
}
