{{- /* Of pods: nothing that changes with the chart's version, for a new pod is a moment without a fencer. */}}
{{- define "pod-labels" -}}
hubfed.io/site: {{ .Values.site | quote }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "labels" -}}
{{ include "pod-labels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- /* (D + F)(1 + rho) of a profile: a test compares it with federation/model/profile.py. */}}
{{- define "longest" -}}
{{- get (dict "lab" "9.18" "norm" "61.2" "wide" "91.8") .Values.profile -}}
{{- end }}
