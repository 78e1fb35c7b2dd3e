// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package retry says when a pass that failed is tried again.
package retry

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// The first try comes soon. No watch tells when what refused a write is gone, so
// the last wait is what a rollout stands still for.
const (
	first = 5 * time.Millisecond
	last  = 20 * time.Second
)

// Limiter returns a limiter for the queue of one controller.
func Limiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](first, last)
}
