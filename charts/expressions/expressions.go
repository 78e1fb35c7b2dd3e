// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expressions tells which metrics and labels a PromQL expression
// names, and which ones a page of metrics has. It evaluates nothing.
package expressions

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// Exported are the names of metrics, each with its labels.
type Exported map[string][]string

// added are the labels that Prometheus and its operator add.
var added = []string{"job", "namespace", "pod", "instance", "service", "endpoint", "container"}

// Read returns what a page of metrics has.
func Read(page io.Reader) (Exported, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bufio.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	out := Exported{}
	for name, family := range families {
		names := []string{}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				names = append(names, l.GetName())
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		if strings.EqualFold(family.GetType().String(), "histogram") {
			out[name+"_bucket"] = append(slices.Clone(names), "le")
			out[name+"_sum"], out[name+"_count"] = names, names
			continue
		}
		out[name] = names
	}
	return out, nil
}

// grafana stands for Grafana's variables.
var grafana = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$controller", ".*")

// Check says what in an expression is not exported.
func (x Exported) Check(expression string) error {
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(grafana.Replace(expression))
	if err != nil {
		return fmt.Errorf("%s: %w", expression, err)
	}
	var wrong []error
	known := slices.Clone(added)
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			wrong = append(wrong, x.selector(selector))
			known = append(known, x[selector.Name]...)
		}
		return nil
	})
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		by, ok := node.(*parser.AggregateExpr)
		if !ok {
			return nil
		}
		for _, name := range by.Grouping {
			if !slices.Contains(known, name) {
				wrong = append(wrong, fmt.Errorf("nothing has the label %s", name))
			}
		}
		return nil
	})
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("%s: %w", expression, err)
	}
	return nil
}

func (x Exported) selector(s *parser.VectorSelector) error {
	names, ok := x[s.Name]
	if !ok {
		return fmt.Errorf("no metric %s is exported", s.Name)
	}
	for _, m := range s.LabelMatchers {
		if m.Name != model.MetricNameLabel && !slices.Contains(names, m.Name) && !slices.Contains(added, m.Name) {
			return fmt.Errorf("%s has no label %s, but %v", s.Name, m.Name, names)
		}
	}
	return nil
}
