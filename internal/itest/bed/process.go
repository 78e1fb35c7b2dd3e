// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// ControllerNamespace is where the controller has its lease and finds its
// Secrets.
const ControllerNamespace = "argo-rollouts"

var errNotYet = errors.New("none does yet")

// A Process is the controller as a program of its own.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	// Log is the file that its output is appended to.
	Log string
}

// Process starts the program that SLUICE_BIN names, as `make test-integration`
// sets it. It is killed when the test ends.
func (b *Bed) Process(log string, args ...string) *Process {
	b.Helper()
	bin := os.Getenv("SLUICE_BIN")
	if bin == "" {
		b.Fatal("SLUICE_BIN is not set; set it to bin/sluice after `make build`, or run `make test-integration`")
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		b.Fatal(err)
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	args = append([]string{
		"controller", "--kubeconfig=" + b.Cluster.Kubeconfig(), "--metricsPort=0", "--healthzPort=0", "--logformat=text",
	}, args...)
	p := &Process{cmd: exec.Command(bin, args...), done: make(chan struct{}), Log: log} //nolint:noctx,gosec // it lives until it is killed; the tests choose it
	p.cmd.Env = append(os.Environ(), "POD_NAMESPACE="+ControllerNamespace)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	b.Cleanup(p.Kill)
	return p
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended already
	<-p.done
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Leader is the identity of the controller that leads, empty for none.
func (b *Bed) Leader() string {
	b.Helper()
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: ControllerNamespace, Name: v1alpha1.LeaseName}
	if err := b.Client.Get(b.Context(), key, lease); err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// Led waits until another controller leads than before.
func (b *Bed) Led(p *Process, before string) (leader string) {
	b.Helper()
	b.Eventually("a controller leads", func() error {
		select {
		case <-p.done:
			text, _ := os.ReadFile(p.Log)
			b.Fatalf("the controller has ended by itself; its log:\n%s", text[max(0, len(text)-4000):])
		default:
		}
		if leader = b.Leader(); leader == before {
			return errNotYet
		}
		return nil
	})
	return leader
}

// Datadog creates the Secret with the credentials of a Datadog at url.
func (b *Bed) Datadog(url string) {
	b.Helper()
	b.Namespace(ControllerNamespace)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ControllerNamespace, Name: "datadog"},
		StringData: map[string]string{"address": url, "apiKey": "api", "appKey": "app"},
	}
	if err := b.Client.Create(b.Context(), secret); err != nil {
		b.Fatal(err)
	}
}
