// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package argocd

import (
	"context"
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Different returns the names of the objects that Argo CD calls OutOfSync.
func (a *Application) Different(ctx context.Context, cl client.Client, git []*unstructured.Unstructured) ([]string, error) {
	var names []string
	for _, o := range git {
		live, err := get(ctx, cl, o)
		if err != nil {
			return nil, err
		}
		patch, kind, err := threeWay(o, live)
		if err != nil {
			return nil, err
		}
		after, err := merged(live, patch, kind)
		if err != nil {
			return nil, err
		}
		same, err := a.same(live, after)
		if err != nil {
			return nil, err
		}
		if !same {
			names = append(names, o.GetKind()+" "+o.GetName())
		}
	}
	return names, nil
}

func (a *Application) same(live, after *unstructured.Unstructured) (bool, error) {
	x, err := a.normalized(live)
	if err != nil {
		return false, err
	}
	y, err := a.normalized(after)
	if err != nil {
		return false, err
	}
	patch, err := between(x, y)
	return string(patch) == "{}", err
}

// Sync applies the objects of Git, and creates those that are missing.
func (a *Application) Sync(ctx context.Context, cl client.Client, git []*unstructured.Unstructured) error {
	for _, o := range git {
		live, err := get(ctx, cl, o)
		if apierrors.IsNotFound(err) {
			err = create(ctx, cl, o)
			if err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		target, err := a.Target(o, live)
		if err != nil {
			return err
		}
		patch, kind, err := threeWay(target, live)
		if err != nil {
			return err
		}
		if err := cl.Patch(ctx, live, client.RawPatch(kind, patch)); err != nil {
			return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

func get(ctx context.Context, cl client.Client, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	if err := cl.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
		return nil, fmt.Errorf("get %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return live, nil
}

func create(ctx context.Context, cl client.Client, o *unstructured.Unstructured) error {
	made, err := annotated(o)
	if err != nil {
		return err
	}
	if err := cl.Create(ctx, made); err != nil {
		return fmt.Errorf("create %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// annotated is an object that remembers what was applied.
func annotated(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	out := o.DeepCopy()
	unstructured.RemoveNestedField(out.Object, "metadata", "annotations", corev1.LastAppliedConfigAnnotation)
	data, err := json.Marshal(out.Object)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", o.GetName(), err)
	}
	all := out.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	all[corev1.LastAppliedConfigAnnotation] = string(data)
	out.SetAnnotations(all)
	return out, nil
}

// threeWay is the patch that `kubectl apply` sends.
func threeWay(target, live *unstructured.Unstructured) ([]byte, types.PatchType, error) {
	made, err := annotated(target)
	if err != nil {
		return nil, "", err
	}
	modified, err := json.Marshal(made.Object)
	if err != nil {
		return nil, "", fmt.Errorf("write %s: %w", target.GetName(), err)
	}
	current, err := json.Marshal(live.Object)
	if err != nil {
		return nil, "", fmt.Errorf("write %s: %w", live.GetName(), err)
	}
	last := []byte(live.GetAnnotations()[corev1.LastAppliedConfigAnnotation])
	typed, err := scheme.Scheme.New(target.GroupVersionKind())
	if runtime.IsNotRegisteredError(err) {
		patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(last, modified, current)
		return patch, types.MergePatchType, err
	}
	if err != nil {
		return nil, "", fmt.Errorf("look up %s: %w", target.GetKind(), err)
	}
	meta, err := strategicpatch.NewPatchMetaFromStruct(typed)
	if err != nil {
		return nil, "", fmt.Errorf("look up %s: %w", target.GetKind(), err)
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(last, modified, current, meta, true)
	return patch, types.StrategicMergePatchType, err
}

// merged is what is live once a patch is applied, apart from what was applied
// last.
func merged(live *unstructured.Unstructured, patch []byte, kind types.PatchType) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(live.Object)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", live.GetName(), err)
	}
	if kind == types.MergePatchType {
		data, err = jsonpatch.MergePatch(data, patch)
	} else {
		typed, lookup := scheme.Scheme.New(live.GroupVersionKind())
		if lookup != nil {
			return nil, fmt.Errorf("look up %s: %w", live.GetKind(), lookup)
		}
		data, err = strategicpatch.StrategicMergePatch(data, patch, typed)
	}
	if err != nil {
		return nil, fmt.Errorf("patch %s: %w", live.GetName(), err)
	}
	after := &unstructured.Unstructured{}
	if err := after.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("read %s: %w", live.GetName(), err)
	}
	all := after.GetAnnotations()
	if old, ok := live.GetAnnotations()[corev1.LastAppliedConfigAnnotation]; ok && all != nil {
		all[corev1.LastAppliedConfigAnnotation] = old
		after.SetAnnotations(all)
	}
	return after, nil
}
