// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd tests the CRDs against a real API server: what it refuses, what it
// accepts, and that objects stored before the rules existed can still be
// written. The tests need the build tag integration and, in KUBEBUILDER_ASSETS,
// a folder with etcd and kube-apiserver. The same tables run without a server in
// api/v1alpha1.
package crd
