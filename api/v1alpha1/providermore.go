// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// KayentaMetric is a canary analysis by Kayenta.
type KayentaMetric struct {
	// address of the server.
	Address string `json:"address"`
	// application name in Kayenta.
	Application string `json:"application"`
	// canaryConfigName is the canary configuration to use.
	CanaryConfigName string `json:"canaryConfigName"`
	// metricsAccountName is the account that metrics are read with.
	MetricsAccountName string `json:"metricsAccountName"`
	// configurationAccountName is the account that the configuration is kept in.
	ConfigurationAccountName string `json:"configurationAccountName"`
	// storageAccountName is the account that results are kept in.
	StorageAccountName string `json:"storageAccountName"`
	// threshold that the score is held against.
	Threshold KayentaThreshold `json:"threshold"`
	// scopes that are compared.
	Scopes []KayentaScope `json:"scopes"`
	// lookback judges from the beginning each time. Default false.
	// +optional
	Lookback bool `json:"lookback,omitempty"`
}

// KayentaThreshold is what a score of 0 to 100 is held against.
type KayentaThreshold struct {
	// pass is the score from which a measurement is Successful.
	Pass int64 `json:"pass"`
	// marginal is the score from which it is Inconclusive and not Failed.
	Marginal int64 `json:"marginal"`
}

// KayentaScope is a pair of scopes that are compared.
type KayentaScope struct {
	// name of the scope.
	Name string `json:"name"`
	// controlScope is the stable version.
	ControlScope ScopeDetail `json:"controlScope"`
	// experimentScope is the new version.
	ExperimentScope ScopeDetail `json:"experimentScope"`
}

// ScopeDetail is one side of a comparison.
type ScopeDetail struct {
	// scope is the name of what is looked at.
	Scope string `json:"scope"`
	// region it is in.
	Region string `json:"region"`
	// step between points, in seconds.
	Step int64 `json:"step"`
	// start of the period, as RFC 3339.
	// +optional
	Start string `json:"start,omitempty"`
	// end of the period, as RFC 3339.
	// +optional
	End string `json:"end,omitempty"`
}

// WavefrontMetric is a query to Wavefront.
type WavefrontMetric struct {
	// address of the server, without a scheme.
	// +optional
	Address string `json:"address,omitempty"`
	// query to run.
	// +optional
	Query string `json:"query,omitempty"`
}

// NewRelicMetric is a query to New Relic.
type NewRelicMetric struct {
	// profile is the Secret with the credentials. Default newrelic.
	// +optional
	Profile string `json:"profile,omitempty"`
	// query in NRQL.
	Query string `json:"query"`
	// timeout of the query, in seconds. Default 5.
	// +optional
	Timeout *int64 `json:"timeout,omitempty"`
}

// CloudWatchMetric is a query to AWS CloudWatch.
type CloudWatchMetric struct {
	// interval is how far the query looks back, such as "5m". Default 5m.
	// +optional
	Interval DurationString `json:"interval,omitempty"`
	// metricDataQueries are what is asked in one call.
	MetricDataQueries []CloudWatchMetricDataQuery `json:"metricDataQueries"`
}

// CloudWatchMetricDataQuery is one query of a call: an expression or a
// statistic.
type CloudWatchMetricDataQuery struct {
	// id that other expressions use.
	// +optional
	ID string `json:"id,omitempty"`
	// expression over other queries.
	// +optional
	Expression *string `json:"expression,omitempty"`
	// label for people.
	// +optional
	Label *string `json:"label,omitempty"`
	// metricStat is the statistic to fetch.
	// +optional
	MetricStat *CloudWatchMetricStat `json:"metricStat,omitempty"`
	// period of the points, in seconds.
	// +optional
	Period *intstr.IntOrString `json:"period,omitempty"`
	// returnData says whether this query's points are the result.
	// +optional
	ReturnData *bool `json:"returnData,omitempty"`
}

// CloudWatchMetricStat is a statistic of a metric.
type CloudWatchMetricStat struct {
	// metric to look at.
	// +optional
	Metric CloudWatchMetricStatMetric `json:"metric,omitzero"`
	// period of the points, in seconds.
	// +optional
	Period intstr.IntOrString `json:"period,omitempty"`
	// stat such as Sum or p99.
	// +optional
	Stat string `json:"stat,omitempty"`
	// unit to filter by.
	// +optional
	Unit string `json:"unit,omitempty"`
}

// CloudWatchMetricStatMetric names a metric.
type CloudWatchMetricStatMetric struct {
	// dimensions to filter by.
	// +optional
	Dimensions []CloudWatchMetricStatMetricDimension `json:"dimensions,omitempty"`
	// metricName in its namespace.
	// +optional
	MetricName string `json:"metricName,omitempty"`
	// namespace of the metric.
	// +optional
	Namespace *string `json:"namespace,omitempty"`
}

// CloudWatchMetricStatMetricDimension is a dimension to filter by.
type CloudWatchMetricStatMetricDimension struct {
	// name of the dimension.
	// +optional
	Name string `json:"name,omitempty"`
	// value it must have.
	// +optional
	Value string `json:"value,omitempty"`
}

// GraphiteMetric is a query to Graphite.
type GraphiteMetric struct {
	// address of the server.
	// +optional
	Address string `json:"address,omitempty"`
	// query to run.
	// +optional
	Query string `json:"query,omitempty"`
}

// InfluxdbMetric is a query to InfluxDB.
type InfluxdbMetric struct {
	// profile is the Secret with the credentials. Default influxdb.
	// +optional
	Profile string `json:"profile,omitempty"`
	// query in Flux.
	// +optional
	Query string `json:"query,omitempty"`
}

// SkyWalkingMetric is a query to Apache SkyWalking.
type SkyWalkingMetric struct {
	// address of the server.
	// +optional
	Address string `json:"address,omitempty"`
	// query in GraphQL.
	// +optional
	Query string `json:"query,omitempty"`
	// interval is how far the query looks back, such as "5m". Default 5m.
	// +optional
	Interval DurationString `json:"interval,omitempty"`
}
