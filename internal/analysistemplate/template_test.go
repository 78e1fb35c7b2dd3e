// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysistemplate

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysis"
)

func ref(name string) v1alpha1.AnalysisTemplateRef {
	return v1alpha1.AnalysisTemplateRef{TemplateName: name}
}

func metrics(names ...string) []v1alpha1.Metric {
	out := make([]v1alpha1.Metric, len(names))
	for i, n := range names {
		out[i].Name = n
	}
	return out
}

func TestFlatten(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.AnalysisTemplateSpec
	arg := func(name string, value *string) v1alpha1.Argument { return v1alpha1.Argument{Name: name, Value: value} }
	tests := map[string]struct {
		refs      []v1alpha1.AnalysisTemplateRef
		templates map[v1alpha1.AnalysisTemplateRef]spec
		want      *spec
		wantErr   string
	}{
		"two become one": {
			refs: []v1alpha1.AnalysisTemplateRef{ref("a"), ref("b")},
			templates: map[v1alpha1.AnalysisTemplateRef]spec{
				ref("a"): {Metrics: metrics("x"), Args: []v1alpha1.Argument{arg("one", nil)}, DryRun: []v1alpha1.DryRun{{MetricName: "x"}}},
				ref("b"): {Metrics: metrics("y"), Args: []v1alpha1.Argument{arg("two", new("2"))}, MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "y", Limit: 3}}},
			},
			want: &spec{
				Metrics: metrics("x", "y"), Args: []v1alpha1.Argument{arg("one", nil), arg("two", new("2"))},
				DryRun: []v1alpha1.DryRun{{MetricName: "x"}}, MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "y", Limit: 3}},
			},
		},
		"a template named twice counts once, circles too": {
			refs: []v1alpha1.AnalysisTemplateRef{ref("a"), ref("a")},
			templates: map[v1alpha1.AnalysisTemplateRef]spec{
				ref("a"): {Metrics: metrics("x"), Templates: []v1alpha1.AnalysisTemplateRef{ref("b")}},
				ref("b"): {Metrics: metrics("y"), Templates: []v1alpha1.AnalysisTemplateRef{ref("a"), ref("b")}},
			},
			want: &spec{Metrics: metrics("x", "y")},
		},
		"one name in two scopes is two templates": {
			refs: []v1alpha1.AnalysisTemplateRef{ref("a"), {TemplateName: "a", ClusterScope: true}},
			templates: map[v1alpha1.AnalysisTemplateRef]spec{
				ref("a"):                                {Metrics: metrics("x")},
				{TemplateName: "a", ClusterScope: true}: {Metrics: metrics("y")},
			},
			want: &spec{Metrics: metrics("x", "y")},
		},
		"a default wins over none": {
			refs: []v1alpha1.AnalysisTemplateRef{ref("a"), ref("b")},
			templates: map[v1alpha1.AnalysisTemplateRef]spec{
				ref("a"): {Args: []v1alpha1.Argument{arg("one", nil)}}, ref("b"): {Args: []v1alpha1.Argument{arg("one", new("1"))}},
			},
			want: &spec{Args: []v1alpha1.Argument{arg("one", new("1"))}},
		},
		"none after a default keeps it": {
			refs: []v1alpha1.AnalysisTemplateRef{ref("b"), ref("a")},
			templates: map[v1alpha1.AnalysisTemplateRef]spec{
				ref("a"): {Args: []v1alpha1.Argument{arg("one", nil)}}, ref("b"): {Args: []v1alpha1.Argument{arg("one", new("1"))}},
			},
			want: &spec{Args: []v1alpha1.Argument{arg("one", new("1"))}},
		},
		"defaults that differ": {
			refs: []v1alpha1.AnalysisTemplateRef{ref("a"), ref("b")},
			templates: map[v1alpha1.AnalysisTemplateRef]spec{
				ref("a"): {Args: []v1alpha1.Argument{arg("one", new("1"))}}, ref("b"): {Args: []v1alpha1.Argument{arg("one", new("2"))}},
			},
			wantErr: `argument "one" has different defaults in AnalysisTemplate "a" and in AnalysisTemplate "b"`,
		},
		"a metric in two templates": {
			refs: []v1alpha1.AnalysisTemplateRef{ref("a"), {TemplateName: "b", ClusterScope: true}},
			templates: map[v1alpha1.AnalysisTemplateRef]spec{
				ref("a"): {Metrics: metrics("x")}, {TemplateName: "b", ClusterScope: true}: {Metrics: metrics("x")},
			},
			wantErr: `metric "x" is in AnalysisTemplate "a" and in ClusterAnalysisTemplate "b"`,
		},
		"a template that is not there": {refs: []v1alpha1.AnalysisTemplateRef{ref("a")}, wantErr: "no a"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Flatten(tc.refs, func(r v1alpha1.AnalysisTemplateRef) (*spec, error) {
				s, ok := tc.templates[r]
				if !ok {
					return nil, errors.New("no " + r.TemplateName)
				}
				return &s, nil
			})
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error is %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	secret := &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}
	declared := []v1alpha1.Argument{{Name: "passed"}, {Name: "default", Value: new("d")}, {Name: "secret", ValueFrom: secret}, {Name: "overridden", ValueFrom: secret}}
	got, err := Fill(declared, map[string]string{"passed": "p", "undeclared": "u", "overridden": ""})
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.Argument{{Name: "passed", Value: new("p")}, {Name: "default", Value: new("d")}, {Name: "secret", ValueFrom: secret}, {Name: "overridden", Value: new("")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Fill(declared, nil); err == nil || !strings.Contains(err.Error(), `argument "passed" has no value`) {
		t.Errorf("error is %v, want one that names the argument", err)
	}
}

func resolve(t testing.TB, values map[string]string, secrets map[string]string) Values {
	t.Helper()
	var args []v1alpha1.Argument
	for name, value := range values {
		args = append(args, v1alpha1.Argument{Name: name, Value: &value})
	}
	for name := range secrets {
		args = append(args, v1alpha1.Argument{Name: name, ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: name}}})
	}
	v, err := Resolve(args, func(r v1alpha1.SecretKeyRef) (string, error) { return secrets[r.Key], nil })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSubstitute(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in, want v1alpha1.Metric
		wantErr  string
	}{
		"everywhere": {
			in: v1alpha1.Metric{
				Name: "m", Interval: "{{args.every}}", Count: new(intstr.FromString("{{args.n}}")), SuccessCondition: "result < {{ args.limit }}",
				Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{Queries: map[string]string{"{{args.limit}}q": "sum:x{a:{{args.tag}},b:{{args.tag}}}"}}},
			},
			want: v1alpha1.Metric{
				Name: "m", Interval: "30s", Count: new(intstr.FromString("5")), SuccessCondition: "result < 0.01",
				Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{Queries: map[string]string{"0.01q": "sum:x{a:it's \"quoted\"\\,b:it's \"quoted\"\\}"}}},
			},
		},
		"nothing to do":        {in: v1alpha1.Metric{Name: "m", FailureLimit: new(intstr.FromInt32(3))}, want: v1alpha1.Metric{Name: "m", FailureLimit: new(intstr.FromInt32(3))}},
		"numbers stay numbers": {in: v1alpha1.Metric{Name: "{{args.n}}", FailureLimit: new(intstr.FromInt32(3))}, want: v1alpha1.Metric{Name: "5", FailureLimit: new(intstr.FromInt32(3))}},
		"large numbers too": {
			in:   v1alpha1.Metric{Name: "{{args.n}}", Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Timeout: new(int64(9007199254740993))}}},
			want: v1alpha1.Metric{Name: "5", Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Timeout: new(int64(9007199254740993))}}},
		},
		"a value in braces stays":  {in: v1alpha1.Metric{Name: "{{args.braces}}"}, want: v1alpha1.Metric{Name: "{{args.n}}"}},
		"an open brace stays":      {in: v1alpha1.Metric{Name: "a {{args.n"}, want: v1alpha1.Metric{Name: "a {{args.n"}},
		"an unknown argument":      {in: v1alpha1.Metric{Name: "m", SuccessCondition: "{{args.gone}} < {{args.gone}}"}, wantErr: `metric "m" uses {{args.gone}}, which`},
		"something else in braces": {in: v1alpha1.Metric{Name: "m", SuccessCondition: "{{inputs.x}} < {{args.gone}}"}, wantErr: "uses {{args.gone}}, {{inputs.x}}"},
	}
	v := resolve(t, map[string]string{"every": "30s", "n": "5", "limit": "0.01", "tag": "it's \"quoted\"\\", "braces": "{{args.n}}"}, nil)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v.Substitute(tc.in)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error is %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever a value holds, it comes out as it went in.
func TestSubstitutionIsSafe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.String().Draw(rt, "value")
		in := v1alpha1.Metric{Name: "m", SuccessCondition: "<{{args.x}}>"}
		got, err := resolve(t, map[string]string{"x": value}, nil).Substitute(in)
		if err != nil {
			rt.Fatal(err)
		}
		data, err := json.Marshal("<" + value + ">")
		if err != nil {
			rt.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(data, &want); err != nil { // what is no UTF-8 cannot survive
			rt.Fatal(err)
		}
		if got.SuccessCondition != want || got.Name != "m" {
			rt.Fatalf("got %q, want %q", got.SuccessCondition, want)
		}
	})
}

func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	v := resolve(t, map[string]string{"plain": "visible"}, map[string]string{"key": "s3cr\"t+/ \n", "longer": "s3cr\"t+/ and more"})
	m, err := v.Substitute(v1alpha1.Metric{Name: "m", SuccessCondition: "{{args.plain}} {{args.key}}"})
	if err != nil {
		t.Fatal(err)
	}
	if m.SuccessCondition != "visible s3cr\"t+/ \n" {
		t.Errorf("the secret is not filled in: %q", m.SuccessCondition)
	}
	quoted, err := json.Marshal(m.SuccessCondition)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{m.SuccessCondition, string(quoted), "GET /?key=s3cr%22t%2B%2F", "s3cr\"t+/ and more"} {
		if got := v.Redact(text); strings.Contains(got, "s3cr") || strings.Contains(got, "and more") {
			t.Errorf("%q is redacted to %q", text, got)
		}
	}
	if got := v.Redact("visible"); got != "visible" {
		t.Errorf("a plain argument is redacted: %q", got)
	}
	if got := resolve(t, nil, map[string]string{"empty": ""}).Redact("abc"); got != "abc" {
		t.Errorf("an empty secret redacts %q", got)
	}
}

func TestResolveNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	args := []v1alpha1.Argument{
		{Name: "fine", Value: new("1")},
		{Name: "none"},
		{Name: "field", ValueFrom: &v1alpha1.ValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: "metadata.name"}}},
		{Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}},
	}
	_, err := Resolve(args, func(r v1alpha1.SecretKeyRef) (string, error) {
		return "", errors.New("Secret " + r.Name + " has no key " + r.Key)
	})
	for _, want := range []string{`argument "none" has no value`, `argument "field": valueFrom.fieldRef "metadata.name"`, `argument "token": Secret s has no key k`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestRulesOfTheGuide(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/guide.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template v1alpha1.AnalysisTemplate
	if err := yaml.UnmarshalStrict(data, &template); err != nil {
		t.Fatal(err)
	}
	args, err := Fill(template.Spec.Args, map[string]string{"service-name": "checkout", "canary-hash": "abc123"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := Resolve(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := v1alpha1.AnalysisRunSpec{Metrics: template.Spec.Metrics}
	for i := range run.Metrics {
		if run.Metrics[i], err = v.Substitute(run.Metrics[i]); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := Rules(&run, analysis.Guide)
	if err != nil {
		t.Fatal(err)
	}
	got := rules[0]
	if got.Name != "error-rate" || got.InitialDelay != time.Minute || got.Interval != time.Minute || got.Count != 5 || got.FailureLimit != 2 || got.ErrorLimit != 4 || got.InconclusiveLimit != nil {
		t.Errorf("rule is %+v", got)
	}
	for i := range run.Metrics {
		name, config, err := Provider(&run.Metrics[i])
		if err != nil || name != "datadog" {
			t.Fatalf("provider is %q, %v", name, err)
		}
		d := config.(*v1alpha1.DatadogMetric)
		queries := d.Query + d.Queries["errors"] + d.Queries["hits"]
		if !strings.Contains(queries, "template_hash:abc123}") || strings.Contains(queries, "{{") {
			t.Errorf("acceptance 2: the queries are %q", queries)
		}
	}
}

func TestRulesRefuse(t *testing.T) {
	t.Parallel()
	str := func(s string) *intstr.IntOrString { return new(intstr.FromString(s)) }
	num := func(n int32) *intstr.IntOrString { return new(intstr.FromInt32(n)) }
	tests := map[string]struct {
		in   v1alpha1.AnalysisRunSpec
		want string
	}{
		"an interval":           {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", Interval: "5 minutes"}}}, `spec.metrics[0].interval: "5 minutes" is no length of time: write it like 30s`},
		"a negative delay":      {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", InitialDelay: "-5s"}}}, `spec.metrics[0].initialDelay: "-5s" is negative`},
		"a count":               {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", Count: str("many")}}}, `spec.metrics[0].count: "many" is no whole number`},
		"a failure limit":       {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", FailureLimit: num(-2)}}}, `spec.metrics[0].failureLimit: -2 is below -1`},
		"an inconclusive limit": {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", InconclusiveLimit: str("-1")}}}, `spec.metrics[0].inconclusiveLimit: -1 is below 0`},
		"a condition":           {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "a"}, {Name: "m", FailureCondition: "result >"}}}, `spec.metrics[1].failureCondition: condition "result >" does not compile`},
		"a policy":              {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", OnNoData: "pass"}}}, `spec.metrics[0].onNoData: "pass" is none of`},
		"another policy":        {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", OnError: "pass"}}}, `spec.metrics[0].onError: "pass" is none of`},
		"a name twice":          {v1alpha1.AnalysisRunSpec{Metrics: metrics("m", "m")}, `spec.metrics[1].name: "m" is the name of spec.metrics[0] too`},
		"a dry run of none":     {v1alpha1.AnalysisRunSpec{Metrics: metrics("m"), DryRun: []v1alpha1.DryRun{{MetricName: "x.*"}}}, `spec.dryRun[0].metricName: "x.*" matches no metric`},
		"a pattern":             {v1alpha1.AnalysisRunSpec{Metrics: metrics("m"), DryRun: []v1alpha1.DryRun{{MetricName: "("}}}, `spec.dryRun[0].metricName: "(" is no regular expression`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Rules(&tc.in, analysis.Guide)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
}

func TestRulesReadStringsAsNumbers(t *testing.T) {
	t.Parallel()
	spec := v1alpha1.AnalysisRunSpec{
		Metrics: []v1alpha1.Metric{{Name: "web", Interval: "1m30s", Count: new(intstr.FromString(" 5 ")), FailureLimit: new(intstr.FromInt32(-1)), OnError: "abort", AbortCondition: "result > 1"}, {Name: "db"}},
		DryRun:  []v1alpha1.DryRun{{MetricName: "^w"}}, MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "d", Limit: 3}, {MetricName: ".*", Limit: 20}},
	}
	rules, err := Rules(&spec, analysis.Guide)
	if err != nil {
		t.Fatal(err)
	}
	if r := rules[0]; r.Count != 5 || r.Interval != 90*time.Second || r.FailureLimit != -1 || !r.AbortOnError || r.Abort == nil || !r.DryRun || rules[1].DryRun {
		t.Errorf("rules are %+v", rules)
	}
	retention, err := Retention(&spec)
	if diff := cmp.Diff(map[string]int{"web": 20, "db": 3}, retention); err != nil || diff != "" {
		t.Errorf("retention: %v\n%s", err, diff)
	}
	argo, err := Rules(&spec, analysis.Argo)
	if err != nil || argo[0].Abort != nil {
		t.Errorf("Argo has no abortCondition: %v, %v", argo[0].Abort, err)
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	both := v1alpha1.Metric{Name: "m", Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{}, Web: &v1alpha1.WebMetric{}}}
	if _, _, err := Provider(&both); err == nil || !strings.Contains(err.Error(), "names 2 providers (web, datadog)") {
		t.Errorf("two providers: %v", err)
	}
	if _, _, err := Provider(&v1alpha1.Metric{Name: "m"}); err == nil || !strings.Contains(err.Error(), "names no provider") {
		t.Errorf("no provider: %v", err)
	}
	plugin := v1alpha1.Metric{Name: "m", Provider: v1alpha1.MetricProvider{Plugin: map[string]json.RawMessage{"a/b": []byte("{}")}}}
	name, config, err := Provider(&plugin)
	if _, ok := config.(*map[string]json.RawMessage); !ok || name != "plugin" || err != nil {
		t.Errorf("a plugin is %q, %T, %v", name, config, err)
	}
}
