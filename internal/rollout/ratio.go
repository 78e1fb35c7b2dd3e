// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

func resize(s *Snapshot, p *Plan, weight int32)     {}
func sized(s *Snapshot, p *Plan, weight int32) bool { return false }
