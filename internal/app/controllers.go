// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/apply"
	"sluice.dev/sluice/internal/builtin"
	outboxcontroller "sluice.dev/sluice/internal/controller/outbox"
	rolloutcontroller "sluice.dev/sluice/internal/controller/rollout"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/verdict"
)

// fieldOwner is the name under which our writes are recorded. It is the one
// that Argo Rollouts uses, so that GitOps tools' settings keep working.
const fieldOwner = "rollouts-controller"

// controllers adds those that c asks for.
func controllers(ctx context.Context, mgr ctrl.Manager, c Config) error {
	board := verdict.New(1024)
	runs, err := newAnalysis(mgr, c, board)
	if err != nil {
		return err
	}
	book, err := addNotifications(ctx, mgr, c, board)
	if err != nil {
		return err
	}
	if c.runs(ControllerRollouts) {
		if err := errors.Join(addRollouts(mgr, c, board, book), addEvidence(mgr, c, board, runs)); err != nil {
			return err
		}
	}
	if c.runs(ControllerAnalysis) {
		return runs.Setup(mgr, c.AnalysisThreads)
	}
	return nil
}

func addRollouts(mgr ctrl.Manager, c Config, board *verdict.Board, book *outboxcontroller.Book) error {
	routes := &observe.RouteReader{
		Make: builtin.Router, Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Mapper: mgr.GetRESTMapper(), Version: c.IstioVersion,
	}
	overlay, refusals := observe.NewOverlay(), &observe.Refusals{}
	r := &rolloutcontroller.Reconciler{
		Cached: mgr.GetClient(),
		Observer: &observe.Observer{
			Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Routers: routes,
			Verdicts: board, Overlay: overlay, Refusals: refusals, Semantics: analysis.Semantics(c.Semantics), Namespaced: c.Namespaced, GitOps: c.gitOps(),
		},
		Applier: &apply.Applier{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Routes: routes,
			Events: mgr.GetEventRecorder(fieldOwner), Overlay: overlay, Clock: clock.RealClock{}, Refusals: refusals,
		},
		Board:    board,
		Clock:    clock.RealClock{},
		Instance: c.Instance,
	}
	if book != nil {
		r.Applier.Wanted = book.Wanted
	}
	namespace := ""
	if c.Namespaced {
		namespace = c.Namespace
	}
	return r.Setup(mgr, c.RolloutThreads, namespace)
}
