// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"fmt"
	"slices"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
)

const containersPath = "/spec/template/spec/containers"

// edits are the changes that make the release bad, mark it and guard it, and
// in words those that make it bad.
func edits(doc any, o Options, guard int) (list []Edit, words []string, err error) {
	add := func(path string, change func(any) (any, error)) {
		if err != nil {
			return
		}
		var e Edit
		if e, err = edit(doc, path, change); err == nil {
			list = append(list, e)
		}
	}
	container, name, err := find(doc, o.Container)
	if err != nil {
		return nil, nil, err
	}
	if o.Image != "" {
		words = append(words, fmt.Sprintf("image of %s: %s", name, o.Image))
		add(container+"/image", func(was any) (any, error) {
			if was == o.Image {
				return nil, refuse("container %s runs image %s already: give the image of a bad version", name, o.Image)
			}
			return o.Image, nil
		})
	}
	if len(o.Env) > 0 {
		for _, v := range o.Env {
			words = append(words, fmt.Sprintf("environment of %s: %s=%s", name, v.Name, v.Value))
		}
		add(container+"/env", func(was any) (any, error) { return setEnv(was, o.Env), nil })
	}
	if len(o.Args) > 0 {
		words = append(words, fmt.Sprintf("arguments of %s: %s", name, strings.Join(o.Args, " ")))
		add(container+"/args", func(was any) (any, error) { return appendArgs(was, o.Args), nil })
	}
	add("/spec/template/metadata/annotations", func(was any) (any, error) {
		marks, ok := was.(map[string]any)
		if !ok {
			marks = map[string]any{}
		}
		marks[v1alpha1.AnnotationDrill] = o.ID
		return marks, nil
	})
	add("/spec/strategy/canary/steps", func(was any) (any, error) { return guarded(was, guard) })
	return list, words, err
}

// find is the path and the name of a container.
func find(doc any, name string) (path, found string, err error) {
	list, _ := at(doc, containersPath)
	containers, _ := list.([]any)
	var names []string
	for i := range containers {
		n, _ := at(containers[i], "/name")
		if name == "" || n == name {
			return fmt.Sprintf("%s/%d", containersPath, i), fmt.Sprint(n), nil
		}
		names = append(names, fmt.Sprint(n))
	}
	return "", "", refuse("the pod template has no container %q: it has %s", name, strings.Join(names, ", "))
}

func setEnv(was any, vars []Var) []any {
	list, _ := was.([]any)
	for _, v := range vars {
		entry := map[string]any{"name": v.Name, "value": v.Value}
		i := slices.IndexFunc(list, func(e any) bool {
			n, _ := at(e, "/name")
			return n == v.Name
		})
		if i >= 0 {
			list[i] = entry
		} else {
			list = append(list, entry)
		}
	}
	return list
}

func appendArgs(was any, args []string) []any {
	list, _ := was.([]any)
	for _, a := range args {
		list = append(list, a)
	}
	return list
}

// guarded puts the guard into the steps: no traffic, and a pause that only a
// person ends.
func guarded(was any, at int) (any, error) {
	steps, _ := was.([]any)
	if at > len(steps) {
		return nil, fmt.Errorf("spec.strategy.canary.steps has changed: it has %d steps", len(steps))
	}
	return slices.Insert(steps, at, any(map[string]any{"setWeight": 0}), any(map[string]any{"pause": map[string]any{}})), nil
}
