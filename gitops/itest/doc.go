// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package itest releases under Argo CD's eyes on a real control plane: with its own
// scripts that judge health and take actions (`make test-gitops`), and from a Git
// repository by way of its own programs (`make test-argocd`).
package itest
