// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate

import (
	corev1 "k8s.io/api/core/v1"
)

// Default fills in template, in place, every field that the API server (v1.37)
// sets when it stores the template inside a ReplicaSet. What it sets only on
// pods, such as requests copied from limits or enableServiceLinks, is left
// alone. Default is idempotent. The template's maps and pointers are written
// to: pass a deep copy of what others may hold.
func Default(template *corev1.PodTemplateSpec) {
	spec := &template.Spec
	defaultPod(spec)
	for i := range spec.Volumes {
		defaultVolume(&spec.Volumes[i])
	}
	for i := range spec.InitContainers {
		defaultContainer(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		defaultContainer(&spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		// The two types have the same fields, which the compiler checks here.
		defaultContainer((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
	roundUp(spec.Overhead)
	if spec.Resources != nil {
		roundUp(spec.Resources.Limits)
		roundUp(spec.Resources.Requests)
	}
}

// defaultPod sets the defaults of the fields of the pod itself.
func defaultPod(spec *corev1.PodSpec) {
	// serviceAccount is an alias of serviceAccountName, which wins.
	setString(&spec.ServiceAccountName, spec.DeprecatedServiceAccount)
	spec.DeprecatedServiceAccount = spec.ServiceAccountName
	setString(&spec.DNSPolicy, corev1.DNSClusterFirst)
	setString(&spec.RestartPolicy, corev1.RestartPolicyAlways)
	setString(&spec.SchedulerName, corev1.DefaultSchedulerName)
	setPointer(&spec.SecurityContext, corev1.PodSecurityContext{})
	setPointer(&spec.TerminationGracePeriodSeconds, int64(corev1.DefaultTerminationGracePeriodSeconds))
}

// setString sets an empty string to its default.
func setString[S ~string](field *S, def S) {
	if *field == "" {
		*field = def
	}
}

// setInt sets a zero to its default.
func setInt(field *int32, def int32) {
	if *field == 0 {
		*field = def
	}
}

// setPointer points a nil field at a fresh copy of its default.
func setPointer[T any](field **T, def T) {
	if *field == nil {
		*field = &def
	}
}

// roundUp rounds quantities up to a thousandth, which is the finest that the
// API server keeps.
func roundUp(list corev1.ResourceList) {
	const milli = -3
	for name, quantity := range list {
		quantity.RoundUp(milli)
		list[name] = quantity
	}
}
