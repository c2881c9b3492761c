{{- /* A secret's value (root, its key, what the values give): given, or the one that the cluster has, or a new one. Each
     call draws its own, so that what is drawn must be written in one place alone. */}}
{{- define "secret" -}}
{{- $root := index . 0 -}}
{{- $key := index . 1 -}}
{{- $there := lookup "v1" "Secret" $root.Release.Namespace (include "name" (list $root "hub")) | default dict -}}
{{- if index . 2 -}}
{{ index . 2 }}
{{- else if hasKey ($there.data | default dict) $key -}}
{{ index $there.data $key | b64dec }}
{{- else -}}
{{ randBytes 32 | b64dec | printf "%x" }}
{{- end -}}
{{- end }}

{{- define "proxy-token" -}}
{{- include "secret" (list . "hub.config.ConfigurableHTTPProxy.auth_token" (dig "ConfigurableHTTPProxy" "auth_token" "" .Values.hub.config | default .Values.proxy.secretToken)) -}}
{{- end }}
