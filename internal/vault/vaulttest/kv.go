// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A store is a key-value store, version 2: secrets by path.
type store map[string]*versions

// versions are those of one secret, the first at 0.
type versions struct{ list []version }

type version struct {
	data             map[string]any
	created, deleted time.Time
	destroyed        bool
}

func (v *version) metadata(n int) map[string]any {
	deleted := ""
	if !v.deleted.IsZero() {
		deleted = v.deleted.UTC().Format(time.RFC3339Nano)
	}
	return map[string]any{
		"version": n, "created_time": v.created.UTC().Format(time.RFC3339Nano),
		"deletion_time": deleted, "destroyed": v.destroyed, "custom_metadata": nil,
	}
}

// serve answers below the mount.
func (kv store) serve(c *call, path string, now time.Time) (any, error) {
	op, name, _ := strings.Cut(path, "/")
	if name == "" {
		return nil, refuse(http.StatusNotFound)
	}
	switch op + " " + c.method {
	case "data GET":
		return kv.get(c, name)
	case "data POST":
		return kv.put(c, name, now)
	case "data DELETE":
		if s := kv[name]; s != nil {
			s.list[len(s.list)-1].deleted = now
		}
		return nil, nil
	case "delete POST", "undelete POST", "destroy POST":
		return nil, kv.change(c, op, name, now)
	case "metadata GET":
		return kv.describe(name)
	case "metadata DELETE":
		delete(kv, name)
		return nil, nil
	}
	return nil, refuse(http.StatusMethodNotAllowed, "unsupported operation")
}

func (kv store) get(c *call, name string) (any, error) {
	s := kv[name]
	if s == nil {
		return nil, refuse(http.StatusNotFound)
	}
	n := len(s.list)
	if text := c.URL.Query().Get("version"); text != "" && text != "0" {
		asked, err := strconv.Atoi(text)
		if err != nil || asked < 1 || asked > n {
			return nil, refuse(http.StatusNotFound)
		}
		n = asked
	}
	v := &s.list[n-1]
	if v.destroyed || !v.deleted.IsZero() {
		return envelope(map[string]any{"data": map[string]any{"data": nil, "metadata": v.metadata(n)}}), refuse(http.StatusNotFound)
	}
	return envelope(map[string]any{"data": map[string]any{"data": v.data, "metadata": v.metadata(n)}}), nil
}

func (kv store) put(c *call, name string, now time.Time) (any, error) {
	data, ok := c.body["data"].(map[string]any)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "no data provided")
	}
	s := kv[name]
	if s == nil {
		s = &versions{}
	}
	if options, ok := c.body["options"].(map[string]any); ok {
		if cas, ok := options["cas"].(float64); ok && int(cas) != len(s.list) {
			return nil, refuse(http.StatusBadRequest, "check-and-set parameter did not match the current version")
		}
	}
	kv[name] = s
	s.list = append(s.list, version{data: data, created: now})
	return envelope(map[string]any{"data": s.list[len(s.list)-1].metadata(len(s.list))}), nil
}

func (kv store) change(c *call, op, name string, now time.Time) error {
	s, asked := kv[name], list(c.body["versions"])
	if len(asked) == 0 {
		return refuse(http.StatusBadRequest, "No version number provided")
	}
	for _, text := range asked {
		n, err := strconv.Atoi(text)
		if s == nil || err != nil || n < 1 || n > len(s.list) {
			continue // as Vault does
		}
		v := &s.list[n-1]
		switch op {
		case "delete":
			v.deleted = now
		case "undelete":
			v.deleted = time.Time{}
		case "destroy":
			v.destroyed, v.data = true, nil
		}
	}
	return nil
}

func (kv store) describe(name string) (any, error) {
	s := kv[name]
	if s == nil {
		return nil, refuse(http.StatusNotFound)
	}
	all := map[string]any{}
	for i := range s.list {
		all[strconv.Itoa(i+1)] = s.list[i].metadata(i + 1)
	}
	return envelope(map[string]any{"data": map[string]any{"current_version": len(s.list), "oldest_version": 1, "versions": all}}), nil
}
