// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"

	"sluice.dev/sluice/charts/helmtest"
)

const (
	home        = "argo-rollouts"
	rolloutsCRD = "rollouts.argoproj.io"
)

func ours(t testing.TB) *chart.Chart {
	t.Helper()
	c, err := helmtest.Chart()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// previous is the chart as an older one was: a column less in a CRD, other
// defaults, and an object that is not made any more.
func previous(t *testing.T) *chart.Chart {
	t.Helper()
	c := ours(t)
	c.Metadata.Version, c.Metadata.AppVersion = "0.0.9", "v0.0.9"
	c.Values["controller"].(map[string]any)["replicas"] = 1
	c.Templates = append(c.Templates, &chart.File{
		Name: "templates/old.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old, namespace: {{ .Release.Namespace }}}\n"),
	})
	for _, f := range c.Files {
		if !strings.HasSuffix(f.Name, "argoproj.io_rollouts.yaml") {
			continue
		}
		var def apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(f.Data, &def); err != nil {
			t.Fatal(err)
		}
		v := &def.Spec.Versions[0]
		v.AdditionalPrinterColumns = v.AdditionalPrinterColumns[1:]
		data, err := yaml.Marshal(def)
		if err != nil {
			t.Fatal(err)
		}
		f.Data = data
	}
	return c
}

// guided is the guide's command line.
var guided = helmtest.Release{Set: []string{"dashboard.enabled=true", "controller.metrics.enabled=true"}}

const aRollout = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: checkout, namespace: payments}
spec:
  replicas: 1
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers: [{name: checkout, image: "checkout:1", securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
  strategy: {canary: {}}
`

// A life is one release from its first revision to its end.
type life struct {
	*stand
	helm    *helmtest.Helm
	rollout types.UID
	columns int
}

func TestTheLifeOfARelease(t *testing.T) {
	s := newStand(t, cluster.Options{})
	s.namespace(home)
	s.Namespace("payments")
	l := &life{stand: s, helm: s.helm(home)}
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"wrong values are refused", l.refuse},
		{"install", l.install},
		{"upgrade", l.upgrade},
		{"rollback", l.rollback},
		{"uninstall", l.uninstall},
		{"again", l.again},
		{"take over", l.takeOver},
		{"the guide's teardown", l.remove},
		{"without Helm", l.withoutHelm},
	} {
		if !t.Run(step.name, step.do) {
			t.FailNow()
		}
	}
}

// refuse: values that the schema refuses change nothing.
func (l *life) refuse(t *testing.T) {
	wrong := helmtest.Release{Set: []string{"controller.metrics.enable=true"}}
	_, err := l.helm.Install(t.Context(), ours(t), wrong)
	if err == nil || !strings.Contains(err.Error(), "/controller/metrics") {
		t.Fatalf("got %v, want an error that names the path", err)
	}
	if revisions, err := l.helm.History(home); err != nil || len(revisions) != 0 {
		t.Errorf("there are the revisions %v, %v", revisions, err)
	}
}

func (l *life) install(t *testing.T) {
	if _, err := l.helm.Install(t.Context(), previous(t), helmtest.Release{}); err != nil {
		t.Fatal(err)
	}
	l.Apply(aRollout)
	l.rollout = l.Rollout("payments", "checkout").UID
	l.columns = l.printed(t)
	if got := l.deployment(t).Status.ReadyReplicas; got != 1 {
		t.Errorf("%d pods are ready, want 1", got)
	}
	l.fits(t, 1)
}

func (l *life) upgrade(t *testing.T) {
	rel, err := l.helm.Upgrade(t.Context(), ours(t), guided)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rel.Info.Notes, "no dashboard yet") {
		t.Errorf("the notes do not say that there is no dashboard:\n%s", rel.Info.Notes)
	}
	d := l.deployment(t)
	if d.Status.ReadyReplicas != 2 || d.Status.UpdatedReplicas != 2 {
		t.Errorf("the status of the Deployment is %+v", d.Status)
	}
	if got := l.printed(t); got != l.columns+1 {
		t.Errorf("the CRD has %d columns, want %d", got, l.columns+1)
	}
	l.gone(t, &corev1.ConfigMap{}, "old")
	l.there(t, &corev1.Service{}, "argo-rollouts-metrics")
	l.fits(t, 2)
	l.kept(t)
}

func (l *life) rollback(t *testing.T) {
	if err := l.helm.Rollback(home, 1); err != nil {
		t.Fatal(err)
	}
	if d := l.deployment(t); d.Status.ReadyReplicas != 1 || d.Spec.Template.Spec.Containers[0].Image != "sluice.dev/sluice:v0.0.9" {
		t.Errorf("the Deployment is %+v, %+v", d.Spec.Template.Spec.Containers[0], d.Status)
	}
	l.there(t, &corev1.ConfigMap{}, "old")
	l.gone(t, &corev1.Service{}, "argo-rollouts-metrics")
	l.kept(t)
	if _, err := l.helm.Upgrade(t.Context(), ours(t), guided); err != nil {
		t.Fatal(err)
	}
}

// uninstall leaves the CRDs, and with them the Rollouts, and nothing else.
func (l *life) uninstall(t *testing.T) {
	l.end(t)
	l.kept(t)
}

// again: the CRDs that were kept are no obstacle to a new release.
func (l *life) again(t *testing.T) {
	rel, err := l.helm.Install(t.Context(), ours(t), helmtest.Release{Set: []string{"keepCRDs=false"}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rel.Info.Notes, "every\nRollout") {
		t.Errorf("the notes do not warn:\n%s", rel.Info.Notes)
	}
	l.kept(t)
	l.end(t)
	l.Eventually("the CRD goes, as was asked for", func() error {
		err := l.get(&apiextensionsv1.CustomResourceDefinition{}, "", rolloutsCRD)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, errors.New("it is there"))
	})
}

// another is what the release of another chart with Argo Rollouts looks like.
const another = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: argo-rollouts, namespace: argo-rollouts}
spec:
  selector: {matchLabels: {app.kubernetes.io/component: rollouts-controller, app.kubernetes.io/name: argo-rollouts, app.kubernetes.io/instance: argo-rollouts}}
  template:
    metadata: {labels: {app.kubernetes.io/component: rollouts-controller, app.kubernetes.io/name: argo-rollouts, app.kubernetes.io/instance: argo-rollouts}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 999, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: argo-rollouts
          image: quay.io/argoproj/argo-rollouts:v1.7.2
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io, annotations: {helm.sh/resource-policy: keep}}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {kind: Rollout, listKind: RolloutList, plural: rollouts, singular: rollout, shortNames: [ro]}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
      subresources: {status: {}}
`

// takeOver: `helm upgrade` turns a release of the chart argo-rollouts into one
// of ours, with the Deployment and the Rollouts that are there.
func (l *life) takeOver(t *testing.T) {
	theirs := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "argo-rollouts", Version: "2.37.7"},
		Templates: []*chart.File{{Name: "templates/all.yaml", Data: []byte(another)}},
	}
	if _, err := l.helm.Install(t.Context(), theirs, helmtest.Release{}); err != nil {
		t.Fatal(err)
	}
	before := l.deployment(t).UID
	l.Apply(aRollout)
	l.rollout = l.Rollout("payments", "checkout").UID
	values := guided
	values.Files = []string{"../testdata/argo.yaml"}
	if _, err := l.helm.Upgrade(t.Context(), ours(t), values); err != nil {
		t.Fatal(err)
	}
	d := l.deployment(t)
	if d.UID != before || d.Spec.Template.Spec.Containers[0].Image != "sluice.dev/sluice:v0.1.0" {
		t.Errorf("the Deployment is %s, was %s, and runs %s", d.UID, before, d.Spec.Template.Spec.Containers[0].Image)
	}
	l.kept(t)
	l.end(t)
	l.kept(t)
}

// remove: the guide's last command does not hang.
func (l *life) remove(t *testing.T) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}}
	if err := l.Client.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	l.Eventually("the namespace is gone", func() error {
		err := l.get(&corev1.Namespace{}, "", home)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, errors.New("it is there"))
	})
}

// withoutHelm: what make install.yaml prints can be applied, and starts.
func (l *life) withoutHelm(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "../cmd/install")
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	l.Apply(string(text))
	l.Eventually("the pods are ready", func() error {
		if d := l.deployment(t); d.Status.ReadyReplicas != 2 {
			return fmt.Errorf("the status is %+v", d.Status)
		}
		return nil
	})
	l.kept(t)
}

// end uninstalls the release, and looks that all it made goes but the CRDs.
func (l *life) end(t *testing.T) {
	t.Helper()
	revisions, err := l.helm.History(home)
	if err != nil {
		t.Fatal(err)
	}
	var last *release.Release
	for _, r := range revisions {
		if last == nil || r.Version > last.Version {
			last = r
		}
	}
	if _, err := l.helm.Uninstall(home); err != nil {
		t.Fatal(err)
	}
	objects, err := helmtest.Objects(last.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objects {
		if obj.GetKind() == "CustomResourceDefinition" || obj.GroupVersionKind().Group == "monitoring.coreos.com" {
			continue
		}
		l.Eventually(fmt.Sprintf("%s %s is gone", obj.GetKind(), obj.GetName()), func() error {
			err := l.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj.DeepCopy())
			if apierrors.IsNotFound(err) {
				return nil
			}
			return errors.Join(err, errors.New("it is there"))
		})
	}
}

func (l *life) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{}
	if err := l.get(d, home, "argo-rollouts"); err != nil {
		t.Fatal(err)
	}
	return d
}

func (l *life) printed(t *testing.T) int {
	t.Helper()
	def := &apiextensionsv1.CustomResourceDefinition{}
	if err := l.get(def, "", rolloutsCRD); err != nil {
		t.Fatal(err)
	}
	return len(def.Spec.Versions[0].AdditionalPrinterColumns)
}

func (l *life) there(t *testing.T, o client.Object, name string) {
	t.Helper()
	if err := l.get(o, home, name); err != nil {
		t.Errorf("%T %s: %v", o, name, err)
	}
}

func (l *life) gone(t *testing.T, o client.Object, name string) {
	t.Helper()
	if err := l.get(o, home, name); !apierrors.IsNotFound(err) {
		t.Errorf("%T %s is there, or %v", o, name, err)
	}
}

// kept: the Rollout is the one that was made at first.
func (l *life) kept(t *testing.T) {
	t.Helper()
	ro := &v1alpha1.Rollout{}
	if err := l.get(ro, "payments", "checkout"); err != nil || ro.UID != l.rollout || ro.DeletionTimestamp != nil {
		t.Errorf("the Rollout is %s, was %s; %v", ro.UID, l.rollout, err)
	}
}

// fits: the Secret of a revision is far from the limit of one MiB.
func (l *life) fits(t *testing.T, revision int) {
	t.Helper()
	secret := &corev1.Secret{}
	if err := l.get(secret, home, fmt.Sprintf("sh.helm.release.v1.%s.v%d", home, revision)); err != nil {
		t.Fatal(err)
	}
	n := len(secret.Data["release"])
	t.Logf("revision %d takes %d KiB", revision, n>>10)
	if n == 0 || n > 512<<10 {
		t.Errorf("revision %d takes %d bytes", revision, n)
	}
}
