{{- define "postern.labels" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "postern.selector" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postern.config" -}}
{{- $made := dict
  "store" (dict
    "postgres" (dict "url" (dict "file" "/run/secrets/database/url"))
    "valkey" (dict "url" (dict "file" "/run/secrets/limits/url")))
  "publicEdge" (dict "address" "0.0.0.0:8000" "tls" "balancer" "hosts" .Values.hosts)
  "trustedProxies" .Values.trustedProxies
  "listeners" (dict "admin" (dict "address" "127.0.0.1:8081"))
  "limits" (merge (dict "drainMs" (mul .Values.drainSeconds 1000)) (.Values.config.limits | default dict)) -}}
{{- merge $made .Values.config | toPrettyJson }}
{{- end }}
