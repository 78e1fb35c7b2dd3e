// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cli/kube"
	"sluice.dev/sluice/internal/view"
	"sluice.dev/sluice/internal/view/text"
)

// A listing is the flags of a command that lists objects.
type listing struct {
	everywhere, watch, stamps bool
	name                      string
	color                     func() bool
}

func listCommand(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List rollouts, experiments or analysis runs",
		Args:  known,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(listRolloutsCommand(p), listExperimentsCommand(p), listRunsCommand(p))
	return c
}

func listFlags(p *program, c *cobra.Command) *listing {
	l := &listing{color: p.noColor(c.Flags())}
	c.Flags().BoolVarP(&l.everywhere, "all-namespaces", "A", false, "List those of all namespaces")
	return l
}

func (l *listing) namespace(client *kube.Client) string {
	if l.everywhere {
		return ""
	}
	return client.Namespace
}

func nothing(p *program, l *listing, client *kube.Client, what string) {
	where := "namespace " + client.Namespace
	if l.everywhere {
		where = "any namespace"
	}
	writef(p.Err, "No %s in %s.\n", what, where)
}

func listRolloutsCommand(p *program) *cobra.Command {
	var l *listing
	c := &cobra.Command{
		Use:     "rollouts",
		Aliases: []string{"ro", "rollout"},
		Short:   "List rollouts",
		Example: p.examples(
			"# Those of this namespace", "list rollouts", "",
			"# All of them, as they change", "list rollouts -A --watch"),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.listRollouts(c.Context(), l) },
	}
	l = listFlags(p, c)
	c.Flags().BoolVarP(&l.watch, "watch", "w", false, "Keep listing them as they change")
	c.Flags().BoolVar(&l.stamps, "timestamps", false, "Put the time in front of every line")
	c.Flags().StringVar(&l.name, "name", "", "List only the rollout of this name")
	return c
}

func (p *program) listRollouts(ctx context.Context, l *listing) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	var list v1alpha1.RolloutList
	if err := client.List(ctx, l.namespace(client), kube.Rollouts, &list); err != nil {
		return err
	}
	if !l.watch {
		drawn := p.rollouts(l, list.Items, p.Now())
		if drawn == "" {
			nothing(p, l, client, "rollouts")
		}
		write(p.Out, drawn)
		return nil
	}
	w, err := client.WatchAll(ctx, l.namespace(client))
	if err != nil {
		return err
	}
	draw := func(at time.Time, _ bool) (string, bool) { return p.rollouts(l, w.All(), at), true }
	if _, _, tty := p.Screen(); tty && !l.stamps {
		return p.follow(ctx, w, draw)
	}
	return p.lines(ctx, w, l)
}

// rollouts draws a list, or nothing when it is empty.
func (p *program) rollouts(l *listing, items []v1alpha1.Rollout, at time.Time) string {
	var views []view.Rollout
	for i := range items {
		if l.name == "" || items[i].Name == l.name {
			views = append(views, view.Of(view.Objects{Rollout: &items[i]}, at))
		}
	}
	if len(views) == 0 {
		return ""
	}
	slices.SortFunc(views, func(a, b view.Rollout) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	columns := text.Columns{Namespace: l.everywhere}
	if l.stamps {
		columns.Time = at.UTC().Format(time.RFC3339)
	}
	return text.Rollouts(views, columns, text.Options{Color: l.color()})
}

// lines writes the lines that have changed below those before them.
func (p *program) lines(ctx context.Context, w *kube.Watch, l *listing) error {
	seen, lost := map[string]bool{}, false
	if !w.Synced(ctx, syncLimit) && ctx.Err() == nil {
		return unsynced(w)
	}
	for {
		lost = p.tell(w, lost)
		// Times alone are no change: the lines are compared without them.
		still := strings.SplitAfter(p.rollouts(l, w.All(), time.Time{}), "\n")
		lines := strings.SplitAfter(p.rollouts(l, w.All(), p.Now()), "\n")
		now := map[string]bool{}
		for i, key := range still {
			now[key] = true
			heading := i == 0 && len(seen) > 0
			if i < len(lines) && !seen[key] && !heading {
				write(p.Out, lines[i])
			}
		}
		seen = now
		select {
		case <-ctx.Done():
			return nil
		case <-w.Changed:
			time.Sleep(settle)
		}
	}
}

func listExperimentsCommand(p *program) *cobra.Command {
	var l *listing
	c := &cobra.Command{
		Use:     "experiments",
		Aliases: []string{"exp", "experiment"},
		Short:   "List experiments",
		Example: p.examples("list experiments -A"),
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			var list v1alpha1.ExperimentList
			if err := client.List(c.Context(), l.namespace(client), kube.Experiments, &list); err != nil {
				return err
			}
			if len(list.Items) == 0 {
				nothing(p, l, client, "experiments")
				return nil
			}
			var views []view.Experiment
			for i := range list.Items {
				views = append(views, view.ExperimentOf(&list.Items[i], nil, p.Now()))
			}
			write(p.Out, text.Experiments(views, text.Columns{Namespace: l.everywhere}, text.Options{Color: l.color()}))
			return nil
		},
	}
	l = listFlags(p, c)
	return c
}

func listRunsCommand(p *program) *cobra.Command {
	var l *listing
	c := &cobra.Command{
		Use:     "analysisruns",
		Aliases: []string{"ar", "analysisrun"},
		Short:   "List analysis runs",
		Example: p.examples("list analysisruns"),
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			var list v1alpha1.AnalysisRunList
			if err := client.List(c.Context(), l.namespace(client), kube.AnalysisRuns, &list); err != nil {
				return err
			}
			if len(list.Items) == 0 {
				nothing(p, l, client, "analysis runs")
				return nil
			}
			slices.SortFunc(list.Items, func(a, b v1alpha1.AnalysisRun) int {
				return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
			})
			var views []view.AnalysisRun
			for i := range list.Items {
				views = append(views, view.RunOf(&list.Items[i], p.Now()))
			}
			write(p.Out, text.Runs(views, text.Columns{Namespace: l.everywhere}, text.Options{Color: l.color()}))
			return nil
		},
	}
	l = listFlags(p, c)
	return c
}
