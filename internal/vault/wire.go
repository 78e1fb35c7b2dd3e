// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/secret"
)

// maxBody is the longest answer that is read: Vault's own limit of a secret is
// one MiB.
const maxBody = 2 << 20

// A question is one request.
type question struct {
	method, path string
	// doing says what for, in words.
	doing string
	// token proves who asks; hidden is what must not come back in an error.
	token  secret.Text
	hidden []secret.Text
	body   map[string]string
	login  bool
}

// words makes what others say fit for a message. Secrets go first: a text that
// is cut short may end within one.
func (q question) words(text string) string {
	for _, t := range append(q.hidden, q.token) {
		text = httpclient.Redact(text, t.Reveal())
	}
	return httpclient.Clean(text, maxWords)
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// A wire holds the HTTP client, which is made anew when the CA file changes.
type wire struct {
	mu     sync.Mutex
	ca     []byte
	client *http.Client
}

// load makes the client, if there is none or the CA file has changed.
func (w *wire) load(file string) error {
	var ca []byte
	if file != "" {
		var err error
		if ca, err = os.ReadFile(file); err != nil {
			return fmt.Errorf("vault: read the CA file: %w", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != nil && bytes.Equal(ca, w.ca) {
		return nil
	}
	client := httpclient.New()
	if file != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return fmt.Errorf("vault: the CA file %s holds no certificate", file)
		}
		transport, ok := client.Transport.(*http.Transport)
		if !ok {
			return errors.New("vault: the HTTP client takes no certificates")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if w.client != nil {
		w.client.CloseIdleConnections()
	}
	w.ca, w.client = ca, client
	return nil
}

func (w *wire) get() *http.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.client
}

// ask asks once and returns the body of a success.
func (c *conn) ask(ctx context.Context, q question) ([]byte, *Error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	req, err := c.request(ctx, q)
	if err != nil {
		return nil, problem(Misconfigured, "make the request to %s (%s): %s", c.at(), q.doing, q.words(err.Error()))
	}
	resp, err := c.wire.get().Do(req)
	if err != nil {
		// A new CA is the one thing here that can mend it.
		_ = c.wire.load(c.config.CAFile)
		return nil, c.unreachable(q, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := httpclient.ReadBody(resp.Body, maxBody)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return nil, c.refused(q, answer{resp.StatusCode, resp.Header, body})
	}
	if errors.Is(err, httpclient.ErrTooLarge) {
		return nil, problem(Malformed, "%s answered with more than %d MiB (%s)", c.at(), maxBody>>20, q.doing)
	}
	if err != nil && ctx.Err() != nil {
		return nil, c.unreachable(q, ctx.Err())
	}
	if err != nil {
		return nil, problem(Unavailable, "%s broke off in the middle of its answer (%s): %s", c.at(), q.doing, q.words(err.Error()))
	}
	return body, nil
}

func (c *conn) request(ctx context.Context, q question) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		data, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, c.base.JoinPath("v1", q.path).String(), body)
	if err != nil {
		return nil, fmt.Errorf("make: %w", err)
	}
	// An agent or proxy in between may insist on it.
	req.Header.Set("X-Vault-Request", "true")
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !q.token.Empty() {
		req.Header.Set("X-Vault-Token", q.token.Reveal())
	}
	if c.config.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.config.Namespace)
	}
	return req, nil
}
