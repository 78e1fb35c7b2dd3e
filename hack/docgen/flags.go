// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/pflag"

	"sluice.dev/sluice/internal/app"
)

const flagsIntro = `# Flags of the controller

` + "`sluice controller`" + ` takes these. With the chart, those without a value of their own go into ` + "`controller.extraArgs`" + `. The kubeconfig flags of kubectl (` + "`--kubeconfig`, `--context`, `--namespace`" + ` and so on) are accepted too.

A flag that Argo Rollouts' controller has is marked **A**: it has the same name and meaning, and not always the same default.

`

// added are the beginnings of the names of flags that Argo Rollouts has not.
var added = []string{"analysis-semantics", "analysis-error-backoff", "vault-", "evidence-", "notification-"}

func argo(name string) string {
	for _, prefix := range added {
		if strings.HasPrefix(name, prefix) {
			return ""
		}
	}
	return "A"
}

func controllerFlags(string) (string, error) {
	var c app.Config
	flags := c.Flags()
	t := newTable("flag", "type", "default", "Argo", "meaning")
	var idle []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			if strings.HasPrefix(f.Usage, "accepted for") {
				idle = append(idle, code("--"+f.Name))
			}
			return
		}
		t.row(code("--"+f.Name), f.Value.Type(), code(defaultOf(f)), argo(f.Name), f.Usage)
	})
	return made + flagsIntro + t.String() + "\n## Accepted, and without effect\n\nThese are flags of Argo Rollouts for what this version does not have, or does not need to be told. They are accepted so that a command line that exists keeps working:\n\n" +
		strings.Join(idle, ", ") + ".\n\n`--metricsport` is the old name of `--metricsPort`.\n", nil
}
