// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"math"
	"strings"
	"testing"

	"sluice.dev/sluice/internal/condition"
)

func TestAssess(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	value := func(v any) Observation { return Observation{Value: v} }
	nothing := Observation{NoData: "query hits returned nothing"}
	tests := map[string]struct {
		why                     string
		success, failure, abort string
		onNoData                string
		dryRun, argo            bool
		in                      Observation
		want                    Phase
		reason, message         string
	}{
		"none given":                        {why: "rule 3: none given is Successful", in: value(7.0), want: Successful},
		"only success, which holds":         {why: "rule 3", success: "result < 1", in: value(0.5), want: Successful},
		"only success, which does not hold": {why: "rule 3", success: "result < 1", in: value(1.0), want: Failed},
		"only failure, which holds":         {why: "rule 3", failure: "result > 1", in: value(2.0), want: Failed},
		"only failure, which does not hold": {why: "rule 3", failure: "result > 1", in: value(1.0), want: Successful},
		"both hold":                         {why: "rule 3 and acceptance 7: failure wins", success: "result < 9", failure: "result > 1", in: value(2.0), want: Failed},
		"neither holds":                     {why: "rule 3 and acceptance 5: the band", success: "result < 0.01", failure: "result >= 0.05", in: value(0.02), want: Inconclusive, reason: ReasonBand},
		"the floor itself fails":            {why: "rule 3", success: "result < 0.01", failure: "result >= 0.05", in: value(0.05), want: Failed},
		"the limit itself is in the band":   {why: "rule 3", success: "result < 0.01", failure: "result >= 0.05", in: value(0.01), want: Inconclusive, reason: ReasonBand},
		"zero errors":                       {why: "acceptance 4", success: "result < 0.01", failure: "result >= 0.05", in: value(0.0), want: Successful},

		"an abort condition holds":          {why: "rule 2 and 8", success: "result < 9", abort: "result > 1", in: value(2.0), want: Failed, reason: ReasonAbortCondition},
		"an abort condition does not hold":  {why: "rule 2", success: "result < 9", abort: "result > 5", in: value(2.0), want: Successful},
		"an abort condition of a dry run":   {why: "rule 15: D2 does not apply", success: "result < 9", abort: "result > 1", dryRun: true, in: value(2.0), want: Successful},
		"an abort condition on Argo":        {why: "D2 is off", success: "result < 9", abort: "result > 1", argo: true, in: value(2.0), want: Successful},
		"an abort condition asks for nil":   {why: "rule 4: what handles absence decides", success: "result < 1", abort: "result == nil", in: nothing, want: Failed, reason: ReasonAbortCondition},
		"an abort condition without a word": {why: "rule 4: it says nothing about absence", success: "result < 1", abort: "result > 5", in: nothing, want: Inconclusive, reason: ReasonNoData},

		"a condition cannot be evaluated":       {why: "rule 2: a wrong condition is an error", success: "result.a < 1", in: value(3.0), want: Error, reason: ReasonCondition, message: "successCondition: "},
		"the other condition cannot either":     {why: "rule 3: both are always evaluated", success: "result < 5", failure: "result.a < 1", in: value(3.0), want: Error, reason: ReasonCondition, message: "failureCondition: "},
		"an abort condition cannot":             {why: "rule 2", abort: "result.a < 1", in: value(3.0), want: Error, reason: ReasonCondition, message: "abortCondition: "},
		"the provider failed":                   {why: "rule 6", success: "default(result, 0) < 1", in: Observation{Failure: &Failure{Reason: "Unauthorized", Status: 403, Message: "403 from x"}}, want: Error, reason: "Unauthorized", message: "403 from x"},
		"no data":                               {why: "rule 4 and acceptance 10: Inconclusive, naming the query", success: "result < 1", failure: "result > 5", in: nothing, want: Inconclusive, reason: ReasonNoData, message: "query hits returned nothing"},
		"no data with one condition":            {why: "rule 4: never Failed", success: "result < 1", in: nothing, want: Inconclusive, reason: ReasonNoData},
		"no data without conditions":            {why: "rule 4: never Successful", in: nothing, want: Inconclusive, reason: ReasonNoData},
		"nil without a word":                    {why: "rule 4", success: "result < 1", in: value(nil), want: Inconclusive, reason: ReasonNoData, message: "no data"},
		"NaN":                                   {why: "rule 4: NaN from 0/0", success: "result < 1", in: value(nan), want: Inconclusive, reason: ReasonNoData},
		"NaN with only a failure condition":     {why: "rule 4: a comparison with NaN must not pass", failure: "result > 1", in: value(nan), want: Inconclusive, reason: ReasonNoData},
		"an empty vector":                       {why: "rule 4: all([]) is true in expr-lang", success: "all(result, # < 1)", in: value([]float64{}), want: Inconclusive, reason: ReasonNoData},
		"a vector of NaN":                       {why: "rule 4", success: "result[0] < 1", in: value([]float64{nan}), want: Inconclusive, reason: ReasonNoData},
		"a vector with one number":              {why: "rule 4: that is data", success: "any(result, # < 1)", in: value([]float64{nan, 0}), want: Successful},
		"an empty list of JSON":                 {why: "rule 4", success: "all(result, # < 1)", in: value([]any{}), want: Inconclusive, reason: ReasonNoData},
		"an object":                             {why: "rule 3", success: "result.ok", in: value(map[string]any{"ok": true}), want: Successful},
		"infinity is a value":                   {why: "rule 4 names NaN only", failure: "result > 1", in: value(math.Inf(1)), want: Failed},
		"absence is handled and succeeds":       {why: "rule 4: it decides", success: "default(result, 0) < 1", in: nothing, want: Successful},
		"absence is handled and fails":          {why: "rule 4: it decides", success: "default(result, 9) < 1", in: nothing, want: Failed},
		"absence is handled by both":            {why: "rule 4", success: "default(result, 2) < 1", failure: "isNil(result)", in: nothing, want: Failed},
		"absence is handled by one of both":     {why: "rule 4: then it is NoData", success: "default(result, 0) < 1", failure: "result > 5", in: nothing, want: Inconclusive, reason: ReasonNoData},
		"absence is handled by the other":       {why: "rule 4: then it is NoData", success: "result < 1", failure: "isNil(result)", in: nothing, want: Inconclusive, reason: ReasonNoData},
		"absence handled, but in the band":      {why: "rule 4: NoData says more than the band", success: "default(result, 3) < 1", failure: "default(result, 3) > 5", in: nothing, want: Inconclusive, reason: ReasonNoData, message: "query hits"},
		"absence handled, but not evaluable":    {why: "rule 4: never Error", success: "default(result[0], 1) < 1", in: nothing, want: Inconclusive, reason: ReasonNoData},
		"NaN to who asks for NaN":               {why: "rule 4", success: "isNaN(result) || result < 1", in: value(nan), want: Successful},
		"nil to who asks for NaN":               {why: "rule 4: absence in the form that is asked for", success: "!isNaN(result) && result < 1", in: nothing, want: Failed},
		"NaN to who asks for nil":               {why: "rule 4", success: "(result ?? 0) < 1", in: value(nan), want: Successful},
		"an empty vector and len":               {why: "rule 4", success: "len(result) == 0 || result[0] < 1", in: value([]float64{}), want: Successful},
		"onNoData inconclusive":                 {why: "rule 4: the metric overrides", success: "default(result, 0) < 1", onNoData: NoDataInconclusive, in: nothing, want: Inconclusive, reason: ReasonNoData},
		"onNoData success":                      {why: "rule 4", success: "result < 1", onNoData: NoDataSuccess, in: nothing, want: Successful, reason: ReasonNoData},
		"onNoData failure":                      {why: "rule 4", failure: "result > 1", onNoData: NoDataFailure, in: nothing, want: Failed, reason: ReasonNoData},
		"onNoData error":                        {why: "rule 4", success: "result < 1", onNoData: NoDataError, in: nothing, want: Error, reason: ReasonNoData},
		"onNoData does not touch values":        {why: "rule 4", success: "result < 1", onNoData: NoDataFailure, in: value(0.0), want: Successful},
		"no data in a dry run":                  {why: "rule 15: D1 applies", success: "result < 1", dryRun: true, in: nothing, want: Inconclusive, reason: ReasonNoData},
		"Argo: no data is an error":             {why: "D1 is off", success: "result < 1", argo: true, in: nothing, want: Error, reason: ReasonCondition, message: "provider returned no data"},
		"Argo: NaN fails":                       {why: "D1 is off", success: "result < 1", argo: true, in: value(nan), want: Failed},
		"Argo: NaN passes a failure condition":  {why: "D1 is off", failure: "result > 1", argo: true, in: value(nan), want: Successful},
		"Argo: onNoData is ignored":             {why: "D1 is off", success: "default(result, 0) < 1", onNoData: NoDataFailure, argo: true, in: nothing, want: Successful},
		"Argo: an empty vector is all":          {why: "D1 is off", success: "all(result, # < 1)", argo: true, in: value([]float64{}), want: Successful},
		"Argo: default looks at the result":     {why: "D12 is off", success: "default(result.gone, 0) == result", argo: true, in: value(map[string]any{"a": 1.0}), want: Successful},
		"Guide: default looks at what is given": {why: "D12", success: "default(result.gone, 0) == 0", in: value(map[string]any{"a": 1.0}), want: Successful},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := Run{}
			compile := condition.Compile
			if tc.argo {
				run.Semantics, compile = Argo, condition.CompileLegacy
			}
			m := Metric{Name: "m", OnNoData: tc.onNoData, DryRun: tc.dryRun}
			for expression, c := range map[*string]**condition.Condition{&tc.success: &m.Success, &tc.failure: &m.Failure, &tc.abort: &m.Abort} {
				if *expression == "" {
					continue
				}
				var err error
				if *c, err = compile(*expression); err != nil {
					t.Fatal(err)
				}
			}
			got := run.Assess(m, tc.in, start)
			if got.Phase != tc.want || got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) {
				t.Errorf("%s: got %s, %q, %q; want %s, %q, %q", tc.why, got.Phase, got.Reason, got.Message, tc.want, tc.reason, tc.message)
			}
		})
	}
}
