// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scripts runs the Lua scripts by which Argo CD judges the health of an
// object and offers actions for it. They are those of Argo CD's own module,
// unchanged, on the interpreter that Argo CD uses.
//
// It asks no API server: what a script makes of an object is returned.
package scripts

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/argoproj/argo-cd/v3/resource_customizations"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

// A Health is what Argo CD says of an object in one state.
type Health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// JudgeHealth returns the health of an object of a kind that Argo CD has a script for.
func JudgeHealth(obj *unstructured.Unstructured) (Health, error) {
	var h Health
	return h, run(obj, "health.lua", &h)
}

// Actions returns the names of the actions that Argo CD's UI offers for an object,
// in order, without those that it shows as disabled.
func Actions(obj *unstructured.Unstructured) ([]string, error) {
	actions := map[string]any{} // an empty table, which says nothing, is a list here
	if err := run(obj, "actions/discovery.lua", &actions); err != nil {
		return nil, err
	}
	names := []string{}
	for name, action := range actions {
		if says, ok := action.(map[string]any); !ok || says["disabled"] != true {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Act returns the object as an action would have it.
func Act(obj *unstructured.Unstructured, action string) (*unstructured.Unstructured, error) {
	changed := map[string]any{}
	if err := run(obj, path.Join("actions", action, "action.lua"), &changed); err != nil {
		return nil, err
	}
	keepObjects(changed, obj.Object)
	return &unstructured.Unstructured{Object: changed}, nil
}

// run runs the script of a name for the kind of obj and reads what it returns.
func run(obj *unstructured.Unstructured, name string, into any) error {
	kind := obj.GroupVersionKind()
	file := path.Join(kind.Group, kind.Kind, name)
	script, err := resource_customizations.Embedded.ReadFile(file)
	if err != nil {
		return fmt.Errorf("find Argo CD's script: %w", err)
	}
	text, err := obj.MarshalJSON()
	if err != nil {
		return fmt.Errorf("write %s %s as JSON: %w", kind.Kind, obj.GetName(), err)
	}
	l := lua.NewState()
	defer l.Close()
	value, err := luajson.Decode(l, text)
	if err != nil {
		return fmt.Errorf("hand %s %s over: %w", kind.Kind, obj.GetName(), err)
	}
	l.SetGlobal("obj", value)
	if err := l.DoString(string(script)); err != nil {
		return fmt.Errorf("run %s: %w", file, err)
	}
	table, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return fmt.Errorf("run %s: %w", file, errNoTable)
	}
	if text, err = luajson.Encode(table); err != nil {
		return fmt.Errorf("read what %s returned: %w", file, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read what %s returned: %w", file, err)
	}
	return nil
}

var errNoTable = errors.New("it returned no table")

// keepObjects turns back into objects what was empty and is one in Lua's eyes with
// an empty list.
func keepObjects(changed, before map[string]any) {
	for key, value := range changed {
		changed[key] = kept(value, before[key])
	}
}

func kept(value, before any) any {
	switch value := value.(type) {
	case map[string]any:
		if was, ok := before.(map[string]any); ok {
			keepObjects(value, was)
		}
	case []any:
		if was, ok := before.(map[string]any); ok && len(value) == 0 && len(was) == 0 {
			return was
		}
		if was, ok := before.([]any); ok && len(was) == len(value) {
			for i := range value {
				value[i] = kept(value[i], was[i])
			}
		}
	}
	return value
}
