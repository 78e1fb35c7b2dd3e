// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// programs makes a folder of program files that are shell scripts.
func programs(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, comp := range components {
		script := "#!/bin/sh\n" + scripts[comp.name] + "\n"
		if err := os.WriteFile(filepath.Join(dir, comp.name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a test's input.
		opts Options
		want []string
	}{
		"the folder does not exist": {
			opts: Options{Assets: "/nonexistent"},
			want: []string{"no control plane in /nonexistent", "make controlplane"},
		},
		"a component ends": {
			opts: Options{Assets: programs(t, map[string]string{"etcd": "echo one; echo out of luck >&2; exit 3"})},
			want: []string{"etcd ended while it started", "exit status 3", "one\nout of luck"},
		},
		"a component ends without an error": {
			opts: Options{Assets: programs(t, nil)},
			want: []string{"etcd ended while it started", "exit status 0"},
		},
		"a component never answers": {
			opts: Options{
				Assets:       programs(t, map[string]string{"etcd": "echo waiting; exec sleep 60"}),
				StartTimeout: 200 * time.Millisecond,
			},
			want: []string{"wait for etcd at http://127.0.0.1:", "connection refused", "deadline exceeded", "waiting"},
		},
		"the caller gave up": {
			ctx:  dead,
			opts: Options{Assets: programs(t, map[string]string{"etcd": "exec sleep 60"})},
			want: []string{"wait for etcd", "canceled"},
		},
		"an audit level that there is not": {
			opts: Options{Assets: programs(t, nil), Audit: "all"},
			want: []string{`audit level "all": want Metadata, Request or RequestResponse`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.ctx == nil {
				tc.ctx = t.Context()
			}
			tc.opts.Root = t.TempDir()
			c, err := Start(tc.ctx, tc.opts)
			if err == nil {
				t.Fatalf("started: %v", c.Stop())
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			left, err := filepath.Glob(filepath.Join(tc.opts.Root, "cluster-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

func TestAssetsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", "")
	if _, err := findAssets(""); err == nil || !strings.Contains(err.Error(), "KUBEBUILDER_ASSETS is not set") {
		t.Errorf("error %v, want one that names KUBEBUILDER_ASSETS", err)
	}
	want := programs(t, nil)
	t.Setenv("KUBEBUILDER_ASSETS", want)
	if got, err := findAssets(""); err != nil || got != want {
		t.Errorf("folder %s (%v), want %s", got, err, want)
	}
}

// prepared is a cluster of which nothing runs.
func prepared(t *testing.T) *Cluster {
	t.Helper()
	s, err := newSite(Options{Root: t.TempDir(), Assets: programs(t, nil), Audit: "Request"})
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{site: s, processes: map[string]*process{}}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestKubeconfigIsTheConfiguration(t *testing.T) {
	t.Parallel()
	c := prepared(t)
	got, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for what, config := range map[string]*rest.Config{"file": got, "value": c.Config()} {
		if config.Host != url("https", c.site.ports.apiServer) {
			t.Errorf("%s: host %s", what, config.Host)
		}
		cert := parse(t, config.CertData)
		if cert.Subject.CommonName != adminUser || !cmp.Equal(cert.Subject.Organization, []string{mastersGroup}) {
			t.Errorf("%s: subject %s", what, cert.Subject)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(config.CAData)
		usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usage}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func parse(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("no PEM in %q", data)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestSecretsAreReadableByTheOwnerOnly(t *testing.T) {
	t.Parallel()
	c := prepared(t)
	files, err := os.ReadDir(c.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %s", file.Name(), info.Mode())
		}
	}
}

func TestPortsDiffer(t *testing.T) {
	t.Parallel()
	p, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range []int{p.etcd, p.etcdPeer, p.apiServer, p.controllerManager, p.scheduler} {
		if port == 0 || seen[port] {
			t.Errorf("ports %+v: %d is no port or twice", p, port)
		}
		seen[port] = true
	}
}

func TestAStoppedClusterStartsNothing(t *testing.T) {
	t.Parallel()
	c := prepared(t)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := c.StartAPIServer(t.Context()); err == nil || !strings.Contains(err.Error(), "was stopped") {
		t.Errorf("error %v, want that it was stopped", err)
	}
	for name, fault := range map[string]func() error{
		"pause": c.PauseAPIServer, "resume": c.ResumeAPIServer, "kill": c.KillAPIServer,
	} {
		if err := fault(); err == nil || !strings.Contains(err.Error(), "not running") {
			t.Errorf("%s: error %v, want that it is not running", name, err)
		}
	}
}
