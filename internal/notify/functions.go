// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"
)

// functions are those of sprig that make sense in a message: no environment, no
// files, no network, no random numbers and no keys.
var functions = template.FuncMap{
	"default": orDefault, "empty": empty, "coalesce": coalesce, "fail": func(s string) (string, error) { return "", errors.New(s) },
	"ternary": func(yes, no any, which bool) any {
		if which {
			return yes
		}
		return no
	},
	"trim": strings.TrimSpace, "upper": strings.ToUpper, "lower": strings.ToLower, "title": title,
	"trimAll":    func(cut, s string) string { return strings.Trim(s, cut) },
	"trimPrefix": func(p, s string) string { return strings.TrimPrefix(s, p) },
	"trimSuffix": func(p, s string) string { return strings.TrimSuffix(s, p) },
	"replace":    func(old, new, s string) string { return strings.ReplaceAll(s, old, new) },
	"contains":   func(part, s string) bool { return strings.Contains(s, part) },
	"hasPrefix":  func(p, s string) bool { return strings.HasPrefix(s, p) },
	"hasSuffix":  func(p, s string) bool { return strings.HasSuffix(s, p) },
	"quote":      func(v any) string { return strconv.Quote(toString(v)) },
	"squote":     func(v any) string { return "'" + toString(v) + "'" },
	"trunc":      trunc, "substr": substr, "indent": indent, "nindent": func(n int, s string) string { return "\n" + indent(n, s) },
	"join": join, "splitList": func(sep, s string) []string { return strings.Split(s, sep) },
	"toString": toString, "toJson": toJSON, "toRawJson": toJSON, "toPrettyJson": toPrettyJSON, "fromJson": fromJSON,
	"b64enc":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"b64dec":    b64dec,
	"sha256sum": func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) },
	"int":       func(v any) int { return int(number(v)) }, "int64": func(v any) int64 { return int64(number(v)) }, "float64": number,
	"add": sum, "sub": func(a, b any) int64 { return int64(number(a)) - int64(number(b)) },
	"mul": func(a, b any) int64 { return int64(number(a)) * int64(number(b)) },
	"div": divide, "mod": modulo,
	"max":   func(a, b any) int64 { return max(int64(number(a)), int64(number(b))) },
	"min":   func(a, b any) int64 { return min(int64(number(a)), int64(number(b))) },
	"floor": func(v any) float64 { return math.Floor(number(v)) }, "ceil": func(v any) float64 { return math.Ceil(number(v)) }, "round": round,
	"list": func(v ...any) []any { return v }, "dict": dict, "get": func(m map[string]any, k string) any { return m[k] },
	"hasKey": func(m map[string]any, k string) bool { _, ok := m[k]; return ok },
	"keys":   func(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) },
	"first":  first, "last": lastOf, "has": func(x any, list []any) bool {
		return slices.ContainsFunc(list, func(y any) bool { return reflect.DeepEqual(x, y) })
	},
	loopGuard: countable,
	"date":    date, "toDate": func(layout, s string) (time.Time, error) { return time.Parse(layout, s) },
	"regexMatch":      func(re, s string) (bool, error) { return regexp.MatchString(re, s) },
	"regexFind":       regexFind,
	"regexReplaceAll": regexReplaceAll,
}

func empty(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array, reflect.String:
		return r.Len() == 0
	default:
		return r.IsZero()
	}
}

func orDefault(def any, given ...any) any {
	if len(given) == 0 || empty(given[0]) {
		return def
	}
	return given[0]
}

func coalesce(v ...any) any {
	i := slices.IndexFunc(v, func(x any) bool { return !empty(x) })
	if i < 0 {
		return nil
	}
	return v[i]
}

func title(s string) string {
	prev := ' '
	return strings.Map(func(r rune) rune {
		was := prev
		prev = r
		if unicode.IsSpace(was) {
			return unicode.ToUpper(r)
		}
		return r
	}, s)
}

func toString(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func trunc(n int, s string) string {
	r := []rune(s)
	switch {
	case n >= 0 && n < len(r):
		return string(r[:n])
	case n < 0 && -n < len(r):
		return string(r[len(r)+n:])
	}
	return s
}

func substr(from, to int, s string) string {
	r := []rune(s)
	if to < 0 || to > len(r) {
		to = len(r)
	}
	return string(r[min(max(from, 0), to):to])
}

func indent(n int, s string) string {
	pad := strings.Repeat(" ", min(max(n, 0), 100))
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad)
}

func join(sep string, v any) string {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Slice && r.Kind() != reflect.Array {
		return toString(v)
	}
	var out []string
	for i := range r.Len() {
		out = append(out, toString(r.Index(i).Interface()))
	}
	return strings.Join(out, sep)
}

func toJSON(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func toPrettyJSON(v any) (string, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return string(data), err
}

func fromJSON(s string) (v any, err error) {
	err = json.Unmarshal([]byte(s), &v)
	return v, err
}

func b64dec(s string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(s)
	return string(data), err
}

// number is what v is as a number; 0 if it is none.
func number(v any) float64 {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
	case r.CanInt():
		return float64(r.Int())
	case r.CanUint():
		return float64(r.Uint())
	case r.CanFloat():
		return r.Float()
	case r.Kind() == reflect.String:
		f, err := strconv.ParseFloat(strings.TrimSpace(r.String()), 64)
		if err == nil {
			return f
		}
	}
	return 0
}

func sum(v ...any) int64 {
	var n int64
	for _, x := range v {
		n += int64(number(x))
	}
	return n
}

func divide(a, b any) (int64, error) {
	if int64(number(b)) == 0 {
		return 0, errors.New("division by zero")
	}
	return int64(number(a)) / int64(number(b)), nil
}

func modulo(a, b any) (int64, error) {
	if int64(number(b)) == 0 {
		return 0, errors.New("division by zero")
	}
	return int64(number(a)) % int64(number(b)), nil
}

func round(v any, places int) float64 {
	scale := math.Pow10(min(max(places, 0), 15))
	return math.Round(number(v)*scale) / scale
}

func dict(pairs ...any) map[string]any {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		out[toString(pairs[i])] = pairs[i+1]
	}
	return out
}

func first(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func lastOf(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}

// date prints a time, or a text in RFC 3339, in UTC.
func date(layout string, v any) (string, error) {
	switch t := v.(type) {
	case time.Time:
		return t.UTC().Format(layout), nil
	case string:
		at, err := time.Parse(time.RFC3339, t)
		return at.UTC().Format(layout), err
	}
	return "", fmt.Errorf("date: %v is no time", v)
}

func regexFind(re, s string) (string, error) {
	r, err := regexp.Compile(re)
	if err != nil {
		return "", err
	}
	return r.FindString(s), nil
}

func regexReplaceAll(re, s, with string) (string, error) {
	r, err := regexp.Compile(re)
	if err != nil {
		return "", err
	}
	return r.ReplaceAllString(s, with), nil
}
