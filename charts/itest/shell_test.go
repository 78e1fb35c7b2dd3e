// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// A shell does what commands of the documentation do: those of kubectl that
// delete and patch, `helm uninstall`, and our own, with our own program. It
// knows no others, and fails on them.
type shell struct {
	*stand
	dynamic dynamic.Interface
	// controller is the process of the Deployment, which ends with it.
	controller *process
}

func newShell(s *stand) *shell {
	s.Helper()
	dyn, err := dynamic.NewForConfig(s.Cluster.Config())
	if err != nil {
		s.Fatal(err)
	}
	return &shell{stand: s, dynamic: dyn}
}

// A command is one line, taken apart.
type command struct {
	words                        []string
	namespace, labels, patch     string
	cascade, patchType, original string
}

func (s *shell) parse(line string) command {
	s.Helper()
	c := command{original: line}
	flags := map[string]*string{"-n": &c.namespace, "-l": &c.labels, "-p": &c.patch, "--cascade": &c.cascade, "--type": &c.patchType}
	fields := strings.Fields(line)
	for i := 0; i < len(fields); i++ {
		name, value, set := strings.Cut(fields[i], "=")
		flag := flags[name]
		switch {
		case flag == nil && strings.HasPrefix(name, "-"):
			s.Fatalf("%q: this test knows no flag %s", line, name)
		case flag == nil:
			c.words = append(c.words, fields[i])
		case set:
			*flag = value
		default:
			i++
			*flag = strings.Trim(fields[i], "'")
		}
	}
	return c
}

// do does what line does, and waits as it waits.
func (s *shell) do(line string) {
	s.Helper()
	if rest, ok := strings.CutPrefix(line, "kubectl argo rollouts "); ok {
		out, err := exec.Command(os.Getenv("SLUICE_BIN"), append(strings.Fields(rest), "--kubeconfig="+s.Cluster.Kubeconfig())...).CombinedOutput()
		if err != nil {
			s.Fatalf("%s: %v\n%s", line, err, out)
		}
		return
	}
	c := s.parse(line)
	switch verb := strings.Join(c.words[:2], " "); verb {
	case "kubectl delete":
		for _, name := range s.names(c) {
			s.remove(c, name)
		}
	case "kubectl patch":
		s.patch(c)
	case "helm uninstall":
		if _, err := s.helm(c.namespace).Uninstall(c.words[2]); err != nil {
			s.Fatalf("%s: %v", line, err)
		}
		s.controller.stop()
	default:
		s.Fatalf("%q: this test knows no %q", line, verb)
	}
}

// resource is what the API server means by a name such as svc.
func (s *shell) resource(c command) dynamic.ResourceInterface {
	s.Helper()
	disco, err := discovery.NewDiscoveryClientForConfig(s.Cluster.Config())
	if err != nil {
		s.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(disco)
	if err != nil {
		s.Fatal(err)
	}
	mapper := restmapper.NewShortcutExpander(restmapper.NewDiscoveryRESTMapper(groups), disco, nil)
	gvr, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: c.words[2]})
	if err != nil {
		s.Fatalf("%s: %v", c.original, err)
	}
	kind, err := mapper.KindFor(gvr)
	if err != nil {
		s.Fatal(err)
	}
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		s.Fatal(err)
	}
	if (mapping.Scope.Name() == meta.RESTScopeNameNamespace) != (c.namespace != "") {
		s.Fatalf("%s: the resource is of the scope %s, and the namespace is %q", c.original, mapping.Scope.Name(), c.namespace)
	}
	if c.namespace == "" {
		return s.dynamic.Resource(gvr)
	}
	return s.dynamic.Resource(gvr).Namespace(c.namespace)
}

func (s *shell) names(c command) []string {
	s.Helper()
	if c.labels == "" {
		return c.words[3:]
	}
	list, err := s.resource(c).List(s.Context(), metav1.ListOptions{LabelSelector: c.labels})
	if err != nil || len(list.Items) == 0 {
		s.Fatalf("%s: it finds nothing, %v", c.original, err)
	}
	var out []string
	for _, obj := range list.Items {
		out = append(out, obj.GetName())
	}
	return out
}

func (s *shell) remove(c command, name string) {
	s.Helper()
	how := metav1.DeletePropagationBackground
	switch c.cascade {
	case "":
	case "orphan":
		how = metav1.DeletePropagationOrphan
	default:
		s.Fatalf("%q: this test knows no --cascade=%s", c.original, c.cascade)
	}
	objects := s.resource(c)
	if err := objects.Delete(s.Context(), name, metav1.DeleteOptions{PropagationPolicy: &how}); err != nil {
		s.Fatalf("%s: %v", c.original, err)
	}
	s.Eventually(c.original, func() error {
		_, err := objects.Get(s.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%s is there, or %w", name, err)
	})
}

func (s *shell) patch(c command) {
	s.Helper()
	if c.patchType != "merge" {
		s.Fatalf("%q: this test knows no --type=%s", c.original, c.patchType)
	}
	if _, err := s.resource(c).Patch(s.Context(), c.words[3], types.MergePatchType, []byte(c.patch), metav1.PatchOptions{}); err != nil {
		s.Fatalf("%s: %v", c.original, err)
	}
}
