// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"k8s.io/apimachinery/pkg/types"
)

// podNetwork is where pods get their addresses: not loopback, which EndpointSlices
// refuse, and apart from the nodes' (10.0/16) and the services' (10.96/16).
var podNetwork = netip.MustParsePrefix("10.128.0.0/9")

// addresses gives each pod one of its own. An address that was given back is used
// again only after all others, so that a late reader does not mistake one pod for
// another. The zero value is ready for use.
type addresses struct {
	last  uint32 // offset in podNetwork
	owner map[netip.Addr]types.UID
	of    map[types.UID]netip.Addr
}

// keep notes an address that a pod has already.
func (a *addresses) keep(uid types.UID, ip string) {
	if addr, err := netip.ParseAddr(ip); err == nil {
		a.set(uid, addr)
	}
}

// take returns the pod's address, a free one if it has none.
func (a *addresses) take(uid types.UID) (string, error) {
	if addr, ok := a.of[uid]; ok {
		return addr.String(), nil
	}
	size := uint32(1) << (32 - podNetwork.Bits())
	base := binary.BigEndian.Uint32(podNetwork.Addr().AsSlice())
	for range size {
		a.last = (a.last + 1) % size
		if low := byte(a.last); low == 0 || low == 255 {
			continue // some tools take these for networks and broadcasts
		}
		addr := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, base+a.last)))
		if _, used := a.owner[addr]; !used {
			a.set(uid, addr)
			return addr.String(), nil
		}
	}
	return "", errors.New("no address left for another pod in " + podNetwork.String())
}

// release gives the pod's address back, if it has one.
func (a *addresses) release(uid types.UID) {
	if addr, ok := a.of[uid]; ok {
		delete(a.owner, addr)
		delete(a.of, uid)
	}
}

func (a *addresses) set(uid types.UID, addr netip.Addr) {
	if a.of == nil {
		a.owner, a.of = map[netip.Addr]types.UID{}, map[types.UID]netip.Addr{}
	}
	a.owner[addr], a.of[uid] = uid, addr
}
