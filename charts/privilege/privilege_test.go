// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const manifests = `
kind: ClusterRole
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: a}
rules: [{apiGroups: [apps], resources: [replicasets], verbs: [get, list]}]
---
kind: Role
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: a, namespace: home}
rules:
  - {apiGroups: [""], resources: [secrets], resourceNames: [key, spare], verbs: [get]}
  - {apiGroups: [""], resources: [pods], verbs: [list]}
---
kind: ClusterRoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: a}
subjects: [{kind: ServiceAccount, namespace: home, name: me}]
---
kind: RoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: a, namespace: home}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}
subjects: [{kind: ServiceAccount, namespace: home, name: me}]
---
kind: ClusterRoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: other}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: a}
subjects: [{kind: ServiceAccount, namespace: home, name: other}]
`

const log = `{"verb":"list","stage":"ResponseComplete","user":{"username":"me"},"objectRef":{"apiGroup":"apps","resource":"replicasets"},"responseStatus":{"code":200}}
{"verb":"get","stage":"ResponseComplete","user":{"username":"me"},"objectRef":{"resource":"secrets","namespace":"home","name":"key"},"responseStatus":{"code":404}}
{"verb":"get","stage":"ResponseComplete","user":{"username":"me"},"objectRef":{"resource":"secrets","namespace":"away","name":"key"},"responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}
{"verb":"list","stage":"ResponseComplete","user":{"username":"me"},"objectRef":{"resource":"pods","namespace":"home"},"responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"allow"}}
{"verb":"get","stage":"ResponseComplete","user":{"username":"other"},"objectRef":{"apiGroup":"apps","resource":"replicasets","namespace":"home","name":"x"},"responseStatus":{"code":200}}
{"verb":"get","stage":"Resp`

func TestGrantedAndUsed(t *testing.T) {
	t.Parallel()
	var objects []*unstructured.Unstructured
	for doc := range strings.SplitSeq(manifests, "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, obj)
	}
	granted, err := Granted(objects, corev1.ObjectReference{Namespace: "home", Name: "me"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"get replicasets.apps", "list replicasets.apps", "list pods in home", "get secrets key in home", "get secrets spare in home"}
	if diff := cmp.Diff(want, words(granted)); diff != "" {
		t.Errorf("granted: %s", diff)
	}
	used, err := Used(strings.NewReader(log), "me")
	if err != nil {
		t.Fatal(err)
	}
	denied, unused := Compare(granted, used)
	if len(denied) != 1 || denied[0].String() != "get secrets key in away" {
		t.Errorf("denied: %v", denied)
	}
	if diff := cmp.Diff([]string{"get replicasets.apps", "get secrets spare in home"}, words(unused)); diff != "" {
		t.Errorf("unused: %s", diff)
	}
}

func TestABindingWithoutItsRoleIsAnError(t *testing.T) {
	t.Parallel()
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": map[string]any{"name": "a", "namespace": "home"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gone"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": "home", "name": "me"}},
	}}
	_, err := Granted([]*unstructured.Unstructured{obj}, corev1.ObjectReference{Namespace: "home", Name: "me"})
	if err == nil || !strings.Contains(err.Error(), "Role/home/gone") {
		t.Errorf("got %v", err)
	}
}

func words(rights []Right) []string {
	out := make([]string, 0, len(rights))
	for _, r := range rights {
		out = append(out, r.String())
	}
	return out
}
