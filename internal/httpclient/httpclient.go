// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package httpclient makes the HTTP clients that talk to other people's
// systems: bounded in time and size, and closed to redirects that would carry
// a key to another host. It knows no provider and never retries: whoever asked
// decides when to ask again.
package httpclient

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// ErrTooLarge says that a body was longer than the reader was willing to hold.
var ErrTooLarge = errors.New("body too large")

// maxRedirects is how many redirects within one origin are followed.
const maxRedirects = 3

// New returns a client with its own pool of kept-alive connections. Its
// time-outs bound the silent parts of an exchange (connect, TLS, waiting for
// headers); the whole of a request is bounded by its context.
func New() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return Guard(&http.Client{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}})
}

// Insecure returns a client that trusts any certificate, for services of which
// somebody said that theirs cannot be checked.
func Insecure() *http.Client {
	c := New()
	if t, ok := c.Transport.(*http.Transport); ok {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // that is what it is for
	}
	return c
}

// Guard returns a copy of c that never follows a redirect to another origin
// (scheme, host and port): the standard client would send every header along,
// keys included. The redirect itself is what such a request returns.
func Guard(c *http.Client) *http.Client {
	guarded := *c
	guarded.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if len(via) > maxRedirects || req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &guarded
}

// ReadBody reads a body to its end. One of more than limit bytes, after
// decompression, is ErrTooLarge; what is left of it is not read.
func ReadBody(body io.Reader, limit int64) ([]byte, error) {
	read, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return read, fmt.Errorf("read body: %w", err)
	}
	if int64(len(read)) > limit {
		return read[:limit], fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return read, nil
}
