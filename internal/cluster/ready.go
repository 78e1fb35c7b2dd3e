// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// poll is how often something that is about to be ready is looked at.
const poll = 50 * time.Millisecond

// waitHealthy returns when the component answers 200 at the address, or with the
// last of its output when it ends or the context does.
func (s *site) waitHealthy(ctx context.Context, p *process, url string) error {
	client := s.healthClient()
	defer client.CloseIdleConnections()
	var last string
	for {
		ok, answer := probe(ctx, client, url)
		if ok {
			return nil
		}
		if answer != "" {
			last = answer
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while it started (%w); the end of its output:\n%s", p.name, p.exit(), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s at %s (last answer: %s): %w; the end of its output:\n%s",
				p.name, url, last, context.Cause(ctx), p.tail())
		case <-time.After(poll):
		}
	}
}

// probe asks once. The answer is for people.
func probe(ctx context.Context, client *http.Client, url string) (ok bool, answer string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return false, "" // keep the answer from before
		}
		return false, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return false, err.Error()
	}
	return response.StatusCode == http.StatusOK, response.Status + " " + strings.TrimSpace(string(body))
}

func (s *site) healthClient() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.pki.cert)
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
	}
}

// waitForServiceAccount returns when the controllers have made the service
// account without which no pod is let into the default namespace.
func waitForServiceAccount(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of the new API server: %w", err)
	}
	for {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) && ctx.Err() == nil {
			return fmt.Errorf("look for the default service account: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the default service account, which the kube-controller-manager makes: %w",
				context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}

// exit says why the process ended, and never nil: none of ours ends by itself.
func (p *process) exit() error {
	<-p.done
	if p.err == nil {
		return fmt.Errorf("%s: exit status 0", p.name)
	}
	return p.err
}

// tail is the last few lines of the process's output.
func (p *process) tail() string {
	const last = 15
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-last):], "\n")
}
