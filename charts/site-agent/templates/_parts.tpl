{{- define "site" -}}
{{ .Values.site.metadata.name }}
{{- end }}

{{- /* Of pods: nothing that changes with the chart's version. */}}
{{- define "pod-labels" -}}
hubfed.io/agent: {{ include "site" . | quote }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "labels" -}}
{{ include "pod-labels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- /* (D + F)(1 + rho) of the site's profile: a test compares it with federation/model/profile.py. */}}
{{- define "longest" -}}
{{- $profile := .Values.site.spec.agent.profile | default "norm" -}}
{{- get (dict "lab" "9.18" "norm" "61.2" "wide" "91.8") $profile | required (printf "site.spec.agent.profile %s is not lab, norm or wide" $profile) -}}
{{- end }}

{{- define "desk-port" -}}
{{- .Values.site.spec.agent.edge_listen | splitList ":" | last -}}
{{- end }}

{{- /* How a program signs in: with the token in a folder, which is read anew. */}}
{{- define "kubeconfig" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: here}}]
clusters: [{name: here, cluster: {server: {{ $root.Values.apiServer | quote }}, certificate-authority: {{ index . 1 }}/ca.crt}}]
users: [{name: here, user: {tokenFile: {{ index . 1 }}/token}}]
{{- end }}

{{- define "confined" -}}
securityContext:
  # root without any right of root: it writes its own files, and nobody else may read the keys
  runAsUser: 0
  runAsGroup: 0
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
