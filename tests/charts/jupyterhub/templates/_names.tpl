{{- /* How objects are called: by their plain names, unless the release gives a prefix. */}}
{{- define "name" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.fullnameOverride }}{{ . }}-{{ end }}{{ index . 1 }}
{{- end }}

{{- /* Of the cluster, not of the namespace: their names carry the release's. */}}
{{- define "cluster-name" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.fullnameOverride }}{{ include "name" . }}{{ else }}{{ $root.Release.Name }}-{{ index . 1 }}{{ end }}
{{- end }}

{{- define "priority" -}}
{{ .Values.fullnameOverride | default (printf "%s-default-priority" .Release.Name) }}
{{- end }}

{{- /* By these labels objects are found; pods have nothing that changes with the chart's version. */}}
{{- define "selector" -}}
{{- $root := index . 0 -}}
component: {{ index . 1 }}
app: {{ $root.Chart.Name }}
release: {{ $root.Release.Name }}
{{- end }}

{{- define "pod-labels" -}}
{{- $root := index . 0 -}}
{{ include "selector" . }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{- define "labels" -}}
{{- $root := index . 0 -}}
{{- $chart := printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") -}}
{{ include "pod-labels" . }}
chart: {{ $chart }}
heritage: {{ $root.Release.Service }}
helm.sh/chart: {{ $chart }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{- /* Lists of names become lists of references. */}}
{{- define "pull-secrets" -}}
{{- $root := index . 0 -}}
{{- with concat ((index . 1).pullSecrets | default list) $root.Values.imagePullSecrets | uniq }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where the pods of the hub and the proxy run. */}}
{{- define "core-place" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $purpose := $root.Values.scheduling.corePods.nodeAffinity.matchNodePurpose -}}
{{- $core := dict "key" "hub.jupyter.org/node-purpose" "operator" "In" "values" (list "core") -}}
{{- $terms := dict "matchExpressions" (list $core) -}}
{{- $place := dict -}}
{{- with $part.nodeSelector }}{{ $_ := set $place "nodeSelector" . }}{{ end -}}
{{- with concat $root.Values.scheduling.corePods.tolerations $part.tolerations }}
{{- $_ := set $place "tolerations" . }}
{{- end -}}
{{- if eq $purpose "require" -}}
{{- $must := dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" (list $terms)) -}}
{{- $_ := set $place "affinity" (dict "nodeAffinity" $must) -}}
{{- else if eq $purpose "prefer" -}}
{{- $weighed := list (dict "weight" 100 "preference" $terms) -}}
{{- $_ := set $place "affinity" (dict "nodeAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $weighed)) -}}
{{- end -}}
{{- if $root.Values.scheduling.podPriority.enabled }}{{ $_ := set $place "priorityClassName" (include "priority" $root) }}{{ end -}}
{{- with $place }}{{ toYaml . }}{{ end -}}
{{- end }}
