// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cli/kube"
	"sluice.dev/sluice/internal/evidence"
	"sluice.dev/sluice/internal/view"
)

func evidenceCommand(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "evidence",
		Short: "Show what is on record of a release: what changed, every step and reading, and the verdict",
		Args:  known,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(evidenceRolloutCommand(p))
	return c
}

// An asked record is the flags of the command.
type asked struct {
	revision   int64
	attempt    int32
	output, to string
	list       bool
}

func evidenceRolloutCommand(p *program) *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:     "rollout ROLLOUT_NAME",
		Aliases: []string{"ro", "rollouts"},
		Short:   "Show what is on record of an attempt at a release, also of one that ended earlier",
		Long: "Writes the record of one attempt at a release: what changed and who began it, every step and\n" +
			"weight with its time, every measurement with its query and limits, and the verdict. Without\n" +
			"--revision and --attempt it is the newest one, which may still be in progress.\n\n" +
			"html is one page that needs no network, json has a published schema, and zip holds both and\n" +
			"the analysis runs that are still there.",
		Example: p.examples(
			"# What happened?", "evidence rollout guestbook", "",
			"# A page for the post-mortem", "evidence rollout guestbook --to guestbook.html", "",
			"# What is kept", "evidence rollout guestbook --list", "",
			"# The second try of revision 7, with everything", "evidence rollout guestbook --revision 7 --attempt 2 -o zip --to guestbook.zip"),
		Args:              named("rollout", true),
		ValidArgsFunction: p.complete(kube.Rollouts, true),
		RunE: func(c *cobra.Command, args []string) error {
			return showEvidence(c.Context(), p, bare(args[0]), a)
		},
	}
	c.Flags().Int64Var(&a.revision, "revision", 0, "The revision; 0: the newest")
	c.Flags().Int32Var(&a.attempt, "attempt", 0, "The attempt at the revision, from 1; 0: its last one")
	c.Flags().StringVarP(&a.output, "output", "o", "", "text, html, json or zip (default: what --to ends in, or text)")
	c.Flags().StringVar(&a.to, "to", "", "File to write to, in place of the screen")
	c.Flags().BoolVar(&a.list, "list", false, "List the attempts that are on record")
	return c
}

func showEvidence(ctx context.Context, p *program, name string, a asked) error {
	format, err := a.format()
	if err != nil {
		return err
	}
	if _, _, tty := p.Screen(); format == "zip" && a.to == "" && tty {
		return errors.New("a ZIP archive is nothing for a terminal: name a file with --to")
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	o, all, err := everything(ctx, p, client, name)
	if err != nil {
		return err
	}
	if a.list {
		write(p.Out, attemptList(all))
		return nil
	}
	found, err := choose(all, a, name)
	if err != nil {
		return err
	}
	r, err := recordOf(ctx, client, o, found, p.Now())
	if err != nil {
		return err
	}
	data, err := encode(ctx, client, &r, format)
	if err != nil {
		return err
	}
	return deliver(p, a.to, data)
}

// everything reads a rollout and the attempts that can be shown of it. What we
// may not see is left out, and said.
func everything(ctx context.Context, p *program, client *kube.Client, name string) (view.Objects, []attempt, error) {
	o, hidden, err := client.Objects(ctx, name)
	if err != nil {
		return o, nil, err
	}
	if len(hidden) > 0 {
		writef(p.Err, "not on record, because you may not list them: %s\n", strings.Join(hidden, ", "))
	}
	kept, err := kube.Evidence{Client: client}.List(ctx, o.Rollout.UID)
	if err != nil {
		writef(p.Err, "what ended earlier is left out: %v\n", err)
	}
	return o, onRecord(o.Rollout, kept), nil
}

// format is what to write.
func (a asked) format() (string, error) {
	if a.output == "" {
		switch ending := strings.ToLower(filepath.Ext(a.to)); ending {
		case ".html", ".json", ".zip":
			return ending[1:], nil
		}
		return "text", nil
	}
	switch a.output {
	case "text", "html", "json", "zip":
		return a.output, nil
	}
	return "", fmt.Errorf("-o %s: it is text, html, json or zip", a.output)
}

// An attempt is one that can be shown: from the status of the Rollout, or from
// its record.
type attempt struct {
	evidence.Kept
	live *v1alpha1.RolloutAttempt
}

// onRecord are the attempts that can be shown, the newest first. What is kept
// comes before what the status says of the same.
func onRecord(ro *v1alpha1.Rollout, kept []evidence.Kept) []attempt {
	var out []attempt
	known := map[string]bool{}
	for _, k := range kept {
		out = append(out, attempt{Kept: k})
		known[fmt.Sprint(k.Revision, ".", k.Attempt)] = true
	}
	if ro.Status.Sluice == nil {
		return out
	}
	for i := range ro.Status.Sluice.Attempts {
		a := &ro.Status.Sluice.Attempts[i]
		if known[fmt.Sprint(a.Revision, ".", a.Attempt)] {
			continue
		}
		k := evidence.Kept{Revision: a.Revision, Attempt: a.Attempt, Outcome: cmp.Or(a.Outcome, evidence.InProgress)}
		if a.EndedAt != nil {
			k.Ended = a.EndedAt.Time
		}
		out = append(out, attempt{Kept: k, live: a})
	}
	// What goes on has no end, and comes first.
	slices.SortStableFunc(out, func(a, b attempt) int {
		switch {
		case a.Ended.IsZero() == b.Ended.IsZero():
			return b.Ended.Compare(a.Ended)
		case a.Ended.IsZero():
			return -1
		}
		return 1
	})
	return out
}

// what is what was asked for, in words.
func (a asked) what() string {
	switch {
	case a.attempt == 0:
		return fmt.Sprintf("revision %d", a.revision)
	case a.revision == 0:
		return fmt.Sprintf("attempt %d", a.attempt)
	}
	return fmt.Sprintf("attempt %d at revision %d", a.attempt, a.revision)
}

// choose finds the attempt that was asked for.
func choose(all []attempt, a asked, name string) (attempt, error) {
	for _, x := range all {
		if (a.revision == 0 || x.Revision == a.revision) && (a.attempt == 0 || x.Attempt == a.attempt) {
			return x, nil
		}
	}
	if len(all) == 0 {
		return attempt{}, fmt.Errorf("nothing is on record of rollout '%s': it had no release since the controller keeps evidence, which the first revision is not", name)
	}
	var have []string
	for _, x := range all {
		have = append(have, fmt.Sprintf("revision %d attempt %d", x.Revision, x.Attempt))
	}
	return attempt{}, fmt.Errorf("%s of rollout '%s' is not on record; there is %s", a.what(), name, strings.Join(have, ", "))
}

// recordOf reads a record, or makes it of what is there now.
func recordOf(ctx context.Context, client *kube.Client, o view.Objects, a attempt, now time.Time) (evidence.Record, error) {
	if a.live == nil {
		return kube.Evidence{Client: client}.Record(ctx, a.Name)
	}
	objects := evidence.Objects{Rollout: o.Rollout}
	for i := range o.ReplicaSets {
		objects.ReplicaSets = append(objects.ReplicaSets, &o.ReplicaSets[i])
	}
	for i := range o.AnalysisRuns {
		objects.Runs = append(objects.Runs, &o.AnalysisRuns[i])
	}
	objects.ReplicaSets = ownSets(o, objects.ReplicaSets)
	return evidence.Build(objects, a.live, now), nil
}

// ownSets leaves out what another Rollout with the same labels owns.
func ownSets(o view.Objects, sets []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	var out []*appsv1.ReplicaSet
	for _, rs := range sets {
		for _, ref := range rs.OwnerReferences {
			if ref.UID == o.Rollout.UID {
				out = append(out, rs)
			}
		}
	}
	return out
}

func encode(ctx context.Context, client *kube.Client, r *evidence.Record, format string) ([]byte, error) {
	switch format {
	case "html":
		return evidence.HTML(r)
	case "json":
		return evidence.JSON(r)
	case "zip":
		return evidence.Zip(r, kube.Evidence{Client: client}.Runs(ctx, r))
	}
	return []byte(evidence.Text(r)), nil
}

// deliver writes data to a file, or to the screen.
func deliver(p *program, to string, data []byte) error {
	if to == "" {
		write(p.Out, string(data))
		return nil
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	writef(p.Err, "written to %s\n", to)
	return nil
}

// attemptList draws the attempts that are on record.
func attemptList(all []attempt) string {
	if len(all) == 0 {
		return "nothing is on record\n"
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "REVISION\tATTEMPT\tOUTCOME\tENDED\tKEPT")
	for _, a := range all {
		ended, where := "-", "ConfigMap "+a.Name
		if !a.Ended.IsZero() {
			ended = a.Ended.UTC().Format(time.RFC3339)
		}
		if a.live != nil {
			where = "not yet"
		}
		_, _ = fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\n", a.Revision, a.Attempt, a.Outcome, ended, where)
	}
	_ = w.Flush()
	return b.String()
}
