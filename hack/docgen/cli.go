// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cli"
)

const cliIntro = `# The command line

` + "`sluice`" + `, ` + "`kubectl argo rollouts`" + ` and ` + "`kubectl sluice`" + ` are the same program under three names. kubectl's global flags, such as ` + "`-n`" + `, ` + "`--context`" + ` and ` + "`--kubeconfig`" + `, work with every command; ` + "`sluice --help`" + ` lists them. ` + "`sluice controller`" + ` is in [flags.md](flags.md).

`

func commandLine(string) (string, error) {
	root := cli.New(cli.Options{Program: "sluice", Out: io.Discard, Err: io.Discard, Extra: []*cobra.Command{app.Command()}})
	var b strings.Builder
	b.WriteString(made + cliIntro)
	index := newTable("command", "what it does")
	var pages strings.Builder
	each(root, func(c *cobra.Command) {
		if !c.Runnable() || c.HasSubCommands() || c == root || c.Name() == "controller" || c.Name() == "help" {
			return
		}
		path := strings.TrimPrefix(c.CommandPath(), "sluice ")
		index.row(fmt.Sprintf("[%s](#%s)", path, strings.ReplaceAll(path, " ", "-")), c.Short)
		describe(&pages, path, c)
	})
	b.WriteString(index.String() + pages.String())
	return b.String(), nil
}

func each(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			each(sub, visit)
		}
	}
}

func describe(b *strings.Builder, path string, c *cobra.Command) {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n```text\n%s\n```\n", path, strings.ReplaceAll(text, "<", "&lt;"), c.UseLine())
	if len(c.Aliases) > 0 {
		fmt.Fprintf(b, "\nOther names: %s.\n", code(strings.Join(c.Aliases, "`, `")))
	}
	if flags := flagTable(c.LocalNonPersistentFlags()); flags != "" {
		b.WriteString("\n" + flags)
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", unindent(c.Example))
	}
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func flagTable(flags *pflag.FlagSet) string {
	t, any := newTable("flag", "default", "meaning"), false
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		any = true
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		t.row(code(name), code(defaultOf(f)), f.Usage)
	})
	if !any {
		return ""
	}
	return t.String()
}

// defaultOf is a flag's default, and nothing if it is the zero of its type.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "false", "[]", "":
		return ""
	case "0", "0s":
		return "0"
	}
	return f.DefValue
}
