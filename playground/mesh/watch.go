// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package mesh

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// virtualServices is the resource that holds the weights, at the version the
// guide uses.
var virtualServices = schema.GroupVersionResource{
	Group: "networking.istio.io", Version: "v1beta1", Resource: "virtualservices",
}

// Watch follows the VirtualServices, Services, EndpointSlices and Pods of a
// namespace until ctx ends. It returns when everything there is has been taken
// in.
func (m *Mesh) Watch(ctx context.Context, config *rest.Config, namespace string) error {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make the mesh's client: %w", err)
	}
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make the mesh's client: %w", err)
	}
	core := informers.NewSharedInformerFactoryWithOptions(typed, 0, informers.WithNamespace(namespace))
	istio := dynamicinformer.NewFilteredDynamicSharedInformerFactory(untyped, 0, namespace, nil)
	all := []cache.SharedIndexInformer{
		core.Core().V1().Services().Informer(),
		core.Discovery().V1().EndpointSlices().Informer(),
		core.Core().V1().Pods().Informer(),
		istio.ForResource(virtualServices).Informer(),
	}
	synced := []cache.InformerSynced{}
	for _, i := range all {
		reg, err := i.AddEventHandler(m.handler())
		if err != nil {
			return fmt.Errorf("watch the namespace %s for the mesh: %w", namespace, err)
		}
		synced = append(synced, reg.HasSynced)
	}
	core.Start(ctx.Done())
	istio.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return fmt.Errorf("read the namespace %s for the mesh: %w", namespace, context.Cause(ctx))
	}
	return nil
}

func (m *Mesh) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    m.Observe,
		UpdateFunc: func(_, obj any) { m.Observe(obj) },
		DeleteFunc: func(obj any) {
			if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = last.Obj
			}
			m.Forget(obj)
		},
	}
}
