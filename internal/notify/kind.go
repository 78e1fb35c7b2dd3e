// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import "sluice.dev/sluice/internal/secret"

// A Kind is a kind of service: slack in service.slack and in
// service.slack.releases.
type Kind struct {
	// Name is what the ConfigMap calls it.
	Name string
	// Options returns a pointer to the options as `service.NAME` has them.
	Options func() any
	// Section returns a pointer to what templates say under NAME; nil when they
	// say nothing.
	Section func() any
	// Named says that the section is a map by the service's name.
	Named bool
	// Open makes a service of options that were filled in. secrets are the
	// values of the Secret, which nothing that is printed may hold.
	Open func(options any, secrets []secret.Text) (Service, error)
}
