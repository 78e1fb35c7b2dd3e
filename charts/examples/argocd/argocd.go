// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package argocd does to objects what a sync of Argo CD does: it compares three
// ways, with the fields left out that an Application ignores, and applies as
// kubectl does. It knows of an Application what the examples say in theirs.
package argocd

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/itchyny/gojq"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// An Application says what is synced and which differences do not count.
type Application struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              Spec `json:"spec"`
}

// Spec is what the examples use of the spec.
type Spec struct {
	Project     string      `json:"project"`
	Source      Source      `json:"source"`
	Destination Destination `json:"destination"`
	SyncPolicy  SyncPolicy  `json:"syncPolicy"`
	Ignore      []Ignore    `json:"ignoreDifferences"`
}

// Source is where Git is.
type Source struct {
	RepoURL        string `json:"repoURL"`
	TargetRevision string `json:"targetRevision"`
	Path           string `json:"path"`
}

// Destination is where the objects go.
type Destination struct {
	Server    string `json:"server"`
	Namespace string `json:"namespace"`
}

// SyncPolicy is how.
type SyncPolicy struct {
	Automated struct {
		Prune    bool `json:"prune"`
		SelfHeal bool `json:"selfHeal"`
	} `json:"automated"`
	Options []string `json:"syncOptions"`
}

// Ignore names fields whose differences do not count.
type Ignore struct {
	Group     string   `json:"group"`
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Paths     []string `json:"jqPathExpressions"`
}

// Read reads an Application, and refuses what this package does not know.
func Read(file string) (*Application, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the Application: %w", err)
	}
	a := &Application{}
	if err := yaml.UnmarshalStrict(data, a); err != nil {
		return nil, fmt.Errorf("read the Application %s: %w", file, err)
	}
	return a, nil
}

func (i Ignore) matches(o *unstructured.Unstructured) bool {
	return i.Group == o.GroupVersionKind().Group && i.Kind == o.GetKind() &&
		(i.Namespace == "" || i.Namespace == o.GetNamespace()) && (i.Name == "" || i.Name == o.GetName())
}

// normalized is an object without what is ignored.
func (a *Application) normalized(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	out := o.DeepCopy()
	for _, i := range a.Spec.Ignore {
		if !i.matches(o) {
			continue
		}
		for _, path := range i.Paths {
			object, err := remove(path, out.Object)
			if err != nil {
				return nil, fmt.Errorf("ignoreDifferences of %s %s, %s: %w", i.Kind, i.Name, path, err)
			}
			out.Object = object
		}
	}
	return out, nil
}

// remove deletes what a jq path is about.
func remove(path string, object map[string]any) (map[string]any, error) {
	query, err := gojq.Parse("del(" + path + ")")
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		return nil, err
	}
	result, _ := query.Run(plain).Next()
	if err, ok := result.(error); ok {
		return nil, err
	}
	return result.(map[string]any), nil
}

// Target is what a sync applies: what Git says, and with
// RespectIgnoreDifferences what is live in place of what is ignored. For a kind
// that is not built in that is a JSON merge patch, so that a list with an
// ignored field is taken from what is live as a whole.
func (a *Application) Target(git, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if !slices.Contains(a.Spec.SyncPolicy.Options, "RespectIgnoreDifferences=true") {
		return git.DeepCopy(), nil
	}
	less, err := a.normalized(live)
	if err != nil {
		return nil, err
	}
	target, err := a.normalized(git)
	if err != nil {
		return nil, err
	}
	patch, err := between(less, live)
	if err != nil {
		return nil, err
	}
	if string(patch) == "{}" {
		return git.DeepCopy(), nil
	}
	data, err := json.Marshal(target.Object)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", git.GetName(), err)
	}
	if data, err = jsonpatch.MergePatch(data, patch); err != nil {
		return nil, fmt.Errorf("keep what is live of %s: %w", git.GetName(), err)
	}
	out := &unstructured.Unstructured{}
	return out, out.UnmarshalJSON(data)
}

func between(from, to *unstructured.Unstructured) ([]byte, error) {
	a, err := json.Marshal(from.Object)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", from.GetName(), err)
	}
	b, err := json.Marshal(to.Object)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", to.GetName(), err)
	}
	patch, err := jsonpatch.CreateMergePatch(a, b)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", from.GetName(), err)
	}
	return patch, nil
}
