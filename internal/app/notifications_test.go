// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestFlagsOfNotificationsInTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../docs/notifications.md"))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	flags := c.Flags()
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("--([a-z][a-z-]+)").FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
		if flags.Lookup(m[1]) == nil {
			t.Errorf("docs/notifications.md: there is no flag %s", m[0])
		}
	}
	if !named["notification-max-age"] || !named["self-service-notification-enabled"] {
		t.Errorf("docs/notifications.md names the flags %v", named)
	}
}

func TestFlagsOfNotifications(t *testing.T) {
	t.Parallel()
	var c Config
	if err := c.Flags().Parse([]string{"--self-service-notification-enabled", "--controllers=rollouts,notifications"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil || !c.Notifications.SelfService || c.Notifications.MaxAge != 24*time.Hour || !c.runs(ControllerNotifications) || c.runs(ControllerAnalysis) {
		t.Errorf("got %+v, %v", c.Notifications, err)
	}
}
