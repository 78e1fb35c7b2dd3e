// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzCondition checks that no expression and no value panics, hangs, or gives
// two answers. A watchdog, not a measured time, says that it hangs.
func FuzzCondition(f *testing.F) {
	for _, e := range append([]string{
		"result < 0.01", "all(result, # < 1)", "default(result, 0) > 3 || isNaN(result)",
		"let x = result; x ?? 1 > 0", "result matches 'a+' && now() != nil", "sum(map(result, .n)) == 4",
		"sortBy(result, -#)[0] > 1", "groupBy(result, #)[1] != nil", "reduce(result, #acc + #, 0) > 1",
	}, runaways...) {
		f.Add(e, "1")
		f.Add(e, "[1,2,null]")
		f.Add(e, `{"a":[{"b":"c"}],"n":3}`)
		f.Add(e, "null")
	}
	f.Fuzz(func(t *testing.T, expression, value string) {
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			v = value
		}
		watchdog := time.AfterFunc(20*time.Second, func() { panic("condition hangs: " + expression) })
		defer watchdog.Stop()
		c, err := Compile(expression)
		if err != nil {
			return
		}
		first, err1 := c.Eval(v, noon)
		second, err2 := c.Eval(v, noon)
		if first != second && err1 == nil && err2 == nil {
			t.Errorf("%q on %s is both %v and %v", expression, value, first, second)
		}
	})
}
