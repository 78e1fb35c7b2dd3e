// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package expressions

import (
	"strings"
	"testing"
)

const page = `# TYPE passes_total counter
passes_total{controller="a",result="ok"} 1
# TYPE time_seconds histogram
time_seconds_bucket{controller="a",le="+Inf"} 1
time_seconds_sum{controller="a"} 1
time_seconds_count{controller="a"} 1
`

func TestCheck(t *testing.T) {
	t.Parallel()
	x, err := Read(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]string{
		`sum by (controller) (rate(passes_total{job="j",result=~"ok"}[5m]))`:                 "",
		`histogram_quantile(0.9, sum by (le) (rate(time_seconds_bucket[$__rate_interval])))`: "",
		`sum(time_seconds_sum) / sum(time_seconds_count)`:                                    "",
		`rate(pases_total[5m])`:         "no metric pases_total",
		`rate(time_seconds[5m])`:        "no metric time_seconds",
		`passes_total{phase="x"}`:       "no label phase",
		`sum by (phase) (passes_total)`: "nothing has the label phase",
		`sum(passes_total`:              "unclosed left parenthesis",
		`sum by (controller) (passes_total) / on (controller) up{job="j"}`: "no metric up",
	} {
		err := x.Check(expression)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", expression, err, want)
		}
	}
}
