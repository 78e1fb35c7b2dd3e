// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	adminUser    = "sluice-admin"
	mastersGroup = "system:masters"
)

// ConfigFor returns a client configuration of the user, a member of the groups,
// without a client-side rate limit. The user need not be known to anybody: what
// it may do is what RBAC grants that name or those groups ("system:masters" may
// do everything). The audit log shows the name, so that a test can tell a
// controller's requests from its own.
func (c *Cluster) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	return c.site.config(user, groups)
}

func (s *site) config(user string, groups []string) (*rest.Config, error) {
	client, err := s.pki.client(user, groups)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: url("https", s.ports.apiServer),
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   s.pki.certPEM,
			CertData: client.cert,
			KeyData:  client.key,
		},
		QPS: -1,
	}, nil
}

// WriteKubeconfig writes a client configuration that carries certificates, such
// as one of ConfigFor, to a file that kubectl and every other client reads.
func WriteKubeconfig(path string, config *rest.Config) error {
	const name = "sluice"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   config.Host,
		CertificateAuthorityData: config.CAData,
	}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData,
		ClientKeyData:         config.KeyData,
	}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("write the kubeconfig %s: %w", path, err)
	}
	return nil
}
