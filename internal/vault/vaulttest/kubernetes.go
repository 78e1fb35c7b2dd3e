// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubernetes is the Kubernetes auth method at one mount.
type kubernetes struct {
	mount    string
	host     string
	ca       string
	reviewer string
	roles    map[string]role
}

type role struct {
	names, namespaces []string
	audience          string
	policies          []string
	ttl, max          time.Duration
	batch             bool
}

// configure answers /config and /role/NAME, for administrators.
func (k *kubernetes) configure(c *call, path string) (any, error) {
	if c.method != http.MethodPost {
		return nil, refuse(http.StatusMethodNotAllowed, "unsupported operation")
	}
	if path == "config" {
		if k.host = strings.TrimRight(c.text("kubernetes_host"), "/"); k.host == "" {
			return nil, refuse(http.StatusBadRequest, "no host provided")
		}
		k.ca, k.reviewer = c.text("kubernetes_ca_cert"), c.text("token_reviewer_jwt")
		return nil, nil
	}
	name, ok := strings.CutPrefix(path, "role/")
	if !ok {
		return nil, refuse(http.StatusNotFound, "unsupported path")
	}
	r := role{
		names: list(c.body["bound_service_account_names"]), namespaces: list(c.body["bound_service_account_namespaces"]),
		audience: c.text("audience"), policies: append([]string{"default"}, list(c.body["token_policies"])...),
		batch: c.text("token_type") == "batch",
	}
	var err error
	if r.ttl, err = span(c.body["token_ttl"], 768*time.Hour); err != nil {
		return nil, err
	}
	if r.max, err = span(c.body["token_max_ttl"], 0); err != nil {
		return nil, err
	}
	switch {
	case len(r.names) == 0:
		return nil, refuse(http.StatusBadRequest, "\"bound_service_account_names\" can not be empty")
	case len(r.namespaces) == 0:
		return nil, refuse(http.StatusBadRequest, "\"bound_service_account_namespaces\" can not be empty if \"bound_service_account_namespace_selector\" is not set")
	}
	k.roles[name] = r
	return nil, nil
}

// list reads what Vault takes as a list or as words with commas between.
func list(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w != "" {
				out = append(out, w)
			}
		}
	case []any:
		for _, w := range v {
			out = append(out, fmt.Sprint(w))
		}
	}
	return out
}

// span reads what Vault takes as seconds or as a duration.
func span(v any, unset time.Duration) (time.Duration, error) {
	switch v := v.(type) {
	case float64:
		return time.Duration(v) * time.Second, nil
	case string:
		if d, err := time.ParseDuration(v); err == nil {
			return d, nil
		}
		return 0, refuse(http.StatusBadRequest, "error converting input for field: time: invalid duration")
	}
	return unset, nil
}

// login answers /login.
func (s *core) login(c *call, k *kubernetes) (any, error) {
	if c.method != http.MethodPost {
		return nil, refuse(http.StatusMethodNotAllowed, "unsupported operation")
	}
	name, jwt := c.text("role"), c.text("jwt")
	switch {
	case jwt == "":
		return nil, refuse(http.StatusBadRequest, "missing jwt")
	case name == "":
		return nil, refuse(http.StatusBadRequest, "missing role")
	}
	s.mu.Lock()
	r, ok := k.roles[name]
	method := *k
	s.mu.Unlock()
	switch {
	case !ok:
		return nil, refuse(http.StatusBadRequest, fmt.Sprintf("invalid role name %q", name))
	case strings.Count(jwt, ".") != 2:
		return nil, refuse(http.StatusForbidden, "permission denied")
	}
	namespace, account, err := method.review(c, jwt, r.audience)
	if err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(r.namespaces, namespace) && !slices.Contains(r.namespaces, "*"):
		return nil, refuse(http.StatusForbidden, "namespace not authorized")
	case !slices.Contains(r.names, account) && !slices.Contains(r.names, "*"):
		return nil, refuse(http.StatusForbidden, "service account name not authorized")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.issue(token{space: c.space, policies: r.policies, ttl: r.ttl, max: r.max, renewable: !r.batch, by: "auth/" + k.mount + "/login"})
	return envelope(map[string]any{"auth": t.auth(s.now())}), nil
}

// review has the API server say whose token it is.
func (k *kubernetes) review(c *call, jwt, audience string) (namespace, name string, err error) {
	if k.host == "" {
		return "", "", refuse(http.StatusInternalServerError, "could not load backend configuration")
	}
	review := authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: jwt},
	}
	if audience != "" {
		review.Spec.Audiences = []string{audience}
	}
	bearer := k.reviewer
	if bearer == "" {
		bearer = jwt // as Vault does when it has no token of its own
	}
	status, err := k.post(c, review, bearer)
	switch {
	case err != nil:
		return "", "", refuse(http.StatusInternalServerError, err.Error())
	case !status.Authenticated:
		return "", "", refuse(http.StatusForbidden, "lookup failed: service account unauthorized; this could mean it has been deleted or recreated with a new token")
	}
	parts := strings.Split(status.User.Username, ":")
	if len(parts) != 4 || parts[1] != "serviceaccount" {
		return "", "", refuse(http.StatusForbidden, "lookup failed: username returned is not a service account")
	}
	return parts[2], parts[3], nil
}

func (k *kubernetes) post(c *call, review authenticationv1.TokenReview, bearer string) (*authenticationv1.TokenReviewStatus, error) {
	ctx, cancel := patient(c.Request)
	defer cancel()
	body, err := json.Marshal(review)
	if err != nil {
		return nil, fmt.Errorf("vaulttest: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.host+"/apis/authentication.k8s.io/v1/tokenreviews", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("vaulttest: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+bearer)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(k.ca))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("vaulttest: review the token: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("vaulttest: review the token: the API server answered %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&review); err != nil {
		return nil, fmt.Errorf("vaulttest: review the token: %w", err)
	}
	return &review.Status, nil
}
