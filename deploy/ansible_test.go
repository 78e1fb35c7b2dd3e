// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// An ansible runs the playbook on a folder in the place of a node.
type ansible struct {
	*testing.T
	bin, root string
}

// installed finds Ansible in ANSIBLE_BIN or the path.
func installed(t *testing.T) *ansible {
	t.Helper()
	dir := os.Getenv("ANSIBLE_BIN")
	if dir == "" {
		program, err := exec.LookPath("ansible-lint")
		if err != nil {
			t.Skip("ansible-lint is not installed: `make test-full` installs it, or set ANSIBLE_BIN to the output of `make -s ansible`")
		}
		dir = filepath.Dir(program)
	}
	return &ansible{t, dir, t.TempDir()}
}

// run runs one of Ansible's programs in deploy/ansible.
func (a *ansible) run(program string, args ...string) (string, error) {
	cmd := exec.CommandContext(a.Context(), filepath.Join(a.bin, program), args...)
	home := filepath.Join(a.root, "home")
	cmd.Dir = "ansible"
	cmd.Env = append(os.Environ(), "PATH="+a.bin+":"+os.Getenv("PATH"), "HOME="+home, "ANSIBLE_HOME="+home, "ANSIBLE_NOCOLOR=1",
		"ANSIBLE_LOCALHOST_WARNING=false", "ANSIBLE_PYTHON_INTERPRETER=auto_silent", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (a *ansible) must(program string, args ...string) string {
	a.Helper()
	out, err := a.run(program, args...)
	if err != nil {
		a.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return out
}

// apply runs the playbook on the node, and returns how much it changed.
func (a *ansible) apply(args ...string) string {
	a.Helper()
	inventory := filepath.Join(a.root, "inventory.yml")
	text := "workers: {hosts: {node: {ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}', node_baseline_root: " + a.node() + "}}}\n"
	if err := os.WriteFile(inventory, []byte(text), 0o600); err != nil {
		a.Fatal(err)
	}
	out := a.must("ansible-playbook", append([]string{"-i", inventory, "workers.yml"}, args...)...)
	recap := regexp.MustCompile(`ok=\d+ +changed=(\d+) +unreachable=0 +failed=0`).FindStringSubmatch(out)
	if recap == nil {
		a.Fatalf("there is no recap:\n%s", out)
	}
	return recap[1]
}

func (a *ansible) node() string { return filepath.Join(a.root, "node") }

func (a *ansible) read(path string) string {
	a.Helper()
	text, err := os.ReadFile(filepath.Join(a.node(), path))
	if err != nil {
		a.Fatal(err)
	}
	return string(text)
}

func (a *ansible) write(path, text string) {
	a.Helper()
	path = filepath.Join(a.node(), path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		a.Fatal(err)
	}
}

const fstab = "UUID=1 / ext4 defaults 0 1\n/swap.img none swap sw 0 0\n# /old none swap sw 0 0\n"

func TestThePlaybook(t *testing.T) {
	t.Parallel()
	a := installed(t)
	a.must("ansible-playbook", "--syntax-check", "workers.yml")
	a.must("ansible-lint", "--strict")
	a.write("etc/fstab", fstab)

	a.apply("--check")
	if files := a.files(); !cmp.Equal(files, []string{"etc/fstab"}) || a.read("etc/fstab") != fstab {
		t.Errorf("--check wrote %v", files)
	}
	if n := a.apply(); n == "0" {
		t.Error("the first run changed nothing")
	}
	want := []string{
		"etc/fstab", "etc/kubernetes/kubelet.conf.d/90-sluice.conf", "etc/modules-load.d/sluice.conf",
		"etc/sysctl.d/90-sluice.conf", "etc/systemd/journald.conf.d/sluice.conf",
	}
	if diff := cmp.Diff(want, a.files()); diff != "" {
		t.Errorf("the files differ: %s", diff)
	}
	a.looks()
	for _, args := range [][]string{{}, {"--check"}} {
		if n := a.apply(args...); n != "0" {
			t.Errorf("another run with %v changed %s", args, n)
		}
	}
	a.write("etc/sysctl.d/90-sluice.conf", "net.ipv4.ip_forward = 0\n")
	if n := a.apply("--check"); n != "1" {
		t.Errorf("--check sees %s changes by hand, want 1", n)
	}
	a.apply()
	a.looks()
}

// looks reads what the role wrote as those do whom it is for.
func (a *ansible) looks() {
	a.Helper()
	if got, want := a.read("etc/fstab"), strings.Replace(fstab, "/swap", "# /swap", 1); got != want {
		a.Errorf("fstab is\n%s", got)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(a.read("etc/sysctl.d/90-sluice.conf")), "\n") {
		if !regexp.MustCompile(`^(#.*|[a-z0-9_.-]+ = \d+)$`).MatchString(line) {
			a.Errorf("sysctl refuses %q", line)
		}
	}
	if got := a.read("etc/sysctl.d/90-sluice.conf"); !strings.Contains(got, "\nnet.ipv4.ip_forward = 1\n") {
		a.Errorf("the kernel parameters are\n%s", got)
	}
	if got := a.read("etc/modules-load.d/sluice.conf"); !strings.Contains(got, "\nxt_REDIRECT\n") {
		a.Errorf("the modules are\n%s", got)
	}
	if got := a.read("etc/systemd/journald.conf.d/sluice.conf"); !strings.Contains(got, "\n[Journal]\nSystemMaxUse=1G\n") {
		a.Errorf("the journal is configured as\n%s", got)
	}
	var kubelet map[string]any
	if err := yaml.UnmarshalStrict([]byte(a.read("etc/kubernetes/kubelet.conf.d/90-sluice.conf")), &kubelet); err != nil {
		a.Fatal(err)
	}
	if kubelet["kind"] != "KubeletConfiguration" || kubelet["containerLogMaxFiles"] != 3.0 || kubelet["shutdownGracePeriod"] != "60s" {
		a.Errorf("the kubelet is configured as %v", kubelet)
	}
}

// files are those of the node.
func (a *ansible) files() []string {
	a.Helper()
	var out []string
	err := filepath.WalkDir(a.node(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(a.node(), path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
	return out
}
