// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "encoding/json"

// RolloutTrafficRouting is the mesh or ingress that splits the traffic. More
// than one may be set.
type RolloutTrafficRouting struct {
	// istio splits traffic in VirtualServices.
	// +optional
	Istio *IstioTrafficRouting `json:"istio,omitempty"`
	// nginx splits traffic with a canary Ingress of ingress-nginx.
	// +optional
	Nginx *NginxTrafficRouting `json:"nginx,omitempty"`
	// alb splits traffic with an action annotation of the AWS Load Balancer
	// Controller.
	// +optional
	ALB *ALBTrafficRouting `json:"alb,omitempty"`
	// smi splits traffic with a TrafficSplit.
	// +optional
	SMI *SMITrafficRouting `json:"smi,omitempty"`
	// ambassador splits traffic with Mappings.
	// +optional
	Ambassador *AmbassadorTrafficRouting `json:"ambassador,omitempty"`
	// appMesh splits traffic in AWS App Mesh.
	// +optional
	AppMesh *AppMeshTrafficRouting `json:"appMesh,omitempty"`
	// traefik splits traffic with a weighted TraefikService.
	// +optional
	Traefik *TraefikTrafficRouting `json:"traefik,omitempty"`
	// managedRoutes lists the routes that steps may create, in order of
	// precedence.
	// +optional
	ManagedRoutes []ManagedRoute `json:"managedRoutes,omitempty"`
	// apisix splits traffic with an ApisixRoute.
	// +optional
	Apisix *ApisixTrafficRouting `json:"apisix,omitempty"`
	// plugins holds the settings of traffic router plugins, by plugin name.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +optional
	Plugins map[string]json.RawMessage `json:"plugins,omitempty"`
	// maxTrafficWeight is the weight that stands for all traffic. Only nginx and
	// plugins take anything but 100. Default 100.
	// +optional
	MaxTrafficWeight *int32 `json:"maxTrafficWeight,omitempty"`
}

// ManagedRoute is a route that steps may create and that is removed again when
// the Rollout is promoted or aborted.
type ManagedRoute struct {
	// name of the route.
	Name string `json:"name"`
}

// IstioTrafficRouting splits traffic in Istio. Exactly one of virtualService and
// virtualServices is set.
type IstioTrafficRouting struct {
	// virtualService is the VirtualService to change.
	// +optional
	VirtualService *IstioVirtualService `json:"virtualService,omitempty"`
	// destinationRule is the DestinationRule whose subsets point at the two
	// versions.
	// +optional
	DestinationRule *IstioDestinationRule `json:"destinationRule,omitempty"`
	// virtualServices are the VirtualServices to change when there are several.
	// +optional
	VirtualServices []IstioVirtualService `json:"virtualServices,omitempty"`
}

// IstioVirtualService names a VirtualService and the routes in it to change.
type IstioVirtualService struct {
	// name of the VirtualService, or name.namespace for one in another namespace.
	Name string `json:"name"`
	// routes are the names of the HTTP routes. Left out: there must be only one.
	// +optional
	Routes []string `json:"routes,omitempty"`
	// tlsRoutes are the TLS routes, by port and SNI hosts.
	// +optional
	TLSRoutes []TLSRoute `json:"tlsRoutes,omitempty"`
	// tcpRoutes are the TCP routes, by port.
	// +optional
	TCPRoutes []TCPRoute `json:"tcpRoutes,omitempty"`
}

// TLSRoute picks TLS routes of a VirtualService.
type TLSRoute struct {
	// port of the route.
	// +optional
	Port int64 `json:"port,omitempty"`
	// sniHosts of the route, all of them.
	// +optional
	SNIHosts []string `json:"sniHosts,omitempty"`
}

// TCPRoute picks TCP routes of a VirtualService.
type TCPRoute struct {
	// port of the route.
	// +optional
	Port int64 `json:"port,omitempty"`
}

// IstioDestinationRule names a DestinationRule and its subsets.
type IstioDestinationRule struct {
	// name of the DestinationRule, in the Rollout's namespace.
	Name string `json:"name"`
	// canarySubsetName is the subset of the new version.
	CanarySubsetName string `json:"canarySubsetName"`
	// stableSubsetName is the subset of the stable version.
	StableSubsetName string `json:"stableSubsetName"`
	// additionalSubsetNames are further subsets that are left alone.
	// +optional
	AdditionalSubsetNames []string `json:"additionalSubsetNames,omitempty"`
}

// NginxTrafficRouting splits traffic with a canary Ingress.
type NginxTrafficRouting struct {
	// annotationPrefix of the ingress controller. Default
	// nginx.ingress.kubernetes.io.
	// +optional
	AnnotationPrefix string `json:"annotationPrefix,omitempty"`
	// stableIngress is the Ingress that routes to the stable Service.
	// +optional
	StableIngress string `json:"stableIngress,omitempty"`
	// additionalIngressAnnotations are put on the canary Ingress, with the
	// prefix added.
	// +optional
	AdditionalIngressAnnotations map[string]string `json:"additionalIngressAnnotations,omitempty"`
	// stableIngresses are the Ingresses when there are several.
	// +optional
	StableIngresses []string `json:"stableIngresses,omitempty"`
	// canaryIngressAnnotations are put on the canary Ingress as they stand.
	// +optional
	CanaryIngressAnnotations map[string]string `json:"canaryIngressAnnotations,omitempty"`
}

// ALBTrafficRouting splits traffic in an AWS Application Load Balancer.
type ALBTrafficRouting struct {
	// ingress is the Ingress that holds the action.
	// +optional
	Ingress string `json:"ingress,omitempty"`
	// servicePort is the port that the action sends traffic to.
	ServicePort int32 `json:"servicePort"`
	// rootService is the Service the Ingress names; the action is named after
	// it. Default: the stable Service.
	// +optional
	RootService string `json:"rootService,omitempty"`
	// annotationPrefix of the controller. Default alb.ingress.kubernetes.io.
	// +optional
	AnnotationPrefix string `json:"annotationPrefix,omitempty"`
	// stickinessConfig keeps a user on the version they first saw.
	// +optional
	StickinessConfig *StickinessConfig `json:"stickinessConfig,omitempty"`
	// ingresses are the Ingresses when there are several.
	// +optional
	Ingresses []string `json:"ingresses,omitempty"`
}

// StickinessConfig keeps users on one target group.
type StickinessConfig struct {
	// enabled switches it on.
	Enabled bool `json:"enabled"`
	// durationSeconds is how long a user is kept, 1 to 604800 seconds.
	DurationSeconds int64 `json:"durationSeconds"`
}

// SMITrafficRouting splits traffic with a TrafficSplit.
type SMITrafficRouting struct {
	// rootService is the Service that clients use. Default: the stable Service.
	// +optional
	RootService string `json:"rootService,omitempty"`
	// trafficSplitName is the TrafficSplit to own. Default: the Rollout's name.
	// +optional
	TrafficSplitName string `json:"trafficSplitName,omitempty"`
}

// AmbassadorTrafficRouting splits traffic with Mappings.
type AmbassadorTrafficRouting struct {
	// mappings are the Mappings that route to the stable Service.
	Mappings []string `json:"mappings"`
}

// AppMeshTrafficRouting splits traffic in AWS App Mesh.
type AppMeshTrafficRouting struct {
	// virtualService is the App Mesh VirtualService to change.
	// +optional
	VirtualService *AppMeshVirtualService `json:"virtualService,omitempty"`
	// virtualNodeGroup is the pair of VirtualNodes behind it.
	// +optional
	VirtualNodeGroup *AppMeshVirtualNodeGroup `json:"virtualNodeGroup,omitempty"`
}

// AppMeshVirtualService names an App Mesh VirtualService and its routes.
type AppMeshVirtualService struct {
	// name of the VirtualService.
	Name string `json:"name"`
	// routes to change. Left out: there must be only one.
	// +optional
	Routes []string `json:"routes,omitempty"`
}

// AppMeshVirtualNodeGroup is the pair of VirtualNodes of the two versions.
type AppMeshVirtualNodeGroup struct {
	// canaryVirtualNodeRef is the VirtualNode of the new version.
	CanaryVirtualNodeRef *AppMeshVirtualNodeReference `json:"canaryVirtualNodeRef"`
	// stableVirtualNodeRef is the VirtualNode of the stable version.
	StableVirtualNodeRef *AppMeshVirtualNodeReference `json:"stableVirtualNodeRef"`
}

// AppMeshVirtualNodeReference names a VirtualNode.
type AppMeshVirtualNodeReference struct {
	// name of the VirtualNode.
	Name string `json:"name"`
}

// TraefikTrafficRouting splits traffic with a TraefikService.
type TraefikTrafficRouting struct {
	// weightedTraefikServiceName is the weighted TraefikService to change.
	WeightedTraefikServiceName string `json:"weightedTraefikServiceName"`
}

// ApisixTrafficRouting splits traffic with an ApisixRoute.
type ApisixTrafficRouting struct {
	// route is the ApisixRoute to change.
	// +optional
	Route *ApisixRoute `json:"route,omitempty"`
}

// ApisixRoute names an ApisixRoute and the rules in it.
type ApisixRoute struct {
	// name of the ApisixRoute.
	Name string `json:"name"`
	// rules are the HTTP rules to change. Left out: there must be only one.
	// +optional
	Rules []string `json:"rules,omitempty"`
}
