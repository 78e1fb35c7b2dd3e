// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/internal/outbox"
)

// maxRecipients bounds how many recipients one notice has.
const maxRecipients = 50

const subscribePrefix = "notifications.argoproj.io/subscribe."

// subscriptionsPrefix is the annotation that holds several subscriptions.
const subscriptionsPrefix = "notifications.argoproj.io/subscriptions"

// A target is a service and a recipient.
type target struct{ service, recipient string }

// To names a lane. A long recipient, such as a list of addresses, is cut.
func (t target) to() string {
	const most = 200
	s := t.service + ":" + t.recipient
	if len(s) <= most {
		return s
	}
	return s[:most] + "#" + onceKey(s, 0, "")
}

// A Routed is a delivery and how to make it.
type Routed struct {
	outbox.Delivery
	Service, Recipient string
	Trigger            string
	Templates          []string
	// Config is where the trigger, the templates and the service are.
	Config *Config
}

// A Subject is what conditions and templates look at.
type Subject struct {
	Labels, Annotations map[string]string
	// Vars are the variables: rollout, analysisRuns, notice, time. Those of a
	// ConfigMap, such as secrets, are added.
	Vars map[string]any
}

// Wanted reports whether somebody wants to be told of reason.
func Wanted(configs []*Config, labels, annotations map[string]string, reason string) bool {
	trigger := Trigger(reason)
	for _, c := range configs {
		if len(c.targets(labels, annotations, trigger)) > 0 {
			return true
		}
	}
	return false
}

// Subscribes reports whether an annotation subscribes somebody to something.
func Subscribes(annotations map[string]string) bool {
	for key := range annotations {
		if strings.HasPrefix(key, subscribePrefix) || strings.HasPrefix(key, subscriptionsPrefix) {
			return true
		}
	}
	return false
}

// Route returns what is to be sent of a notice, in an order that does not
// change. A subscription that leads nowhere is named in problems.
func Route(configs []*Config, d outbox.Delivery, s Subject) (out []Routed, problems []string) {
	trigger := Trigger(d.Notice.Reason)
	parts, told := map[string]int32{}, false
	for _, c := range configs {
		conditions, ok := c.triggers[trigger]
		if !ok {
			continue
		}
		told = true
		for _, t := range c.targets(s.Labels, s.Annotations, trigger) {
			if c.services[t.service] == nil && serves(configs, t.service) {
				continue // the other ConfigMap's
			}
			if len(out) >= maxRecipients {
				return out, append(problems, fmt.Sprintf("more than %d messages for one notice: the rest is not sent", maxRecipients))
			}
			for i, cond := range conditions {
				r := Routed{Delivery: d, Service: t.service, Recipient: t.recipient, Trigger: trigger, Templates: cond.Send, Config: c}
				r.To, r.Part = t.to(), parts[t.to()]
				parts[r.To]++
				holds, problem := cond.decide(&r, i, s.Vars)
				problems = append(problems, problem...)
				if holds {
					out = append(out, r)
				}
			}
		}
	}
	if !told && Wanted(configs, s.Labels, s.Annotations, d.Notice.Reason) {
		problems = append(problems, fmt.Sprintf("somebody subscribed to %s, and no ConfigMap %s has the key trigger.%s", trigger, ConfigMapName, trigger))
	}
	return out, problems
}

func serves(configs []*Config, service string) bool {
	return slices.ContainsFunc(configs, func(c *Config) bool { return c.services[service] != nil })
}

// decide evaluates the condition for r. Without `when` it holds.
func (c *condition) decide(r *Routed, i int, vars map[string]any) (holds bool, problems []string) {
	complain := func(field string, err error) []string {
		return []string{fmt.Sprintf("ConfigMap %s/%s, key trigger.%s, condition %d: %s: %v", r.Config.Namespace, ConfigMapName, r.Trigger, i+1, field, err)}
	}
	if c.when != nil {
		v, err := run(c.when, vars)
		if err != nil {
			return false, complain("when", err)
		}
		if holds, ok := v.(bool); !ok || !holds {
			return false, nil
		}
	}
	if c.once != nil {
		v, err := run(c.once, vars)
		if err != nil {
			return true, complain("oncePer", err)
		}
		r.Once = onceKey(r.Trigger, i, v)
	}
	return true, nil
}

// targets are those who subscribed to trigger, each once, in order.
func (c *Config) targets(rolloutLabels, annotations map[string]string, trigger string) []target {
	var out []target
	for _, s := range c.subscriptions {
		triggers := s.Triggers
		if len(triggers) == 0 {
			triggers = c.defaults
		}
		if !slices.Contains(triggers, trigger) || !s.selector.Matches(labels.Set(rolloutLabels)) {
			continue
		}
		for _, r := range s.Recipients {
			service, recipient, _ := strings.Cut(r, ":")
			out = append(out, target{service, recipient})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		out = append(out, c.annotated(key, annotations[key], trigger)...)
	}
	return unique(out)
}

func unique(in []target) []target {
	seen := map[target]bool{}
	return slices.DeleteFunc(in, func(t target) bool {
		was := seen[t]
		seen[t] = true
		return was
	})
}

// annotated are those whom one annotation subscribes to trigger.
func (c *Config) annotated(key, value, trigger string) []target {
	if rest, ok := strings.CutPrefix(key, subscribePrefix); ok {
		parts := strings.Split(rest, ".")
		if len(parts) == 1 {
			return c.subscribed("", parts[0], recipients(value), trigger)
		}
		return c.subscribed(parts[0], parts[1], recipients(value), trigger)
	}
	if !strings.HasPrefix(key, subscriptionsPrefix) {
		return nil
	}
	var list []struct {
		Trigger      []string `yaml:"trigger"`
		Destinations []struct {
			Service    string   `yaml:"service"`
			Recipients []string `yaml:"recipients"`
		} `yaml:"destinations"`
	}
	if yaml.Unmarshal([]byte(value), &list) != nil {
		return nil
	}
	var out []target
	for _, s := range list {
		triggers := s.Trigger
		if len(triggers) == 0 {
			triggers = []string{""}
		}
		for _, t := range triggers {
			for _, d := range s.Destinations {
				out = append(out, c.subscribed(t, d.Service, d.Recipients, trigger)...)
			}
		}
	}
	return out
}

// subscribed are the targets of a subscription to on, if that is trigger; the
// default triggers when it names none.
func (c *Config) subscribed(on, service string, to []string, trigger string) []target {
	triggers := c.defaults
	if on != "" {
		triggers = []string{on}
	} else if own, ok := c.serviceDefaults[service]; ok {
		triggers = own
	}
	if !slices.Contains(triggers, trigger) || service == "" {
		return nil
	}
	if len(to) == 0 {
		to = []string{""}
	}
	out := make([]target, 0, len(to))
	for _, r := range to {
		out = append(out, target{service, r})
	}
	return out
}

func recipients(value string) []string {
	var out []string
	for r := range strings.SplitSeq(value, ";") {
		if r = strings.TrimSpace(r); r != "" {
			out = append(out, r)
		}
	}
	return out
}
