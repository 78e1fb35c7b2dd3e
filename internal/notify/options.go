// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

// known returns an error for a field in node that the struct behind into does
// not have.
func known(node *yaml.Node, into any) error {
	return knownFields(node, reflect.TypeOf(into), "")
}

func knownFields(node *yaml.Node, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[secret.Text]() {
		return nil
	}
	isMap, isStruct := node.Kind == yaml.MappingNode, t.Kind() == reflect.Struct
	switch {
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range node.Content {
			if err := knownFields(item, t.Elem(), path); err != nil {
				return err
			}
		}
	case isMap && isStruct:
		return knownStruct(node, t, path)
	case isStruct && node.Tag != "!!null":
		return &lineError{node.Line, fmt.Sprintf("%s must be a map", strings.TrimSuffix(path, "."))}
	}
	return nil
}

func knownStruct(node *yaml.Node, t reflect.Type, path string) error {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		ft, ok := fields[key.Value]
		if !ok {
			return &lineError{key.Line, fmt.Sprintf("there is no field %s%s; there are %s", path, key.Value, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))}
		}
		if err := knownFields(value, ft, path+key.Value+"."); err != nil {
			return err
		}
	}
	return nil
}

var reference = regexp.MustCompile(`[$][\w-]+`)

// fill returns a copy of node with the references to keys of the Secret
// replaced, and names the ones that are not there.
func fill(node *yaml.Node, values map[string][]byte, missing *[]string) *yaml.Node {
	out := *node
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		out.Value = reference.ReplaceAllStringFunc(node.Value, func(ref string) string {
			v, ok := values[ref[1:]]
			if !ok {
				*missing = append(*missing, ref[1:])
				return ref
			}
			return strings.TrimRight(string(v), "\r\n")
		})
	}
	out.Content = make([]*yaml.Node, len(node.Content))
	for i, child := range node.Content {
		out.Content[i] = fill(child, values, missing)
	}
	return &out
}

// Open makes the service that c names, with the values of the Secret beside it.
func (c *Config) Open(name string, values map[string][]byte) (Service, error) {
	s := c.services[name]
	if s == nil {
		return nil, Errorf(outbox.Broken, "ConfigMap %s/%s has no service %s: add the key service.%s", c.Namespace, ConfigMapName, name, name)
	}
	where := fmt.Sprintf("ConfigMap %s/%s, key %s", c.Namespace, ConfigMapName, s.key)
	var missing []string
	node := fill(s.node, values, &missing)
	if len(missing) > 0 {
		return nil, Errorf(outbox.Broken, "%s: Secret %s has no key %s", where, SecretName, strings.Join(missing, ", "))
	}
	secrets := make([]secret.Text, 0, len(values))
	for _, v := range values {
		secrets = append(secrets, secret.New(strings.TrimSpace(string(v))))
	}
	options := s.kind.Options()
	if err := node.Decode(options); err != nil {
		return nil, Errorf(outbox.Broken, "%s: a value is not of the kind that its field has; compare it with docs/notifications.md", where)
	}
	service, err := s.kind.Open(options, secrets)
	if err != nil {
		return nil, Errorf(outbox.Broken, "%s: %v", where, err)
	}
	return service, nil
}
