// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fsync is etcd's histogram of how long its log takes to reach the disk.
const fsync = "etcd_disk_wal_fsync_duration_seconds"

// A Histogram counts durations, as etcd has since it started.
type Histogram struct {
	// Below counts, for a number of seconds, the durations up to it.
	Below map[float64]float64
	Sum   float64
	Count float64
}

// Fsync returns how long etcd's log took to reach the disk so far.
func (r *Rig) Fsync(ctx context.Context) (*Histogram, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Cluster.EtcdURL()+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("ask etcd for its metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask etcd for its metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	h := &Histogram{Below: map[float64]float64{}}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if line, ours := strings.CutPrefix(lines.Text(), fsync); ours {
			h.add(line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read etcd's metrics: %w", err)
	}
	return h, nil
}

// add takes in a line of the metrics, without the name's beginning.
func (h *Histogram) add(line string) {
	name, text, _ := strings.Cut(line, " ")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return
	}
	switch name {
	case "_sum":
		h.Sum = v
	case "_count":
		h.Count = v
	default:
		le, ok := strings.CutPrefix(name, `_bucket{le="`)
		if bound, err := strconv.ParseFloat(strings.TrimSuffix(le, `"}`), 64); ok && err == nil {
			h.Below[bound] = v
		}
	}
}

// Since returns what was added after an earlier look.
func (h *Histogram) Since(earlier *Histogram) *Histogram {
	out := &Histogram{Below: map[float64]float64{}, Sum: h.Sum - earlier.Sum, Count: h.Count - earlier.Count}
	for le, n := range h.Below {
		out.Below[le] = n - earlier.Below[le]
	}
	return out
}

// Mean is the mean duration.
func (h *Histogram) Mean() time.Duration {
	return seconds(h.Sum / max(h.Count, 1))
}

// AtMost returns the bound of the bucket that holds a quantile: it was no longer
// than that.
func (h *Histogram) AtMost(quantile float64) time.Duration {
	bounds := make([]float64, 0, len(h.Below))
	for le := range h.Below {
		bounds = append(bounds, le)
	}
	slices.Sort(bounds)
	for _, le := range bounds {
		if h.Below[le] >= quantile*h.Count && le < 1e6 {
			return seconds(le)
		}
	}
	return 0
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
