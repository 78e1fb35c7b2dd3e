// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/metric/datadog"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/secret"
)

// A store is a metric.KeyStore: versions of one account, of which the newest is
// given out only when the one before was refused.
type store struct {
	mu       sync.Mutex
	versions []map[string]string
	at       int
	stale    string
	err      error
	serves   bool
	asked    []metric.KeyRequest
}

func (s *store) Serves(provider string) bool { return s.serves && provider == "datadog" }

func (s *store) Read(_ context.Context, r metric.KeyRequest) (metric.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	if s.err != nil {
		return metric.Keys{}, s.err
	}
	if r.Refused == strconv.Itoa(s.at) && s.at < len(s.versions)-1 {
		s.at++
	}
	keys := metric.Keys{Origin: "Vault path x", Version: strconv.Itoa(s.at), Stale: s.stale, Fields: map[string]secret.Text{}}
	for name, value := range s.versions[s.at] {
		keys.Fields[name] = secret.New(value)
	}
	return keys, nil
}

func measure(t *testing.T, env metric.Env, ref v1alpha1.SecretRef) (metric.Reading, error) {
	t.Helper()
	env.RunNamespace, env.ControllerNamespace = "payments", "argo-rollouts"
	return open(t, env, v1alpha1.DatadogMetric{APIVersion: "v2", Query: "p99:latency{*}", SecretRef: ref}).Measure(t.Context(), now)
}

func TestKeysFromAStore(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Distribution("latency", nil, now.Add(ago), 42)
	type m = map[string]string
	account := func(app string) m { return m{"address": s.URL(), "api-key": apiKey, "app-key": app} }
	inVault := v1alpha1.SecretRef{Vault: &v1alpha1.VaultSecret{Path: "secret/data/sluice/payments/dd"}}
	renamed := v1alpha1.SecretRef{Vault: &v1alpha1.VaultSecret{Path: "secret/data/sluice/payments/dd", Keys: m{"apiKey": "one", "appKey": "two", "address": "site"}}}
	own := metric.KeyRequest{Provider: "datadog"}
	named := metric.KeyRequest{Path: "secret/data/sluice/payments/dd", Namespace: "payments"}
	for name, tc := range map[string]struct {
		fields  m
		serves  bool
		none    bool
		env     m
		ref     v1alpha1.SecretRef
		wantApp string
		want    string
		asked   []metric.KeyRequest
	}{
		"the administrator's path, instead of the Secret": {fields: account("own"), serves: true, wantApp: "own", asked: []metric.KeyRequest{own}},
		"no path of the administrator's, so the Secret":   {fields: account("own"), wantApp: "of-the-secret"},
		"the environment comes before it": {
			fields: account("own"), serves: true, env: m{"DD_API_KEY": apiKey, "DD_APP_KEY": "env", "DD_ADDRESS": s.URL()}, wantApp: "env",
		},
		"a Secret that is named comes before it": {fields: account("own"), serves: true, ref: v1alpha1.SecretRef{Name: "datadog"}, wantApp: "of-the-secret"},
		"a path that the metric names": {
			fields: account("named"), serves: true, env: m{"DD_API_KEY": apiKey, "DD_APP_KEY": "env", "DD_ADDRESS": s.URL()}, ref: inVault,
			wantApp: "named", asked: []metric.KeyRequest{named},
		},
		"fields that the metric names": {
			fields: m{"one": apiKey, "two": "renamed", "site": s.URL(), "app-key": "not this"}, ref: renamed, wantApp: "renamed", asked: []metric.KeyRequest{named},
		},
		"a site that is not in the store": {
			fields: m{"apiKey": apiKey, "appKey": "sited"}, env: m{"DD_ADDRESS": s.URL()}, ref: inVault, wantApp: "sited", asked: []metric.KeyRequest{named},
		},
		"no store":            {none: true, ref: inVault, want: "this controller knows no Vault"},
		"no key in it":        {fields: m{"api-key": apiKey}, ref: inVault, want: `Vault path x has no key "app-key" (or "appKey"); Datadog needs both`, asked: []metric.KeyRequest{named}},
		"no key of that name": {fields: account("a"), ref: renamed, want: `has no key "one" and key "two"; Datadog needs both`, asked: []metric.KeyRequest{named}},
		"both places":         {ref: v1alpha1.SecretRef{Name: "a", Vault: inVault.Vault}, want: "secretRef.vault and secretRef.name exclude each other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := holding(account("of-the-secret"))
			env.Getenv = func(k string) string { return tc.env[k] }
			st := &store{versions: []m{tc.fields}, serves: tc.serves}
			if !tc.none {
				env.Keys = st
			}
			if name == "both places" {
				_, err := metric.NewRegistry(datadog.Provider).Open(env, "datadog", &v1alpha1.DatadogMetric{Query: "a", SecretRef: tc.ref})
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				return
			}
			r, err := measure(t, env, tc.ref)
			if tc.want != "" {
				var me *metric.Error
				if !errors.As(err, &me) || me.Class != metric.Misconfigured || !strings.Contains(me.Message, tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			} else if err != nil || r.Value != 42.0 || !askedWith(s, tc.wantApp) {
				t.Errorf("got %+v, %v; want a reading with the application key %q", r, err, tc.wantApp)
			}
			if diff := cmp.Diff(tc.asked, st.asked); diff != "" {
				t.Errorf("the store was asked for -want +got:\n%s", diff)
			}
		})
	}
}

func TestKeysThatWereRotatedInTheStore(t *testing.T) {
	t.Parallel()
	type m = map[string]string
	for name, tc := range map[string]struct {
		versions []m
		accepted datadogtest.Keys
		asked    []string // versions that were refused
		queries  int
		denied   bool
	}{
		"the first are good":        {[]m{{"api-key": "a1", "app-key": "p1"}}, datadogtest.Keys{API: "a1", App: "p1"}, []string{""}, 1, false},
		"the second are good":       {[]m{{"api-key": "a1", "app-key": "p1"}, {"api-key": "a2", "app-key": "p2"}}, datadogtest.Keys{API: "a2", App: "p2"}, []string{"", "0"}, 2, false},
		"there are no newer ones":   {[]m{{"api-key": "a1", "app-key": "p1"}}, datadogtest.Keys{API: "a2", App: "p2"}, []string{"", "0"}, 1, true},
		"the newer are bad as well": {[]m{{"api-key": "a1", "app-key": "p1"}, {"api-key": "a2", "app-key": "p2"}, {"api-key": "a3", "app-key": "p3"}}, datadogtest.Keys{API: "a3", App: "p3"}, []string{"", "0"}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.Distribution("latency", nil, now.Add(ago), 42)
			s.SetKeys(tc.accepted)
			for _, v := range tc.versions {
				v["address"] = s.URL()
			}
			st := &store{versions: tc.versions, serves: true}
			r, err := measure(t, metric.Env{Keys: st}, v1alpha1.SecretRef{})
			var me *metric.Error
			if tc.denied && (!errors.As(err, &me) || me.Class != metric.Unauthorized || !strings.Contains(me.Message, "Vault path x")) || !tc.denied && (err != nil || r.Value != 42.0) {
				t.Errorf("got %+v, %v", r, err)
			}
			var asked []string
			for _, q := range st.asked {
				asked = append(asked, q.Refused)
			}
			if diff := cmp.Diff(tc.asked, asked); diff != "" || len(s.Requests()) != tc.queries {
				t.Errorf("%d queries, want %d; the store was asked -want +got:\n%s", len(s.Requests()), tc.queries, diff)
			}
		})
	}
}

func TestOldKeysAreSaidToBeOld(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Distribution("latency", nil, now.Add(ago), 42)
	st := &store{versions: []map[string]string{{"address": s.URL(), "api-key": apiKey, "app-key": appKey}}, serves: true, stale: "Vault is sealed"}
	r, err := measure(t, metric.Env{Keys: st}, v1alpha1.SecretRef{})
	if err != nil || r.Notes["keys"] != "the last good ones: Vault is sealed" {
		t.Errorf("got %+v, %v", r, err)
	}
	st.err = metric.Errorf(metric.Unavailable, "Vault is gone")
	if _, err = measure(t, metric.Env{Keys: st}, v1alpha1.SecretRef{}); !errors.Is(err, st.err) {
		t.Errorf("got %v, want the store's own error", err)
	}
}
