// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/builtin"
	analysiscontroller "sluice.dev/sluice/internal/controller/analysis"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/verdict"
)

// newAnalysis makes the reconciler of analysis runs, which also counts for the
// record. It is not connected to the manager yet.
func newAnalysis(mgr ctrl.Manager, c Config, board *verdict.Board) (*analysiscontroller.Reconciler, error) {
	keys, err := addVault(mgr, c.Vault)
	if err != nil {
		return nil, err
	}
	return analysiscontroller.New(analysiscontroller.Deps{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Registry: builtin.Metrics(),
		Env: metric.Env{
			Secrets:             secretReader(mgr.GetAPIReader()),
			Keys:                keys,
			ControllerNamespace: controllerNamespace(),
			Getenv:              os.Getenv,
		},
		Clock:     clock.RealClock{},
		Recorder:  mgr.GetEventRecorder(fieldOwner),
		Verdicts:  board,
		Semantics: analysis.Semantics(c.Semantics),
		Backoff:   c.ErrorBackoff,
		Instance:  c.Instance,
	}), nil
}

// secretReader reads Secrets one by one from the API server: a watch would
// need the right to see all of them.
func secretReader(live client.Reader) metric.SecretReader {
	return func(ctx context.Context, namespace, name string) (map[string][]byte, error) {
		secret := &corev1.Secret{}
		if err := live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
			return nil, err
		}
		return secret.Data, nil
	}
}
