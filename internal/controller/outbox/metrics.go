// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	deliveredTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_notifications_delivered_total", Help: "Messages that arrived.",
	}, []string{"service"})
	failedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_notifications_failed_total", Help: "Attempts to send a message that failed, by what is done next.",
	}, []string{"service", "fate"})
	lostTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_notifications_lost_total", Help: "Messages that were given up.",
	}, []string{"service"})
	delaySeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sluice_notifications_delay_seconds", Help: "Time from what happened to the message that says so.",
		Buckets: []float64{1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600},
	}, []string{"service"})
)

// Register makes the figures of this package be served.
func Register() error {
	for _, c := range []prometheus.Collector{deliveredTotal, failedTotal, lostTotal, delaySeconds} {
		err := metrics.Registry.Register(c)
		if _, there := err.(prometheus.AlreadyRegisteredError); err != nil && !there { //nolint:errorlint // it is returned as it is
			return err
		}
	}
	return nil
}

func delivered(service string, delay time.Duration) {
	deliveredTotal.WithLabelValues(service).Inc()
	delaySeconds.WithLabelValues(service).Observe(max(delay, 0).Seconds())
}

func failed(service, fate string) { failedTotal.WithLabelValues(service, fate).Inc() }
func lost(service string)         { lostTotal.WithLabelValues(service).Inc() }
