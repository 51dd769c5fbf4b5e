#!/bin/sh
# The private gateway, asked from a machine of the tailnet.
#   BASE=http://ai deploy/smoke/private-gateway.sh
#   BASE=http://10.0.2.27:8000 TOKEN=pst_… deploy/smoke/private-gateway.sh
set -eu
BASE=${BASE:?the address of the gateway, such as http://ai}
TOKEN=${TOKEN:-}
ask() {
  if [ -n "$TOKEN" ]; then curl -sS -m 60 -H "Authorization: Bearer $TOKEN" "$@"; else curl -sS -m 60 "$@"; fi
}
fail() { echo "smoke: $*" >&2; exit 1; }

[ "$(curl -sS -m 10 "$BASE/health")" = '{"status":"ok"}' ] || fail "/health does not answer {\"status\":\"ok\"}"

whoami=$(ask "$BASE/whoami")
for field in hostname private_ip service note caller; do
  case "$whoami" in *"\"$field\":"*) ;; *) fail "/whoami has no $field: $whoami" ;; esac
done

answer=$(ask "$BASE/ask" -H 'Content-Type: application/json' -d '{"prompt":"Explain what a Tailscale subnet router does in simple terms"}')
for field in model latency_ms answer; do
  case "$answer" in *"\"$field\":"*) ;; *) fail "/ask has no $field: $answer" ;; esac
done

# Nobody is somebody: without identity from the network, a token or a key there is no answer.
if [ -n "$TOKEN" ]; then
  code=$(curl -sS -m 10 -o /dev/null -w '%{http_code}' -H 'X-Forwarded-For: 203.0.113.9' "$BASE/whoami")
  [ "$code" = 401 ] || fail "a caller without identity got $code instead of 401"
fi
echo 'smoke: the private gateway answers'
