// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package privilege compares what a chart grants a ServiceAccount with what an
// API server's audit log says that it used. It asks no API server.
package privilege

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// A Right is one verb on one resource.
type Right struct {
	// Namespace is where it holds; empty means everywhere.
	Namespace string
	// Group is the API group.
	Group string
	// Resource has its subresource after a slash.
	Resource string
	// Name is the only object that it holds for; empty means all.
	Name string
	// Verb is what it allows.
	Verb string
}

// String is the right in words.
func (r Right) String() string {
	s := r.Verb + " " + r.Resource
	if r.Group != "" {
		s += "." + r.Group
	}
	if r.Name != "" {
		s += " " + r.Name
	}
	if r.Namespace != "" {
		s += " in " + r.Namespace
	}
	return s
}

func compare(a, b Right) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Verb, b.Verb))
}

// allows reports whether a request is one that r allows.
func (r Right) allows(use Right) bool {
	return r.Verb == use.Verb && r.Group == use.Group && r.Resource == use.Resource &&
		(r.Namespace == "" || r.Namespace == use.Namespace) && (r.Name == "" || r.Name == use.Name)
}

// Granted returns the rights that the roles and bindings among objects give to
// a ServiceAccount.
func Granted(objects []*unstructured.Unstructured, account corev1.ObjectReference) ([]Right, error) {
	rules, err := roles(objects)
	if err != nil {
		return nil, err
	}
	var out []Right
	for _, obj := range objects {
		if kind := obj.GetKind(); kind != "RoleBinding" && kind != "ClusterRoleBinding" {
			continue
		}
		var b rbacv1.RoleBinding
		if err := decode(obj, &b); err != nil {
			return nil, err
		}
		if !names(&b, account) {
			continue
		}
		role, ok := rules[roleOf(&b)]
		if !ok {
			return nil, fmt.Errorf("%s %s binds %s, which is not there", obj.GetKind(), b.Name, roleOf(&b))
		}
		for _, rule := range role {
			out = append(out, expand(b.Namespace, rule)...)
		}
	}
	slices.SortFunc(out, compare)
	return slices.Compact(out), nil
}

// roles returns the rules of each role, by what roleOf says.
func roles(objects []*unstructured.Unstructured) (map[string][]rbacv1.PolicyRule, error) {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, obj := range objects {
		if kind := obj.GetKind(); kind != "Role" && kind != "ClusterRole" {
			continue
		}
		var role rbacv1.ClusterRole
		if err := decode(obj, &role); err != nil {
			return nil, err
		}
		rules[obj.GetKind()+"/"+obj.GetNamespace()+"/"+obj.GetName()] = role.Rules
	}
	return rules, nil
}

func decode(obj *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, into, true); err != nil {
		return fmt.Errorf("%s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return nil
}

func names(b *rbacv1.RoleBinding, account corev1.ObjectReference) bool {
	return slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool {
		return s.Kind == "ServiceAccount" && s.Namespace == account.Namespace && s.Name == account.Name
	})
}

func roleOf(b *rbacv1.RoleBinding) string {
	if b.RoleRef.Kind == "ClusterRole" {
		return "ClusterRole//" + b.RoleRef.Name
	}
	return b.RoleRef.Kind + "/" + b.Namespace + "/" + b.RoleRef.Name
}

func expand(namespace string, rule rbacv1.PolicyRule) []Right {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var out []Right
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, name := range names {
				for _, verb := range rule.Verbs {
					out = append(out, Right{namespace, group, resource, name, verb})
				}
			}
		}
	}
	for _, url := range rule.NonResourceURLs {
		for _, verb := range rule.Verbs {
			out = append(out, Right{Resource: url, Verb: verb})
		}
	}
	return out
}

// A Use is one kind of request.
type Use struct {
	Right
	// Denied is set for one that was refused for want of a right.
	Denied bool
}

type entry struct {
	Stage string `json:"stage"`
	Verb  string `json:"verb"`
	URI   string `json:"requestURI"`
	User  struct {
		Username string `json:"username"`
	} `json:"user"`
	Object *struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Answer struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

// Used returns what an audit log says that a user asked for, each kind of
// request once.
func Used(log io.Reader, user string) ([]Use, error) {
	seen := map[Use]bool{}
	r := bufio.NewReaderSize(log, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // a last line without an end is still being written
		}
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("read a line of the audit log: %w", err)
		}
		if e.User.Username == user {
			seen[e.use()] = true
		}
	}
	out := make([]Use, 0, len(seen))
	for use := range seen {
		out = append(out, use)
	}
	slices.SortFunc(out, func(a, b Use) int { return compare(a.Right, b.Right) })
	return out, nil
}

func (e *entry) use() Use {
	use := Use{Denied: e.Answer.Code == 403 && e.Annotations["authorization.k8s.io/decision"] != "allow"}
	use.Verb = e.Verb
	if e.Object == nil {
		use.Resource = e.URI
		return use
	}
	use.Namespace, use.Group, use.Resource, use.Name = e.Object.Namespace, e.Object.Group, e.Object.Resource, e.Object.Name
	if e.Object.Subresource != "" {
		use.Resource += "/" + e.Object.Subresource
	}
	return use
}

// Compare returns the requests that were denied, and the rights that nothing
// made use of.
func Compare(granted []Right, used []Use) (denied []Use, unused []Right) {
	for _, use := range used {
		if use.Denied {
			denied = append(denied, use)
		}
	}
	for _, right := range granted {
		if !slices.ContainsFunc(used, func(u Use) bool { return !u.Denied && right.allows(u.Right) }) {
			unused = append(unused, right)
		}
	}
	return denied, unused
}
