// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: it reads arguments, asks package act what to
// send and package view what to show, and prints.
//
// The same commands serve as sluice, as the kubectl plugin kubectl-sluice and
// as kubectl-argo-rollouts. It decides nothing about rollouts.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice.dev/sluice/internal/cli/kube"
)

// Options are what the command line is given by the process it runs in.
type Options struct {
	// Program is the name it was started under: the first word of the command
	// line, with or without a path.
	Program  string
	Out, Err io.Writer
	// Extra are commands that are added to those of this package.
	Extra []*cobra.Command
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// Screen is the size of the terminal that Out is, and false when it is
	// none; nil asks the operating system.
	Screen func() (columns, rows int, ok bool)
}

// A program is what all commands share.
type program struct {
	Options
	name      string
	flags     *kube.Flags
	verbosity level
}

// New makes the root command.
func New(o Options) *cobra.Command {
	base := strings.TrimSuffix(filepath.Base(o.Program), ".exe")
	p := &program{Options: o, name: spoken(base)}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Screen == nil {
		p.Screen = screenOf(o.Out)
	}
	root := &cobra.Command{
		Use:           base,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: p.name},
		Short:         "Releases that data, not a person, lets through",
		Long:          "Shows and steers progressive releases: rollouts, the analysis that gates them, and experiments.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          known,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(o.Out)
	root.SetErr(o.Err)
	p.flags = kube.NewFlags(root.PersistentFlags())
	logging(p, root.PersistentFlags())
	group(root, "look", "See what is going on:",
		getCommand(p), listCommand(p), describeCommand(p), statusCommand(p), evidenceCommand(p))
	group(root, "prove", "Prove that the gates work:", drillCommand(p))
	group(root, "steer", "Steer a release:",
		promoteCommand(p), abortCommand(p), retryCommand(p), pauseCommand(p), undoCommand(p),
		restartCommand(p), setCommand(p), terminateCommand(p))
	root.AddCommand(versionCommand(p))
	root.AddCommand(o.Extra...)
	root.SetUsageTemplate(shortUsage(root.UsageTemplate()))
	return root
}

func group(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
	}
	root.AddCommand(commands...)
}

// shortUsage leaves kubectl's global flags out of the help of every command but
// the first: there are twenty of them.
func shortUsage(template string) string {
	return strings.Replace(template,
		"Global Flags:\n{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}",
		"kubectl's global flags work too: {{.Root.DisplayName}} --help lists them.", 1)
}

// Main runs the command line and returns the code to exit with.
func Main(ctx context.Context, o Options, args []string) int {
	root := New(o) //nolint:contextcheck // The context comes with the command that is run.
	// kubectl completes a plugin's arguments by running this name.
	if strings.HasPrefix(filepath.Base(o.Program), "kubectl_complete-") {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	writef(o.Err, "Error: %v\n", err)
	if c, ok := errors.AsType[coded](err); ok {
		return c.code
	}
	return 1
}

// spoken is what people type to run a program of this name: kubectl makes words
// of the dashes in a plugin's name.
func spoken(base string) string {
	if plugin, ok := strings.CutPrefix(base, "kubectl-"); ok {
		return "kubectl " + strings.ReplaceAll(strings.ReplaceAll(plugin, "-", " "), "_", "-")
	}
	if plugin, ok := strings.CutPrefix(base, "kubectl_complete-"); ok {
		return "kubectl " + strings.ReplaceAll(plugin, "-", " ")
	}
	return base
}

// examples writes the program's name into examples.
func (p *program) examples(lines ...string) string {
	for i, line := range lines {
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			lines[i] = "  " + line
		default:
			lines[i] = "  " + p.name + " " + line
		}
	}
	return strings.Join(lines, "\n")
}

// known refuses what is none of a command's own commands, and says which of
// them may be meant.
func known(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	c.SuggestionsMinimumDistance = 2
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		near = "; did you mean " + strings.Join(like, ", ") + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], c.CommandPath(), near)
}

// named asks for at least one name, or for exactly one.
func named(what string, one bool) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("which %s? usage: %s", what, c.UseLine())
		case one && len(args) > 1:
			return fmt.Errorf("one %s at a time, not %d; usage: %s", what, len(args), c.UseLine())
		}
		return nil
	}
}

// bare is a name without the kind that kubectl lets people put in front of it.
func bare(name string) string {
	if _, after, ok := strings.Cut(name, "/"); ok {
		return after
	}
	return name
}

// complete completes the names of a resource's objects.
func (p *program) complete(resource string, one bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if one && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client, err := p.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), 3*time.Second)
		defer cancel()
		return client.Names(ctx, resource, prefix), cobra.ShellCompDirectiveNoFileComp
	}
}

// noColor adds --no-color and returns whether colour may be used.
func (p *program) noColor(fs *pflag.FlagSet) func() bool {
	off := fs.Bool("no-color", false, "Do not use colour; it is used on a terminal only, and not when NO_COLOR is set")
	return func() bool {
		_, _, tty := p.Screen()
		return tty && !*off && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
}

// write writes s. A reader that has gone away, such as a closed pipe, is no
// reason to do anything but end.
func write(w io.Writer, s string) { _, _ = io.WriteString(w, s) }

func writef(w io.Writer, format string, args ...any) { write(w, fmt.Sprintf(format, args...)) }
