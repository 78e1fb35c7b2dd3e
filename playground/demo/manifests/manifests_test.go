// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"sluice.dev/sluice/playground/demo/manifests"
)

// TestManifestsAreTheGuides keeps anybody from mending the product in the
// manifests: they are what users have, byte for byte.
func TestManifestsAreTheGuides(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"analysistemplate.yaml":  "a319b8ee59796991a3ab422d4b853327d1ee9fe5a706f9c66d1fd99e1dd257df",
		"rollout.yaml":           "a69d97ce9824d3747d2f8a6831b35156ffa8904995398657bfa3343631a0f116",
		"services.yaml":          "4624264bdb1ac9e9c7d7c410f147a7583bc3ec3735a4566a2f5deeb7723bd7bf",
		"vaultstaticsecret.yaml": "de255462062911b8f34b6b33f9dd8cca8be676a80c17544e5127411fe10609bc",
		"virtualservice.yaml":    "fa36fc41f167ce8bb7ad4869b49d0005c3aa9444aadcfdd2573e13e0722eab1b",
	} {
		data, err := manifests.Files.ReadFile(name)
		if err != nil {
			t.Errorf("read %s: %v", name, err)
			continue
		}
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s is not the guide's: its SHA-256 is %s, want %s", name, got, want)
		}
	}
}
