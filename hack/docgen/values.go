// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const valuesIntro = `# Values of the chart

From [values.yaml](../../charts/sluice/values.yaml). The names are those of the chart argo-rollouts where that has them; [the schema](../../charts/sluice/values.schema.json) refuses every other name, and a wrong type, with the path. [The chart's page](../../charts/sluice/README.md) says how to install it.

`

func chartValues(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "charts", "sluice", "values.yaml"))
	if err != nil {
		return "", fmt.Errorf("read the values: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return "", fmt.Errorf("read the values: %w", err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return "", errors.New("the values are no map")
	}
	t := newTable("value", "default", "meaning")
	if err := rows(t, "", doc.Content[0]); err != nil {
		return "", err
	}
	return made + valuesIntro + t.String(), nil
}

// rows writes a row for every value of a map, and those of maps in it that are
// written on lines of their own.
func rows(t *table, prefix string, m *yaml.Node) error {
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		path := prefix + key.Value
		if value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0 {
			if c := comment(key); c != "" {
				t.row(code(path), "", c)
			}
			if err := rows(t, path+".", value); err != nil {
				return err
			}
			continue
		}
		text, err := flow(value)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		t.row(code(path), code(text), comment(key))
	}
	return nil
}

func comment(n *yaml.Node) string {
	text := n.HeadComment
	if i := strings.LastIndex(text, "\n\n"); i >= 0 { // what stands apart is of the file
		text = text[i+2:]
	}
	return strings.Join(strings.Fields(strings.ReplaceAll("\n"+text, "\n#", "\n")), " ")
}

// flow is a value on one line.
func flow(n *yaml.Node) (string, error) {
	flat := *n
	flat.Style |= yaml.FlowStyle
	flat.HeadComment, flat.LineComment, flat.FootComment = "", "", ""
	out, err := yaml.Marshal(&flat)
	if err != nil {
		return "", fmt.Errorf("write the default: %w", err)
	}
	return strings.Join(strings.Fields(string(out)), " "), nil
}
