// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"

	"sluice.dev/sluice/charts/examples"
)

func workflow(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(examples.Path("guide/release.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var pin = regexp.MustCompile(`@[0-9a-f]{40} # (v\d+)\S*`)

// lint knows the inputs of an action by its tag and not by its commit.
func lint(t *testing.T, text string) []*actionlint.Error {
	t.Helper()
	return append(linted(t, text), linted(t, pin.ReplaceAllString(text, "@$1"))...)
}

func linted(t *testing.T, text string) []*actionlint.Error {
	t.Helper()
	l, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := l.Lint(".github/workflows/release.yml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTheWorkflowIsActionlintClean(t *testing.T) {
	t.Parallel()
	for _, e := range lint(t, workflow(t)) {
		t.Error(e)
	}
}

// That nothing is found means something only if mistakes are.
func TestActionlintFindsMistakes(t *testing.T) {
	t.Parallel()
	for why, change := range map[string][2]string{
		"an input that the action does not have": {"private-key:", "private_key:"},
		"a step that is not there":               {"steps.config.outputs", "steps.token.outputs"},
		"a right that does not exist":            {"id-token: write", "id_token: write"},
		"a trigger that does not exist":          {"  push:\n", "  pushed:\n"},
		"the guide's excerpt, without a trigger": {"on:\n  push:\n    branches: [main]\n", ""},
	} {
		text := workflow(t)
		changed := strings.Replace(text, change[0], change[1], 1)
		if changed == text {
			t.Errorf("%s: %q is not in the workflow", why, change[0])
		}
		if len(lint(t, changed)) == 0 {
			t.Errorf("%s is not found", why)
		}
	}
}

func TestActionsArePinnedByCommit(t *testing.T) {
	t.Parallel()
	uses := regexp.MustCompile(`(?m)uses: (.*)$`).FindAllStringSubmatch(workflow(t), -1)
	if len(uses) != 3 {
		t.Errorf("%d actions are used, want 3", len(uses))
	}
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	for _, u := range uses {
		if !pinned.MatchString(u[1]) {
			t.Errorf("%s: want the commit, 40 hexadecimal digits, and the version in a comment", u[1])
		}
	}
}

const (
	first  = "0123abcd0123abcd0123abcd0123abcd0123abcd"
	second = "4567abcd4567abcd4567abcd4567abcd4567abcd"
	ours   = "registry.internal/payments/checkout:"
	bump   = "Bump tag in config repo"
)

func TestTheJobReleases(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	if out, err := r.job(first); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		"curl https://token.example/?a=b&audience=registry.internal",
		"docker login registry.internal --username oidc --password-stdin",
		"docker build -t " + ours + "0123abcd .",
		"docker push " + ours + "0123abcd",
		"curl https://downloads.wiz.io/wizcli/0.99.0/wizcli-linux-amd64",
		"wizcli auth",
		"wizcli iac scan --path ./deploy",
		"wizcli docker scan --image " + ours + "0123abcd",
	}
	if got := r.calls(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the job called\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := r.image(); got != ours+"0123abcd" {
		t.Errorf("the config repo has the image %q", got)
	}
	if got := r.git(r.remote, "log", "-1", "--format=%s, %an", "main"); got != "checkout 0123abcd, release of checkout" {
		t.Errorf("the last commit is %q", got)
	}
	if got := r.git(r.remote, "diff", "--name-only", "main~1", "main"); got != "payments/checkout-rollout.yaml" {
		t.Errorf("the commit changes %q", got)
	}
}

// The bump changes the image and nothing else: the next one exactly one line.
func TestABumpChangesOneLine(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	before := r.rollout()
	for _, sha := range []string{first, second} {
		if out, err := r.job(sha); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if got := r.git(r.remote, "diff", "--numstat", "main~1", "main"); got != "1\t1\tpayments/checkout-rollout.yaml" {
		t.Errorf("the second bump changes %q", got)
	}
	after := r.rollout()
	container := after["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	if container["image"] != ours+"4567abcd" {
		t.Errorf("the image is %v", container["image"])
	}
	container["image"] = ours + "1.0.0"
	same(t, before, after)
	comments := func(text string) int { return strings.Count(text, "# ") }
	guide, err := os.ReadFile(examples.Path("guide/payments/checkout-rollout.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := comments(r.git(r.remote, "show", "main:payments/checkout-rollout.yaml")), comments(string(guide)); got != want {
		t.Errorf("%d comments are left of %d", got, want)
	}
}

func TestTheSameTagAgainDoesNothing(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	for range 2 {
		if out, err := r.job(first); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if got := r.git(r.remote, "rev-list", "--count", "main"); got != "2" {
		t.Errorf("there are %s commits, want the first and one bump", got)
	}
}

func TestAPushThatLosesTheRaceIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, theirs := range map[string]func(*runner){
		"to a change of another file": func(r *runner) {
			r.commit("payments/services.yaml", "port: 80,", "port: 8080,")
		},
		"to a change of another line of the Rollout": func(r *runner) {
			r.commit("payments/checkout-rollout.yaml", "duration: 2m", "duration: 3m")
		},
		"to a run that wrote the same tag": func(r *runner) {
			if out, err := r.other().job(first); err != nil {
				r.Fatalf("%v\n%s", err, out)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t)
			if name == "to a change of another line of the Rollout" {
				// As yq writes it, as it is after the first bump.
				if out, err := r.job(second); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			r.before[bump] = func() { theirs(r) }
			out, err := r.job(first)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			// Two runs that bump to one tag in the same second make the same commit.
			same := name == "to a run that wrote the same tag" && strings.Contains(out, "Everything up-to-date")
			if !strings.Contains(out, "rejected") && !same {
				t.Errorf("no push was rejected, so nothing was tested:\n%s", out)
			}
			if got := r.image(); got != ours+"0123abcd" {
				t.Errorf("the config repo has the image %q", got)
			}
			if name != "to a run that wrote the same tag" && !strings.Contains(r.git(r.remote, "log", "--format=%s", "main"), "theirs") {
				t.Error("their commit is gone")
			}
		})
	}
}

func TestARollbackOfSomebodyElseIsNotOverwritten(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	if out, err := r.job(second); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r.before[bump] = func() { r.commit("payments/checkout-rollout.yaml", "checkout:4567abcd", "checkout:1.0.0") }
	out, err := r.job(first)
	if err == nil || !strings.Contains(out, "::error file=config-repo/payments/checkout-rollout.yaml::Somebody else changed the image") {
		t.Errorf("it ends with %v:\n%s", err, out)
	}
	if got := r.image(); got != ours+"1.0.0" {
		t.Errorf("the config repo has the image %q", got)
	}
}

func TestAPushThatIsRefusedIsNotTriedForever(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	tries := filepath.Join(r.dir, "tries")
	r.write(filepath.Join(r.remote, "hooks", "pre-receive"), "#!/bin/sh\necho once >>"+tries+"\necho protected branch\nexit 1\n")
	out, err := r.job(first)
	if err == nil || !strings.Contains(out, "protected branch") || !strings.Contains(out, "::error::The config repo refused the push five times") {
		t.Errorf("it ends with %v:\n%s", err, out)
	}
	text, err := os.ReadFile(tries)
	if err != nil || strings.Count(string(text), "once") != 5 {
		t.Errorf("it pushed %q, %v", text, err)
	}
}

func TestAWrongTagIsRefused(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	for _, sha := range []string{"", "main", "0123abc", "0123ABCD0123", "v1.2.3-rc1", "../../etc", `"; rm -rf`} {
		out, err := r.steps(sha, bump)
		if err == nil || !strings.Contains(out, "is not eight hexadecimal digits") {
			t.Errorf("%q: it ends with %v:\n%s", sha, err, out)
		}
	}
	if got := r.git(r.remote, "rev-list", "--count", "main"); got != "1" {
		t.Errorf("there are %s commits, want the first alone", got)
	}
}

func TestTheImageOfAnotherServiceIsNotReplaced(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.commit("payments/checkout-rollout.yaml", "payments/checkout:1.0.0", "payments/basket:1.0.0")
	out, err := r.job(first)
	if err == nil || !strings.Contains(out, "The first container's image is 'registry.internal/payments/basket:1.0.0'; this releases registry.internal/payments/checkout.") {
		t.Errorf("it ends with %v:\n%s", err, out)
	}
	if got := r.image(); got != "registry.internal/payments/basket:1.0.0" {
		t.Errorf("the config repo has the image %q", got)
	}
}

func TestNothingIsBumpedWhenAStepBeforeFails(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*runner){
		"Wiz finds something in the manifests": func(r *runner) { r.fail = "wizcli iac" },
		"Wiz finds something in the image":     func(r *runner) { r.fail = "wizcli docker" },
		"Wiz does not know us":                 func(r *runner) { r.fail = "wizcli auth" },
		"the image is not built":               func(r *runner) { r.fail = "docker build" },
		"the image is not pushed":              func(r *runner) { r.fail = "docker push" },
		"GitHub gives no token":                func(r *runner) { r.fail = "curl https://token" },
		"wizcli is not the one that is known":  func(r *runner) { r.expressions["vars.WIZCLI_SHA256"] = strings.Repeat("0", 64) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t)
			change(r)
			if out, err := r.job(first); err == nil {
				t.Errorf("the job succeeds:\n%s", out)
			}
			if got := r.image(); got != ours+"1.0.0" {
				t.Errorf("the config repo has the image %q", got)
			}
		})
	}
}
