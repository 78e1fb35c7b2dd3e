// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package absent

import (
	"fmt"
	"strings"
	"testing"

	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

// An absence is something that a release needs and does not have.
type absence struct {
	// change is what is different in the objects from the start.
	change []string
	// take takes the thing away before the release begins.
	take func(s *shop)
	// says is what must be said about it.
	says []string
	// split is the traffic meanwhile, if there is a VirtualService to tell.
	split string
	// give gives it back.
	give func(s *shop)
}

func back(kind, name string) func(*shop) {
	return func(s *shop) { s.put(document(kind, name)) }
}

func gone(kind, name string) func(*shop) {
	return func(s *shop) { s.remove(kind, name) }
}

var absences = map[string]absence{
	"the VirtualService": {
		take: gone("VirtualService", "routes"), give: back("VirtualService", "routes"),
		says: []string{"Degraded: InvalidSpec:", "VirtualService", "routes", "not found", "spec.strategy.canary.trafficRouting.istio.virtualService"},
	},
	"the route": {
		take: func(s *shop) {
			s.put(strings.Replace(document("VirtualService", "routes"), "name: primary", "name: other", 1))
		},
		give: back("VirtualService", "routes"), split: "100/0",
		says: []string{"Degraded: InvalidSpec:", "routes", `"primary"`, "spec.strategy.canary.trafficRouting.istio.virtualService.routes"},
	},
	"the canary's destination": {
		take: func(s *shop) {
			s.put(strings.Replace(document("VirtualService", "routes"), "host: canary", "host: somewhere-else", 1))
		},
		give: back("VirtualService", "routes"), split: "100/0",
		says: []string{"Degraded: InvalidSpec:", "routes", "canary", "destination"},
	},
	"the canary Service": {
		take: gone("Service", "canary"), give: back("Service", "canary"), split: "100/0",
		says: []string{"Degraded: InvalidSpec:", "Service", "canary not found", "spec.strategy.canary.canaryService"},
	},
	"the stable Service": {
		take: gone("Service", "stable"), give: back("Service", "stable"), split: "100/0",
		says: []string{"Degraded: InvalidSpec:", "Service", "stable not found", "spec.strategy.canary.stableService"},
	},
	"the template": {
		take: gone("AnalysisTemplate", "gate"), give: back("AnalysisTemplate", "gate"), split: "100/0",
		says: []string{"Degraded: InvalidSpec:", "AnalysisTemplate", "gate", "spec.strategy.canary.steps[2].analysis.templates"},
	},
	"the cluster's template": {
		change: []string{"{templateName: gate}", "{templateName: everywhere, clusterScope: true}"},
		take:   func(s *shop) { s.removeTemplateOfAll("everywhere") },
		give:   func(s *shop) { s.put(clusterTemplate) },
		says:   []string{"Degraded: InvalidSpec:", "ClusterAnalysisTemplate", "everywhere", "spec.strategy.canary.steps[2].analysis.templates"}, split: "100/0",
	},
	"an argument": {
		take: func(s *shop) {
			s.put(strings.Replace(document("AnalysisTemplate", "gate"), "    - name: hash\n", "    - name: hash\n    - name: service\n", 1))
		},
		give: back("AnalysisTemplate", "gate"), split: "100/0",
		says: []string{"Degraded: InvalidSpec:", `"service"`, "spec.strategy.canary.steps[2].analysis"},
	},
	"what a fieldRef points to": {
		change: []string{
			"valueFrom: {podTemplateHashValue: Latest}", `valueFrom: {fieldRef: {fieldPath: "metadata.labels['team']"}}`,
			"{name: checkout}\nspec:\n  replicas", "{name: checkout, labels: {team: payments}}\nspec:\n  replicas",
		},
		take: func(s *shop) { s.patch("Rollout", "checkout", `{"metadata":{"labels":null}}`) },
		give: func(s *shop) { s.patch("Rollout", "checkout", `{"metadata":{"labels":{"team":"payments"}}}`) }, split: "100/0",
		says: []string{"Degraded: InvalidSpec:", "metadata.labels['team']", "spec.strategy.canary.steps[2].analysis"},
	},
	"the Secret of an argument": {
		take: gone("Secret", "token"), give: back("Secret", "token"), split: "80/20",
		says: []string{`argument "token"`, "Secret", "token"},
	},
	"the provider's Secret": {
		take:  func(s *shop) { s.drop("Secret", "datadog") },
		give:  func(s *shop) { s.credentials(apiKey, appKey) },
		split: "80/20",
		says:  []string{"Secret", "datadog"},
	},
	"a key in the provider's Secret": {
		take: func(s *shop) {
			s.drop("Secret", "datadog")
			s.put(`{apiVersion: v1, kind: Secret, metadata: {name: datadog}, stringData: {api-key: x}}`)
		},
		give:  func(s *shop) { s.credentials(apiKey, appKey) },
		split: "80/20",
		says:  []string{"Secret", "datadog", "app-key"},
	},
}

func TestSomethingIsMissing(t *testing.T) {
	s := newSite(t)
	for name, a := range absences {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(name, "cluster") {
				s.template(t)
			}
			sh := s.open(t, a.change...)
			a.take(sh)
			sh.release(2, 0)
			said := sh.says(a.says...)
			t.Log(said)
			if got := sh.split(); got != a.split {
				t.Errorf("the weights are %s meanwhile, want %s", got, a.split)
			}
			a.give(sh)
			if a.change != nil && strings.Contains(strings.Join(a.change, ""), "fieldRef") {
				sh.behave("payments", 0)
			}
			sh.ends()
			sh.silent()
		})
	}
	// weights are those that people get meanwhile; "" when nobody can know.
	for name, what := range map[string]struct{ kind, name, weights string }{
		"the VirtualService, in the middle of it": {"VirtualService", "routes", ""},
		"the canary Service, in the middle of it": {"Service", "canary", "100/0"},
		"the stable Service, in the middle of it": {"Service", "stable", "80/20"},
		"the template, in the middle of it":       {"AnalysisTemplate", "gate", "80/20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sh := s.open(t, "{duration: 1}", "{}")
			sh.release(2, 0)
			sh.says("Paused: CanaryPauseStep")
			sh.remove(what.kind, what.name)
			t.Log(sh.says("Degraded: InvalidSpec:", what.kind, what.name))
			if what.weights != "" {
				sh.Eventually("the weights are safe", func() error { return is(sh.split(), what.weights) })
			}
			sh.put(document(what.kind, what.name)) // as Git has it
			sh.says("Paused: CanaryPauseStep")
			sh.Eventually("the weights are those of the step", func() error { return is(sh.split(), "80/20") })
			for range 2 { // two pauses without end
				sh.Eventually("it pauses", func() error {
					ro := sh.Rollout(sh.ns, "checkout")
					if len(ro.Status.PauseConditions) == 0 && ro.Status.StableRS == sh.before {
						return fmt.Errorf("%s %s", ro.Status.Phase, ro.Status.Message)
					}
					return nil
				})
				sh.promote()
			}
			sh.ends()
		})
	}
}

func is(got, want string) error {
	if got != want {
		return fmt.Errorf("it is %s, want %s", got, want)
	}
	return nil
}

// A failure is an answer of the provider that is none.
type failure struct {
	fault datadogtest.Fault
	says  []string
}

var failures = map[string]failure{
	"401":            {datadogtest.Fault{Mode: datadogtest.Unauthorized}, []string{"401", "Unauthorized"}},
	"403":            {datadogtest.Fault{Mode: datadogtest.Forbidden}, []string{"403", "timeseries_query", "address"}},
	"403 with keys":  {datadogtest.Fault{Mode: datadogtest.EchoKeys}, []string{"403"}},
	"404":            {datadogtest.Fault{Mode: datadogtest.NotFound}, []string{"404", "address"}},
	"429":            {datadogtest.Fault{Mode: datadogtest.RateLimited, RetryAfter: 1e9}, []string{"429", "RateLimited"}},
	"500":            {datadogtest.Fault{Mode: datadogtest.ServerError}, []string{"500", "Unavailable"}},
	"503":            {datadogtest.Fault{Mode: datadogtest.ServiceUnavailable}, []string{"503", "Unavailable"}},
	"no answer":      {datadogtest.Fault{Mode: datadogtest.Hang}, []string{"Unavailable", "2s"}},
	"half an answer": {datadogtest.Fault{Mode: datadogtest.HalfBody}, []string{"error-rate Error"}},
	"nulls":          {datadogtest.Fault{Mode: datadogtest.NullValues}, []string{"error-rate Inconclusive", "NoData"}},
	"nothing":        {datadogtest.Fault{Mode: datadogtest.EmptySeries}, []string{"error-rate Inconclusive", "NoData", "hits"}},
	"a redirect":     {datadogtest.Fault{Mode: datadogtest.RedirectAway, Location: "http://127.0.0.1:1/"}, []string{"error-rate Error", "redirect"}},
	"too much":       {datadogtest.Fault{Mode: datadogtest.HugeBody}, []string{"error-rate Error"}},
	"no JSON":        {datadogtest.Fault{Mode: datadogtest.MalformedJSON}, []string{"error-rate Error", "Malformed"}},
}

func TestTheProviderFails(t *testing.T) {
	s := newSite(t)
	for name, f := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sh := s.open(t)
			sh.datadog.Fail(f.fault)
			sh.release(2, 0)
			words := f.says
			for i, w := range words {
				words[i] = strings.Replace(w, "error-rate ", "error-rate: ", 1)
			}
			t.Log(sh.says(words...))
			if got := sh.split(); got != "80/20" {
				t.Errorf("the weights are %s meanwhile, want 80/20", got)
			}
			sh.datadog.Clear()
			sh.ends()
			sh.silent()
		})
	}

	t.Run("for longer than maxHold", func(t *testing.T) {
		t.Parallel()
		sh := s.open(t, "failureLimit: 1\n", "failureLimit: 1\n      maxHold: 3s\n")
		sh.datadog.Fail(datadogtest.Fault{Mode: datadogtest.ServerError})
		sh.release(2, 0)
		t.Log(sh.says("Paused: AnalysisHold"))
		if got := sh.split(); got != "80/20" {
			t.Errorf("the weights are %s meanwhile, want 80/20", got)
		}
		sh.datadog.Clear()
		sh.ends()
	})

	t.Run("until its keys are rotated", func(t *testing.T) {
		t.Parallel()
		sh := s.open(t)
		sh.datadog.SetKeys(datadogtest.Keys{API: "new-api", App: "new-app"})
		sh.release(2, 0)
		t.Log(sh.says("403"))
		sh.credentials("new-api", "new-app")
		sh.ends()
	})

	t.Run("and its Secret disappears while it measures", func(t *testing.T) {
		t.Parallel()
		sh := s.open(t, "count: 3", "count: 5")
		sh.release(2, 0)
		sh.says("error-rate: Successful")
		sh.drop("Secret", "datadog")
		t.Log(sh.says("Secret", "datadog", "error-rate: Error"))
		if got := sh.split(); got != "80/20" {
			t.Errorf("the weights are %s meanwhile, want 80/20", got)
		}
		sh.credentials(apiKey, appKey)
		sh.ends()
	})
}

// faultless makes a reading neither good nor bad.
var faultless = datadogtest.Fault{Mode: datadogtest.EmptySeries}
