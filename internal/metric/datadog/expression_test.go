// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseFormula(t *testing.T) {
	t.Parallel()
	env := map[string]cell{"a": some(6), "b": some(3), "zero": some(0), "silent": {}}
	null := cell{}
	for text, want := range map[string]cell{
		"a / b":                    some(2),
		"a - b - 1":                some(2),
		"a - (b - 1)":              some(4),
		"1 + a * b":                some(19),
		"(1 + a) * b":              some(21),
		"-a + --b":                 some(-3),
		"1.5e1 * 2E-1 + .5":        some(3.5),
		"a / zero":                 null,
		"zero / zero":              null,
		"silent + 1":               null,
		"default_zero(silent) + 1": some(1),
		"default_zero(a / zero)":   some(0),
		"abs(b - a)":               some(3),
		"abs(silent)":              null,
		"\n a\t/ b ":               some(2),
	} {
		n, err := parseFormula(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := n.eval(env)
		if !got.there {
			got.value = 0
		}
		if got.there != want.there || (want.there && got.value != want.value) {
			t.Errorf("%q = %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{
		"", " ", "a /", "/ a", "a b", "(a", "a)", "a ** b", "log(a)", "a, b", "1e", "a / 'x'", "default_zero(a, b)", "\x00", "a\x00",
		strings.Repeat("(", 1e5), strings.Repeat("-", 1e5), "a" + strings.Repeat("+a", 1e5),
	} {
		if n, err := parseFormula(text); err == nil {
			t.Errorf("%.40q: got %v, want an error", text, n)
		}
	}
}

func TestWhatAFormulaNeeds(t *testing.T) {
	t.Parallel()
	n, err := parseFormula("default_zero(e + x) / (h - abs(h)) * h / e")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"e", "h", "x"}, references(n)); diff != "" {
		t.Errorf("references: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"e", "h"}, needed(n)); diff != "" {
		t.Errorf("needed: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"h"}, zeroDivisors(n, map[string]cell{"h": some(2), "e": some(1), "x": some(1)})); diff != "" {
		t.Errorf("zero divisors: -want +got:\n%s", diff)
	}
}

// A formula that is written down from a known value must evaluate to it.
func TestFormulaEvaluatesToWhatItWasMadeFrom(t *testing.T) {
	t.Parallel()
	type made struct {
		text  string
		value float64
	}
	var tree func(depth int) *rapid.Generator[made]
	tree = func(depth int) *rapid.Generator[made] {
		return rapid.Custom(func(t *rapid.T) made {
			if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
				return rapid.SampledFrom([]made{{"a", 6}, {"b", 0.25}, {"2", 2}, {"1.5e-1", 0.15}, {"zero", 0}}).Draw(t, "value")
			}
			l, r := tree(depth-1).Draw(t, "l"), tree(depth-1).Draw(t, "r")
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				return made{"(" + l.text + " + " + r.text + ")", l.value + r.value}
			case 1:
				return made{"(" + l.text + "-" + r.text + ")", l.value - r.value}
			case 2:
				return made{"(" + l.text + ")*(" + r.text + ")", l.value * r.value}
			case 3:
				return made{"-(" + l.text + ")", -l.value}
			case 4:
				return made{"abs(" + l.text + ")", math.Abs(l.value)}
			}
			return made{"((" + l.text + ") / (" + r.text + "))", l.value / r.value}
		})
	}
	env := map[string]cell{"a": some(6), "b": some(0.25), "zero": some(0)}
	rapid.Check(t, func(t *rapid.T) {
		m := tree(4).Draw(t, "formula")
		n, err := parseFormula(m.text)
		if err != nil {
			t.Fatalf("%s: %v", m.text, err)
		}
		got, want := n.eval(env), some(m.value)
		// Once a part is unknown the whole is, where floats may come back from
		// infinity.
		if got.known() && (!want.known() || got.value != want.value) {
			t.Fatalf("%s = %v, want %v", m.text, got, want)
		}
		if !got.known() && want.known() && !strings.Contains(m.text, "/") {
			t.Fatalf("%s has no value, want %v", m.text, want)
		}
	})
}

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sum:x{a:b,\nc:d}.as_count()\n":        "sum:x{a:b,c:d}.as_count()",
		"sum:x{a:b,\r\n   c:d}\n  .as_count()": "sum:x{a:b,c:d}.as_count()",
		"sum:x{a:b}\nby {c}":                   "sum:x{a:b} by {c}",
		"sum:x{\na:b\n}":                       "sum:x{a:b}",
		"  a  /  b  ":                          "a  /  b",
		"a\n/\n\n b":                           "a / b",
		"sum:x{a:b, c:d}":                      "sum:x{a:b, c:d}",
		"default_zero(\n  sum:x{a:b}\n)\n/ 2":  "default_zero(sum:x{a:b}) / 2",
		"sum:x{a:b\n,c:d}":                     "sum:x{a:b,c:d}",
		"sum:x{a:b AND\nc:d}":                  "sum:x{a:b AND c:d}",
		"\n":                                   "",
	} {
		if got := fold(in); got != want {
			t.Errorf("fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSelector(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sum:x.y{s:a,h:b}.as_count()":             "sum:x.y{s:a} by {h}.as_count()",
		"sum:x{s:a, h:b} by {zone}.as_count()":    "sum:x{s:a} by {h}.as_count()",
		"sum:x{h:b}.as_count().rollup(sum, 60)":   "sum:x{*} by {h}.as_count()",
		"sum:x{s:a AND h:b}.as_count()":           "sum:x{s:a} by {h}.as_count()",
		"sum:x{tag,s:we*,h:b}.as_count()":         "sum:x{tag,s:we*} by {h}.as_count()",
		"sum:x{s:a,!h:b}.as_count()":              "",
		"sum:x{s:a OR h:b}.as_count()":            "",
		"sum:x{s:a,h IN (b,c)}.as_count()":        "",
		"sum:x{s:a,h:b}.as_count() / sum:y{*}":    "",
		"default_zero(sum:x{s:a,h:b}.as_count())": "",
		"sum:x{s:$service,h:b}.as_count()":        "",
		"x{h:b}.as_count()":                       "",
	} {
		s, ok := parseSelector(in)
		got := ""
		if ok && s.count {
			got = s.sees("h")
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestCanaryTag(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ absent, present, hash, want string }{
		"the value that is the hash":  {"service:s,track:h1,zone:z", "service:s,zone:z,track:h1", "h1", "track:h1"},
		"a name with hash in it":      {"service:s,zone:z,rollouts_pod_template_hash:x", "service:s,zone:z,rollouts_pod_template_hash:x", "", "rollouts_pod_template_hash:x"},
		"the hash before the name":    {"image_hash:i,track:h1", "image_hash:i,track:h1", "h1", "track:h1"},
		"a version":                   {"service:s,env:prod,version:v2", "version:v2,service:s,env:prod", "", "version:v2"},
		"the only one not a place":    {"service:s,env:prod,track:canary", "service:s,env:prod,track:canary", "", "track:canary"},
		"the only one at all":         {"service:s-canary", "service:s-canary", "", "service:s-canary"},
		"two places":                  {"service:s,env:prod", "service:s,env:prod", "", ""},
		"two that could be":           {"service:s,track:a,zone:z", "service:s,track:a,zone:z", "", ""},
		"other values":                {"service:s,hash:a", "service:s,hash:b", "", ""},
		"a hash that only one names":  {"service:s,hash:a", "service:s", "", ""},
		"a version that only one has": {"service:s,version:2", "service:s", "", ""},
		"a contradiction":             {"service:s,track:a", "service:s,track:b", "", ""},
		"a contradiction elsewhere":   {"hash:a,status:5xx", "hash:a,status:2xx", "", "hash:a"},
		"a narrower absent query":     {"service:s,track:a,status:5xx", "service:s,track:a", "", "track:a"},
		"a wildcard says nothing":     {"hash:a*", "hash:a*", "", ""},
		"nothing in common":           {"a:b", "c:d", "", ""},
	} {
		selectorOf := func(tags string) selector {
			s, ok := parseSelector("sum:x{" + tags + "}.as_count()")
			if !ok {
				t.Fatal(tags)
			}
			return s
		}
		got, ok := canaryTag(selectorOf(tc.absent), selectorOf(tc.present), tc.hash)
		if text := strings.TrimSuffix(fmt.Sprintf("%s:%s", got.key, got.value), ":"); text != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: got %q, want %q", name, text, tc.want)
		}
	}
}

func FuzzFormula(f *testing.F) {
	for _, text := range []string{"errors / hits", "-(a - 1) * 2e3", "default_zero(a) / abs(b)", "((", "1.e+", "a\x00b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseFormula(text)
		if err != nil {
			return
		}
		env := map[string]cell{}
		for _, name := range references(n) {
			env[name] = some(2)
		}
		c := n.eval(env)
		if c.known() && (math.IsNaN(c.value) || math.IsInf(c.value, 0)) {
			t.Errorf("%q = %v, which is not a value", text, c.value)
		}
		zeroDivisors(n, env)
		if !strings.Contains(text, "default_zero") && len(needed(n)) != len(references(n)) {
			t.Errorf("%q needs %v of %v", text, needed(n), references(n))
		}
	})
}

func FuzzDecodeScalar(f *testing.F) {
	for _, text := range []string{
		`{"data":{"attributes":{"columns":[{"name":"a","type":"number","values":[1,null,"NaN"]},{"name":"t","type":"group","values":[["x"],["y","z"],"w"]}]}}}`,
		`{"errors":["x"]}`, `{"data":{"errors":"x"}}`, `{"data":{"attributes":{"columns":[{"type":"number","values":[1e999]}]}}}`, `[]`, `{"data":null}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		table, err := decodeScalar(body)
		if err != nil {
			return
		}
		for _, c := range table.numbers {
			r := reading(table, c.cells)
			switch v := r.Value.(type) {
			case nil:
			case float64:
				finite(t, v)
			case []float64:
				for _, e := range v {
					finite(t, e)
				}
			default:
				t.Errorf("value is a %T", v)
			}
		}
		table.has("t")
	})
}

func FuzzDecodePoints(f *testing.F) {
	for _, text := range []string{
		`{"status":"ok","series":[{"pointlist":[[1,2],[3,null]]}]}`, `{"series":[{"pointlist":[[1]]}]}`, `{"series":[]}`, `{"status":"error"}`,
		`{"series":[{"pointlist":[null]}]}`, `{"series":[{}]}`, `{"series":null}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodePoints(body)
		if err == nil && p.last.known() {
			finite(t, p.last.value)
		}
	})
}

func finite(t *testing.T, v float64) {
	t.Helper()
	if math.IsNaN(v) || math.IsInf(v, 0) {
		t.Errorf("%v is not a value", v)
	}
}
