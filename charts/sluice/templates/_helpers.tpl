{{/* The short name: what a takeover from Argo Rollouts needs is kept, because
     the selector of a Deployment cannot change. */}}
{{- define "sluice.name" -}}
{{- $default := ternary "argo-rollouts" "sluice" (contains "argo-rollouts" .Release.Name) -}}
{{- default $default .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.fullname" -}}
{{- $name := include "sluice.name" . -}}
{{- $long := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $long .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "sluice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.controller.component }}
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selectorLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ regexReplaceAll "@.*|[^a-zA-Z0-9-_.]" (include "sluice.tag" .) "" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: sluice
{{- end -}}

{{- define "sluice.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sluice.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sluice.tag" -}}
{{- default .Chart.AppVersion .Values.controller.image.tag -}}
{{- end -}}

{{- define "sluice.image" -}}
{{- $i := .Values.controller.image -}}
{{- with $i.registry }}{{ . }}/{{ end }}{{ $i.repository }}:{{ include "sluice.tag" . }}
{{- end -}}

{{/* Not empty if the controller works on one namespace only. */}}
{{- define "sluice.namespaced" -}}
{{- if or .Values.namespaced (not .Values.clusterInstall) }}true{{ end -}}
{{- end -}}

{{/* The Lease, which carries the instance that an argument names. */}}
{{- define "sluice.lease" -}}
{{- $given := regexFind "--instance-id[= ][^ ]+" (join " " .Values.controller.extraArgs) -}}
{{- $instance := regexReplaceAll "--instance-id[= ]" $given "" -}}
argo-rollouts-controller-lock{{ with $instance }}-{{ . }}{{ end }}
{{- end -}}

{{/* What cannot be said in the schema in words that help. */}}
{{- define "sluice.check" -}}
{{- if regexMatch "argoproj/(argo-rollouts|kubectl-argo-rollouts)$" .Values.controller.image.repository }}
{{- fail (printf "controller.image.repository is %s, the image of Argo Rollouts, which does not know this chart's flags: remove controller.image from your values, or name the repository of a mirror of sluice" .Values.controller.image.repository) }}
{{- end }}
{{- with .Values.controller.vault }}
{{- if and .address (not .role) }}
{{- fail "controller.vault.role is empty: set it to the role of Vault's Kubernetes auth method that the controller's ServiceAccount is bound to" }}
{{- end }}
{{- if and (not .address) (or .role .datadogPath .allow) }}
{{- fail "controller.vault.address is empty: set it to the URL of Vault, or remove the other values of controller.vault" }}
{{- end }}
{{- end }}
{{- if and (include "sluice.exports" .) (not .Values.controller.evidence.history) }}
{{- fail "controller.evidence.folder and controller.evidence.s3.bucket need controller.evidence.history of at least 1: what is exported is kept in the cluster until it is" }}
{{- end }}
{{- if and .Values.controller.metrics.serviceMonitor.enabled (not .Values.controller.metrics.enabled) }}
{{- fail "controller.metrics.serviceMonitor.enabled needs the Service that controller.metrics.enabled makes: set both" }}
{{- end }}
{{- if and (include "sluice.namespaced" .) .Values.secretAccess.everywhere }}
{{- fail "secretAccess.everywhere needs a ClusterRole, and a namespaced install has none: name the Secrets in secretAccess.names" }}
{{- end }}
{{- end -}}
