{{- define "sluice.args" -}}
{{- $c := .Values.controller -}}
- controller
- --loglevel={{ $c.logging.level }}
- --logformat={{ $c.logging.format }}
- --kloglevel={{ $c.logging.kloglevel }}
- --metricsPort={{ $c.containerPorts.metrics }}
- --healthzPort={{ $c.containerPorts.healthz }}
- --leader-elect
{{- if include "sluice.namespaced" . }}
- --namespaced
- --namespace=$(POD_NAMESPACE)
{{- end }}
{{- with $c.vault }}
{{- if .address }}
- --vault-address={{ .address }}
- --vault-role={{ .role }}
- --vault-auth-mount={{ .authMount }}
- --vault-token-file=/var/run/secrets/vault/token
{{- with .namespace }}
- --vault-namespace={{ . }}
{{- end }}
{{- if .caConfigMap.name }}
- --vault-ca-file=/etc/vault/{{ .caConfigMap.key }}
{{- end }}
{{- with .datadogPath }}
- --vault-datadog-path={{ . }}
{{- end }}
{{- range .allow }}
- {{ printf "--vault-allow=%s" . | quote }}
{{- end }}
- --vault-refresh={{ .refresh }}
- --vault-max-age={{ .maxAge }}
{{- if .plainHTTP }}
- --vault-plain-http
{{- end }}
{{- end }}
{{- end }}
{{- with $c.gitops }}
{{- with .managers }}
- {{ printf "--gitops-managers=%s" (join "," .) | quote }}
{{- end }}
{{- with .revertHosts }}
- {{ printf "--revert-hosts=%s" (join "," .) | quote }}
{{- end }}
{{- end }}
{{- with $c.evidence }}
- --evidence-history={{ int .history }}
{{- with .folder }}
- --evidence-folder={{ . }}
{{- end }}
{{- if .s3.bucket }}
- --evidence-s3-bucket={{ .s3.bucket }}
- --evidence-s3-endpoint={{ .s3.endpoint }}
- --evidence-s3-region={{ .s3.region }}
{{- with .s3.prefix }}
- --evidence-s3-prefix={{ . }}
{{- end }}
{{- if .s3.credentialsSecret.name }}
- --evidence-s3-credentials-file=/etc/evidence/{{ .s3.credentialsSecret.key }}
{{- end }}
{{- if .s3.plainHTTP }}
- --evidence-s3-plain-http
{{- end }}
{{- end }}
{{- end }}
{{- range $c.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "sluice.vaultVolumes" -}}
{{- with .Values.controller.vault -}}
{{- if .address -}}
- name: vault-token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .audience }}
          expirationSeconds: {{ int .tokenExpirationSeconds }}
{{- if .caConfigMap.name }}
- name: vault-ca
  configMap:
    name: {{ .caConfigMap.name }}
{{- end }}
{{- else -}}
[]
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sluice.vaultMounts" -}}
{{- with .Values.controller.vault -}}
{{- if .address -}}
- { name: vault-token, mountPath: /var/run/secrets/vault, readOnly: true }
{{- if .caConfigMap.name }}
- { name: vault-ca, mountPath: /etc/vault, readOnly: true }
{{- end }}
{{- else -}}
[]
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty if records are exported. */}}
{{- define "sluice.exports" -}}
{{- with .Values.controller.evidence }}{{ if or .folder .s3.bucket }}true{{ end }}{{ end -}}
{{- end -}}

{{- define "sluice.evidenceSecret" -}}
{{- with .Values.controller.evidence.s3 }}{{ if .bucket }}{{ .credentialsSecret.name }}{{ end }}{{ end -}}
{{- end -}}

{{- define "sluice.evidenceVolumes" -}}
{{- with include "sluice.evidenceSecret" . -}}
- name: evidence-keys
  secret: { secretName: {{ . }} }
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{- define "sluice.evidenceMounts" -}}
{{- if include "sluice.evidenceSecret" . -}}
- { name: evidence-keys, mountPath: /etc/evidence, readOnly: true }
{{- else -}}
[]
{{- end -}}
{{- end -}}
