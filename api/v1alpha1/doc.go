// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the types of the API group argoproj.io in version
// v1alpha1: Rollout, AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun and
// Experiment, and the names of the labels, annotations, conditions and reasons
// that go with them.
//
// It is data only. It decides nothing, defaults nothing beyond what the CRDs
// default, and talks to nobody.
//
// The order of the fields inside CanaryStep and the types below it is part of
// the contract: status.currentStepHash is computed over their JSON.
//
// +kubebuilder:object:generate=true
// +groupName=argoproj.io
package v1alpha1

//go:generate go tool controller-gen object:headerFile=../../hack/crdgen/header.txt paths=.
//go:generate go run ../../hack/crdgen -in . -out ../../config/crd,../../charts/sluice/files/crds
