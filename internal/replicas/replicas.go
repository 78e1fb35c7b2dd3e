// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replicas does the arithmetic of pods: how many a share of the traffic
// needs, and, where the share is made by the pods themselves because nothing
// routes traffic, by which safe sizes to get there. It is pure; it does not
// decide which share is wanted, and does not scale anything.
package replicas

// whole is the weight that stands for all traffic.
const whole = 100

// ForWeight returns how many of replicas pods it takes to carry weight percent
// of the traffic: rounded up, so that no pod gets more than it was sized for.
func ForWeight(replicas, weight int32) int32 {
	replicas, weight = max(replicas, 0), min(max(weight, 0), whole)
	return int32((int64(replicas)*int64(weight) + whole - 1) / whole)
}

// Want returns the sizes of the canary and the stable revision whose ratio
// comes closest to weight percent for the canary, when pods share the traffic
// evenly. Together they are replicas pods, or one more if that is closer and
// maxSurge allows it. From 1 to 99 percent each revision has at least one pod,
// unless there can be only one pod in all. Of two ratios equally close the one
// with fewer pods, then with the larger canary, is taken.
func Want(replicas, weight, maxSurge int32) (canary, stable int32) {
	replicas, weight = max(replicas, 0), min(max(weight, 0), whole)
	switch {
	case replicas == 0:
		return 0, 0
	case weight == 0:
		return 0, replicas
	case weight == whole:
		return replicas, 0
	}
	most := replicas + min(max(maxSurge, 0), 1)
	best := split{canary: -1}
	for total := replicas; total <= most; total++ {
		down := int32(int64(total) * int64(weight) / whole)
		for _, n := range []int32{down + 1, down} {
			s := split{canary: n, total: total}
			if s.possible(most) && (best.canary < 0 || s.closer(best, weight)) {
				best = s
			}
		}
	}
	return best.canary, best.total - best.canary
}

// A split is a canary of some size among total pods.
type split struct{ canary, total int32 }

// possible reports whether both revisions have a pod, if there may be two:
// most is the greatest total.
func (s split) possible(most int32) bool {
	if most == 1 {
		return s.canary >= 0 && s.canary <= 1
	}
	return s.canary >= 1 && s.canary < s.total
}

// closer reports whether s comes strictly closer to weight than t. It compares
// the distances without dividing, so that ties are exact.
func (s split) closer(t split, weight int32) bool {
	return s.distance(weight)*int64(t.total) < t.distance(weight)*int64(s.total)
}

// distance is how far s is from weight, in hundredths of a pod.
func (s split) distance(weight int32) int64 {
	d := int64(s.canary)*whole - int64(weight)*int64(s.total)
	return max(d, -d)
}
