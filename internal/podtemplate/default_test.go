// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/internal/podtemplate"
)

// baseline is what every pod and every container gets; the cases below leave
// it out.
var baseline = map[string]any{
	"restartPolicy":                 "Always",
	"dnsPolicy":                     "ClusterFirst",
	"schedulerName":                 "default-scheduler",
	"terminationGracePeriodSeconds": 30.0,
	"securityContext":               "{}",
	"terminationMessagePath":        "/dev/termination-log",
	"terminationMessagePolicy":      "File",
	"imagePullPolicy":               "Always",
}

// probed is what every probe gets.
func probed(path string, more map[string]any) map[string]any {
	out := map[string]any{
		path + ".timeoutSeconds":   1.0,
		path + ".periodSeconds":    10.0,
		path + ".successThreshold": 1.0,
		path + ".failureThreshold": 3.0,
	}
	for k, v := range more {
		out[path+"."+k] = v
	}
	return out
}

// A case gives the fields of a pod spec as YAML, and every field that is other
// after defaulting, by its path.
func TestDefault(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   string
		want map[string]any
	}{
		"an empty pod gets nothing else": {in: "{}"},
		"what is set stays": {
			in: "{restartPolicy: Never, dnsPolicy: None, schedulerName: s, securityContext: {runAsUser: 1}, terminationGracePeriodSeconds: 0, " +
				"containers: [{terminationMessagePath: p, terminationMessagePolicy: FallbackToLogsOnError, imagePullPolicy: Never, ports: [{containerPort: 1, protocol: UDP}], " +
				"livenessProbe: {timeoutSeconds: 2, periodSeconds: 3, successThreshold: 4, failureThreshold: 5, httpGet: {path: p, scheme: HTTPS, port: 1}}, " +
				"env: [{name: e, valueFrom: {fieldRef: {fieldPath: p, apiVersion: v2}}}]}], " +
				"volumes: [{name: v, secret: {defaultMode: 0}}, {name: w, azureDisk: {diskName: d, diskURI: u, cachingMode: None, fsType: f, readOnly: true, kind: Managed}}]}",
		},
		"the old service account field names the account": {
			in: "serviceAccount: a", want: map[string]any{"serviceAccountName": "a"},
		},
		"the new service account field wins": {
			in: "{serviceAccount: a, serviceAccountName: b}", want: map[string]any{"serviceAccount": "b"},
		},
		"host networking sets host ports on pods only": {
			in:   "{hostNetwork: true, containers: [{ports: [{containerPort: 1}]}]}",
			want: map[string]any{"containers.0.ports.0.protocol": "TCP"},
		},
		"limits become requests on pods only": {in: "containers: [{resources: {limits: {cpu: '1'}}}]"},
		"quantities finer than a thousandth are rounded up": {
			in: "{overhead: {cpu: 1u}, resources: {requests: {cpu: 1n}, limits: {cpu: 1500u}}, " +
				"containers: [{resources: {requests: {cpu: 1u}, limits: {cpu: 1001u}}}], " +
				"volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {volumeMode: Block, resources: {requests: {storage: 1u}, limits: {storage: 1u}}}}}}]}",
			want: map[string]any{
				"overhead.cpu": "1m", "resources.requests.cpu": "1m", "resources.limits.cpu": "2m",
				"containers.0.resources.requests.cpu": "1m", "containers.0.resources.limits.cpu": "2m",
				"volumes.0.ephemeral.volumeClaimTemplate.spec.resources.requests.storage": "1m",
				"volumes.0.ephemeral.volumeClaimTemplate.spec.resources.limits.storage":   "1m",
			},
		},
		"init and ephemeral containers are containers": {
			in: "{initContainers: [{ports: [{containerPort: 1}]}], ephemeralContainers: [{ports: [{containerPort: 1}]}]}",
			want: map[string]any{
				"initContainers.0.ports.0.protocol":      "TCP",
				"ephemeralContainers.0.ports.0.protocol": "TCP",
			},
		},
		"environment from fields and files": {
			in: "containers: [{env: [{name: a, valueFrom: {fieldRef: {fieldPath: p}}}, {name: b, valueFrom: {fileKeyRef: {key: k, path: p, volumeName: v}}}, {name: c, value: x}, {name: d, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]}]",
			want: map[string]any{
				"containers.0.env.0.valueFrom.fieldRef.apiVersion": "v1",
				"containers.0.env.1.valueFrom.fileKeyRef.optional": false,
			},
		},
		"an HTTP probe": {
			in:   "containers: [{livenessProbe: {httpGet: {port: 1}}}]",
			want: probed("containers.0.livenessProbe", map[string]any{"httpGet.path": "/", "httpGet.scheme": "HTTP"}),
		},
		"a gRPC probe": {
			in:   "containers: [{readinessProbe: {grpc: {port: 1}}}]",
			want: probed("containers.0.readinessProbe", map[string]any{"grpc.service": ""}),
		},
		"a startup probe": {
			in:   "containers: [{startupProbe: {exec: {command: [a]}}}]",
			want: probed("containers.0.startupProbe", nil),
		},
		"lifecycle hooks": {
			in: "containers: [{lifecycle: {postStart: {httpGet: {port: 1}}, preStop: {httpGet: {port: 1}}}}, {lifecycle: {preStop: {sleep: {seconds: 1}}}}]",
			want: map[string]any{
				"containers.0.lifecycle.postStart.httpGet.path": "/", "containers.0.lifecycle.postStart.httpGet.scheme": "HTTP",
				"containers.0.lifecycle.preStop.httpGet.path": "/", "containers.0.lifecycle.preStop.httpGet.scheme": "HTTP",
			},
		},
		"a volume without a source is an empty directory": {
			in: "volumes: [{name: v}]", want: map[string]any{"volumes.0.emptyDir": "{}"},
		},
		"volumes of files": {
			in: "volumes: [{name: a, secret: {}}, {name: b, configMap: {}}, {name: c, hostPath: {path: p}}, {name: d, downwardAPI: {items: [{path: p, fieldRef: {fieldPath: f}}]}}, " +
				"{name: e, projected: {sources: [{downwardAPI: {items: [{path: p, fieldRef: {fieldPath: f}}]}}, {serviceAccountToken: {path: p}}, {secret: {name: s}}]}}]",
			want: map[string]any{
				"volumes.0.secret.defaultMode": 420.0, "volumes.1.configMap.defaultMode": 420.0, "volumes.2.hostPath.type": "",
				"volumes.3.downwardAPI.defaultMode": 420.0, "volumes.3.downwardAPI.items.0.fieldRef.apiVersion": "v1",
				"volumes.4.projected.defaultMode":                                       420.0,
				"volumes.4.projected.sources.0.downwardAPI.items.0.fieldRef.apiVersion": "v1",
				"volumes.4.projected.sources.1.serviceAccountToken.expirationSeconds":   3600.0,
			},
		},
		"volumes of storage systems": {
			in: "volumes: [{name: a, iscsi: {}}, {name: b, rbd: {}}, {name: c, azureDisk: {diskName: d, diskURI: u}}, {name: d, scaleIO: {}}, {name: e, ephemeral: {volumeClaimTemplate: {spec: {}}}}]",
			want: map[string]any{
				"volumes.0.iscsi.iscsiInterface": "default",
				"volumes.1.rbd.pool":             "rbd", "volumes.1.rbd.user": "admin", "volumes.1.rbd.keyring": "/etc/ceph/keyring",
				"volumes.2.azureDisk.cachingMode": "ReadWrite", "volumes.2.azureDisk.fsType": "ext4",
				"volumes.2.azureDisk.readOnly": false, "volumes.2.azureDisk.kind": "Shared",
				"volumes.3.scaleIO.storageMode": "ThinProvisioned", "volumes.3.scaleIO.fsType": "xfs",
				"volumes.4.ephemeral.volumeClaimTemplate.spec.volumeMode": "Filesystem",
			},
		},
		"a volume that is an image": {
			in:   "volumes: [{name: a, image: {reference: 'a:1'}}, {name: b, image: {reference: a}}]",
			want: map[string]any{"volumes.0.image.pullPolicy": "IfNotPresent", "volumes.1.image.pullPolicy": "Always"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var template corev1.PodTemplateSpec
			if err := yaml.UnmarshalStrict([]byte(tc.in), &template.Spec); err != nil {
				t.Fatal(err)
			}
			// Every case's containers have an image without a tag, unless it says so.
			for i := range template.Spec.Containers {
				template.Spec.Containers[i].Image = "app"
			}
			for i := range template.Spec.InitContainers {
				template.Spec.InitContainers[i].Image = "app"
			}
			for i := range template.Spec.EphemeralContainers {
				template.Spec.EphemeralContainers[i].Image = "app"
			}
			before := flat(t, template.Spec)
			podtemplate.Default(&template)
			got := map[string]any{}
			for path, v := range flat(t, template.Spec) {
				last := path[strings.LastIndex(path, ".")+1:]
				if was, ok := before[path]; (!ok || was != v) && baseline[last] != v {
					got[path] = v
				}
			}
			if tc.want == nil {
				tc.want = map[string]any{}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("fields that Default set (-want +got):\n%s", diff)
			}
		})
	}
}

// flat maps the path of each leaf of v to its value; an empty object or list
// is a leaf.
func flat(t testing.TB, v any) map[string]any {
	t.Helper()
	doc, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(doc, &tree); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if len(v) == 0 {
				out[strings.TrimPrefix(path, ".")] = "{}"
			}
			for k, e := range v {
				walk(path+"."+k, e)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s.%d", path, i), e)
			}
		default:
			out[strings.TrimPrefix(path, ".")] = v
		}
	}
	walk("", tree)
	return out
}

func TestPullPolicyFollowsTheImage(t *testing.T) {
	t.Parallel()
	sum := "sha256:" + strings.Repeat("a", 64)
	for image, want := range map[string]corev1.PullPolicy{
		"app":                                "Always",
		"app:latest":                         "Always",
		"team/app":                           "Always",
		"example.org/team/app":               "Always",
		"localhost/app":                      "Always",
		"localhost:5000/app":                 "Always",
		"[::1]:5000/app":                     "Always",
		"Example/app":                        "Always",
		"app:latest@" + sum:                  "Always",
		"index.docker.io/app:latest":         "Always",
		"app:1":                              "IfNotPresent",
		"app:LATEST":                         "IfNotPresent",
		"localhost:5000/app:1":               "IfNotPresent",
		"app@" + sum:                         "IfNotPresent",
		"app:1@" + sum:                       "IfNotPresent",
		"app:latest@sha256:abc":              "IfNotPresent",
		"":                                   "IfNotPresent",
		"App":                                "IfNotPresent",
		"example.org/App":                    "IfNotPresent",
		"app:":                               "IfNotPresent",
		"not an image":                       "IfNotPresent",
		strings.Repeat("a", 64):              "IfNotPresent",
		"x.org/" + strings.Repeat("a", 255):  "Always",
		"x.org/" + strings.Repeat("a", 256):  "IfNotPresent",
		strings.Repeat("a", 256) + ":latest": "IfNotPresent",
	} {
		template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
		podtemplate.Default(template)
		if got := template.Spec.Containers[0].ImagePullPolicy; got != want {
			t.Errorf("pull policy of %q: got %s, want %s", image, got, want)
		}
	}
}
