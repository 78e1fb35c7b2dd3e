// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// ownNamespace stands for the namespace of the run in an allowed path.
const ownNamespace = "{{namespace}}"

// maxPath is the longest path, in bytes.
const maxPath = 512

// An AllowList is the paths that runs may name.
type AllowList []string

// ParseAllow reads patterns. Each is a path as Vault's policies write it,
// MOUNT/data/NAME. {{namespace}} in it stands for the namespace of the run that
// asks, and /* at its end for one or more further segments. There is no other
// wildcard: a pattern that is easy to read is one that is hard to get wrong.
func ParseAllow(patterns []string) (AllowList, error) {
	var list AllowList
	for _, p := range patterns {
		p = strings.TrimSpace(p)
		if p == "" {
			continue
		}
		name := strings.ReplaceAll(strings.TrimSuffix(p, "/*"), ownNamespace, "n")
		if strings.HasSuffix(p, "/*") {
			name += "/x"
		}
		if err := CheckPath(name); err != nil {
			return nil, fmt.Errorf("vault: allowed path %q: want MOUNT/data/NAME, with %s for the run's namespace and /* at the end "+
				"for everything below, such as secret/data/sluice/%s/*", p, ownNamespace, ownNamespace)
		}
		list = append(list, p)
	}
	return list, nil
}

// Check returns an error when a run in namespace may not name path.
func (l AllowList) Check(namespace, path string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if !clean(namespace) || strings.Contains(namespace, "/") {
		return problem(Misconfigured, "a run without a namespace may read nothing from Vault")
	}
	for _, p := range l {
		p = strings.ReplaceAll(p, ownNamespace, namespace)
		if below, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(path, below) && path != below || p == path {
			return nil
		}
	}
	// What is allowed elsewhere is not told: only what is of use here.
	return problem(Misconfigured, "Vault path %q may not be read for a run in the namespace %s: "+
		"the controller's administrator has not allowed it (--vault-allow)", path, namespace)
}

// CheckPath returns an error when path is not MOUNT/data/NAME in plain
// segments: nothing in it may mean more to a server than it does to us.
func CheckPath(path string) error {
	segments := strings.Split(path, "/")
	if i := slices.Index(segments, "data"); len(path) <= maxPath && clean(path) && 0 < i && i < len(segments)-1 {
		return nil
	}
	return problem(Misconfigured, "Vault path %q is not one of a key-value store, version 2: "+
		"write it as in Vault's policies, MOUNT/data/NAME, in letters, digits and -_.@=", shorten(path))
}

// clean reports whether path is segments of harmless characters, none of them
// empty or a way upwards.
func clean(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || strings.Trim(segment, ".") == "" || strings.ContainsFunc(segment, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.@=", r)
		}) {
			return false
		}
	}
	return true
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
