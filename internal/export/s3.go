// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice.dev/sluice/internal/httpclient"
)

// S3Config says which bucket to write to.
type S3Config struct {
	// Endpoint is the URL of the store, such as
	// https://s3.eu-central-1.amazonaws.com. Objects are addressed by path:
	// endpoint/bucket/key.
	Endpoint string
	// Region is what requests are signed for; us-east-1 suits stores that have
	// none.
	Region string
	Bucket string
	// Prefix goes before every name, such as a folder; it may be empty.
	Prefix string
	// Credentials returns the keys; it is asked for every request, so that
	// rotated ones are used at once.
	Credentials func() (Credentials, error)
	// PlainHTTP allows an endpoint without TLS that is not on this machine.
	PlainHTTP bool
	// Now is the clock.
	Now func() time.Time
}

// An S3 is a bucket of an S3-compatible object store.
type S3 struct {
	S3Config
	client *http.Client
	base   *url.URL
}

// NewS3 checks c. It does not use the network.
func NewS3(c S3Config) (*S3, error) {
	base, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	if c.Bucket == "" || strings.ContainsAny(c.Bucket, "/,?# ") {
		return nil, fmt.Errorf("%q is no name of a bucket", c.Bucket)
	}
	if strings.ContainsAny(c.Prefix, ",?#") || strings.Contains("/"+c.Prefix+"/", "/../") {
		return nil, fmt.Errorf("the prefix %q must be plain names with slashes between them", c.Prefix)
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	return &S3{S3Config: c, client: httpclient.New(), base: base}, nil
}

// endpoint reads the URL of the store.
func (c *S3Config) endpoint() (*url.URL, error) {
	base, err := url.Parse(strings.TrimRight(c.Endpoint, "/"))
	switch {
	case err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http":
		return nil, fmt.Errorf("the endpoint %q is not a URL such as https://s3.eu-central-1.amazonaws.com", c.Endpoint)
	case base.RawQuery != "" || base.User != nil || base.Fragment != "":
		return nil, errors.New("the endpoint must be a plain URL: without user, query and fragment")
	case base.Scheme == "http" && !local(base.Hostname()) && !c.PlainHTTP:
		return nil, fmt.Errorf("the endpoint %s is without TLS: use https, or allow it", c.Endpoint)
	}
	return base, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Name is the bucket and the prefix.
func (s *S3) Name() string { return strings.TrimRight("s3:"+s.Bucket+"/"+s.Prefix, "/") }

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// Put writes an object. The store shows it whole or not at all.
func (s *S3) Put(ctx context.Context, file, contentType string, data []byte) error {
	creds, err := s.Credentials()
	if err != nil {
		return fmt.Errorf("get the keys: %w", err)
	}
	key := strings.TrimLeft(s.Prefix+"/"+file, "/")
	target := *s.base
	target.RawPath = target.EscapedPath() + "/" + escape(s.Bucket) + "/" + escape(key)
	target.Path += "/" + s.Bucket + "/" + key
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target.String(), bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	sum := sha256.Sum256(data)
	req.Header.Set("Content-Type", contentType)
	sign(req, hex.EncodeToString(sum[:]), creds, s.Region, s.Now())
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", s.base.Host, err)
	}
	defer resp.Body.Close()
	body, err := httpclient.ReadBody(resp.Body, maxAnswer)
	if resp.StatusCode/100 == 2 {
		if err != nil {
			return fmt.Errorf("the answer of %s was cut off: %w", s.base.Host, err)
		}
		return nil
	}
	return refusal(s.base.Host, resp, body, creds)
}

// refusal says why a store did not take an object.
func refusal(host string, resp *http.Response, body []byte, creds Credentials) error {
	var said struct {
		Code    string
		Message string
		Region  string
	}
	_ = xml.Unmarshal(body, &said)
	words := strings.TrimSpace(said.Code + " " + said.Message)
	if words == "" {
		words = string(body)
	}
	words = httpclient.Clean(httpclient.Redact(words, creds.SecretKey.Reveal(), creds.SessionToken.Reveal()), 300)
	hint := ""
	switch {
	case said.Code == "NoSuchBucket":
		hint = "; check --evidence-s3-bucket"
	case said.Code == "SignatureDoesNotMatch", said.Code == "InvalidAccessKeyId", said.Code == "ExpiredToken":
		hint = "; check the keys"
	case said.Code == "RequestTimeTooSkewed":
		hint = "; this machine's clock is wrong"
	case said.Code == "AuthorizationHeaderMalformed", said.Region != "", resp.StatusCode == http.StatusMovedPermanently, resp.StatusCode == http.StatusTemporaryRedirect:
		hint = "; check --evidence-s3-region and --evidence-s3-endpoint"
	case resp.StatusCode == http.StatusForbidden:
		hint = "; the keys must allow s3:PutObject"
	}
	return fmt.Errorf("%s answered %s: %s%s", host, resp.Status, words, hint)
}
