// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func TestNoTwoPodsShareAnAddress(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := addresses{last: rapid.SampledFrom([]uint32{0, 250, 1<<23 - 300}).Draw(t, "last")}
		has := map[types.UID]string{}
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			uid := types.UID(rapid.StringMatching("[a-z]").Draw(t, "uid"))
			if rapid.Bool().Draw(t, "release") {
				a.release(uid)
				delete(has, uid)
				continue
			}
			ip, err := a.take(uid)
			if err != nil {
				t.Fatal(err)
			}
			if before, ok := has[uid]; ok && before != ip {
				t.Fatalf("%s had %s and now %s", uid, before, ip)
			}
			has[uid] = ip
			if addr := netip.MustParseAddr(ip); !podNetwork.Contains(addr) {
				t.Fatalf("%s is not in %s", addr, podNetwork)
			}
			for other, theirs := range has {
				if other != uid && theirs == ip {
					t.Fatalf("%s and %s both have %s", uid, other, ip)
				}
			}
		}
	})
}

func TestAnAddressIsNotUsedAgainSoon(t *testing.T) {
	t.Parallel()
	var a addresses
	first, err := a.take("a")
	if err != nil {
		t.Fatal(err)
	}
	a.release("a")
	if second, err := a.take("b"); err != nil || second == first {
		t.Errorf("address %s (%v), want another than %s", second, err, first)
	}
}
