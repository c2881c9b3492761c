{{- define "name" -}}
fed-coordinator-{{ .Values.id }}
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Values.id | quote }}
{{- end }}

{{- define "pod-labels" -}}
{{ include "selector" . }}
app.kubernetes.io/part-of: hubfed
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "labels" -}}
{{ include "pod-labels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- /* The port at which the federation file lets this one listen. */}}
{{- define "port" -}}
{{- $id := .Values.id -}}
{{- $ids := list -}}
{{- $port := "" -}}
{{- range .Values.federation.spec.coordinators -}}
{{- $ids = append $ids .id -}}
{{- if eq .id $id }}{{ $port = .listen | splitList ":" | last }}{{ end -}}
{{- end -}}
{{- required (printf "id: %s is none of federation.spec.coordinators, which are %s" $id (join ", " $ids)) $port -}}
{{- end }}
