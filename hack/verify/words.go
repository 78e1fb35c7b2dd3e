// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(`)
	action   = regexp.MustCompile(`(?m)^\s*(?:-\s*)?uses:\s*(\S+)`)
	commit   = regexp.MustCompile(`^\./|@[0-9a-f]{40}$`)
)

// named checks that a test which a document leans on exists.
func named() error {
	files, err := sources()
	if err != nil {
		return err
	}
	var code strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && !strings.Contains(file, "test/") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		code.Write(text)
	}
	out, err := output(".", "git", "ls-files", "*.md")
	if err != nil {
		return err
	}
	docs := map[string]string{}
	for file := range strings.FieldsSeq(out) {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		docs[file] = string(text)
	}
	return missingTests(code.String(), docs)
}

// missingTests says which tests of docs are not in code.
func missingTests(code string, docs map[string]string) error {
	there := map[string]bool{}
	for _, m := range testFunc.FindAllStringSubmatch(code, -1) {
		there[m[1]] = true
	}
	var errs []error
	for file, text := range docs {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !there[m[1]] {
				errs = append(errs, fmt.Errorf("%s names %s, which is no test", file, m[1]))
			}
		}
	}
	return errors.Join(errs...)
}

// pinned checks that whoever moves a tag of an action changes nothing here.
func pinned() error {
	out, err := output(".", "git", "ls-files", ".github/workflows/*", "*/action.yml", "action.yml")
	if err != nil {
		return err
	}
	var errs []error
	for file := range strings.FieldsSeq(out) {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		errs = append(errs, loose(file, string(text)))
	}
	return errors.Join(errs...)
}

func loose(file, text string) error {
	var errs []error
	for _, m := range action.FindAllStringSubmatch(text, -1) {
		if !commit.MatchString(m[1]) {
			errs = append(errs, fmt.Errorf("%s uses %s: name the commit, 40 hexadecimal digits, and the tag in a comment", file, m[1]))
		}
	}
	return errors.Join(errs...)
}
