// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import (
	"encoding/json"
	"time"
)

// Evaluate answers a scalar query without HTTP.
func Evaluate(s *Server, text string, from, to time.Time) string {
	w := world{store: s.store, from: from, to: to, refs: map[string]frame{}}
	f, err := w.reduced(scalarQuery{"last", "metrics", "a", text}, s.opts.Buckets)
	if err != nil {
		return `"refused"`
	}
	w.refs["a"] = f
	answer, err := w.columns([]string{"a", "a / 2"})
	if err != nil {
		return `"refused"`
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
