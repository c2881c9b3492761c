{{- /* Whose it is, as agents/drivers/kubernetes/marks.py has it, and the admin's own marks. Ours come last: they win. */}}
{{- define "labels" -}}
{{- $ours := dict
  "hubfed.io/site" .Values.site
  "hubfed.io/hub" .Values.hub
  "hubfed.io/classroom" .Values.classroom
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_")) -}}
{{- merge $ours .Values.labels | toYaml -}}
{{- end }}

{{- /* The site's agent, as a list of peers. */}}
{{- define "agent" -}}
{{- range .Values.agent.networks }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- with .Values.agent.namespace }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . | quote }}}}
  podSelector: {matchLabels: {hubfed.io/agent: {{ $.Values.site | quote }}}}
{{- end }}
{{- end }}

{{- /* A part of the hub, as a peer in the same namespace. */}}
{{- define "component" -}}
podSelector: {matchLabels: {component: {{ . }}}}
{{- end }}
