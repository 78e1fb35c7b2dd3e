// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package traffictest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ErrStale is what Apply fails with when the object has changed since the
// patch was made: what the API server answers 409 or 422 to.
var ErrStale = errors.New("the object has changed")

// Apply returns obj with a JSON patch applied and the next resource version, as
// the API server does it: the patch is bound to a version only if it sets one.
func Apply(obj *unstructured.Unstructured, patch []byte) (*unstructured.Unstructured, error) {
	doc, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	ops, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, fmt.Errorf("decode patch: %w", err)
	}
	if doc, err = ops.Apply(doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStale, err)
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(doc); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if out.GetResourceVersion() != obj.GetResourceVersion() {
		return nil, fmt.Errorf("%w: version %q, not %q", ErrStale, obj.GetResourceVersion(), out.GetResourceVersion())
	}
	version, err := strconv.Atoi(obj.GetResourceVersion())
	if err != nil {
		return nil, fmt.Errorf("resource version: %w", err)
	}
	out.SetResourceVersion(strconv.Itoa(version + 1))
	return out, nil
}

// reweighs reports whether patch writes more than an object's metadata, and so
// relies on its contents.
func reweighs(patch []byte) bool {
	var ops []struct{ Op, Path string }
	if err := json.Unmarshal(patch, &ops); err != nil {
		return true
	}
	for _, op := range ops {
		if op.Op != "test" && !strings.HasPrefix(op.Path, "/metadata/") {
			return true
		}
	}
	return false
}

// differences lists the JSON pointers of everything that differs between a and
// b: the outermost field that one of them lacks, or the value that is other.
func differences(a, b any) []string {
	var out []string
	walk("", a, b, &out)
	return out
}

func walk(pointer string, a, b any, out *[]string) {
	a, b = orEmpty(a, b), orEmpty(b, a)
	if am, bm, ok := both[map[string]any](a, b); ok {
		for k := range union(am, bm) {
			walk(pointer+"/"+escape(k), am[k], bm[k], out)
		}
		return
	}
	if al, bl, ok := both[[]any](a, b); ok && len(al) == len(bl) {
		for i := range al {
			walk(pointer+"/"+strconv.Itoa(i), al[i], bl[i], out)
		}
		return
	}
	if !reflect.DeepEqual(a, b) {
		*out = append(*out, pointer)
	}
}

// orEmpty is a, or an empty object where b is an object and a is nothing.
func orEmpty(a, b any) any {
	if _, ok := b.(map[string]any); ok && a == nil {
		return map[string]any{}
	}
	return a
}

func both[T any](a, b any) (T, T, bool) {
	at, aok := a.(T)
	bt, bok := b.(T)
	return at, bt, aok && bok
}

func union(a, b map[string]any) map[string]bool {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
