// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package itest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
)

// manifestOfTheApplication is the one that docs/gitops.md explains.
const manifestOfTheApplication = "../../examples/argocd/application.yaml"

// An application is one service whose manifests Argo CD takes from a repository
// and puts into a namespace of its own.
type application struct {
	*service
	repo repository
}

// deploy makes the repository, the namespace and the Application of the example,
// changed by change, and waits until the first revision is there.
func (s *stand) deploy(t *testing.T, ns string, files map[string]string, changes ...change) *application {
	t.Helper()
	a := &application{service: s.service(t, ns, files), repo: newRepository(t, files)}
	text, err := os.ReadFile(manifestOfTheApplication)
	if err != nil {
		t.Fatal(err)
	}
	app := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &app.Object); err != nil {
		t.Fatal(err)
	}
	app.SetName(ns)
	spec := specOf(app)
	spec["source"].(map[string]any)["repoURL"] = "file://" + a.repo.dir
	spec["destination"].(map[string]any)["namespace"] = ns
	for _, f := range changes {
		f(app)
	}
	if err := a.Client.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	return a
}

// A change is one of the example's Application.
type change func(app *unstructured.Unstructured)

func specOf(app *unstructured.Unstructured) map[string]any {
	return app.Object["spec"].(map[string]any)
}

// with adds options to those of every sync.
func with(options ...any) change {
	return func(app *unstructured.Unstructured) {
		policy := specOf(app)["syncPolicy"].(map[string]any)
		policy["syncOptions"] = append(slices.Clone(policy["syncOptions"].([]any)), options...)
	}
}

// byHand lets Argo CD sync only when it is told to.
func byHand(app *unstructured.Unstructured) {
	delete(specOf(app)["syncPolicy"].(map[string]any), "automated")
}

// A state is what Argo CD says of an application.
type state struct {
	sync, health, revision string
	operation              string // its phase, "Pending" while it waits to be taken up
	message                string
	begun                  string // when the operation began
	differ                 []string
}

func (s state) String() string {
	return fmt.Sprintf("%s at %.7s, %s, operation %s (%s), different: %v", s.sync, s.revision, s.health, s.operation, s.message, s.differ)
}

func (a *application) object() *unstructured.Unstructured {
	a.Helper()
	app := &unstructured.Unstructured{}
	app.SetGroupVersionKind(applications)
	if err := a.Client.Get(a.Context(), client.ObjectKey{Namespace: argoNamespace, Name: a.ns}, app); err != nil {
		a.Fatal(err)
	}
	return app
}

func (a *application) state() state {
	a.Helper()
	return stateOf(a.object())
}

func stateOf(app *unstructured.Unstructured) state {
	text := func(fields ...string) string {
		v, _, _ := unstructured.NestedString(app.Object, append([]string{"status"}, fields...)...)
		return v
	}
	s := state{
		sync: text("sync", "status"), revision: text("sync", "revision"), health: text("health", "status"),
		operation: text("operationState", "phase"), message: text("operationState", "message"), begun: text("operationState", "startedAt"),
	}
	if _, waits := app.Object["operation"]; waits {
		s.operation = "Pending"
	}
	resources, _, _ := unstructured.NestedSlice(app.Object, "status", "resources")
	for _, r := range resources {
		if r := r.(map[string]any); r["status"] != "Synced" {
			s.differ = append(s.differ, fmt.Sprintf("%v %v", r["kind"], r["name"]))
		}
	}
	conditions, _, _ := unstructured.NestedSlice(app.Object, "status", "conditions")
	for _, c := range conditions {
		s.message += fmt.Sprintf("; %v", c.(map[string]any)["message"])
	}
	return s
}

// reaches waits until Argo CD has compared the cluster with the commit revision and
// says both.
func (a *application) reaches(revision, sync, health string) state {
	a.Helper()
	var s state
	a.Eventually(fmt.Sprintf("%s is %s and %s at %.7s", a.ns, sync, health, revision), func() error {
		if s = a.state(); s.sync != sync || s.health != health || s.revision != revision {
			ro := &v1alpha1.Rollout{} // it may not be there yet
			_ = a.Client.Get(a.Context(), client.ObjectKey{Namespace: a.ns, Name: "checkout"}, ro)
			return fmt.Errorf("it is %v; the Rollout is %s: %s", s, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	return s
}

// patch merges a change into the Application.
func (a *application) patch(body any) {
	a.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		a.Fatal(err)
	}
	app := &unstructured.Unstructured{}
	app.SetGroupVersionKind(applications)
	app.SetNamespace(argoNamespace)
	app.SetName(a.ns)
	if err := a.Client.Patch(a.Context(), app, client.RawPatch(types.MergePatchType, text)); err != nil {
		a.Fatal(err)
	}
}

// compare has Argo CD look at the repository and the cluster now, and waits until
// it has.
func (a *application) compare() state {
	a.Helper()
	const refresh = "argocd.argoproj.io/refresh"
	a.patch(map[string]any{"metadata": map[string]any{"annotations": map[string]any{refresh: "normal"}}})
	a.Eventually(a.ns+" is compared with its repository", func() error {
		if _, waits := a.object().GetAnnotations()[refresh]; waits {
			return fmt.Errorf("it is %v", a.state())
		}
		return nil
	})
	return a.state()
}

// sync has Argo CD apply everything now, whether it differs or not, as the button
// in its UI does, and waits until it has. The options are those of the Application.
func (a *application) sync() state {
	a.Helper()
	return a.syncWith(a.options()...)
}

// options are those that the Application's own syncs have.
func (a *application) options() []string {
	a.Helper()
	options, _, _ := unstructured.NestedStringSlice(a.object().Object, "spec", "syncPolicy", "syncOptions")
	return options
}

func (a *application) syncWith(options ...string) state {
	a.Helper()
	done := func(what string) {
		a.Eventually(what, func() error {
			switch s := a.state(); s.operation {
			case "Pending", "Running", "Terminating":
				return fmt.Errorf("it is %v", s)
			}
			return nil
		})
	}
	done("no other sync of " + a.ns + " is under way")
	a.patch(map[string]any{"operation": map[string]any{
		"initiatedBy": map[string]any{"username": "admin"},
		"sync":        map[string]any{"syncOptions": options},
	}})
	done("the sync of " + a.ns + " is over")
	s := a.state()
	if s.operation != "Succeeded" {
		a.Errorf("a sync did not succeed: %v", s)
	}
	return s
}
