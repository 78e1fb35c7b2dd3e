// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.dev/sluice/charts/examples"
)

// covered says which test each file below examples is used by: the file of the
// test, from the top of the repository, and its name.
var covered = map[string][]string{
	"argocd/application.yaml":                    {"gitops/itest/docs_test.go TestTheDocumentedApplicationIsTheExample"},
	"guide/README.md":                            {"charts/examples/guide_test.go TestTheListedDifferencesAreAll", "charts/examples/guide_test.go TestTheWorkflowDiffersAsListed"},
	"guide/application.yaml":                     {"charts/itest/guide_test.go TestTheGuidesRepository"},
	"guide/kustomization.yaml":                   {"charts/itest/guide_test.go TestTheGuidesRepository"},
	"guide/release.yml":                          {"charts/examples/workflow_test.go TestTheWorkflowIsActionlintClean", "charts/examples/workflow_test.go TestTheJobReleases"},
	"guide/argo-rollouts/kustomization.yaml":     {"charts/itest/guide_test.go TestTheGuidesRepository"},
	"guide/argo-rollouts/notifications.yaml":     {"charts/examples/objects_test.go TestTheNotificationsReachServiceNow"},
	"guide/argo-rollouts/vaultstaticsecret.yaml": {"charts/examples/objects_test.go TestTheTemplatesOfSecretsParse"},
	"guide/payments/kustomization.yaml":          {"charts/itest/guide_test.go TestTheGuidesRepository"},
	"guide/payments/checkout-rollout.yaml":       {"charts/examples/guide_test.go TestTheManifestsAreTheGuides", "charts/itest/guide_test.go TestTheGuidesRepository"},
	"guide/payments/analysistemplate.yaml":       {"charts/examples/guide_test.go TestTheManifestsAreTheGuides", "charts/itest/guide_test.go TestTheGuidesRepository"},
	"guide/payments/services.yaml":               {"charts/examples/guide_test.go TestTheManifestsAreTheGuides", "charts/itest/guide_test.go TestTheGuidesRepository"},
	"guide/payments/virtualservice.yaml":         {"charts/examples/guide_test.go TestTheManifestsAreTheGuides", "charts/itest/guide_test.go TestTheGuidesRepository"},
	"notifications/chat.yaml":                    {"internal/notify/config_test.go TestTheExamples"},
	"notifications/servicenow.yaml":              {"internal/notify/config_test.go TestTheExamples", "internal/itest/notify/notify_test.go TestAnAbortIsOneIncidentWhateverIsKilled"},
}

func TestEveryExampleIsTested(t *testing.T) {
	t.Parallel()
	files := map[string]bool{}
	err := fs.WalkDir(os.DirFS(examples.Path(".")), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[path] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for file := range files {
		if len(covered[file]) == 0 {
			t.Errorf("no test uses examples/%s", file)
		}
	}
	for file, tests := range covered {
		if !files[file] {
			t.Errorf("examples/%s is not there", file)
		}
		for _, test := range tests {
			where, name, _ := strings.Cut(test, " ")
			if !strings.Contains(string(read(t, filepath.Join("../..", where))), "func "+name+"(t *testing.T)") {
				t.Errorf("examples/%s: %s has no %s", file, where, name)
			}
		}
	}
}

// Each file of the guide but for what is not applied is part of the build.
func TestNoManifestIsForgotten(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"guide/payments", "guide/argo-rollouts"} {
		list := string(read(t, examples.Path(folder+"/kustomization.yaml")))
		entries, err := os.ReadDir(examples.Path(folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "kustomization.yaml" && !strings.Contains(list, "- "+e.Name()) {
				t.Errorf("%s/%s is not applied", folder, e.Name())
			}
		}
	}
}
