// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Objects are all objects of the cluster but Events, as their resource,
// namespace and name: every type that the API server says it has, in every
// namespace.
func (b *Bed) Objects() map[string]bool {
	b.Helper()
	config := b.Cluster.Config()
	config.WarningHandler = rest.NoWarnings{} // old types are listed too
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	lists, err := disco.ServerPreferredResources()
	if err != nil {
		b.Fatal(err)
	}
	out := map[string]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			b.Fatal(err)
		}
		for i := range list.APIResources {
			if r := &list.APIResources[i]; slices.Contains(r.Verbs, "list") && r.Name != "events" {
				b.objects(dyn, version.WithResource(r.Name), out)
			}
		}
	}
	return out
}

// objects adds those of one resource. Its type may have gone meanwhile.
func (b *Bed) objects(dyn dynamic.Interface, resource schema.GroupVersionResource, out map[string]bool) {
	b.Helper()
	objects, err := dyn.Resource(resource).List(b.Context(), metav1.ListOptions{})
	if client.IgnoreNotFound(err) != nil {
		b.Fatalf("list %s: %v", resource.Resource, err)
	}
	if err != nil {
		return
	}
	for i := range objects.Items {
		out[resource.Resource+" "+objects.Items[i].GetNamespace()+"/"+objects.Items[i].GetName()] = true
	}
}
