// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kill

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

const namespace = "payments"

// template is the guide's gate with short times: five readings, the third bad
// one fails.
const template = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: gate, namespace: payments}
spec:
  args: [{name: hash}]
  metrics:
    - name: error-rate
      interval: 1s
      count: 5
      successCondition: result < 0.01
      failureCondition: result >= 0.05
      failureLimit: 2
      provider:
        datadog:
          apiVersion: v2
          interval: 3s
          formula: errors / hits
          queries:
            errors: "sum:errors{hash:{{args.hash}}}.as_count()"
            hits: "sum:hits{hash:{{args.hash}}}.as_count()"
`

// routed is shaped like the guide's Rollout; %[1]s is its name, %[2]s what
// comes before the steps.
const plain = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: %[1]s, namespace: payments}
spec:
  replicas: 4
  revisionHistoryLimit: 3
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers: [{name: app, image: "registry.internal/app:0"}]
  strategy:
    canary:
%[2]s
      analysis:
        templates: [{templateName: gate}]
        args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
      steps:
        - setWeight: 10
        - pause: {duration: 1}
        - analysis:
            templates: [{templateName: gate}]
            args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
        - setWeight: 25
        - pause: {duration: 1}
        - setWeight: 50
        - pause: {duration: 6}
        - setWeight: 100
`

const router = `      canaryService: %[1]s-canary
      stableService: %[1]s-stable
      scaleDownDelaySeconds: 1
      abortScaleDownDelaySeconds: 1
      trafficRouting:
        istio: {virtualService: {name: %[1]s, routes: [primary]}}`

const routes = `
apiVersion: v1
kind: Service
metadata: {name: %[1]s-stable, namespace: payments}
spec: {selector: {app: %[1]s}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s-canary, namespace: payments}
spec: {selector: {app: %[1]s}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: %[1]s, namespace: payments}
spec:
  hosts: [%[1]s]
  http:
    - name: primary
      route:
        - {destination: {host: %[1]s-stable}, weight: 100}
        - {destination: {host: %[1]s-canary}, weight: 0}
`

// A story is how a version behaves: its error rate at first, and from the step
// with 50 % on; and how it may end. A version that turns bad may get through
// when the controller was away for so long that the limit was not broken; that
// it was not is checked with the invariants.
type story struct {
	name            string
	early, late     float64
	promoted, fails bool
}

var (
	good    = story{"good", 0, 0, true, false}
	bad     = story{"bad", 0.08, 0.08, false, true}
	turning = story{"turning bad at 50 %", 0, 0.5, true, true}
)

// A site is where releases happen.
type site struct {
	*bed.Bed
	datadog *datadogtest.Server
	// finished counts the releases that ended as they had to.
	finished atomic.Int32
}

func newSite(b *bed.Bed) *site {
	b.Helper()
	server, err := datadogtest.New(datadogtest.Options{Keys: []datadogtest.Keys{{API: "api", App: "app"}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() })
	b.Datadog(server.URL())
	b.Apply(template)
	return &site{Bed: b, datadog: server}
}

func (s *site) create(name string, withRouter bool) {
	s.Helper()
	before := ""
	if withRouter {
		s.Apply(fmt.Sprintf(routes, name))
		before = fmt.Sprintf(router, name)
	}
	s.Apply(fmt.Sprintf(plain, name, before))
}

// A user releases versions of one rollout, and is the traffic that they get.
type user struct {
	*site
	name    string
	version int
	problem error
}

// rollout reads the Rollout, however long the API server is away.
func (u *user) rollout(ctx context.Context) *v1alpha1.Rollout {
	for ctx.Err() == nil {
		ro := &v1alpha1.Rollout{}
		if err := u.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: u.name}, ro); err == nil {
			return ro
		}
		wait(ctx, 100*time.Millisecond)
	}
	return &v1alpha1.Rollout{}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// release brings out the next version and stays until it has ended. It returns
// what is wrong with the end.
func (u *user) release(ctx context.Context, st story) error {
	before := u.rollout(ctx).Status
	u.version++
	patch := fmt.Appendf(nil, `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.internal/app:%d"}]}}}}`, u.version)
	for {
		ro := &v1alpha1.Rollout{}
		ro.Namespace, ro.Name = namespace, u.name
		if err := u.Client.Patch(ctx, ro, client.RawPatch(types.MergePatchType, patch)); err == nil || ctx.Err() != nil {
			break
		}
		wait(ctx, 100*time.Millisecond)
	}
	for ctx.Err() == nil {
		ro := u.rollout(ctx)
		hash := ro.Status.CurrentPodHash
		if hash != "" && hash != before.CurrentPodHash {
			u.traffic(hash, st, ro)
			if ended, err := over(ro, hash, st); ended {
				return err
			}
		}
		wait(ctx, 100*time.Millisecond)
	}
	ro := u.rollout(context.WithoutCancel(ctx))
	return fmt.Errorf("%s release %d, %s, has not ended: %s, %s, step %v", u.name, u.version, st.name, ro.Status.Phase, ro.Status.Message, ro.Status.CurrentStepIndex)
}

// traffic is a tenth of a second of requests.
func (u *user) traffic(hash string, st story, ro *v1alpha1.Rollout) {
	rate := st.early
	if i := ro.Status.CurrentStepIndex; i != nil && *i >= 6 {
		rate = st.late
	}
	tags := map[string]string{"hash": hash}
	u.datadog.Count("hits", tags, time.Now(), 100)
	// A count that is zero exists all the same: the application reports it.
	u.datadog.Count("errors", tags, time.Now(), 100*rate)
}

// over reports whether the release of hash has ended, and whether it should have
// ended differently.
func over(ro *v1alpha1.Rollout, hash string, st story) (bool, error) {
	switch {
	case ro.Status.Phase == v1alpha1.RolloutPhaseHealthy && ro.Status.StableRS == hash:
		if !st.promoted {
			return true, fmt.Errorf("%s: %s, which is %s, was promoted", ro.Name, hash, st.name)
		}
		return true, nil
	case ro.Status.Phase == v1alpha1.RolloutPhaseDegraded && ro.Status.Abort:
		if !st.fails {
			return true, fmt.Errorf("%s: %s, which is %s, was aborted: %s", ro.Name, hash, st.name, ro.Status.Message)
		}
		return true, nil
	case ro.Status.Phase == v1alpha1.RolloutPhasePaused && len(ro.Status.PauseConditions) > 0 && ro.Status.PauseConditions[0].Reason != v1alpha1.PauseReasonCanaryPauseStep:
		return true, fmt.Errorf("%s: %s, which is %s, is paused: %+v, %s", ro.Name, hash, st.name, ro.Status.PauseConditions, ro.Status.Message)
	}
	return false, nil
}

// work releases one version after the other, of stories in turn, until stop is
// closed.
func (u *user) work(ctx context.Context, stop <-chan struct{}, first int) {
	stories := []story{good, bad, turning}
	for i := first; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		if err := u.release(ctx, stories[i%len(stories)]); err != nil {
			u.problem = err
			return
		}
		u.finished.Add(1)
	}
}
