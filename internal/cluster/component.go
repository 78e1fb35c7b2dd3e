// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// component is one of the four programs. Its health address answers without
// credentials; 200 means that it works.
type component struct {
	name   string
	args   func(*Cluster) []string
	health func(*Cluster) string
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

// writeComponentFiles writes the configuration that does not fit into flags.
func (c *Cluster) writeComponentFiles() error {
	files := map[string]string{
		"scheduler.yaml": fmt.Sprintf(schedulerConfig, strconv.Quote(c.kubeconfig("system:kube-scheduler"))),
	}
	switch c.opts.Audit {
	case "":
	case "Metadata", "Request", "RequestResponse":
		files["audit.yaml"] = fmt.Sprintf(auditPolicy, c.opts.Audit)
	default:
		return fmt.Errorf("audit level %q: want Metadata, Request or RequestResponse", c.opts.Audit)
	}
	for name, content := range files {
		if err := os.WriteFile(c.file(name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func etcdArgs(c *Cluster) []string {
	client, peer := c.EtcdURL(), c.ports.url("http", c.ports.etcdPeer)
	return []string{
		"--name=default",
		"--data-dir=" + c.file("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--log-level=warn",
	}
}

func etcdHealth(c *Cluster) string { return c.EtcdURL() + "/health" }

func apiServerArgs(c *Cluster) []string {
	args := []string{
		"--etcd-servers=" + c.EtcdURL(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.ports.apiServer),
		// Endpoints may not be loopback addresses, so there is none to publish.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=" + c.file(serverCertFile),
		"--tls-private-key-file=" + c.file(serverKeyFile),
		"--client-ca-file=" + c.file(caFile),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file(serviceAccountFile),
		"--service-account-signing-key-file=" + c.file(serviceAccountFile),
		"--allow-privileged=true",
		"--profiling=false",
		"--delete-collection-workers=8",
	}
	if c.opts.Audit != "" {
		args = append(args,
			"--audit-policy-file="+c.file("audit.yaml"),
			"--audit-log-path="+c.AuditLog(),
			"--audit-log-maxsize=100000") // in MB: a test reads it whole, so never rotate
	}
	return args
}

func apiServerHealth(c *Cluster) string {
	return c.ports.url("https", c.ports.apiServer) + "/readyz"
}

func controllerManagerArgs(c *Cluster) []string {
	return []string{
		"--kubeconfig=" + c.kubeconfig("system:kube-controller-manager"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.ports.controllerManager),
		"--tls-cert-file=" + c.file(serverCertFile),
		"--tls-private-key-file=" + c.file(serverKeyFile),
		"--controllers=" + strings.Join(append(append([]string{}, controllers...), c.opts.Controllers...), ","),
		"--leader-elect=false",
		"--use-service-account-credentials=false",
		"--service-account-private-key-file=" + c.file(serviceAccountFile),
		"--root-ca-file=" + c.file(caFile),
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

func controllerManagerHealth(c *Cluster) string {
	return c.ports.url("https", c.ports.controllerManager) + "/healthz"
}

func schedulerArgs(c *Cluster) []string {
	return []string{
		"--config=" + c.file("scheduler.yaml"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.ports.scheduler),
		"--tls-cert-file=" + c.file(serverCertFile),
		"--tls-private-key-file=" + c.file(serverKeyFile),
	}
}

func schedulerHealth(c *Cluster) string {
	return c.ports.url("https", c.ports.scheduler) + "/healthz"
}

// start starts a component and waits until it is healthy.
func (c *Cluster) start(ctx context.Context, comp component) error {
	p, err := c.launch(comp)
	if err != nil {
		return err
	}
	return c.waitHealthy(ctx, p, comp.health(c))
}

// launch starts a component unless the cluster was stopped, and remembers it.
func (c *Cluster) launch(comp component) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, fmt.Errorf("start %s: the cluster was stopped", comp.name)
	}
	path := filepath.Join(c.opts.Assets, comp.name)
	p, err := launch(comp.name, path, comp.args(c), c.file(comp.name+".log"))
	if err != nil {
		return nil, err
	}
	c.processes[comp.name] = p
	return p, c.dir.record(p.pid)
}

// file is the path of a file of this cluster.
func (c *Cluster) file(name string) string { return filepath.Join(c.Dir(), name) }

// ports are where the components listen, all on 127.0.0.1.
type ports struct {
	etcd, etcdPeer, apiServer, controllerManager, scheduler int
}

// freePorts asks the system for ports that are free now. They are held all at
// once, so that no two are the same.
func freePorts() (ports, error) {
	var p ports
	for _, port := range []*int{&p.etcd, &p.etcdPeer, &p.apiServer, &p.controllerManager, &p.scheduler} {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // answers at once.
		if err != nil {
			return p, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		*port = listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is a TCP listener.
	}
	return p, nil
}

func (p ports) url(scheme string, port int) string {
	return scheme + "://127.0.0.1:" + strconv.Itoa(port)
}
