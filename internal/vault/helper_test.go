// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"

	"sluice.dev/sluice/internal/vault"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

// A backend is a Vault that may be set up: ours, or a real one.
type backend struct {
	url, root string
	ca        []byte
	server    *vaulttest.Server // nil for a real one
}

func ours(t *testing.T, o vaulttest.Options) backend {
	t.Helper()
	s := vaulttest.New(o)
	t.Cleanup(s.Close)
	return backend{url: s.URL(), root: s.RootToken(), ca: s.CA(), server: s}
}

// A bench is a Vault that is set up: a store, a policy, roles, and an API server
// that says whose token one is.
type bench struct {
	*testing.T
	backend
	store, mount string
	cluster      *reviewer
	clock        *clock
	log          *log
	namespace    string
}

// A clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A log keeps what was logged.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, args)
	}, funcr.Options{Verbosity: 10})
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func (l *log) logins() int { return strings.Count(l.text(), "logged in to Vault") }

// newBench sets a backend up through its API only.
func newBench(t *testing.T, b backend) *bench {
	t.Helper()
	id := make([]byte, 4)
	_, _ = rand.Read(id)
	name := fmt.Sprintf("sluice-test-%x", id)
	be := &bench{T: t, backend: b, store: name + "-kv", mount: name + "-k8s", cluster: newReviewer(t), clock: &clock{now: time.Now()}, log: &log{}}
	be.setUp()
	return be
}

func (b *bench) setUp() {
	b.admin("POST", "sys/mounts/"+b.store, map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	b.admin("POST", "sys/auth/"+b.mount, map[string]any{"type": "kubernetes"})
	b.admin("POST", "sys/policies/acl/"+b.store, map[string]any{"policy": fmt.Sprintf(`path "%s/data/sluice/*" { capabilities = ["read"] }`, b.store)})
	b.Cleanup(func() {
		if b.server != nil {
			return // it goes with all that it holds
		}
		b.admin("DELETE", "sys/auth/"+b.mount, nil)
		b.admin("DELETE", "sys/mounts/"+b.store, nil)
		b.admin("DELETE", "sys/policies/acl/"+b.store, nil)
	})
	b.admin("POST", "auth/"+b.mount+"/config", map[string]any{
		"kubernetes_host": b.cluster.url, "kubernetes_ca_cert": b.cluster.ca, "token_reviewer_jwt": b.cluster.reviewer, "disable_local_ca_jwt": true,
	})
	role := map[string]any{
		"bound_service_account_names": []string{"sluice"}, "bound_service_account_namespaces": []string{"argo-rollouts"},
		"token_policies": []string{b.store}, "token_ttl": "1h", "token_max_ttl": "3h",
	}
	b.admin("POST", "auth/"+b.mount+"/role/sluice", role)
	role["audience"] = "vault"
	b.admin("POST", "auth/"+b.mount+"/role/audience", role)
	delete(role, "audience")
	role["token_ttl"], role["token_max_ttl"] = "2s", "2s"
	b.admin("POST", "auth/"+b.mount+"/role/brief", role)
	role["token_ttl"], role["token_max_ttl"], role["token_type"] = "1h", "1h", "batch"
	b.admin("POST", "auth/"+b.mount+"/role/batch", role)
}

// admin asks with the root token, and fails the test when that is refused.
func (b *bench) admin(method, path string, body any) map[string]any {
	b.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	if body == nil {
		data = nil
	}
	req, err := http.NewRequest(method, b.url+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", b.root)
	if b.namespace != "" {
		req.Header.Set("X-Vault-Namespace", b.namespace)
	}
	client := &http.Client{Transport: trusting(b.ca)}
	resp, err := client.Do(req)
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&out) // an answer without a body is one too
	if resp.StatusCode >= 300 {
		b.Fatalf("%s %s: %s %v", method, path, resp.Status, out)
	}
	return out
}

// put writes keys below sluice/ and returns their path.
func (b *bench) put(name string, fields map[string]any) string {
	b.Helper()
	path := b.store + "/data/sluice/" + name
	b.admin("POST", path, map[string]any{"data": fields})
	return path
}

// client returns a client that trusts the backend, allowed to read everything
// below sluice/.
func (b *bench) client(change ...func(*vault.Config)) *vault.Client {
	b.Helper()
	c := vault.Config{
		Address: b.url, AuthMount: b.mount, Role: "sluice", Namespace: b.namespace,
		TokenFile: b.file("token", b.cluster.token("argo-rollouts", "sluice")),
		Allow:     []string{b.store + "/data/sluice/{{namespace}}/*", b.store + "/data/sluice/shared", b.store + "/data/hidden/*"},
		Timeout:   30 * time.Second, Now: b.clock.Now, Log: b.log.logger(),
	}
	if b.ca != nil {
		c.CAFile = b.file("ca.pem", string(b.ca))
	}
	for _, f := range change {
		f(&c)
	}
	client, err := vault.New(c)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func (b *bench) file(name, text string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// reads expects a field of the secret at path.
func (b *bench) reads(c *vault.Client, path, field, want string) vault.Secret {
	b.Helper()
	s, err := c.Read(b.Context(), "payments", path, "")
	if err != nil {
		b.Fatalf("read %s: %v", path, err)
	}
	if got := s.Fields[field].Reveal(); got != want {
		b.Fatalf("read %s: %s is %q, want %q", path, field, got, want)
	}
	return s
}

// fails expects an error of a reason that holds words.
func (b *bench) fails(c *vault.Client, path string, reason vault.Reason, words ...string) *vault.Error {
	b.Helper()
	s, err := c.Read(b.Context(), "payments", path, "")
	var e *vault.Error
	if !errors.As(err, &e) {
		b.Fatalf("read %s: got %v, %v; want a *vault.Error", path, s, err)
	}
	if e.Reason != reason {
		b.Errorf("read %s: reason is %s, want %s: %v", path, e.Reason, reason, err)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			b.Errorf("read %s: %q does not say %q", path, e.Message, w)
		}
	}
	return e
}

// A reviewer is the one endpoint of an API server that Vault asks.
type reviewer struct {
	url, ca, reviewer string
	key               *rsa.PrivateKey

	mu     sync.Mutex
	tokens map[string]authenticationv1.UserInfo
}

func newReviewer(t *testing.T) *reviewer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r := &reviewer{key: key, tokens: map[string]authenticationv1.UserInfo{}}
	s := httptest.NewTLSServer(http.HandlerFunc(r.serve))
	t.Cleanup(s.Close)
	r.url = s.URL
	r.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	r.reviewer = r.token("vault", "vault")
	return r
}

func (r *reviewer) serve(w http.ResponseWriter, req *http.Request) {
	var review authenticationv1.TokenReview
	_ = json.NewDecoder(req.Body).Decode(&review) // an empty one is nobody's
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || req.Header.Get("Authorization") != "Bearer "+r.reviewer {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	user, ok := r.tokens[review.Spec.Token]
	if ok && len(review.Spec.Audiences) == 0 {
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: user}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review)
}

// token makes a token of a ServiceAccount that the reviewer knows.
func (r *reviewer) token(namespace, name string) string {
	part := func(v any) string {
		data, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	uid := fmt.Sprintf("uid-of-%s-%s", namespace, name)
	text := part(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:" + namespace + ":" + name, "exp": time.Now().Add(24 * time.Hour).Unix(),
		"iat": time.Now().Unix(), "jti": rand.Text(),
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": name, "uid": uid}},
	})
	sum := sha256.Sum256([]byte(text))
	sig, _ := rsa.SignPKCS1v15(rand.Reader, r.key, crypto.SHA256, sum[:])
	text += "." + base64.RawURLEncoding.EncodeToString(sig)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens[text] = authenticationv1.UserInfo{Username: "system:serviceaccount:" + namespace + ":" + name, UID: uid, Groups: []string{"system:serviceaccounts"}}
	return text
}

// revoke makes the reviewer know a token no more.
func (r *reviewer) revoke(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tokens, token)
}

// ca2 is a certificate of nobody that is asked.
func (r *reviewer) ca2() string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, &r.key.PublicKey, r.key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
