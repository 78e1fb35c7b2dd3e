// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/secret/secrettest"
	"sluice.dev/sluice/internal/secret/secrettest/sweep"

	"sluice.dev/sluice/playground/demo/stage"
	"sluice.dev/sluice/playground/demo/witness"
)

// disturbed plays a good version while its Datadog fails and people act.
func disturbed(ctx context.Context, p *Play) error {
	stop, err := watch(ctx, p)
	if err != nil {
		return err
	}
	defer stop()
	if err := p.ship(ctx, plugin); err != nil {
		return err
	}
	err = p.await(ctx, 5*time.Minute, "the guard has a reading at 10 %", func(*v1alpha1.Rollout) bool {
		return p.at("90/10") && count(p.readings(), phase(v1alpha1.AnalysisPhaseSuccessful)) > 0
	})
	if err != nil {
		return err
	}
	for _, act := range []func(context.Context, *Play) error{rotate, forbid, empty, people} {
		if err := act(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// rotate changes the Secret under the running release. (Row 3.)
func rotate(ctx context.Context, p *Play) error {
	pid := p.Stage.Controller().PID()
	first, _ := answered(p, time.Time{}, stage.FirstKeys)
	p.Ledger.Check(3, first > 0, "%d queries with the Secret's address, apiKey and appKey were answered", first)
	p.Screen.Say("  the keys are rotated; the Secret now spells them api-key and app-key")
	rotated := time.Now()
	if err := p.Stage.Rotate(ctx); err != nil {
		return err
	}
	since := time.Now()
	fresh, refused := 0, 0
	err := p.Witness.Await(ctx, "the new keys are used", p.limit(5*time.Minute), func() bool {
		fresh, refused = answered(p, since, stage.SecondKeys)
		return fresh >= 4
	})
	if err != nil {
		return err
	}
	ok := refused == 0 && p.Stage.Controller().Alive() && p.Stage.Controller().PID() == pid
	p.Ledger.Check(3, ok, "rotated at 10 %%: the next query, %.1f s later, used the new keys; %d answered, %d refused, and process %d still runs",
		firstRequest(p, rotated).Seconds(), fresh, refused, pid)
	return nil
}

// answered counts Datadog's answers since a moment: the good ones to the keys,
// and all others.
func answered(p *Play, since time.Time, keys datadogtest.Keys) (good, others int) {
	for _, r := range p.Stage.Datadog.Requests() {
		switch {
		case r.Time.Before(since) || r.Status == 0:
		case r.Keys == keys && r.Status == http.StatusOK:
			good++
		default:
			others++
		}
	}
	return good, others
}

// firstRequest is how long after the moment the next query with the new keys
// came.
func firstRequest(p *Play, since time.Time) time.Duration {
	for _, r := range p.Stage.Datadog.Requests() {
		if r.Time.After(since) && r.Keys == stage.SecondKeys {
			return r.Time.Sub(since)
		}
	}
	return 0
}

// forbid lets Datadog answer 403, and repeat the keys it was sent. (Row 9.)
func forbid(ctx context.Context, p *Play) error {
	p.Screen.Say("  Datadog answers 403, as at the wrong site")
	p.Stage.Datadog.Fail(datadogtest.Fault{Mode: datadogtest.EchoKeys})
	since := time.Now()
	errors, err := readingsIn(ctx, p, since, v1alpha1.AnalysisPhaseError)
	if err != nil {
		return err
	}
	failed := count(p.readings(), after(since), phase(v1alpha1.AnalysisPhaseFailed))
	msg := errors[len(errors)-1].Message
	site := strings.TrimPrefix(p.Stage.Datadog.URL(), "http://")
	named := strings.Contains(msg, site) && strings.Contains(msg, "403") &&
		strings.Contains(msg, "address") && strings.Contains(msg, "timeseries_query")
	p.Ledger.Check(9, named && failed == 0, "%d measurements Error and %d Failed: %q", len(errors), failed, msg)
	p.Ledger.Check(9, holding(p), "meanwhile %s", standing(p))
	where, err := leaks(ctx, p)
	if err != nil {
		return err
	}
	p.Ledger.Check(9, where == "", "no key in any object but the Secret, nor in the controller's log%s", where)
	return nil
}

// empty lets Datadog answer that there is no series. (Row 10.)
func empty(ctx context.Context, p *Play) error {
	p.Screen.Say("  Datadog answers without a series, as with the wrong tag")
	since := time.Now()
	p.Stage.Datadog.Clear()
	p.Stage.Datadog.Fail(datadogtest.Fault{Mode: datadogtest.EmptySeries})
	silent, err := readingsIn(ctx, p, since, v1alpha1.AnalysisPhaseInconclusive)
	if err != nil {
		return err
	}
	last := silent[len(silent)-1]
	reason := last.Metadata[v1alpha1.SluicePrefix+"reason"]
	named := strings.Contains(last.Message, "hits") || strings.Contains(last.Message, "errors")
	p.Ledger.Check(10, reason == "NoData" && named, "%d measurements Inconclusive, reason %s: %q", len(silent), reason, last.Message)
	p.Ledger.Check(10, holding(p), "meanwhile %s", standing(p))
	p.Stage.Datadog.Clear()
	p.Screen.Say("  Datadog answers again")
	since = time.Now()
	return p.await(ctx, 5*time.Minute, "the gate measures again", func(*v1alpha1.Rollout) bool {
		return count(p.readings(), after(since), phase(v1alpha1.AnalysisPhaseSuccessful)) > 0
	})
}

// enough is how many readings are looked at of each disturbance.
const enough = 3

// readingsIn waits for readings of a phase since a moment.
func readingsIn(ctx context.Context, p *Play, since time.Time, want v1alpha1.AnalysisPhase) ([]witness.Reading, error) {
	var got []witness.Reading
	err := p.await(ctx, 10*time.Minute, fmt.Sprintf("%d measurements are %s", enough, want), func(*v1alpha1.Rollout) bool {
		got = slices.DeleteFunc(p.readings(), func(r witness.Reading) bool { return !r.Seen.After(since) || r.Phase != want })
		return len(got) >= enough
	})
	return got, err
}

// holding reports whether the release is where it was, neither promoted nor
// aborted.
func holding(p *Play) bool {
	ro := p.Witness.Rollout()
	return slices.Equal(p.weights(), []string{"90/10"}) && !ro.Status.Abort &&
		ro.Status.Phase != v1alpha1.RolloutPhaseDegraded && ro.Status.Phase != v1alpha1.RolloutPhaseHealthy
}

// standing says where the release is.
func standing(p *Play) string {
	ro := p.Witness.Rollout()
	return fmt.Sprintf("weights %s, Rollout %s: %q", strings.Join(p.weights(), ", "), ro.Status.Phase, ro.Status.Message)
}

// leaks looks for the keys in every object of the cluster but the Secret itself,
// in what people have seen of a watched release, and in the controller's log. It
// says where one is that should not be, "" if nowhere.
func leaks(ctx context.Context, p *Play) (string, error) {
	log, err := os.ReadFile(p.Stage.ControllerLog())
	if err != nil {
		return "", fmt.Errorf("read the controller's log: %w", err)
	}
	scan := secrettest.NewScanner(map[string]string{
		"the first API key": stage.FirstKeys.API, "the first application key": stage.FirstKeys.App,
		"the second API key": stage.SecondKeys.API, "the second application key": stage.SecondKeys.App,
	})
	scan.Bytes(p.Stage.ControllerLog(), log)
	scan.Text("get rollout --watch", p.window.String())
	own := sweep.Object{Resource: "secrets", Namespace: stage.ControllerNamespace, Name: stage.SecretName}
	if _, err := sweep.Objects(ctx, p.Stage.Config(), scan, own); err != nil {
		return "", fmt.Errorf("look for keys: %w", err)
	}
	if found := scan.Found(); len(found) > 0 {
		return ", but " + strings.Join(found, "; "), nil
	}
	return "", nil
}
