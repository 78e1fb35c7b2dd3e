// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package proof_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/playground/demo/proof"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	var l proof.Ledger
	if got := len(l.Missing()); got != len(proof.Rows) {
		t.Errorf("an empty ledger misses %d rows, want all %d", got, len(proof.Rows))
	}
	for _, r := range proof.Rows {
		l.Check(r.Number, true, "seen")
	}
	if got := l.Missing(); got != nil {
		t.Errorf("with every row seen Missing() = %v, want none", got)
	}
	l.Check(6, false, "four failing measurements")
	if diff := cmp.Diff([]int{6}, l.Missing()); diff != "" {
		t.Errorf("with one sight of a row missing (-want +got):\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var l proof.Ledger
	l.Check(1, true, "90/10, 75/25, 50/50, 0/100, then 100/0")
	l.Check(2, false, "%d of %d queries had another hash, and this sentence is so long that it needs another line", 3, 40)
	l.Note("users: 12 of 40,000 requests failed")
	got := l.Table(70)
	for _, want := range []string{
		"  1  ✔   traffic goes", "· 90/10, 75/25, 50/50, 0/100, then 100/0\n",
		"  2  ✖   every query", "✖ 3 of 40 queries", " 14  ✖   get --watch", "not seen\n", " users: 12 of 40,000",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 70 {
			t.Errorf("a line has %d columns, want at most 70: %q", n, line)
		}
	}
}
