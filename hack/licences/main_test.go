// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"Apache":             {"  Apache License\n Version 2.0, January 2004", []string{"Apache-2.0"}},
		"MIT":                {"Permission is hereby granted, free of\ncharge, to any person obtaining a copy of", []string{"MIT"}},
		"two clauses":        {"Redistribution and use in source and binary forms, with or without", []string{"BSD-2-Clause"}},
		"three clauses":      {"Redistribution and use in source and binary forms ... Neither the name of X", []string{"BSD-3-Clause"}},
		"two licences":       {"Permission is hereby granted, free of charge, to any person obtaining a copy ... Apache License, Version 2.0", []string{"Apache-2.0", "MIT"}},
		"one we do not take": {"GNU AFFERO GENERAL PUBLIC LICENSE", nil},
	} {
		if got := classify(tc.text); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

func TestAModuleWithoutALicenceIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("All rights reserved."), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := licence(module{"example.com/m", "v1.0.0", dir}); err == nil || !strings.Contains(err.Error(), "example.com/m v1.0.0") {
		t.Errorf("got %v", err)
	}
}

func TestTheListIsUpToDate(t *testing.T) {
	t.Parallel()
	want, err := list("../../cmd/sluice")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.FromSlash("../../docs/licences.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/licences.md is out of date: run go generate ./cmd/sluice")
	}
}
