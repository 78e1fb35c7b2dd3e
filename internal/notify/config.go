// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/labels"
)

// The names of the ConfigMap and of the Secret.
const (
	ConfigMapName = "argo-rollouts-notification-configmap"
	SecretName    = "argo-rollouts-notification-secret" //nolint:gosec // the name of a Secret is none
)

// A Problem is something in a ConfigMap that cannot be.
type Problem struct {
	// ConfigMap is its namespace and name, Key the key in it.
	ConfigMap, Key string
	// Line within the key's text, from 1; 0 when the key as a whole is meant.
	Line int
	Text string
}

// String returns the problem as people are told it.
func (p Problem) String() string {
	at := fmt.Sprintf("ConfigMap %s, key %s", p.ConfigMap, p.Key)
	if p.Line > 0 {
		at += fmt.Sprintf(", line %d", p.Line)
	}
	return at + ": " + p.Text
}

// A Config is what one ConfigMap says. What is wrong in it is left out, named in
// Problems, and does not stop the rest.
type Config struct {
	Namespace string
	Problems  []Problem

	services        map[string]*serviceConfig
	templates       map[string]*tmpl
	triggers        map[string][]*condition
	defaults        []string
	serviceDefaults map[string][]string
	subscriptions   []subscription
}

type serviceConfig struct {
	key, name string
	kind      Kind
	node      *yaml.Node
}

type subscription struct {
	Recipients []string `yaml:"recipients"`
	Triggers   []string `yaml:"triggers"`
	Selector   string   `yaml:"selector"`
	selector   labels.Selector
}

// others are kinds of service that Argo's engine has and this build has not.
var others = []string{
	"awssqs", "gcppubsub", "mattermost", "rocketchat", "grafana", "telegram", "github", "pushover", "alertmanager", "pagerduty", "newrelic", "webex", "nats", "console",
}

// Parse reads the data of the ConfigMap in namespace.
func Parse(namespace string, data map[string]string, kinds []Kind) *Config {
	c := &Config{
		Namespace: namespace, services: map[string]*serviceConfig{}, templates: map[string]*tmpl{},
		triggers: map[string][]*condition{}, serviceDefaults: map[string][]string{},
	}
	p := parser{Config: c, kinds: map[string]Kind{}}
	for _, k := range kinds {
		p.kinds[k.Name] = k
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if err := p.key(key, data[key]); err != nil {
			p.problem(key, err)
		}
	}
	p.references()
	return c
}

type parser struct {
	*Config
	kinds map[string]Kind
}

// A lineError is an error at a line of a text.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return e.text }

var yamlLine = regexp.MustCompile(`(?s)^yaml: (?:unmarshal errors:\n\s*)?line (\d+): (.*)$`)

func (p *parser) problem(key string, err error) {
	pr := Problem{ConfigMap: p.Namespace + "/" + ConfigMapName, Key: key, Text: err.Error()}
	if e, ok := err.(*lineError); ok { //nolint:errorlint // it is never wrapped
		pr.Line = e.line
	} else if m := yamlLine.FindStringSubmatch(pr.Text); m != nil {
		_, _ = fmt.Sscan(m[1], &pr.Line) // the pattern has digits only
		pr.Text = strings.Join(strings.Fields(m[2]), " ")
	}
	p.Problems = append(p.Problems, pr)
}

// key reads one key. Keys of other tools in the same ConfigMap are left alone.
func (p *parser) key(key, text string) error {
	switch key {
	case "subscriptions":
		return p.subscribe(text)
	case "defaultTriggers":
		return yaml.Unmarshal([]byte(text), &p.defaults)
	}
	kind, name, _ := strings.Cut(key, ".")
	if name == "" {
		return nil
	}
	switch kind {
	case "defaultTriggers":
		var names []string
		err := yaml.Unmarshal([]byte(text), &names)
		p.serviceDefaults[name] = names
		return err
	case "trigger":
		conditions, err := parseTrigger(text)
		p.triggers[name] = conditions
		return err
	case "template":
		t, err := parseTemplate(name, text, p.kinds)
		if err == nil {
			p.templates[name] = t
		}
		return err
	case "service":
		return p.service(key, name, text)
	}
	return nil
}

func (p *parser) service(key, name, text string) error {
	kindName, own, named := strings.Cut(name, ".")
	if !named {
		own = kindName
	}
	if strings.Contains(own, ".") {
		return errors.New("the key is service.KIND or service.KIND.NAME")
	}
	kind, ok := p.kinds[kindName]
	if !ok {
		if slices.Contains(others, kindName) {
			return fmt.Errorf("services of the kind %s are not in this version; it has %s. Many systems take a webhook", kindName, p.kindNames())
		}
		return fmt.Errorf("there is no kind of service %q; there are %s", kindName, p.kindNames())
	}
	node, err := parseNode(text)
	if err != nil {
		return err
	}
	if err := known(node, kind.Options()); err != nil {
		return err
	}
	p.services[own] = &serviceConfig{key: key, name: own, kind: kind, node: node}
	return nil
}

func (p *parser) kindNames() string {
	return strings.Join(slices.Sorted(maps.Keys(p.kinds)), ", ")
}

func (p *parser) subscribe(text string) error {
	var subs []subscription
	if err := yaml.Unmarshal([]byte(text), &subs); err != nil {
		return err
	}
	for i := range subs {
		sel, err := labels.Parse(subs[i].Selector)
		if err != nil {
			return fmt.Errorf("subscription %d: selector %q: %w", i+1, subs[i].Selector, err)
		}
		subs[i].selector = sel
	}
	p.subscriptions = subs
	return nil
}

// references names what is used and not there.
func (p *parser) references() {
	for _, name := range slices.Sorted(maps.Keys(p.triggers)) {
		for _, c := range p.triggers[name] {
			for _, t := range c.Send {
				if p.templates[t] == nil && !p.hasProblem("template."+t) {
					p.problem("trigger."+name, fmt.Errorf("it sends the template %q, and there is no key template.%s", t, t))
				}
			}
		}
	}
}

func (p *parser) hasProblem(key string) bool {
	return slices.ContainsFunc(p.Problems, func(pr Problem) bool { return pr.Key == key })
}

func parseNode(text string) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
	}
	return doc.Content[0], plainNode(&doc)
}

// plainNode refuses aliases, by which a short text becomes an endless one.
func plainNode(node *yaml.Node) error {
	if node.Kind == yaml.AliasNode {
		return &lineError{node.Line, "aliases (*" + node.Value + ") are not allowed here: write it out"}
	}
	for _, child := range node.Content {
		if err := plainNode(child); err != nil {
			return err
		}
	}
	return nil
}
