// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/evidence"
)

func micro(before time.Duration) metav1.MicroTime {
	return metav1.NewMicroTime(clock.Add(-before))
}

// released is a server with a rollout that is at its third attempt: the first is
// in a ConfigMap, the second has just ended, and the third goes on.
func released(t *testing.T) *server {
	t.Helper()
	s := serve(t)
	ro := checkout()
	attempt := func(hash string, revision int64, n int32, began, ended time.Duration) v1alpha1.RolloutAttempt {
		a := v1alpha1.RolloutAttempt{
			Hash: hash, Revision: revision, Attempt: n, Stable: "old", StartedAt: micro(began), StartedBy: "the pipeline",
			Marks: []v1alpha1.AttemptMark{{At: micro(began), Kind: v1alpha1.MarkStep, Text: "setWeight 10"}},
		}
		if ended > 0 {
			a.EndedAt, a.Outcome, a.Reason = new(micro(ended)), v1alpha1.OutcomeAborted, "User"
		}
		return a
	}
	first := attempt("new", 2, 1, 3*time.Hour, 2*time.Hour)
	ro.Status.Sluice = &v1alpha1.SluiceStatus{Attempt: 1, Attempts: []v1alpha1.RolloutAttempt{
		attempt("new", 2, 2, time.Hour, 30*time.Minute), attempt("newer", 3, 1, 10*time.Minute, 0),
	}}
	s.rollout(ro)
	s.replicaSet("old", "checkout:1", "1")
	s.replicaSet("new", "checkout:2", "2")
	s.replicaSet("newer", "checkout:3", "3")
	ar := analysisRun()
	ar.CreationTimestamp = metav1.NewTime(clock.Add(-150 * time.Minute))
	ar.Annotations = map[string]string{evidence.KeyAttempt: "1"}
	s.run(ar)
	r := evidence.Build(evidence.Objects{Rollout: ro, Runs: []*v1alpha1.AnalysisRun{ar}}, &first, clock.Add(-2*time.Hour))
	cm, err := evidence.ToConfigMap(&r, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	s.put("/api/v1/namespaces/payments/configmaps", "ConfigMap", "v1", cm)
	return s
}

func TestEvidenceOfAnAttempt(t *testing.T) {
	t.Parallel()
	s := released(t)
	for args, want := range map[string][]string{
		"":                         {"Revision 3 of payments/checkout has been in progress", "checkout:1 -> checkout:3", "the pipeline"},
		"--revision 3":             {"Revision 3"},
		"--revision 2":             {"Revision 2 of payments/checkout (attempt 2) was aborted", "A person aborted it."},
		"--attempt 2":              {"(attempt 2)"},
		"--revision 2 --attempt 1": {"Revision 2 of payments/checkout was aborted at 2026-11-22 10:00:00 UTC", "ANALYSIS checkout-new-2-1"},
		"--attempt 1 -o json":      {`"revision": 3`, `"outcome": "InProgress"`},
		"-o html --revision 2":     {"<!DOCTYPE html>", "<svg"},
		"--list":                   {"REVISION   ATTEMPT", "3          1         InProgress   -                      not yet", "2          1         Aborted      2026-11-22T10:00:00Z   ConfigMap checkout-evidence-2-1"},
		"-o text":                  {"TIMELINE (UTC)", "step 0: setWeight 10"},
	} {
		got := run(t, s, append([]string{"evidence", "rollout", "checkout"}, strings.Fields(args)...)...)
		if got.code != 0 {
			t.Errorf("%s: %s", args, got.err)
		}
		for _, w := range want {
			if !strings.Contains(got.out, w) {
				t.Errorf("%s: no %q in\n%s", args, w, got.out)
			}
		}
	}
}

func TestEvidenceThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := released(t)
	plain := checkout()
	plain.Name, plain.UID = "plain", "plain"
	s.rollout(plain)
	for args, want := range map[string]string{
		"checkout --revision 9":             "revision 9 of rollout 'checkout' is not on record; there is revision 3 attempt 1, revision 2 attempt 2, revision 2 attempt 1",
		"checkout --attempt 4":              "attempt 4 of rollout 'checkout' is not on record",
		"checkout --revision 2 --attempt 4": "attempt 4 at revision 2",
		"plain":                             "nothing is on record of rollout 'plain'",
		"chekout":                           "did you mean checkout?",
		"checkout -o pdf":                   "it is text, html, json or zip",
	} {
		if got := run(t, s, append([]string{"evidence", "rollout"}, strings.Fields(args)...)...); got.code == 0 || !strings.Contains(got.err, want) {
			t.Errorf("%s: got %d, %s", args, got.code, got.err)
		}
	}
}

func TestEvidenceForWhoMayNotReadConfigMaps(t *testing.T) {
	t.Parallel()
	s := released(t)
	s.deny = "configmaps"
	got := run(t, s, "evidence", "rollout", "checkout")
	if got.code != 0 || !strings.Contains(got.out, "Revision 3") || !strings.Contains(got.err, "what ended earlier is left out: list the ConfigMaps") {
		t.Errorf("got %+v", got)
	}
}

func TestEvidenceInAFile(t *testing.T) {
	t.Parallel()
	s := released(t)
	dir := t.TempDir()
	for name, want := range map[string]string{"a.html": "<!DOCTYPE html>", "a.json": "{", "a.txt": "Revision 2"} {
		got := run(t, s, "evidence", "rollout", "checkout", "--revision", "2", "--to", filepath.Join(dir, name))
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(string(text), want) || got.out != "" || !strings.Contains(got.err, "written to "+dir) {
			t.Errorf("%s: %v %+v\n%.100s", name, err, got, text)
		}
	}
	run(t, s, "evidence", "rollout", "checkout", "--revision", "2", "--attempt", "1", "--to", filepath.Join(dir, "a.zip"))
	z, err := zip.OpenReader(filepath.Join(dir, "a.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 3 || !strings.HasSuffix(z.File[2].Name, "/analysisruns/checkout-new-2-1.json") {
		t.Errorf("the archive has %d files", len(z.File))
	}
	if got := run(t, s, "evidence", "rollout", "checkout", "--to", filepath.Join(dir, "no", "such", "a.html")); got.code == 0 || !strings.Contains(got.err, "write the evidence") {
		t.Errorf("got %+v", got)
	}
}

func TestNoArchiveOnATerminal(t *testing.T) {
	t.Parallel()
	s := released(t)
	var out, errOut buffer
	o := options(&out, &errOut)
	o.Screen = func() (int, int, bool) { return 80, 24, true }
	code := Main(t.Context(), o, []string{"--kubeconfig", empty(t), "--server", s.URL, "-n", "payments", "evidence", "rollout", "checkout", "-o", "zip"})
	if code == 0 || !strings.Contains(errOut.String(), "--to") || out.String() != "" {
		t.Errorf("got %d, %s", code, errOut.String())
	}
}
