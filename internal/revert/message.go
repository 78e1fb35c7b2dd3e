// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/object"

	"sluice.dev/sluice/internal/httpclient"
)

// trailer stands before the mark of an attempt, on a line of its own.
const trailer = "Sluice-Abort: "

// message is that of the commit which reverts bad.
func message(r *Request, bad *object.Commit) string {
	subject, _, _ := strings.Cut(strings.TrimSpace(bad.Message), "\n")
	return fmt.Sprintf("Revert %q\n\nThis reverts commit %s.\n\nRollout %s aborted attempt %d at revision %s, and its traffic is back on the\nstable revision. Why it was aborted:\n\n    %s\n\n%s%s\n",
		httpclient.Clean(subject, 200), bad.Hash, r.who(), max(r.Attempt, 1), r.Revision, httpclient.Clean(r.Why, 500), trailer, r.mark())
}

// marked reports whether message is that of the revert for r.
func marked(message string, r *Request) bool {
	for line := range strings.Lines(message) {
		if strings.TrimSpace(line) == trailer+r.mark() {
			return true
		}
	}
	return false
}

// reverts reports whether message says, as git does, that it reverts bad.
func reverts(message string, bad *object.Commit) bool {
	return strings.Contains(message, "This reverts commit "+bad.Hash.String())
}
