// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package itest_test

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/itest/bed"
)

var projects = v1alpha1.SchemeGroupVersion.WithKind("AppProject")

// settings are what an installation of Argo CD comes with. The keys are empty, as
// nobody signs in.
const settings = `
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
---
apiVersion: v1
kind: Secret
metadata: {name: argocd-secret, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
stringData: {server.secretkey: unused}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
`

// An argocd is Argo CD's application controller and what it needs.
type argocd struct {
	testing.TB
	bin  string // the folder of the programs
	home string // all that they write
	env  []string
}

// startArgoCD installs Argo CD and runs it until the test ends.
func startArgoCD(b *bed.Bed) *argocd {
	b.Helper()
	bin := os.Getenv("ARGOCD_BIN")
	if bin == "" {
		b.Fatal("ARGOCD_BIN is not set: run this by way of make test-argocd, or set it to what `go run ./hack/argocd` prints")
	}
	home := b.TempDir()
	a := &argocd{TB: b, bin: bin, home: home}
	// Argo CD asks who signed a commit by a script that is in its image.
	const verify = "git-verify-wrapper.sh"
	//nolint:gosec // it is run
	if err := os.WriteFile(filepath.Join(home, verify), []byte(shipped(b, filepath.Join("hack", verify))), 0o755); err != nil {
		b.Fatal(err)
	}
	a.env = append(os.Environ(),
		"PATH="+home+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"HOME="+home, "TMPDIR="+home, "GIT_CONFIG_NOSYSTEM=1",
		"KUBECONFIG="+b.Cluster.Kubeconfig(), "ARGOCD_FAKE_IN_CLUSTER=true",
		"ARGOCD_ASK_PASS_SOCK="+filepath.Join(home, "ask.sock"),
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_TLS_DATA_PATH="+home, "ARGOCD_SSH_DATA_PATH="+home,
		"ARGOCD_RECONCILIATION_JITTER=0", "ARGOCD_SYNC_WAVE_DELAY=0",
	)
	for _, name := range []string{"application-crd.yaml", "appproject-crd.yaml"} {
		b.Apply(shipped(b, filepath.Join("manifests", "crds", name)))
	}
	b.Namespace(argoNamespace)
	b.Eventually("the API server has Argo CD's kinds", func() error {
		_, err := b.Client.RESTMapper().RESTMapping(applications.GroupKind(), applications.Version)
		if err == nil {
			_, err = b.Client.RESTMapper().RESTMapping(projects.GroupKind(), projects.Version)
		}
		return err
	})
	b.Apply(settings)
	redis := a.redis()
	repo := a.port()
	a.run("argocd-repo-server", "--redis="+redis, "--disable-tls", "--client-ca-path=", "--address=127.0.0.1", "--port="+repo,
		"--metrics-address=127.0.0.1", "--metrics-port="+a.port(), "--logformat=text", "--revision-cache-expiration=1s")
	a.run("argocd-application-controller", "--redis="+redis, "--repo-server-plaintext", "--repo-server=127.0.0.1:"+repo,
		"--metrics-port="+a.port(), "--logformat=text", "--namespace="+argoNamespace, "--kubeconfig="+b.Cluster.Kubeconfig(),
		"--app-resync=2", "--app-resync-jitter=0", "--self-heal-timeout-seconds=1", "--self-heal-backoff-timeout-seconds=0")
	return a
}

// shipped reads one of the files that come with Argo CD's module.
func shipped(b *bed.Bed, name string) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "go", "-C", "../../playground/argocd", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3")
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("find Argo CD's module: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), name))
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// port is one of loopback that nobody listens on.
func (a *argocd) port() string {
	a.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// redis starts the cache and returns its address.
func (a *argocd) redis() string {
	a.Helper()
	cmd := a.command(context.WithoutCancel(a.Context()), "argocd-redis")
	out, err := cmd.StdoutPipe()
	if err != nil {
		a.Fatal(err)
	}
	a.start(cmd)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		a.Fatalf("read where the cache listens: %v", err)
	}
	return strings.TrimSpace(address)
}

// run starts a server. The end of its log is shown when the test fails.
func (a *argocd) run(name string, args ...string) {
	a.Helper()
	log, err := os.Create(filepath.Join(a.home, name+".log"))
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() {
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); a.Failed() && err == nil {
			a.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-8000):])
		}
	})
	cmd := a.command(context.WithoutCancel(a.Context()), name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	a.start(cmd)
}

// start starts a program and stops it when the test ends.
func (a *argocd) start(cmd *exec.Cmd) {
	a.Helper()
	if err := cmd.Start(); err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
	})
}

func (a *argocd) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(a.bin, name), args...)
	cmd.Env = a.env
	return cmd
}
