// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/api/v1alpha1"
)

// A session is a command that is still running.
type session struct {
	t        *testing.T
	out, err buffer
	done     chan int
	stop     context.CancelFunc
}

func start(t *testing.T, s *server, screen func() (int, int, bool), args ...string) *session {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &session{t: t, done: make(chan int, 1), stop: stop}
	o := options(&c.out, &c.err)
	o.Screen = screen
	// Time goes on between two looks, so that ages change.
	var looks atomic.Int64
	o.Now = func() time.Time { return clock.Add(time.Duration(looks.Add(1)) * time.Minute) }
	args = append([]string{"--kubeconfig", empty(t), "--server", s.URL, "-n", "payments"}, args...)
	go func() { c.done <- Main(ctx, o, args) }()
	t.Cleanup(stop)
	return c
}

func terminal() (int, int, bool) { return 100, 40, true }

func noTerminal() (int, int, bool) { return 0, 0, false }

// until waits until what was written satisfies ok.
func (c *session) until(what string, ok func(out string) bool) {
	c.t.Helper()
	c.wait(what, &c.out, ok)
}

func (c *session) wait(what string, b *buffer, ok func(out string) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok(b.String()) {
		select {
		case <-ctx.Done():
			c.t.Fatalf("%s did not happen; output:\n%s\nerrors:\n%s", what, c.out.String(), c.err.String())
		case <-tick.C:
		}
	}
}

// ends waits until the command is over.
func (c *session) ends(code int) {
	c.t.Helper()
	select {
	case got := <-c.done:
		if got != code {
			c.t.Errorf("exit code %d, want %d; errors: %s", got, code, c.err.String())
		}
	case <-time.After(20 * time.Second):
		c.t.Fatalf("the command did not end; output:\n%s", c.out.String())
	}
}

func has(part string) func(string) bool {
	return func(out string) bool { return strings.Contains(out, part) }
}

func world(t *testing.T) *server {
	s := serve(t)
	s.rollout(checkout())
	s.replicaSet("new", "checkout:3", "3")
	s.replicaSet("old", "checkout:2", "2")
	s.run(analysisRun())
	return s
}

func healthy() *v1alpha1.Rollout {
	ro := checkout()
	ro.Status.StableRS, ro.Status.Phase, ro.Status.Message = "new", v1alpha1.RolloutPhaseHealthy, ""
	return ro
}

func degraded() *v1alpha1.Rollout {
	ro := checkout()
	ro.Status.Abort, ro.Status.Phase, ro.Status.Message = true, v1alpha1.RolloutPhaseDegraded, "RolloutAborted: error-rate failed"
	return ro
}

func TestGetRollout(t *testing.T) {
	t.Parallel()
	got := run(t, world(t), "get", "rollout", "checkout")
	for _, part := range []string{"Status:          ◌ Progressing", "10% › [pause] › 50%", "# revision:3", "checkout-new", "AnalysisRun", "✔ 0.002  (pass < 0.01)"} {
		if !strings.Contains(got.out, part) {
			t.Errorf("output lacks %q:\n%s", part, got.out)
		}
	}
	if got.code != 0 || got.err != "" || strings.Contains(got.out, "\x1b") {
		t.Errorf("got %+v, want code 0, no error and no control sequence", got)
	}
}

func TestGetRolloutShowsWhatOneMaySee(t *testing.T) {
	t.Parallel()
	s := world(t)
	s.deny = "pods"
	got := run(t, s, "get", "rollout", "checkout")
	if got.code != 0 || !strings.Contains(got.out, "checkout-new") || !strings.Contains(got.err, "you may not list them: pods") {
		t.Errorf("got %+v, want the tree without pods and a note", got)
	}
	c := start(t, s, noTerminal, "get", "rollout", "checkout", "--watch")
	c.until("the first drawing", has("checkout-new"))
}

func TestWatchWritesOneDrawingAfterAnother(t *testing.T) {
	t.Parallel()
	s := world(t)
	c := start(t, s, noTerminal, "get", "rollout", "checkout", "--watch")
	c.until("the first drawing", has("Status:          ◌ Progressing"))
	s.drop(false)
	s.rollout(degraded())
	c.until("the second drawing", has("\n\nName:            checkout\nNamespace:       payments\nStatus:          ✖ Degraded"))
	s.rollout(degraded())
	s.rollout(healthy())
	c.until("the third drawing", has("✔ Healthy"))
	if n := strings.Count(c.out.String(), "Name:  "); n != 3 {
		t.Errorf("%d drawings for three states:\n%s", n, c.out.String())
	}
	s.remove(apiPath+"/namespaces/payments/rollouts", "checkout")
	c.until("the end", has("rollout 'checkout' was deleted"))
	c.ends(0)
	if strings.Contains(c.out.String(), "\x1b") {
		t.Error("control sequences were written where there is no terminal")
	}
}

func TestWatchSaysWhenTheServerIsGone(t *testing.T) {
	t.Parallel()
	for name, screen := range map[string]func() (int, int, bool){"on a terminal": terminal, "elsewhere": noTerminal} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := world(t)
			c := start(t, s, screen, "get", "rollout", "checkout", "--watch")
			c.until("the first drawing", has("checkout-new"))
			s.drop(true)
			said := &c.err
			if _, _, tty := screen(); tty {
				said = &c.out
			}
			c.wait("the notice", said, has("no word from the API server, trying again"))
			s.drop(false)
			s.rollout(degraded())
			c.until("the drawing after it", has("✖ Degraded"))
		})
	}
}

func TestWatchRedrawsATerminalInPlace(t *testing.T) {
	t.Parallel()
	s := world(t)
	c := start(t, s, terminal, "get", "rollout", "checkout", "--watch", "--no-color")
	c.until("the first drawing", has(home+"Name:            checkout"+clearLine))
	s.rollout(degraded())
	c.until("the second drawing", has("✖ Degraded"))
	if n := strings.Count(c.out.String(), clearAll); n != 1 {
		t.Errorf("the screen was cleared %d times, want once", n)
	}
	if strings.Contains(c.out.String(), "\x1b[3") {
		t.Error("there is colour in spite of --no-color")
	}
	c.stop()
	c.ends(0)
}

func TestWatchEndsInTime(t *testing.T) {
	t.Parallel()
	c := start(t, world(t), noTerminal, "get", "rollout", "checkout", "--watch", "--timeout-seconds", "1")
	c.ends(0)
	if !strings.Contains(c.out.String(), "checkout") {
		t.Errorf("nothing was drawn before the end: %q", c.out.String())
	}
}

func TestWatchExperiment(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.experiment()
	c := start(t, s, noTerminal, "get", "experiment", "ab", "-w")
	c.until("the drawing", has("◌ Pending"))
	c.stop()
	c.ends(0)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	paused := checkout()
	paused.Status.Phase, paused.Status.Message = v1alpha1.RolloutPhasePaused, "CanaryPauseStep"
	for name, tc := range map[string]struct {
		first, then *v1alpha1.Rollout
		args        string
		code        int
		out, err    string
	}{
		"it becomes healthy":         {first: checkout(), then: healthy(), out: "Progressing - more replicas need to be updated\nHealthy\n"},
		"it becomes degraded":        {first: checkout(), then: degraded(), code: 1, out: "Progressing - more replicas need to be updated\nDegraded\n", err: "Error: rollout 'checkout' is degraded: RolloutAborted: error-rate failed\n"},
		"it is healthy":              {first: healthy(), out: "Healthy\n"},
		"the time is up":             {first: paused, args: "--timeout 500ms", code: 1, out: "Paused - CanaryPauseStep\n", err: "Error: rollout 'checkout' is still Paused, stopped waiting: CanaryPauseStep\n"},
		"once, and it is degraded":   {first: degraded(), args: "--watch=false", out: "Degraded\n"},
		"once, and it is on its way": {first: checkout(), args: "--watch=false", out: "Progressing - more replicas need to be updated\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.rollout(tc.first)
			c := start(t, s, noTerminal, append([]string{"status", "checkout"}, strings.Fields(tc.args)...)...)
			if tc.then != nil {
				c.until("the first state", has("\n"))
				s.rollout(tc.then)
			}
			c.ends(tc.code)
			if c.out.String() != tc.out || c.err.String() != tc.err {
				t.Errorf("got %q and %q, want %q and %q", c.out.String(), c.err.String(), tc.out, tc.err)
			}
		})
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := world(t)
	other := healthy()
	other.Name, other.Namespace = "cart", "shop"
	s.rollout(other)
	s.experiment()
	for args, want := range map[string]string{
		"list rollouts": "NAME      STRATEGY  STATUS       STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE\n" +
			"checkout  Canary    Progressing  1/3   10          0/0    2        0           0\n",
		"list rollouts -A": "NAMESPACE  NAME      STRATEGY  STATUS       STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE\n" +
			"payments   checkout  Canary    Progressing  1/3   10          0/0    2        0           0\n" +
			"shop       cart      Canary    Healthy      1/3   100         0/0    2        0           0\n",
		"list rollouts -A --name cart": "NAMESPACE  NAME  STRATEGY  STATUS   STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE\n" +
			"shop       cart  Canary    Healthy  1/3   100         0/0    2        0           0\n",
		"list experiments":  "NAME  AGE  STATUS   VERSIONS  REMAINING\nab    0s   Pending  0         -\n",
		"list analysisruns": "NAME              AGE  STATUS   OF  READINGS\ncheckout-new-2-1  60s  Running      ✔ 1\n",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			if got := run(t, s, strings.Fields(args)...); got.code != 0 || got.out != want {
				t.Errorf("got %+v, want\n%s", got, want)
			}
		})
	}
	if got := run(t, serve(t), "list", "rollouts"); got.code != 0 || got.out != "" || got.err != "No rollouts in namespace payments.\n" {
		t.Errorf("an empty list gives %+v", got)
	}
}

func TestListWatchWritesTheLinesThatChange(t *testing.T) {
	t.Parallel()
	s := world(t)
	c := start(t, s, noTerminal, "list", "rollouts", "--watch", "--timestamps")
	c.until("the first line", has("Z  checkout  Canary    Progressing"))
	s.rollout(degraded())
	c.until("the second line", has("Degraded"))
	c.stop()
	c.ends(0)
	if n := strings.Count(c.out.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want a heading and one for each state:\n%s", n, c.out.String())
	}
}

func TestDescribeAnalysisRun(t *testing.T) {
	t.Parallel()
	got := run(t, world(t), "describe", "analysisrun", "checkout-new-2-1")
	for _, part := range []string{"Metric:          error-rate", "Pass:          result < 0.01", "12:00:00", "✔ Successful  0.002"} {
		if !strings.Contains(got.out, part) {
			t.Errorf("output lacks %q:\n%s", part, got.out)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	s := world(t)
	if got := run(t, s, cobra.ShellCompRequestCmd, "abort", "che"); !strings.HasPrefix(got.out, "checkout\n") {
		t.Errorf("completing a name gives %q", got.out)
	}
	// The global flags come after: kubectl hands a plugin its arguments as they are.
	var out, errOut buffer
	o := options(&out, &errOut)
	o.Program = "kubectl_complete-argo-rollouts"
	if code := Main(t.Context(), o, []string{"ab"}); code != 0 || !strings.HasPrefix(out.String(), "abort\t") {
		t.Errorf("completing for kubectl gives %d, %q, %q", code, out.String(), errOut.String())
	}
	if got := run(t, s, "completion", "bash"); got.code != 0 || !strings.Contains(got.out, "kubectl-argo-rollouts") {
		t.Errorf("the completion script gives %d and does not name the program", got.code)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		"/usr/local/bin/sluice":     "sluice",
		"kubectl-argo-rollouts":     "kubectl argo rollouts",
		"kubectl-argo-rollouts.exe": "kubectl argo rollouts",
		"./kubectl-sluice":          "kubectl sluice",
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			var out buffer
			extra := &cobra.Command{Use: "controller", Short: "Run the controller", Run: func(*cobra.Command, []string) {}}
			root := New(Options{Program: program, Out: &out, Err: &out, Extra: []*cobra.Command{extra}})
			root.SetArgs([]string{"promote", "--help"})
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "  "+want+" promote ROLLOUT_NAME") || strings.Contains(out.String(), "--as-group") {
				t.Errorf("usage of %s is not that of %q:\n%s", program, want, out.String())
			}
			if found, _, err := root.Find([]string{"controller"}); err != nil || found != extra {
				t.Errorf("the extra command is not there: %v", err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := run(t, serve(t), "version", "--short"); got.code != 0 || !strings.HasPrefix(got.out, "kubectl-argo-rollouts: v") {
		t.Errorf("got %+v", got)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		drawing       string
		columns, rows int
		want          string
	}{
		"what fits is cleared behind each line": {drawing: "a\nb\n", columns: 10, rows: 5, want: "[H]a[K]\nb[K]\n[J]"},
		"a long line is cut":                    {drawing: "abcdef\n", columns: 3, rows: 5, want: "[H]abc[K]\n[J]"},
		"colour takes no room":                  {drawing: "\x1b[31mab\x1b[0mcd\n", columns: 3, rows: 5, want: "[H]\x1b[31mab\x1b[0mc[K]\n[J]"},
		"what is too low is counted":            {drawing: "a\nb\nc\nd\n", columns: 60, rows: 4, want: "[H]a[K]\nb[K]\n… 2 more lines; a taller window shows them[K]\n[J]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.NewReplacer(home, "[H]", clearLine, "[K]", clearDown, "[J]").Replace(fit(tc.drawing, tc.columns, tc.rows))
			if got != tc.want {
				t.Errorf("fit() = %q, want %q", got, tc.want)
			}
		})
	}
}
