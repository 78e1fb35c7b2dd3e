// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"time"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/email"
	"sluice.dev/sluice/internal/notify/googlechat"
	"sluice.dev/sluice/internal/notify/opsgenie"
	"sluice.dev/sluice/internal/notify/pagerduty"
	"sluice.dev/sluice/internal/notify/servicenow"
	"sluice.dev/sluice/internal/notify/slack"
	"sluice.dev/sluice/internal/notify/teams"
	"sluice.dev/sluice/internal/notify/webhook"
)

// Notifications returns every built-in kind of service that people are told by.
// now is the clock that tokens age by.
func Notifications(now func() time.Time) []notify.Kind {
	return append(
		teams.Kinds(),
		email.Kind(),
		googlechat.Kind(),
		opsgenie.Kind(),
		pagerduty.Kind(),
		servicenow.New(now).Kind(),
		slack.Kind(),
		webhook.Kind(),
	)
}
