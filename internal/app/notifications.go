// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/builtin"
	evidencecontroller "sluice.dev/sluice/internal/controller/evidence"
	outboxcontroller "sluice.dev/sluice/internal/controller/outbox"
	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/revert"
	"sluice.dev/sluice/internal/verdict"
)

// A NotificationConfig is what the flags say of notifications.
type NotificationConfig struct {
	SelfService bool
	MaxAge      time.Duration
	Threads     int
	// RevertHosts are where reverts may be made.
	RevertHosts []string
}

func (c *NotificationConfig) flags(f *pflag.FlagSet) {
	f.BoolVar(&c.SelfService, "self-service-notification-enabled", false, "let a Rollout's own namespace hold a notification ConfigMap and Secret, beside those of the controller's")
	f.DurationVar(&c.MaxAge, "notification-max-age", outbox.DefaultMaxAge, "how long it is tried to tell somebody something; then the Rollout's condition Notified says who was not told")
	f.StringSliceVar(&c.RevertHosts, "revert-hosts", nil, "hosts, each with its port if that is not 443, to which onAbort.revert of a Rollout may send the credentials in its Secret, such as github.com,api.github.com (default: none, and nothing is reverted)")
	f.IntVar(&c.Threads, "notification-threads", 16, "rollouts about which messages are sent at once")
}

func (c *NotificationConfig) validate() error {
	for _, h := range c.RevertHosts {
		if u, err := url.Parse("https://" + h); err != nil || h == "" || u.Host != h {
			return fmt.Errorf("--revert-hosts: %q is not a host, such as github.com or git.example.com:8443", h)
		}
	}
	return nil
}

// addNotifications adds the controller that tells people, and returns the book
// that says who wants to be told; nil when nobody is.
func addNotifications(ctx context.Context, mgr ctrl.Manager, c Config, board *verdict.Board) (*outboxcontroller.Book, error) {
	if !c.runs(ControllerNotifications) {
		return nil, nil //nolint:nilnil // no notifications is a choice, not a mistake
	}
	if err := outboxcontroller.Register(); err != nil {
		return nil, fmt.Errorf("set up notifications: %w", err)
	}
	recorder := mgr.GetEventRecorder(fieldOwner)
	book := &outboxcontroller.Book{
		Namespace: controllerNamespace(), SelfService: c.Notifications.SelfService, Kinds: builtin.Notifications(time.Now),
		Events: recorder, Clock: clock.RealClock{},
	}
	if err := book.Watch(ctx, mgr, c.Namespace); err != nil {
		return nil, err
	}
	r := &outboxcontroller.Reconciler{
		Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Client: mgr.GetClient(),
		Secrets: outboxcontroller.SecretReader(secretReader(mgr.GetAPIReader())),
		Book:    book, Events: recorder, Clock: clock.RealClock{},
		Options: outboxcontroller.Options{
			MaxAge: c.Notifications.MaxAge, Random: rand.Float64, Busy: board.Busy, Instance: c.Instance, Evidence: evidenceOf(mgr.GetClient()),
			Revert: revert.New(c.Notifications.RevertHosts, httpclient.New(), time.Now).Revert,
		},
	}
	return book, r.Setup(mgr, max(c.Notifications.Threads, 1))
}

// evidenceOf adds the record of an attempt to what is told of it.
func evidenceOf(cached client.Reader) outboxcontroller.Evidence {
	return func(ctx context.Context, ro *v1alpha1.Rollout, n v1alpha1.Notice) ([]notify.File, error) {
		of := func(a *v1alpha1.RolloutAttempt) bool { return a.Hash == n.Revision && a.Attempt == n.Attempt }
		name, page, err := evidencecontroller.Page(ctx, cached, ro, of, time.Now())
		if err != nil || page == nil {
			return nil, err //nolint:wrapcheck // it says of which Rollout
		}
		return []notify.File{{Name: name, Type: "text/html", Data: page}}, nil
	}
}
