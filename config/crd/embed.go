// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd holds the CustomResourceDefinitions of the API, as generated from
// api/v1alpha1 by hack/crdgen. It only carries the files; it applies nothing.
package crd

import "embed"

// Files holds one YAML file for each kind, named argoproj.io_<plural>.yaml.
//
//go:embed *.yaml
var Files embed.FS
