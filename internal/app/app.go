// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/codec"
	"sluice.dev/sluice/internal/gitops"
	"sluice.dev/sluice/internal/observe"
)

// dialTimeout is how long a connection to the API server may take.
const dialTimeout = 30 * time.Second

// Run runs the controller against the cluster of restConfig until ctx ends.
func Run(ctx context.Context, restConfig *rest.Config, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	setLogger(c)
	if err := forbidCore(); err != nil {
		ctrl.Log.Info("a crash may leave a core, which would hold keys", "why", err.Error())
	}
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	options, err := c.options(scheme)
	if err != nil {
		return err
	}
	restConfig = rest.CopyConfig(restConfig)
	restConfig.QPS, restConfig.Burst = c.QPS, c.Burst
	if c.QPS <= 0 {
		restConfig.QPS = -1
	}
	mgr, err := ctrl.NewManager(restConfig, options)
	if err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	if err := assemble(ctx, mgr, c); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the controller: %w", err)
	}
	return nil
}

// Scheme returns the types that the controller works with.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register types: %w", err)
	}
	return scheme, nil
}

func (c *Config) options(scheme *runtime.Scheme) (ctrl.Options, error) {
	caches, err := c.cache()
	if err != nil {
		return ctrl.Options{}, err
	}
	return ctrl.Options{
		Scheme:                        scheme,
		Cache:                         caches,
		NewCache:                      apart,
		Metrics:                       metricsserver.Options{BindAddress: port(c.MetricsPort)},
		HealthProbeBindAddress:        port(c.HealthPort),
		PprofBindAddress:              c.Pprof,
		LeaderElection:                c.LeaderElect,
		LeaderElectionID:              c.lease(),
		LeaderElectionNamespace:       controllerNamespace(),
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &c.LeaseDuration,
		RenewDeadline:                 &c.RenewDeadline,
		RetryPeriod:                   &c.RetryPeriod,
		// One process may run several, one after the other, as tests do.
		Controller: config.Controller{SkipNameValidation: new(true)},
	}, nil
}

func (c *Config) lease() string {
	if c.Instance == "" {
		return v1alpha1.LeaseName
	}
	return v1alpha1.LeaseName + "-" + c.Instance
}

func port(n int) string {
	if n <= 0 {
		return "0"
	}
	return fmt.Sprintf(":%d", n)
}

// apart makes a cache whose watches have a connection of their own: on the one
// of the writes they wait behind answers, and a busy API server ends watches
// that are slow to take what it sends.
func apart(c *rest.Config, o cache.Options) (cache.Cache, error) {
	own := rest.CopyConfig(c)
	own.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}).DialContext
	var err error
	if o.HTTPClient, err = rest.HTTPClientFor(own); err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	out, err := cache.New(own, o)
	if err != nil {
		return nil, fmt.Errorf("set up the cache: %w", err)
	}
	return out, nil
}

// cache holds what is ours: ReplicaSets by our label, Services by what we read
// of them, and nothing's managedFields.
func (c *Config) cache() (cache.Options, error) {
	ours, err := labels.NewRequirement(v1alpha1.LabelPodTemplateHash, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, fmt.Errorf("select ReplicaSets: %w", err)
	}
	options := cache.Options{
		SyncPeriod:       &c.Resync,
		DefaultTransform: c.slim,
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.ReplicaSet{}: {Label: labels.NewSelector().Add(*ours)},
			&corev1.Service{}:    {Transform: slimService},
		},
	}
	if c.Namespaced {
		if c.Namespace == "" {
			return options, errors.New("--namespaced needs a namespace: set --namespace")
		}
		options.DefaultNamespaces = map[string]cache.Config{c.Namespace: {}}
	}
	return options, nil
}

// slim drops what no pass reads. Of who changed a Rollout it keeps who changed
// its template, and what was changed by hand since a GitOps tool wrote it.
func (c *Config) slim(in any) (any, error) {
	if obj, ok := in.(metav1.Object); ok {
		var kept []metav1.ManagedFieldsEntry
		if _, rollout := in.(*v1alpha1.Rollout); rollout {
			if m := codec.TemplateManager(obj.GetManagedFields()); m != nil {
				kept = []metav1.ManagedFieldsEntry{{Manager: m.Manager, Operation: m.Operation, Time: m.Time}}
			}
			kept = append(kept, c.gitOps().Compact(obj.GetManagedFields())...)
		}
		obj.SetManagedFields(kept)
		if a := obj.GetAnnotations(); a["kubectl.kubernetes.io/last-applied-configuration"] != "" {
			delete(a, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	return in, nil
}

func (c *Config) gitOps() gitops.Tools { return c.GitOpsManagers }

func slimService(in any) (any, error) {
	svc, ok := in.(*corev1.Service)
	if !ok {
		return in, nil
	}
	out := &corev1.Service{Spec: corev1.ServiceSpec{Selector: svc.Spec.Selector}}
	out.Name, out.Namespace, out.UID, out.ResourceVersion = svc.Name, svc.Namespace, svc.UID, svc.ResourceVersion
	if by := svc.Annotations[v1alpha1.AnnotationManagedByRollouts]; by != "" {
		out.Annotations = map[string]string{v1alpha1.AnnotationManagedByRollouts: by}
	}
	return out, nil
}

// controllerNamespace is where the lease and shared credentials live.
func controllerNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	if data, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace"); err == nil {
		if ns := strings.TrimSpace(string(data)); ns != "" {
			return ns
		}
	}
	return "argo-rollouts"
}

func (c *Config) runs(name string) bool {
	return len(c.Controllers) == 0 || slices.Contains(c.Controllers, name)
}

// assemble adds the controllers to mgr.
func assemble(ctx context.Context, mgr ctrl.Manager, c Config) error {
	if err := installed(ctx, mgr, c); err != nil {
		return err
	}
	if err := observe.Index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	if err := controllers(ctx, mgr, c); err != nil {
		return err
	}
	return errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", func(req *http.Request) error {
			if !mgr.GetCache().WaitForCacheSync(req.Context()) {
				return errors.New("the caches have not synced yet")
			}
			return nil
		}),
	)
}

// installed says plainly when the CRDs are missing, or older than this build.
func installed(ctx context.Context, mgr ctrl.Manager, c Config) error {
	options := []client.ListOption{client.Limit(1)}
	if c.Namespaced {
		options = append(options, client.InNamespace(c.Namespace))
	}
	list := &v1alpha1.RolloutList{}
	err := mgr.GetAPIReader().List(ctx, list, options...)
	if err == nil || apierrors.IsForbidden(err) {
		return nil
	}
	if apierrors.IsNotFound(err) || strings.Contains(err.Error(), "no matches for kind") {
		return fmt.Errorf("the API server has no Rollouts: install the CRDs (kubectl apply --server-side -f config/crd): %w", err)
	}
	return fmt.Errorf("list Rollouts: %w", err)
}
