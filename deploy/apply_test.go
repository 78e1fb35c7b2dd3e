// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package deploy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
)

// versions are the releases that playground/tofu builds: the names of their
// files say so to OpenTofu.
var versions = map[string]string{"kubernetes": "1.13.4", "helm": "1.3.2", "vault": "3.3.1"}

const (
	password = "correct-horse-battery"
	// encryption is what the documentation says about the state.
	encryption = `
key_provider "pbkdf2" "passphrase" { passphrase = "a passphrase of more than sixteen characters" }
method "aes_gcm" "this" { keys = key_provider.pbkdf2.passphrase }
state { method = method.aes_gcm.this }
plan { method = method.aes_gcm.this }
`
)

// A tofu is OpenTofu with a copy of the configuration.
type tofu struct {
	*bed.Bed
	program, dir string
	env          []string
}

func newTofu(t *testing.T, b *bed.Bed) *tofu {
	t.Helper()
	dirs := strings.Fields(os.Getenv("TOFU_BIN"))
	if len(dirs) != 4 {
		t.Fatalf("TOFU_BIN names %d folders, want 4: set it to the output of `make -s tofu`, or run `make test-deploy`", len(dirs))
	}
	top := t.TempDir()
	o := &tofu{Bed: b, program: filepath.Join(dirs[0], "tofu"), dir: filepath.Join(top, "terraform")}
	for i, name := range []string{"kubernetes", "helm", "vault"} {
		mirror := filepath.Join(top, "mirror", "registry.opentofu.org", "hashicorp", name, versions[name], runtime.GOOS+"_"+runtime.GOARCH)
		file := filepath.Join(dirs[i+1], "terraform-provider-"+name)
		if err := errors.Join(os.MkdirAll(mirror, 0o755), os.Symlink(file, filepath.Join(mirror, fmt.Sprintf("terraform-provider-%s_v%s", name, versions[name])))); err != nil {
			t.Fatal(err)
		}
	}
	rc := filepath.Join(top, "tofurc")
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror { path = %q }\n}\n", filepath.Join(top, "mirror"))
	if err := errors.Join(os.CopyFS(o.dir, os.DirFS("terraform")), os.WriteFile(rc, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	chart, err := filepath.Abs("../charts/sluice")
	if err != nil {
		t.Fatal(err)
	}
	o.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + top, "TF_CLI_CONFIG_FILE=" + rc, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
		"TF_ENCRYPTION=" + encryption, "VAULT_TOKEN=none", "NO_COLOR=1",
		"TF_VAR_kubeconfig=" + b.Cluster.Kubeconfig(), "TF_VAR_chart=" + chart, "TF_VAR_servicenow_password=" + password,
		`TF_VAR_servicenow={username="sluice"}`, "TF_VAR_vault={enabled=false}", "TF_VAR_istio={enabled=false}", "TF_VAR_falcon={enabled=false}",
		// The cluster's own test looks for what remains, CRDs too.
		"TF_VAR_values={keepCRDs=false,controller={replicas=1}}",
	}
	return o
}

func (o *tofu) run(args ...string) (string, error) {
	cmd := exec.CommandContext(o.Context(), o.program, args...)
	cmd.Dir, cmd.Env = o.dir, o.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (o *tofu) must(args ...string) string {
	o.Helper()
	out, err := o.run(args...)
	if err != nil {
		o.Fatalf("tofu %v: %v\n%s", args, err, out)
	}
	return out
}

// TestTheConfigurationIsApplied: what a cluster without a network allows is
// applied. Istio, the sensor and Vault are switched off, and validated.
func TestTheConfigurationIsApplied(t *testing.T) {
	b := bed.Bare(t, cluster.Options{})
	o := newTofu(t, b)
	o.must("fmt", "-check", "-recursive", "-diff")
	o.must("init", "-input=false")
	o.must("validate")
	before := b.Objects()

	out := o.must("apply", "-auto-approve", "-input=false")
	if strings.Contains(out, password) {
		t.Error("the output holds the password")
	}
	o.there(t)
	o.closed(t)
	if out, err := o.run("plan", "-detailed-exitcode", "-input=false"); err != nil {
		t.Errorf("there is something to do after apply: %v\n%s", err, out)
	}
	if out := o.must("apply", "-auto-approve", "-input=false"); !strings.Contains(out, "0 added, 0 changed, 0 destroyed") {
		t.Errorf("a second apply changed something:\n%s", out)
	}
	o.must("destroy", "-auto-approve", "-input=false")
	b.Eventually("nothing remains", func() error {
		if diff := cmp.Diff(before, b.Objects()); diff != "" {
			return fmt.Errorf("there is more (+) or less (-):\n%s", diff)
		}
		return nil
	})
	for wrong, says := range map[string]string{
		`TF_VAR_vault={address="http://vault"}`:  "must begin with https://",
		"TF_VAR_servicenow={}":                   "servicenow.username is empty",
		`TF_VAR_falcon={image="falcon"}`:         "falcon.image_tag",
		`TF_VAR_values={controler={replicas=1}}`: "controler",
	} {
		o.env = append(o.env, wrong)
		if out, err := o.run("apply", "-auto-approve", "-input=false"); err == nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v\n%s", wrong, err, out)
		}
		o.env = o.env[:len(o.env)-1]
	}
}

// there: the objects are, and the controller's pods are ready.
func (o *tofu) there(t *testing.T) {
	t.Helper()
	get := func(obj client.Object, namespace, name string) {
		t.Helper()
		if err := o.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
			t.Fatal(err)
		}
	}
	for name, label := range map[string]string{"argo-rollouts": "pod-security.kubernetes.io/enforce=restricted", "payments": "istio-injection=enabled"} {
		ns := &corev1.Namespace{}
		get(ns, "", name)
		if k, v, _ := strings.Cut(label, "="); ns.Labels[k] != v {
			t.Errorf("the labels of %s are %v, want %s", name, ns.Labels, label)
		}
	}
	d := &appsv1.Deployment{}
	get(d, "argo-rollouts", "argo-rollouts")
	if d.Status.ReadyReplicas != 1 || *d.Spec.Replicas != 1 {
		t.Errorf("the Deployment is %+v", d.Status)
	}
	get(&corev1.Service{}, "argo-rollouts", "argo-rollouts-metrics")
	secret := &corev1.Secret{}
	get(secret, "argo-rollouts", "argo-rollouts-notification-secret")
	if string(secret.Data["servicenow-username"]) != "sluice" || string(secret.Data["servicenow-password"]) != password {
		t.Errorf("the Secret is %q", secret.Data)
	}
}

// closed: whoever has the state has no password.
func (o *tofu) closed(t *testing.T) {
	t.Helper()
	state, err := os.ReadFile(filepath.Join(o.dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(state); strings.Contains(text, password) || !strings.Contains(text, "encrypted_data") {
		t.Error("the state is not encrypted")
	}
}
