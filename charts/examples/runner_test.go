// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	yq "github.com/mikefarah/yq/v4/cmd"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/charts/examples"
)

// This program is yq, too, when it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "yq" {
		command := yq.New()
		if _, _, err := command.Find(os.Args[1:]); err != nil {
			command.SetArgs(append([]string{"eval"}, os.Args[1:]...))
		}
		if command.Execute() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type step struct {
	Name string            `json:"name"`
	ID   string            `json:"id"`
	Uses string            `json:"uses"`
	With map[string]any    `json:"with"`
	Env  map[string]string `json:"env"`
	Run  string            `json:"run"`
}

type file struct {
	Jobs map[string]struct {
		Env      map[string]string `json:"env"`
		Defaults struct {
			Run struct {
				Shell string `json:"shell"`
			} `json:"run"`
		} `json:"defaults"`
		Steps []step `json:"steps"`
	} `json:"jobs"`
}

// A runner runs the job of the workflow as GitHub's does, on a folder of its
// own. git, bash, yq and what every system has are real; docker, curl and wizcli
// write down how they were called.
type runner struct {
	*testing.T
	dir, remote string
	file        file
	expressions map[string]string
	// fail is how the call begins that fails.
	fail string
	// before is what happens before a step.
	before map[string]func()
}

const fake = `#!/bin/sh
call="$(basename "$0") $*"
case "$call" in curl*)
  for last; do :; done
  call="curl $last"
esac
echo "$call" >>"$CALLS"
case "$FAIL" in "") ;; *) case "$call" in "$FAIL"*) echo "refused" >&2; exit 4;; esac;; esac
case "$call" in
  "curl https://token"*) echo '{"value": "the-token"}' ;;
  "curl https://downloads"*) cp "$0" "$RUNNER_TEMP/wizcli" ;;
  "docker login"*) [ "$(cat)" = the-token ] ;;
  "wizcli auth"*) [ "$WIZ_CLIENT_ID/$WIZ_CLIENT_SECRET" = the-id/the-secret ] ;;
esac
`

// newRunner makes one, and a config repo that holds the example.
func newRunner(t *testing.T) *runner {
	t.Helper()
	sum := sha256.Sum256([]byte(fake))
	r := &runner{T: t, dir: t.TempDir(), before: map[string]func(){}, expressions: map[string]string{
		"vars.WIZCLI_VERSION": "0.99.0", "vars.WIZCLI_SHA256": hex.EncodeToString(sum[:]),
		"secrets.WIZ_CLIENT_ID": "the-id", "secrets.WIZ_CLIENT_SECRET": "the-secret",
	}}
	if err := yaml.Unmarshal([]byte(workflow(t)), &r.file); err != nil {
		t.Fatal(err)
	}
	r.remote = filepath.Join(r.dir, "remote.git")
	r.git(r.dir, "init", "--quiet", "--bare", "--initial-branch=main", r.remote)
	seed := filepath.Join(r.dir, "seed")
	if err := os.CopyFS(seed, os.DirFS(examples.Path("guide"))); err != nil {
		t.Fatal(err)
	}
	r.git(seed, "init", "--quiet", "--initial-branch=main")
	r.git(seed, "add", ".")
	r.git(seed, "commit", "--quiet", "-m", "the example")
	r.git(seed, "push", "--quiet", r.remote, "main")
	r.tools()
	return r
}

func (r *runner) tools() {
	r.Helper()
	bin := filepath.Join(r.dir, "bin")
	for _, name := range []string{"docker", "curl"} {
		r.write(filepath.Join(bin, name), fake)
	}
	self, err := os.Executable()
	if err != nil {
		r.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "yq")); err != nil {
		r.Fatal(err)
	}
}

// other is a runner of another job with the same config repo.
func (r *runner) other() *runner {
	r.Helper()
	o := *r
	o.dir, o.before = r.TempDir(), map[string]func(){}
	o.tools()
	return &o
}

func (r *runner) write(name, text string) {
	r.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		r.Fatal(err)
	}
}

func (r *runner) env() []string {
	return []string{"HOME=" + r.dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}
}

// git runs git for the test itself.
func (r *runner) git(dir string, args ...string) string {
	r.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=somebody", "-c", "user.email=somebody@example.com"}, args...)...)
	cmd.Env = append(r.env(), "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit pushes a change of somebody else to the config repo.
func (r *runner) commit(name, from, to string) {
	r.Helper()
	clone := r.TempDir()
	r.git(clone, "clone", "--quiet", r.remote, ".")
	text, err := os.ReadFile(filepath.Join(clone, name))
	if err != nil {
		r.Fatal(err)
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		r.Fatalf("%s does not hold %q:\n%s", name, from, text)
	}
	r.write(filepath.Join(clone, name), changed)
	r.git(clone, "commit", "--quiet", "-am", "theirs")
	r.git(clone, "push", "--quiet", "origin", "main")
}

// rollout is the Rollout in the config repo.
func (r *runner) rollout() map[string]any {
	r.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(r.git(r.remote, "show", "main:payments/checkout-rollout.yaml")), &object); err != nil {
		r.Fatal(err)
	}
	return object
}

func (r *runner) image() string {
	r.Helper()
	m := regexp.MustCompile(`(?m)^ *image: (.*)$`).FindStringSubmatch(r.git(r.remote, "show", "main:payments/checkout-rollout.yaml"))
	if m == nil {
		r.Fatal("there is no image")
	}
	return m[1]
}

// calls are how docker, curl and wizcli were called.
func (r *runner) calls() []string {
	r.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "calls"))
	if err != nil {
		r.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// job runs the whole job for a commit, and returns what it printed.
func (r *runner) job(sha string) (string, error) {
	r.Helper()
	_ = os.Remove(filepath.Join(r.dir, "path")) // each job has a new one
	return r.steps(sha, "")
}

// steps runs the step of that name, or all of them, and the checkouts.
func (r *runner) steps(sha, only string) (string, error) {
	r.Helper()
	var out strings.Builder
	for _, s := range r.file.Jobs["build-and-promote"].Steps {
		if f := r.before[s.Name]; f != nil {
			f()
		}
		switch {
		case strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["path"] != nil:
			clone := filepath.Join(r.dir, s.With["path"].(string))
			if err := os.RemoveAll(clone); err != nil {
				r.Fatal(err)
			}
			r.git(r.dir, "clone", "--quiet", "--depth=1", "--branch="+s.With["ref"].(string), "file://"+r.remote, clone)
		case s.Uses == "" && (only == "" || only == s.Name):
			text, err := r.script(s, sha)
			out.WriteString(text)
			if err != nil {
				return out.String(), errors.Join(errors.New(s.Name), err)
			}
		}
	}
	return out.String(), nil
}

var expression = regexp.MustCompile(`\$\{\{ *(.*?) *\}\}`)

// script runs one step in the shell that GitHub runs it in.
func (r *runner) script(s step, sha string) (string, error) {
	r.Helper()
	job := r.file.Jobs["build-and-promote"]
	if job.Defaults.Run.Shell != "bash" {
		r.Fatalf("the shell is %q; this runs bash", job.Defaults.Run.Shell)
	}
	path := filepath.Join(r.dir, "bin") + ":" + os.Getenv("PATH")
	if added, err := os.ReadFile(filepath.Join(r.dir, "path")); err == nil {
		path = strings.ReplaceAll(string(added), "\n", ":") + path
	}
	env := append(r.env(), "PATH="+path, "CALLS="+filepath.Join(r.dir, "calls"), "FAIL="+r.fail, "GITHUB_SHA="+sha,
		"RUNNER_TEMP="+filepath.Join(r.dir, "temp"), "GITHUB_PATH="+filepath.Join(r.dir, "path"),
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://token.example/?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x")
	for _, more := range []map[string]string{job.Env, s.Env} {
		for k, v := range more {
			env = append(env, k+"="+expression.ReplaceAllStringFunc(v, func(e string) string {
				value, ok := r.expressions[expression.FindStringSubmatch(e)[1]]
				if !ok {
					r.Fatalf("step %s: this runner does not know %s", s.Name, e)
				}
				return value
			}))
		}
	}
	if expression.MatchString(s.Run) {
		r.Fatalf("step %s puts an expression into its script: use env", s.Name)
	}
	script := filepath.Join(r.dir, "script.sh")
	r.write(script, s.Run)
	if err := os.MkdirAll(filepath.Join(r.dir, "temp"), 0o755); err != nil {
		r.Fatal(err)
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", script)
	cmd.Dir, cmd.Env = r.dir, env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
