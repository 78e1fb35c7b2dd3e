// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"go.yaml.in/yaml/v3"

	"sluice.dev/sluice/internal/outbox"
)

// A tmpl is a template: a tree whose texts are Go templates.
type tmpl struct {
	name string
	tree any
}

// maxRendered bounds one text, maxLoops how deep loops are nested in one.
const (
	maxRendered = 256 << 10
	maxLoops    = 3
)

func parseTemplate(name, text string, kinds map[string]Kind) (*tmpl, error) {
	node, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	if node.Kind != yaml.MappingNode {
		return nil, &lineError{node.Line, "a template is a map, such as: message: Rollout {{.rollout.metadata.name}} was aborted"}
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if err := checkSection(node.Content[i], node.Content[i+1], kinds); err != nil {
			return nil, err
		}
	}
	tree, err := compileNode(name, node)
	if err != nil {
		return nil, err
	}
	return &tmpl{name: name, tree: tree}, nil
}

// checkSection refuses what no service would read.
func checkSection(key, value *yaml.Node, kinds map[string]Kind) error {
	if key.Value == "message" || slices.Contains(others, key.Value) {
		return nil
	}
	kind, ok := kinds[key.Value]
	if !ok {
		return &lineError{key.Line, fmt.Sprintf("there is no kind of service %q; there are %s", key.Value, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))}
	}
	if kind.Section == nil {
		return &lineError{key.Line, fmt.Sprintf("a template says nothing to services of the kind %s but its message", key.Value)}
	}
	if !kind.Named {
		return known(value, kind.Section())
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		if err := known(value.Content[i+1], kind.Section()); err != nil {
			return err
		}
	}
	return nil
}

// compileNode turns texts into templates, and leaves the rest as it is.
func compileNode(name string, node *yaml.Node) (any, error) {
	switch node.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			v, err := compileNode(name, node.Content[i+1])
			if err != nil {
				return nil, err
			}
			out[node.Content[i].Value] = v
		}
		return out, nil
	case yaml.SequenceNode:
		out := make([]any, 0, len(node.Content))
		for _, child := range node.Content {
			v, err := compileNode(name, child)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	default:
		return compileText(name, node)
	}
}

func compileText(name string, node *yaml.Node) (any, error) {
	if node.Tag != "!!str" {
		var v any
		err := node.Decode(&v)
		return v, err
	}
	t, err := template.New(name).Funcs(functions).Parse(node.Value)
	if err != nil {
		return nil, &lineError{node.Line, strings.TrimPrefix(err.Error(), "template: ")}
	}
	for _, each := range t.Templates() {
		if each.Tree != nil {
			if err := cheap(each.Root, 0); err != nil {
				return nil, &lineError{node.Line, err.Error()}
			}
		}
	}
	return t, nil
}

// loopGuard is the function through which everything goes that is looped over.
const loopGuard = "countable"

// countable refuses to loop over numbers and functions, of which there is no end.
func countable(v any) (any, error) {
	r := reflect.ValueOf(v)
	if r.IsValid() && (r.CanInt() || r.CanUint() || r.Kind() == reflect.Func || r.Kind() == reflect.Chan) {
		return nil, fmt.Errorf("a loop over a %s is not allowed here", r.Kind())
	}
	return v, nil
}

// cheap refuses loops that could run for ever, or has them refused when they
// begin: a template cannot be stopped.
func cheap(node parse.Node, loops int) error {
	switch n := node.(type) {
	case *parse.ListNode:
		return cheapList(n, loops)
	case *parse.IfNode:
		return errors.Join(cheap(n.List, loops), cheap(n.ElseList, loops))
	case *parse.WithNode:
		return errors.Join(cheap(n.List, loops), cheap(n.ElseList, loops))
	case *parse.TemplateNode:
		return errors.New("{{template}} is not allowed here")
	case *parse.RangeNode:
		if loops >= maxLoops {
			return fmt.Errorf("loops are nested more than %d deep", maxLoops)
		}
		n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{parse.NewIdentifier(loopGuard)}})
		return errors.Join(cheap(n.List, loops+1), cheap(n.ElseList, loops))
	}
	return nil
}

func cheapList(n *parse.ListNode, loops int) error {
	if n == nil {
		return nil
	}
	for _, child := range n.Nodes {
		if err := cheap(child, loops); err != nil {
			return err
		}
	}
	return nil
}

// Render fills m's text and sections in from the templates that r names, one
// over the other.
func (r *Routed) Render(m *Message, vars map[string]any) error {
	all := map[string]any{}
	for _, name := range r.Templates {
		t := r.Config.templates[name]
		if t == nil {
			return Errorf(outbox.Broken, "ConfigMap %s/%s has no usable template %s, which trigger.%s sends", r.Config.Namespace, ConfigMapName, name, r.Trigger)
		}
		v, err := execute(t.tree, vars)
		if err != nil {
			return Errorf(outbox.Broken, "ConfigMap %s/%s, key template.%s: %s", r.Config.Namespace, ConfigMapName, name, strings.TrimPrefix(err.Error(), "template: "))
		}
		if tree, ok := v.(map[string]any); ok {
			merge(all, tree)
		}
	}
	m.Text, _ = all["message"].(string)
	delete(all, "message")
	m.sections = all
	return nil
}

func merge(into, from map[string]any) {
	for k, v := range from {
		sub, isMap := v.(map[string]any)
		old, wasMap := into[k].(map[string]any)
		switch {
		case isMap && wasMap:
			merge(old, sub)
		case v != "" && v != nil:
			into[k] = v
		}
	}
}

func execute(node any, vars map[string]any) (any, error) {
	switch n := node.(type) {
	case *template.Template:
		var b bounded
		err := n.Execute(&b, vars)
		return b.String(), err
	case map[string]any:
		out := map[string]any{}
		for k, child := range n {
			v, err := execute(child, vars)
			if err != nil {
				return nil, err
			}
			out[k] = v
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(n))
		for _, child := range n {
			v, err := execute(child, vars)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	return node, nil
}

// bounded is a text that does not grow for ever.
type bounded struct{ strings.Builder }

// Write adds to the text.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxRendered {
		return 0, fmt.Errorf("it renders to more than %d KiB", maxRendered>>10)
	}
	return b.Builder.Write(p)
}

// Section decodes what the template says to services of kind into into, and
// reports whether it says anything. path goes further down.
func (m *Message) Section(kind string, into any, path ...string) (bool, error) {
	v, ok := m.sections[kind]
	for _, p := range path {
		tree, isMap := v.(map[string]any)
		v, ok = tree[p]
		if !isMap {
			return false, nil
		}
	}
	if !ok || v == nil {
		return false, nil
	}
	data, err := yaml.Marshal(v)
	if err == nil {
		err = yaml.Unmarshal(data, into)
	}
	if err != nil {
		return false, Errorf(outbox.Broken, "the template's part for %s does not have the form of one: %s", kind, firstLine(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	return true, nil
}

// WithSections sets what the template says to services, for tests of them.
func (m *Message) WithSections(sections map[string]any) *Message {
	m.sections = sections
	return m
}
