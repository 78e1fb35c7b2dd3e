{{/* The controller's rights on what rollouts are made of. Each verb was seen in
     the audit log of an API server, or its reason is in docs/security.md; a
     test compares them. */}}
{{- define "sluice.rules" -}}
# A patch writes the annotation with the number of the newest revision.
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts/status]
  verbs: [patch]
# For owner references where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [argoproj.io]
  resources: [rollouts/finalizers]
  verbs: [update]
- apiGroups: [argoproj.io]
  resources: [analysisruns]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [argoproj.io]
  resources: [analysistemplates]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch, patch]
# Of a restart: which pods are old, and their eviction.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.controller.evidence.history }}
# The records of releases.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, delete{{ if include "sluice.exports" . }}, patch{{ end }}]
{{- end }}
{{- if .Values.providerRBAC.enabled }}
{{- if .Values.providerRBAC.providers.istio }}
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, patch]
{{- end }}
{{- with .Values.providerRBAC.additionalRules }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What it may do in its own namespace: lead, and read its keys. */}}
{{- define "sluice.ownRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "sluice.lease" . }}]
  verbs: [get, update]
# Of the Lease: who leads from when on.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# Who is to be told what, and the tokens for it.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [argo-rollouts-notification-configmap]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [argo-rollouts-notification-secret]
  verbs: [get]
{{- with .Values.secretAccess.names }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml . | nindent 4 }}
  verbs: [get]
{{- end }}
{{- end -}}
