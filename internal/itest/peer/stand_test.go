// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

// system is the controllers' namespace, where the lease and the keys are.
const system = "argo-rollouts"

// A side is one of the two products: its controller, its command line, and how
// its log says that it has looked at a Rollout.
type side struct {
	name       string
	controller []string
	cli        string
	passed     func(line string) (namespace string)
}

// passed finds the namespace in a line of the log that says what.
func passed(what string, where *regexp.Regexp) func(string) string {
	return func(line string) string {
		if found := where.FindStringSubmatch(line); found != nil && strings.Contains(line, what) {
			return found[1]
		}
		return ""
	}
}

// election makes a change of leaders quick. Both know the flags.
var election = []string{
	"--leader-election-lease-duration=4s", "--leader-election-renew-deadline=3s", "--leader-election-retry-period=500ms",
	"--metricsPort=0", "--healthzPort=0", "--loglevel=debug",
}

func sides(t *testing.T) (ours, theirs side) {
	t.Helper()
	folder, program := os.Getenv("PEER_BIN"), os.Getenv("SLUICE_BIN")
	if folder == "" || program == "" {
		t.Fatal("PEER_BIN and SLUICE_BIN are not set: run this by way of make test-full")
	}
	plugin := filepath.Join(t.TempDir(), "kubectl-argo-rollouts")
	if err := os.Symlink(program, plugin); err != nil {
		t.Fatal(err)
	}
	ours = side{
		name: "sluice", cli: plugin,
		controller: append([]string{program, "controller", "--analysis-error-backoff=1s", "--logformat=json"}, election...),
		passed:     passed(`"msg":"decided"`, regexp.MustCompile(`"namespace":"([^"]*)"`)),
	}
	theirs = side{
		name: "the peer", cli: filepath.Join(folder, "kubectl-argo-rollouts"),
		controller: append([]string{filepath.Join(folder, "rollouts-controller"), "--logformat=text"}, election...),
		passed:     passed(`msg="Reconciliation completed"`, regexp.MustCompile(` namespace=(\S+)`)),
	}
	return ours, theirs
}

// A stand is a control plane, a Datadog, and at most one controller.
type stand struct {
	*bed.Bed
	datadog *datadogtest.Server
}

func newStand(t *testing.T) *stand {
	t.Helper()
	server, err := datadogtest.New(datadogtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	b := bed.New(t, cluster.Options{})
	b.Namespace(system)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "datadog"},
		StringData: map[string]string{"address": server.URL(), "api-key": "api", "app-key": "app"},
	}
	if err := b.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return &stand{Bed: b, datadog: server}
}

// A buffer may be written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A running controller.
type running struct {
	side
	log    buffer
	stop   func()
	before string // who led when it was started
}

// run starts a controller and waits until it leads.
func (s *stand) run(who side) *running {
	s.Helper()
	r := s.launch(who)
	s.led(r)
	return r
}

// launch starts a controller. It leads once nobody else does.
func (s *stand) launch(who side) *running {
	s.Helper()
	r := &running{side: who, before: s.leader()}
	args := append(append([]string{}, who.controller[1:]...), "--kubeconfig="+s.Cluster.Kubeconfig())
	cmd := command(context.WithoutCancel(s.Context()), who.controller[0], args...)
	cmd.Env = append(cmd.Env, "POD_NAMESPACE="+system)
	cmd.Stdout, cmd.Stderr = &r.log, &r.log
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	r.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
	})
	s.Cleanup(func() {
		r.stop()
		if s.Failed() {
			s.Logf("the end of the log of %s:\n%s", who.name, tail(r.log.String()))
		}
	})
	return r
}

// led waits until a controller leads that another one led before.
func (s *stand) led(r *running) {
	s.Helper()
	s.Eventually(r.name+" leads", func() error {
		if now := s.leader(); now == "" || now == r.before {
			return fmt.Errorf("the lease's holder is %q; the end of the log:\n%s", now, tail(r.log.String()))
		}
		return nil
	})
}

// leader is who holds the lease that both controllers know.
func (s *stand) leader() string {
	lease := &coordinationv1.Lease{}
	err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: system, Name: v1alpha1.LeaseName}, lease)
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func tail(text string) string {
	const most = 6000
	return text[max(0, len(text)-most):]
}

// command is a program whose time zone is that of the machine and whose output
// nobody colours.
func command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "TERM=dumb")
	return cmd
}

// looks is how many whole passes the controller has had over the Rollout of each
// namespace.
func (r *running) looks() map[string]int {
	n := map[string]int{}
	for line := range strings.Lines(r.log.String()) {
		if ns := r.passed(line); ns != "" {
			n[ns]++
		}
	}
	return n
}

// looked waits until the controller has had another pass over the Rollout of each
// namespace than those before.
func (s *stand) looked(r *running, before map[string]int, namespaces ...string) {
	s.Helper()
	s.Eventually(r.name+" has looked at every Rollout", func() error {
		now := r.looks()
		for _, ns := range namespaces {
			if now[ns] <= before[ns] {
				return fmt.Errorf("%d times at the one in %s; the end of the log:\n%s", now[ns], ns, tail(r.log.String()))
			}
		}
		return nil
	})
}

// command runs a command line to its end and returns what it printed.
func (s *stand) command(who side, ns string, args ...string) (code int, out string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), bed.Patience)
	defer cancel()
	cmd := command(ctx, who.cli, append([]string{"--kubeconfig", s.Cluster.Kubeconfig(), "-n", ns}, args...)...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode(), string(text)
	case err != nil:
		s.Fatalf("%s %v: %v", who.cli, args, err)
	}
	return 0, string(text)
}
