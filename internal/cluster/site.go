// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// site is where a cluster is, and what its components are told: a folder, ports
// and certificates. Nothing of it changes while the cluster lives.
type site struct {
	opts  Options
	dir   *runDir
	pki   *authority
	ports ports
}

// newSite makes the folder with all files in it, and chooses the ports.
func newSite(opts Options) (*site, error) {
	dir, err := newRunDir(opts.Root)
	if err != nil {
		return nil, err
	}
	s := &site{opts: opts, dir: dir}
	if err := s.write(); err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	return s, nil
}

func (s *site) write() (err error) {
	if s.ports, err = freePorts(); err != nil {
		return err
	}
	if s.pki, err = newAuthority(); err != nil {
		return err
	}
	if err := s.pki.write(s.dir.path); err != nil {
		return err
	}
	if err := s.writeComponentFiles(); err != nil {
		return err
	}
	for user, groups := range map[string][]string{
		adminUser:                        {mastersGroup},
		"system:kube-controller-manager": {mastersGroup},
		"system:kube-scheduler":          nil,
	} {
		config, err := s.config(user, groups)
		if err != nil {
			return err
		}
		if err := WriteKubeconfig(s.kubeconfig(user), config); err != nil {
			return err
		}
	}
	return nil
}

// writeComponentFiles writes the configuration that does not fit into flags.
func (s *site) writeComponentFiles() error {
	files := map[string]string{
		"scheduler.yaml": fmt.Sprintf(schedulerConfig, strconv.Quote(s.kubeconfig("system:kube-scheduler"))),
	}
	switch s.opts.Audit {
	case "":
	case "Metadata", "Request", "RequestResponse":
		files["audit.yaml"] = fmt.Sprintf(auditPolicy, s.opts.Audit)
	default:
		return fmt.Errorf("audit level %q: want Metadata, Request or RequestResponse", s.opts.Audit)
	}
	for name, content := range files {
		if err := os.WriteFile(s.file(name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// file is the path of a file of this cluster.
func (s *site) file(name string) string { return filepath.Join(s.dir.path, name) }

// kubeconfig is the path of a user's kubeconfig.
func (s *site) kubeconfig(user string) string {
	return s.file(strings.ReplaceAll(user, ":", "-") + ".kubeconfig")
}

func (s *site) auditLog() string { return s.file("audit.log") }

// ports are where the components listen, all on 127.0.0.1.
type ports struct {
	etcd, etcdPeer, apiServer, controllerManager, scheduler int
}

// freePorts asks the system for ports that are free now. They are held all at
// once, so that no two are the same.
func freePorts() (ports, error) {
	var p ports
	for _, port := range []*int{&p.etcd, &p.etcdPeer, &p.apiServer, &p.controllerManager, &p.scheduler} {
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return p, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

func url(scheme string, port int) string {
	return scheme + "://127.0.0.1:" + strconv.Itoa(port)
}
