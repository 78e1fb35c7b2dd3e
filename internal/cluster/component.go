// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// component is one of the four programs. Its health address answers without
// credentials; 200 means that it works.
type component struct {
	name   string
	args   func(*site) []string
	health func(*site) string
}

var (
	etcd              = component{"etcd", etcdArgs, etcdHealth}
	apiServer         = component{"kube-apiserver", apiServerArgs, apiServerHealth}
	controllerManager = component{"kube-controller-manager", controllerManagerArgs, controllerManagerHealth}
	scheduler         = component{"kube-scheduler", schedulerArgs, schedulerHealth}
)

// components are all of them, in the order in which they start.
var components = []component{etcd, apiServer, controllerManager, scheduler}

// controllers are those of the kube-controller-manager that something in a
// rollout depends on. The others are left out because each costs watches, memory
// and, on two cores, time.
var controllers = []string{
	"clusterrole-aggregation-controller", // admin, edit and view of our kinds
	"deployment-controller",              // workloads that are taken over
	"disruption-controller",              // PodDisruptionBudgets
	"endpointslice-controller",           // what a Service selects
	"garbage-collector-controller",       // ReplicaSets and runs go with their Rollout
	"job-controller",                     // the job metric provider
	"namespace-controller",
	"node-lifecycle-controller", // lifts the taint that new nodes come with
	"pod-garbage-collector-controller",
	"replicaset-controller",
	"serviceaccount-controller", // pods are refused without one
	"serviceaccount-token-controller",
	"taint-eviction-controller",
	"ttl-after-finished-controller",
}

const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: %s
  contentType: application/vnd.kubernetes.protobuf
  qps: 2000
  burst: 4000
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 2
`

// auditPolicy keeps the bodies of writes at the level asked for, and of reads
// only that they happened: a list in a log helps nobody.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [get, list, watch]
- level: %s
`

func etcdArgs(s *site) []string {
	client, peer := url("http", s.ports.etcd), url("http", s.ports.etcdPeer)
	return []string{
		"--name=default",
		"--data-dir=" + s.file("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--log-level=warn",
	}
}

func etcdHealth(s *site) string { return url("http", s.ports.etcd) + "/health" }

func apiServerArgs(s *site) []string {
	args := []string{
		"--etcd-servers=" + url("http", s.ports.etcd),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.ports.apiServer),
		// Endpoints may not be loopback addresses, so there is none to publish.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=" + s.file(serverCertFile),
		"--tls-private-key-file=" + s.file(serverKeyFile),
		"--client-ca-file=" + s.file(caFile),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.file(serviceAccountFile),
		"--service-account-signing-key-file=" + s.file(serviceAccountFile),
		"--allow-privileged=true",
		"--profiling=false",
		"--delete-collection-workers=8",
	}
	if s.opts.Audit != "" {
		args = append(args,
			"--audit-policy-file="+s.file("audit.yaml"),
			"--audit-log-path="+s.auditLog(),
			"--audit-log-maxsize=100000") // in MB: a test reads it whole, so never rotate
	}
	return args
}

func apiServerHealth(s *site) string {
	return url("https", s.ports.apiServer) + "/readyz"
}

func controllerManagerArgs(s *site) []string {
	return []string{
		"--kubeconfig=" + s.kubeconfig("system:kube-controller-manager"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.ports.controllerManager),
		"--tls-cert-file=" + s.file(serverCertFile),
		"--tls-private-key-file=" + s.file(serverKeyFile),
		"--controllers=" + strings.Join(append(append([]string{}, controllers...), s.opts.Controllers...), ","),
		"--leader-elect=false",
		"--use-service-account-credentials=false",
		"--service-account-private-key-file=" + s.file(serviceAccountFile),
		"--root-ca-file=" + s.file(caFile),
		"--kube-api-qps=2000",
		"--kube-api-burst=4000",
		"--kube-api-content-type=application/vnd.kubernetes.protobuf",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-service-endpoint-syncs=20",
		"--concurrent-gc-syncs=20",
		"--concurrent-namespace-syncs=20",
		// Nodes outlive a paused API server and a laptop's short sleep.
		"--node-monitor-grace-period=10m",
		"--profiling=false",
	}
}

func controllerManagerHealth(s *site) string {
	return url("https", s.ports.controllerManager) + "/healthz"
}

func schedulerArgs(s *site) []string {
	return []string{
		"--config=" + s.file("scheduler.yaml"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.ports.scheduler),
		"--tls-cert-file=" + s.file(serverCertFile),
		"--tls-private-key-file=" + s.file(serverKeyFile),
	}
}

func schedulerHealth(s *site) string {
	return url("https", s.ports.scheduler) + "/healthz"
}

// start starts a component and waits until it is healthy.
func (c *Cluster) start(ctx context.Context, comp component) error {
	p, err := c.launch(comp)
	if err != nil {
		return err
	}
	return c.site.waitHealthy(ctx, p, comp.health(c.site))
}

// launch starts a component unless the cluster was stopped, and remembers it.
func (c *Cluster) launch(comp component) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, fmt.Errorf("start %s: the cluster was stopped", comp.name)
	}
	path := filepath.Join(c.site.opts.Assets, comp.name)
	p, err := launch(comp.name, path, comp.args(c.site), c.site.file(comp.name+".log"))
	if err != nil {
		return nil, err
	}
	c.processes[comp.name] = p
	return p, c.site.dir.record(p.pid)
}
