// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command licences writes the list of the modules that bin/sluice is made of,
// with their licences, and refuses a module whose licence is not one of those
// that go together with ours.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	out := flag.String("out", "docs/licences.md", "the file to write")
	main := flag.String("main", "./cmd/sluice", "the package to look at")
	flag.Parse()
	text, err := list(*main)
	if err == nil {
		err = os.WriteFile(*out, []byte(text), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// A module is one that is linked.
type module struct{ path, version, dir string }

func list(main string) (string, error) {
	modules, err := linked(main)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Licences\n\nThe modules that `bin/sluice` for Linux is made of, beside Go's standard library (BSD-3-Clause). `go generate ./cmd/sluice` writes this list, and fails on a licence that it does not know.\n\n| module | version | licence |\n|---|---|---|\n")
	var errs []error
	for _, m := range modules {
		names, err := licence(m)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.path, m.version, names)
	}
	return b.String(), errors.Join(errs...)
}

func linked(main string) ([]module, error) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", main) //nolint:noctx // ends with this program
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	seen := map[string]module{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if f := strings.Split(lines.Text(), "\t"); len(f) == 3 {
			seen[f[0]] = module{f[0], f[1], f[2]}
		}
	}
	modules := make([]module, 0, len(seen))
	for _, path := range slices.Sorted(maps.Keys(seen)) {
		modules = append(modules, seen[path])
	}
	return modules, lines.Err()
}

// texts are what licences say, with white space as single spaces. A text that
// holds several is under all of them.
var texts = []struct {
	name string
	says *regexp.Regexp
}{
	{"Apache-2.0", regexp.MustCompile(`Apache License,? Version 2\.0|Licensed under the Apache License`)},
	{"MIT", regexp.MustCompile(`Permission is hereby granted, free of charge, to any person obtaining a copy`)},
	{"BSD-3-Clause", regexp.MustCompile(`Redistribution and use in source and binary forms.*(Neither the names? of|The names? of|names of its contributors may not)`)},
	{"BSD-2-Clause", regexp.MustCompile(`Redistribution and use in source and binary forms`)},
	{"ISC", regexp.MustCompile(`Permission to use, copy, modify, and/or distribute this software for any purpose`)},
}

var file = regexp.MustCompile(`(?i)^(licen[cs]e|copying)([.-].*)?$`)

func licence(m module) (string, error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.path, err)
	}
	found := map[string]bool{}
	for _, e := range entries {
		if e.IsDir() || !file.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.path, err)
		}
		for _, name := range classify(string(text)) {
			found[name] = true
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%s %s: no licence that goes with ours was recognised in %s; read it, and add its text to hack/licences or leave the module out", m.path, m.version, m.dir)
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", "), nil
}

func classify(text string) []string {
	text = strings.Join(strings.Fields(text), " ")
	var names []string
	for _, t := range texts {
		if t.name == "BSD-2-Clause" && slices.Contains(names, "BSD-3-Clause") {
			continue
		}
		if t.says.MatchString(text) {
			names = append(names, t.name)
		}
	}
	return names
}
