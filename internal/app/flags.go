// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app puts the controller together: flags in, a running manager out.
// It is the only package that makes clients.
package app

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"sluice.dev/sluice/internal/analysis"
)

// A Config is what the controller's flags say.
type Config struct {
	Namespaced  bool
	Namespace   string
	Instance    string
	Controllers []string

	QPS   float32
	Burst int

	RolloutThreads  int
	AnalysisThreads int
	Resync          time.Duration

	MetricsPort int
	HealthPort  int
	Pprof       string

	LogLevel  string
	LogFormat string
	KlogLevel int

	LeaderElect   bool
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	RetryPeriod   time.Duration

	IstioVersion string
	Semantics    string
	ErrorBackoff time.Duration

	// GitOpsManagers are field managers of GitOps tools beside the known ones.
	GitOpsManagers []string

	Vault         VaultConfig
	Evidence      EvidenceConfig
	Notifications NotificationConfig
}

// Flags returns the flags of the controller, which write into c. They are the
// ones of Argo Rollouts by name; what has no meaning here is accepted, so that
// a command line that exists keeps working.
func (c *Config) Flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	f.BoolVar(&c.Namespaced, "namespaced", false, "watch and change one namespace only: that of --namespace or of the kubeconfig's context")
	f.StringVar(&c.Instance, "instance-id", "", "work on objects with this "+instanceLabel+" label; empty: on those without the label")
	f.StringSliceVar(&c.Controllers, "controllers", nil, "controllers to run, of rollouts, analysis and notifications (default all)")
	f.Float32Var(&c.QPS, "qps", 0, "most API requests a second (default unlimited; the API server's fair queueing is the limit)")
	f.IntVar(&c.Burst, "burst", 0, "most API requests at once, with --qps")
	f.IntVar(&c.RolloutThreads, "rollout-threads", 32, "rollouts worked on at once")
	f.IntVar(&c.AnalysisThreads, "analysis-threads", 64, "analysis runs worked on at once")
	f.IntVar(&c.MetricsPort, "metricsPort", 8090, "port of /metrics; 0 serves none")
	f.IntVar(&c.MetricsPort, "metricsport", 8090, "old name of --metricsPort")
	f.IntVar(&c.HealthPort, "healthzPort", 8080, "port of /healthz and /readyz; 0 serves none")
	f.StringVar(&c.Pprof, "enable-pprof-address", "", "address to serve Go profiles on (default none)")
	f.StringVar(&c.LogLevel, "loglevel", "info", "debug, info, warn or error")
	f.StringVar(&c.LogFormat, "logformat", "json", "json or text")
	f.IntVar(&c.KlogLevel, "kloglevel", 0, "verbosity of the Kubernetes client library")
	f.BoolVar(&c.LeaderElect, "leader-elect", true, "let one replica at a time work")
	f.DurationVar(&c.LeaseDuration, "leader-election-lease-duration", 15*time.Second, "how long a leader that is silent keeps its lease")
	f.DurationVar(&c.RenewDeadline, "leader-election-renew-deadline", 10*time.Second, "how long a leader tries to renew before it stops")
	f.DurationVar(&c.RetryPeriod, "leader-election-retry-period", 2*time.Second, "time between attempts to get or renew the lease")
	f.StringVar(&c.IstioVersion, "istio-api-version", "", "version of networking.istio.io to use (default what the API server prefers)")
	f.StringVar(&c.Semantics, "analysis-semantics", string(analysis.Guide), "how measurements are judged: guide, or argo for the rules of Argo Rollouts")
	f.DurationVar(&c.ErrorBackoff, "analysis-error-backoff", 10*time.Second, "first wait after a measurement that failed; it doubles up to the metric's interval, and never exceeds the interval or this, whichever is longer")
	f.StringSliceVar(&c.GitOpsManagers, "gitops-managers", nil, "field managers of GitOps tools beside those of Argo CD, Flux and Fleet: what others change in a Rollout that they have written is reported as changed by hand")
	c.Vault.flags(f)
	c.Evidence.flags(f)
	c.Notifications.flags(f)
	var resync int
	f.IntVar(&resync, "rollout-resync", 900, "seconds after which every object is looked at again")
	c.Resync = 15 * time.Minute
	ignored(f)
	return f
}

const instanceLabel = "argo-rollouts.argoproj.io/controller-instance-id"

// ignored accepts flags of Argo Rollouts for what this version does not have
// or does not need to be told.
func ignored(f *pflag.FlagSet) {
	for name, def := range map[string]string{
		"experiment-threads": "10", "service-threads": "10", "ingress-threads": "10", "ephemeral-metadata-threads": "10",
		"ephemeral-metadata-update-pod-retries": "3", "ambassador-api-version": "", "traffic-split-api-version": "",
		"traefik-api-group": "", "traefik-api-version": "", "ingress-api-version": "", "appmesh-crd-version": "",
		"aws-target-group-binding-api-version": "", "alb-tag-key-resource-id": "", "alb-ingress-classes": "",
		"nginx-ingress-classes": "", "istio-version": "",
	} {
		f.String(name, def, "accepted for Argo Rollouts' command lines; has no effect")
		_ = f.MarkHidden(name)
	}
	for _, name := range []string{"aws-verify-target-group", "alb-verify-weight", "print-version"} {
		f.Bool(name, false, "accepted for Argo Rollouts' command lines; has no effect")
		_ = f.MarkHidden(name)
	}
	_ = f.MarkHidden("metricsport")
}

// Validate says what in c cannot be.
func (c *Config) Validate() error {
	if c.Semantics != string(analysis.Guide) && c.Semantics != string(analysis.Argo) {
		return fmt.Errorf("--analysis-semantics is %q: use %s or %s", c.Semantics, analysis.Guide, analysis.Argo)
	}
	if c.LeaderElect && (c.RenewDeadline >= c.LeaseDuration || c.RetryPeriod >= c.RenewDeadline) {
		return fmt.Errorf("--leader-election-retry-period (%s) must be shorter than --leader-election-renew-deadline (%s), and that shorter than --leader-election-lease-duration (%s)",
			c.RetryPeriod, c.RenewDeadline, c.LeaseDuration)
	}
	if err := errors.Join(c.Vault.validate(), c.Evidence.validate(), c.Notifications.validate()); err != nil {
		return err
	}
	// The others are Argo Rollouts' and are accepted for its command lines.
	known := []string{ControllerRollouts, ControllerAnalysis, ControllerNotifications, "experiments", "services", "ingress"}
	for _, name := range c.Controllers {
		if !slices.Contains(known, name) {
			return fmt.Errorf("--controllers: there is no controller %q; there are %s, %s and %s", name, ControllerRollouts, ControllerAnalysis, ControllerNotifications)
		}
	}
	return nil
}

// The names of controllers.
const (
	ControllerRollouts = "rollouts"
	ControllerAnalysis = "analysis"
	// ControllerNotifications tells people what happens to rollouts.
	ControllerNotifications = "notifications"
)
