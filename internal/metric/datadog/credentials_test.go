// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"strings"
	"testing"

	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/secret"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                   "https://api.datadoghq.com",
		"https://api.datadoghq.eu":           "https://api.datadoghq.eu",
		" https://api.datadoghq.eu/ \n":      "https://api.datadoghq.eu",
		"https://api.us5.datadoghq.com///":   "https://api.us5.datadoghq.com",
		"api.datadoghq.eu":                   "https://api.datadoghq.eu",
		"http://127.0.0.1:8080/datadog/":     "http://127.0.0.1:8080/datadog",
		"https://user:hunter2@datadoghq.com": "",
		"https://datadoghq.com?key=hunter2":  "",
		"https://datadoghq.com#hunter2":      "",
		"ftp://hunter2":                      "",
		"hunter2":                            "",
		"https://":                           "",
		"https://:443":                       "",
		"https://hunter2 hunter2":            "",
		"https://%zz.hunter2":                "",
	} {
		u, err := parseAddress("Secret a/b", in)
		switch {
		case want == "" && (err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "Secret a/b")):
			t.Errorf("%q: got %v, %v; want an error that names the Secret and does not repeat the address", in, u, err)
		case want != "" && (err != nil || u.String() != want):
			t.Errorf("%q: got %v, %v; want %s", in, u, err, want)
		}
	}
}

func TestNoMessageHoldsAKey(t *testing.T) {
	t.Parallel()
	a := asker{creds: credentials{apiKey: secret.New("hunter2"), appKey: secret.New("swordfish")}}
	if got, want := a.errorf(metric.Malformed, "%s and %s", "HUNTER2", "swordfish").Message, "***** and *****"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := a.words("x hunter2", 6), "x *…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
