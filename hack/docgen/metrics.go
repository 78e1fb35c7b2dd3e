// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"sluice.dev/sluice/internal/controller/outbox"
)

// A figure is one metric as people ask for it.
type figure struct {
	kind   string
	labels []string
	help   string
}

// metricsTable lists what a running controller was seen to export (a test of
// the chart compares testdata/metrics.json with one), and what the registry
// has besides: figures without a value are not exported.
func metricsTable(root string) (string, error) {
	figures, err := seen(filepath.Join(root, "charts", "testdata", "metrics.json"))
	if err != nil {
		return "", err
	}
	described, err := registered()
	if err != nil {
		return "", err
	}
	var missing []error
	for name, f := range figures {
		d, ok := described[name]
		if !ok {
			missing = append(missing, fmt.Errorf("%s is exported, and nobody registers it: remove it from charts/testdata/metrics.json", name))
			continue
		}
		f.help = d.help
		figures[name] = f
	}
	for name, d := range described {
		if _, ok := figures[name]; !ok && strings.HasPrefix(name, "sluice_") {
			figures[name] = d
		}
	}
	t := newTable("metric", "type", "labels", "meaning")
	for _, name := range slices.SortedFunc(maps.Keys(figures), ours) {
		f := figures[name]
		t.row(code(name), f.kind, strings.Join(f.labels, ", "), f.help)
	}
	return t.String(), errors.Join(missing...)
}

// ours sorts names, those of Sluice first.
func ours(a, b string) int {
	x, y := strings.HasPrefix(a, "sluice_"), strings.HasPrefix(b, "sluice_")
	switch {
	case x == y:
		return strings.Compare(a, b)
	case x:
		return -1
	default:
		return 1
	}
}

func seen(file string) (map[string]figure, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	var exported map[string][]string
	if err := json.Unmarshal(text, &exported); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	out := map[string]figure{}
	for name, labels := range exported {
		base, bucket := strings.CutSuffix(name, "_bucket")
		_, histogram := exported[stem(name)+"_bucket"]
		switch {
		case bucket, histogram:
			if !bucket {
				base = stem(name)
			}
			out[base] = figure{kind: "histogram", labels: slices.DeleteFunc(slices.Clone(exported[base+"_count"]), func(l string) bool { return l == "le" })}
		default:
			out[name] = figure{kind: kindOf(name), labels: labels}
		}
	}
	return out, nil
}

func stem(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
}

func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_delay_seconds"):
		return "histogram"
	default:
		return "gauge"
	}
}

var desc = regexp.MustCompile(`fqName: "([^"]*)", help: ("(?:[^"\\]|\\.)*"), .*variableLabels: \{([^}]*)\}`)

// registered are the figures that are registered, by name.
func registered() (map[string]figure, error) {
	if err := outbox.Register(); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	all, ok := metrics.Registry.(prometheus.Collector)
	if !ok {
		return nil, errors.New("the registry does not describe what it holds")
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		all.Describe(descs)
		close(descs)
	}()
	out := map[string]figure{}
	for d := range descs {
		m := desc.FindStringSubmatch(d.String())
		if m == nil {
			return nil, fmt.Errorf("cannot read %s", d)
		}
		var labels []string
		if m[3] != "" {
			labels = strings.Split(m[3], ",")
		}
		var help string
		if err := json.Unmarshal([]byte(m[2]), &help); err != nil {
			return nil, fmt.Errorf("read %s: %w", d, err)
		}
		out[m[1]] = figure{kind: kindOf(m[1]), labels: labels, help: help}
	}
	return out, nil
}
