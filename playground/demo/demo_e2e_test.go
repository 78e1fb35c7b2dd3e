// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package demo_test

import (
	"os"
	"testing"

	"sluice.dev/sluice/playground/demo"
	"sluice.dev/sluice/playground/demo/screen"
)

// TestDemo plays the demo; it passes when every row of the table was seen.
func TestDemo(t *testing.T) {
	program := os.Getenv("SLUICE_BIN")
	if program == "" {
		t.Fatal("SLUICE_BIN is not set; set it to the path of bin/sluice, which `make build` makes")
	}
	err := demo.Run(t.Context(), demo.Options{
		Assets: os.Getenv("KUBEBUILDER_ASSETS"),
		Sluice: program,
		Screen: screen.New(screen.Options{Out: t.Output()}),
	})
	if err != nil {
		t.Error(err)
	}
}
