// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/internal/secret"
	"sluice.dev/sluice/internal/secret/secrettest"
)

const planted = "planted-0f1e2d3c4b5a6978"

// account is what code around a key looks like.
type account struct {
	Open   secret.Text
	closed secret.Text
	inner  *account
	list   []secret.Text
	named  map[string]secret.Text
	any    any
}

func example() account {
	t := secret.New(planted)
	leaf := account{Open: t, closed: t}
	return account{Open: t, closed: t, inner: &leaf, list: []secret.Text{t}, named: map[string]secret.Text{"k": t}, any: t}
}

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	t.Parallel()
	a := example()
	scan := secrettest.NewScanner(map[string]string{"the key": planted})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%U", "%e", "%!"} {
		for name, v := range map[string]any{"struct": a, "pointer": &a, "text": a.Open, "list": a.list, "map": a.named, "any": a.any} {
			scan.Text("fmt "+verb+" of a "+name, fmt.Sprintf(verb, v))
		}
	}
	scan.Text("an error", fmt.Errorf("open %v: %w", a, errors.New(a.Open.String())).Error())
	var logs bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logs, nil), slog.NewJSONHandler(&logs, nil)} {
		slog.New(h).Info("m", "a", a, "p", &a, "t", a.Open, "l", a.list)
		logr.FromSlogHandler(h).Info("m", "a", a, "p", &a, "t", a.Open, "m", a.named)
	}
	scan.Bytes("logs", logs.Bytes())
	j, err := json.Marshal(a)
	y, errY := yaml.Marshal(map[string]any{"a": a, "t": a.Open})
	if err != nil || errY != nil {
		t.Fatal(err, errY)
	}
	scan.Bytes("JSON", j)
	scan.Bytes("YAML", y)
	scan.Report(t, 1)
}

func TestText(t *testing.T) {
	t.Parallel()
	key := secret.New(" " + planted + "\n")
	if got := key.Trim().Reveal(); got != planted {
		t.Errorf("trimmed: got %q", got)
	}
	if !key.Trim().Equal(secret.New(planted)) || key.Equal(secret.New(planted)) {
		t.Error("Equal does not compare what is held")
	}
	var zero secret.Text
	if !zero.Empty() || zero.Reveal() != "" || !secret.New("").Empty() || key.Empty() {
		t.Error("the zero Text is not empty")
	}
	if got := fmt.Sprint(zero); got != secret.Hidden {
		t.Errorf("an empty one is told from a full one: %q", got)
	}
}
