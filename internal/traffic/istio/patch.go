// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package istio

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/internal/traffic"
)

// An op is one operation of a JSON patch.
type op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patch is the JSON patch that makes obj's routes and annotation carry want, or
// nil when they do. It is bound to what it relies on twice: by tests of the
// names and hosts it goes by, and by the version of the object.
func patch(obj *unstructured.Unstructured, routes []route, want traffic.Change) ([]byte, error) {
	var tests, writes []op
	for i := range routes {
		// A route that is right already is guarded too: it was part of what
		// the change was worked out from.
		tests = append(tests, guard(&routes[i])...)
		writes = append(writes, reweigh(&routes[i], want.Weights)...)
	}
	writes = append(writes, relatch(obj, want.Latch)...)
	if len(writes) == 0 {
		return nil, nil
	}
	if version := obj.GetResourceVersion(); version != "" {
		tests = append(tests, op{"replace", "/metadata/resourceVersion", version})
	}
	return json.Marshal(append(tests, writes...))
}

// reweigh sets the two weights of r. A route without both destinations cannot
// carry a split; its weights stay.
func reweigh(r *route, want traffic.Weights) []op {
	if r.stable < 0 || r.canary < 0 {
		return nil
	}
	// What others have is theirs; only a retreat gets here while they do.
	stable := max(0, int64(want.Stable)-r.others())
	return append(weigh(r.destinations[r.stable], stable), weigh(r.destinations[r.canary], int64(want.Canary))...)
}

func weigh(d destination, weight int64) []op {
	switch {
	case !d.set:
		return []op{{"add", d.path + "/weight", weight}}
	case d.weight != weight:
		return []op{{"replace", d.path + "/weight", weight}}
	default:
		return nil
	}
}

// guard tests that r is still the route that was looked at.
func guard(r *route) []op {
	var out []op
	if r.name != "" {
		out = append(out, op{"test", r.path + "/name", r.name})
	}
	for _, d := range r.destinations {
		if d.host != "" {
			out = append(out, op{"test", d.path + "/destination/host", d.host})
		}
	}
	return out
}

// relatch leaves or takes away the mark of an abort.
func relatch(obj *unstructured.Unstructured, want *traffic.Latch) []op {
	annotations := obj.GetAnnotations()
	have, marked := annotations[traffic.AnnotationAborted]
	path := "/metadata/annotations/" + strings.ReplaceAll(strings.ReplaceAll(traffic.AnnotationAborted, "~", "~0"), "/", "~1")
	switch {
	case want == nil, want.Revision == "" && !marked, want.Revision != "" && have == want.String():
		return nil
	case want.Revision == "":
		return []op{{Op: "remove", Path: path}}
	case annotations == nil:
		return []op{{"add", "/metadata/annotations", map[string]string{traffic.AnnotationAborted: want.String()}}}
	default:
		return []op{{"add", path, want.String()}}
	}
}
