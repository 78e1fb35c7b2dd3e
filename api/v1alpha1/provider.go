// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MetricProvider is where measurements come from. Exactly one field is set.
type MetricProvider struct {
	// prometheus asks a Prometheus server.
	// +optional
	Prometheus *PrometheusMetric `json:"prometheus,omitempty"`
	// kayenta asks Kayenta for a score.
	// +optional
	Kayenta *KayentaMetric `json:"kayenta,omitempty"`
	// web asks any HTTP server that answers with JSON.
	// +optional
	Web *WebMetric `json:"web,omitempty"`
	// datadog asks Datadog.
	// +optional
	Datadog *DatadogMetric `json:"datadog,omitempty"`
	// wavefront asks Wavefront.
	// +optional
	Wavefront *WavefrontMetric `json:"wavefront,omitempty"`
	// newRelic asks New Relic.
	// +optional
	NewRelic *NewRelicMetric `json:"newRelic,omitempty"`
	// job runs a Job; its success is the measurement.
	// +optional
	Job *JobMetric `json:"job,omitempty"`
	// cloudWatch asks AWS CloudWatch.
	// +optional
	CloudWatch *CloudWatchMetric `json:"cloudWatch,omitempty"`
	// graphite asks Graphite.
	// +optional
	Graphite *GraphiteMetric `json:"graphite,omitempty"`
	// influxdb asks InfluxDB.
	// +optional
	Influxdb *InfluxdbMetric `json:"influxdb,omitempty"`
	// skywalking asks Apache SkyWalking.
	// +optional
	SkyWalking *SkyWalkingMetric `json:"skywalking,omitempty"`
	// plugin holds the settings of a metric plugin, by plugin name.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +optional
	Plugin map[string]json.RawMessage `json:"plugin,omitempty"`
}

// PrometheusMetric is a query to Prometheus.
type PrometheusMetric struct {
	// address of the server, such as http://prometheus.example.com:9090.
	// Default: the controller's ARGO_ROLLOUTS_PROMETHEUS_ADDRESS.
	// +optional
	Address string `json:"address,omitempty"`
	// query in PromQL.
	// +optional
	Query string `json:"query,omitempty"`
	// authentication with the server.
	// +optional
	Authentication Authentication `json:"authentication,omitzero"`
	// timeout of the query, in seconds. Default 30.
	// +optional
	Timeout *int64 `json:"timeout,omitempty"`
	// insecure accepts any TLS certificate. Default false.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
	// headers to send.
	// +optional
	Headers []WebMetricHeader `json:"headers,omitempty"`
	// rangeQuery asks for a range instead of an instant.
	// +optional
	RangeQuery *PrometheusRangeQueryArgs `json:"rangeQuery,omitempty"`
}

// PrometheusRangeQueryArgs is the range of a range query.
type PrometheusRangeQueryArgs struct {
	// start of the range: an expr-lang expression for a time, such as
	// now() - duration("1h").
	// +optional
	Start string `json:"start,omitempty"`
	// end of the range: an expr-lang expression for a time.
	// +optional
	End string `json:"end,omitempty"`
	// step between the points of the range, such as "1m".
	// +optional
	Step string `json:"step,omitempty"`
}

// Authentication with a server: at most one of the two.
type Authentication struct {
	// sigv4 signs requests for AWS.
	// +optional
	Sigv4 Sigv4Config `json:"sigv4,omitzero"`
	// oauth2 fetches a token by client credentials.
	// +optional
	OAuth2 OAuth2Config `json:"oauth2,omitzero"`
}

// Sigv4Config signs requests for AWS.
type Sigv4Config struct {
	// region to sign for.
	// +optional
	Region string `json:"region,omitempty"`
	// profile of the shared AWS configuration to use.
	// +optional
	Profile string `json:"profile,omitempty"`
	// roleArn is the role to assume.
	// +optional
	RoleARN string `json:"roleArn,omitempty"`
}

// OAuth2Config fetches a token by client credentials.
type OAuth2Config struct {
	// tokenUrl is where the token is fetched.
	// +optional
	TokenURL string `json:"tokenUrl,omitempty"`
	// clientId of the client.
	// +optional
	ClientID string `json:"clientId,omitempty"`
	// clientSecret of the client; take it from an argument with secretKeyRef.
	// +optional
	ClientSecret string `json:"clientSecret,omitempty"`
	// scopes to ask for.
	// +optional
	Scopes []string `json:"scopes,omitempty"`
}

// WebMetric is a request to any HTTP server.
type WebMetric struct {
	// method is GET, POST or PUT. Default GET.
	// +optional
	Method WebMetricMethod `json:"method,omitempty"`
	// url to ask.
	URL string `json:"url"`
	// headers to send.
	// +optional
	Headers []WebMetricHeader `json:"headers,omitempty"`
	// body to send. Not together with jsonBody.
	// +optional
	Body string `json:"body,omitempty"`
	// timeoutSeconds of the request. Default 10.
	// +optional
	TimeoutSeconds int64 `json:"timeoutSeconds,omitempty"`
	// jsonPath picks the result out of the answer, such as "{$.data.ok}".
	// Default: all of it.
	// +optional
	JSONPath string `json:"jsonPath,omitempty"`
	// insecure accepts any TLS certificate. Default false.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
	// jsonBody is sent as JSON. Not together with body.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +optional
	JSONBody json.RawMessage `json:"jsonBody,omitempty"`
	// authentication with the server.
	// +optional
	Authentication Authentication `json:"authentication,omitzero"`
}

// WebMetricMethod is an HTTP method.
type WebMetricMethod string

// The HTTP methods that the web provider uses.
const (
	WebMetricMethodGet  WebMetricMethod = "GET"
	WebMetricMethodPost WebMetricMethod = "POST"
	WebMetricMethodPut  WebMetricMethod = "PUT"
)

// WebMetricHeader is an HTTP header.
type WebMetricHeader struct {
	// key is the header's name.
	Key string `json:"key"`
	// value of the header.
	Value string `json:"value"`
}

// DatadogMetric is a query to Datadog.
type DatadogMetric struct {
	// interval is how far the query looks back, such as "5m". Default 5m.
	// +kubebuilder:default="5m"
	// +optional
	Interval DurationString `json:"interval,omitempty"`
	// query to run. Exactly one of query and queries is set.
	// +optional
	Query string `json:"query,omitempty"`
	// queries to run, by the name that formula uses. Only with apiVersion v2.
	// +optional
	Queries map[string]string `json:"queries,omitempty"`
	// formula over the names of queries, such as "errors / hits". Needed with
	// more than one query.
	// +optional
	Formula string `json:"formula,omitempty"`
	// apiVersion of Datadog's API: v1 or v2. Default v1.
	// +kubebuilder:validation:Enum=v1;v2
	// +kubebuilder:default=v1
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// aggregator reduces each series to one number. Only with apiVersion v2.
	// Default last.
	// +kubebuilder:validation:Enum=avg;min;max;sum;last;percentile;mean;l2norm;area
	// +optional
	Aggregator string `json:"aggregator,omitempty"`
	// secretRef is where the site's address and keys are. Default: the path in
	// Vault that the controller was given or, without one, the Secret datadog in
	// the controller's namespace.
	// +optional
	SecretRef SecretRef `json:"secretRef,omitzero"`
	// requestTimeout of the request, such as "10s". Default 10s.
	// +optional
	RequestTimeout DurationString `json:"requestTimeout,omitempty"`
}

// SecretRef names a Secret, or a secret in Vault.
type SecretRef struct {
	// name of the Secret.
	// +optional
	Name string `json:"name,omitempty"`
	// namespaced looks for it in the run's namespace instead of the
	// controller's. Default false.
	// +optional
	Namespaced bool `json:"namespaced,omitempty"`
	// vault is a secret in Vault, instead of a Secret. Not together with name.
	// +optional
	Vault *VaultSecret `json:"vault,omitempty"`
}

// VaultSecret names a secret in a key-value store, version 2, of the Vault that
// the controller's administrator chose. Where Vault is, who the controller is
// there, and which paths may be named is not the template's to say.
type VaultSecret struct {
	// path of the secret as Vault's policies write it: MOUNT/data/NAME, such as
	// secret/data/sluice/payments/datadog. The administrator must have allowed
	// it for the run's namespace.
	Path string `json:"path"`
	// keys are the names that the secret has for what the provider needs, such
	// as apiKey: datadog-api-key. What is left out is looked for as in a Secret.
	// +optional
	Keys map[string]string `json:"keys,omitempty"`
}

// JobMetric is a Job to run.
type JobMetric struct {
	// metadata of the Job: its labels and annotations.
	// +optional
	Metadata metav1.ObjectMeta `json:"metadata,omitzero"`
	// spec of the Job.
	Spec batchv1.JobSpec `json:"spec"`
}
