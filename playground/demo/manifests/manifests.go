// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests holds the guide's manifests, byte for byte, and the few
// objects that the demo needs beside them: the parts of the CRDs of Istio and of
// the Vault Secrets Operator that the guide touches.
package manifests

import "embed"

// Files are the manifests: those of the guide at the top, and under extra those
// of the demo's own.
//
//go:embed *.yaml extra/*.yaml
var Files embed.FS
