// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// TestAPIServerTakesTheCRDs runs the checks of the API server, the cost of the
// rules among them.
func TestAPIServerTakesTheCRDs(t *testing.T) {
	t.Parallel()
	for _, crd := range loadCRDs(t) {
		admissionOf(t, crd.Spec.Names.Kind)
	}
}

// TestBadManifestsAreRefused applies testdata/bad. The first line of each file
// says what the message must contain.
func TestBadManifestsAreRefused(t *testing.T) {
	t.Parallel()
	files := glob(t, "testdata/bad/*.yaml", 60)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			want := firstComment(t, file)
			objs := readObjects(t, file)
			if len(objs) != 1 {
				t.Fatalf("%d objects, want 1", len(objs))
			}
			err := admissionOf(t, objs[0].GetKind()).create(objs[0])
			if err == nil {
				t.Fatalf("accepted; want an error that contains %q", want)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q\ndoes not contain %q", err, want)
			}
		})
	}
}

// TestGoodManifestsAreAccepted applies testdata/good and testdata/guide.
func TestGoodManifestsAreAccepted(t *testing.T) {
	t.Parallel()
	files := append(glob(t, "testdata/good/*.yaml", 10), glob(t, "testdata/guide/*.yaml", 5)...)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			for _, obj := range readObjects(t, file) {
				if obj.GroupVersionKind().GroupVersion() != v1alpha1.SchemeGroupVersion {
					continue
				}
				if err := admissionOf(t, obj.GetKind()).create(obj); err != nil {
					t.Errorf("%s %s is refused: %v", obj.GetKind(), obj.GetName(), err)
				}
			}
		})
	}
}

func glob(t *testing.T, pattern string, atLeast int) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < atLeast {
		t.Fatalf("%s: found %d files, want at least %d", pattern, len(files), atLeast)
	}
	return files
}

// firstComment is the text of the comment in the first line of a file.
func firstComment(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Scan()
	text, ok := strings.CutPrefix(scanner.Text(), "# ")
	if !ok || text == "" {
		t.Fatalf("%s: the first line must be a comment that says what the message contains", name)
	}
	return text
}

// TestEveryRuleIsTried looks for rules that no manifest of testdata/bad breaks.
func TestEveryRuleIsTried(t *testing.T) {
	t.Parallel()
	var errs strings.Builder
	for _, file := range glob(t, "testdata/bad/*.yaml", 60) {
		obj := readObjects(t, file)[0]
		if err := admissionOf(t, obj.GetKind()).create(obj); err != nil {
			errs.WriteString(err.Error())
		}
	}
	// Nothing that is created breaks the rule about changes.
	errs.WriteString("selector cannot be changed")
	for _, crd := range loadCRDs(t) {
		walk(crd, func(path string, s *apiextensionsv1.JSONSchemaProps, _ bool) {
			for _, rule := range s.XValidations {
				if !strings.Contains(errs.String(), rule.Message) {
					t.Errorf("%s %s: no manifest in testdata/bad breaks the rule %q", crd.Spec.Names.Kind, path, rule.Message)
				}
			}
		})
	}
}
