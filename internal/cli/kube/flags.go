// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kube is the command line's way to the API server: kubectl's global
// flags, the few requests that commands make, and what to say when one of them
// fails. It decides nothing about rollouts: packages act and view do.
package kube

import (
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	runtimeutil "k8s.io/apimachinery/pkg/util/runtime"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // The ways to log in that kubeconfig files name.
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/version"
)

// Flags are kubectl's global flags. They are read from the same library that
// kubectl reads them from, without the printers and builders that the rest of
// cli-runtime brings along.
type Flags struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides *clientcmd.ConfigOverrides
}

// NewFlags adds kubectl's global flags to fs.
func NewFlags(fs *pflag.FlagSet) *Flags {
	f := &Flags{
		rules:     clientcmd.NewDefaultClientConfigLoadingRules(),
		overrides: &clientcmd.ConfigOverrides{},
	}
	fs.StringVar(&f.rules.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "Path of the kubeconfig file")
	flags := clientcmd.RecommendedConfigOverrideFlags("")
	flags.ClusterOverrideFlags.APIServer.ShortName = "s"
	clientcmd.BindOverrideFlags(f.overrides, fs, flags)
	return f
}

// Client makes a client from what the flags and the kubeconfig file say.
func (f *Flags) Client() (*Client, error) {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, f.overrides)
	config, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no kubeconfig: give its path with --kubeconfig or in KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the namespace from the kubeconfig: %w", err)
	}
	return New(config, namespace)
}

// New makes a client from a configuration. Commands are about objects in
// namespace.
func New(config *rest.Config, namespace string) (*Client, error) {
	c := &Client{Namespace: namespace, host: config.Host}
	for _, g := range []struct {
		client **rest.RESTClient
		path   string
		gv     groupVersion
	}{
		{&c.argo, "/apis", v1alpha1.SchemeGroupVersion},
		{&c.apps, "/apis", appsGroup},
		{&c.core, "/api", coreGroup},
	} {
		made, err := restClient(config, g.path, g.gv)
		if err != nil {
			return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
		}
		*g.client = made
	}
	return c, nil
}

// codecs reads and writes the types that commands are about.
var codecs = sync.OnceValue(func() serializer.CodecFactory {
	scheme := runtime.NewScheme()
	runtimeutil.Must(errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	return serializer.NewCodecFactory(scheme)
})

func restClient(config *rest.Config, path string, gv groupVersion) (*rest.RESTClient, error) {
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion = path, &gv
	c.NegotiatedSerializer = codecs().WithoutConversion()
	if c.UserAgent == "" {
		c.UserAgent = "sluice/" + version.Get().Version
	}
	// A person waits for the answer: the limits of a controller are too low.
	c.QPS, c.Burst = 50, 300
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", gv, err)
	}
	return client, nil
}
