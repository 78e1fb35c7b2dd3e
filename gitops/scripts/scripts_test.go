// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package scripts_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/gitops/scripts"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

const paused = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, generation: 4}
spec:
  template: {spec: {volumes: [{name: tmp, emptyDir: {}}]}}
  strategy: {canary: {steps: [{setWeight: 10}, {pause: {}}]}}
status:
  observedGeneration: "4"
  phase: Paused
  message: CanaryPauseStep
  blueGreen: {}
  currentPodHash: b
  stableRS: a
  currentStepIndex: 1
  pauseConditions: [{reason: CanaryPauseStep, startTime: "2026-01-01T00:00:00Z"}]
`

func TestTheScriptsAreArgoCDsOwn(t *testing.T) {
	t.Parallel()
	got, err := scripts.JudgeHealth(object(t, paused))
	if want := (scripts.Health{Status: "Suspended", Message: "CanaryPauseStep"}); err != nil || got != want {
		t.Errorf("health %+v, %v; want %+v", got, err, want)
	}
	actions, err := scripts.Actions(object(t, paused))
	want := []string{"abort", "pause", "promote-full", "restart", "resume", "skip-current-step"}
	if diff := cmp.Diff(want, actions); err != nil || diff != "" {
		t.Errorf("actions, %v (-want +got):\n%s", err, diff)
	}
}

func TestAnActionChangesNothingElse(t *testing.T) {
	t.Parallel()
	got, err := scripts.Act(object(t, paused), "resume")
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, paused)
	unstructured.RemoveNestedField(want.Object, "status", "pauseConditions")
	gotText, err := got.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	wantText, err := want.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(wantText), string(gotText)); diff != "" {
		t.Errorf("the Rollout (-want +got):\n%s", diff)
	}
}

func TestAScriptThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	if _, err := scripts.Act(object(t, paused), "explode"); err == nil {
		t.Error("no error")
	}
}
