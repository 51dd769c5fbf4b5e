#!/bin/sh
# The networking plan, tried from one place: what should be reachable is, what should not is not.
#   FROM=gateway  INSTANT=10.1.16.5:8080 THINKING=10.1.16.6:8080 deploy/smoke/networking.sh
#   FROM=laptop   INSTANT=… THINKING=… GATEWAY=http://ai         deploy/smoke/networking.sh
#   FROM=internet INSTANT=… THINKING=… GATEWAY=https://ai.example.com deploy/smoke/networking.sh
set -eu
FROM=${FROM:?gateway, laptop or internet}
GATEWAY=${GATEWAY:-}
fail() { echo "smoke: $*" >&2; exit 1; }

answers() { curl -sS -m 5 -o /dev/null "http://$1/health" 2>/dev/null; }
refused() { ! answers "$1"; }

for machine in ${INSTANT:-} ${THINKING:-}; do
  case "$FROM" in
    gateway) answers "$machine" || fail "the gateway does not reach $machine" ;;
    *) refused "$machine" || fail "$machine answers $FROM: it should answer the gateway alone" ;;
  esac
done

if [ -n "$GATEWAY" ]; then
  [ "$(curl -sS -m 10 "$GATEWAY/health")" = '{"status":"ok"}' ] || fail "$GATEWAY/health does not answer"
  if [ "$FROM" = internet ]; then
    case "$GATEWAY" in https://*) ;; *) fail 'what the internet reaches speaks HTTPS' ;; esac
    plain=$(printf %s "$GATEWAY" | sed 's/^https:/http:/')
    code=$(curl -sS -m 10 -o /dev/null -w '%{http_code}' "$plain/ask" 2>/dev/null || echo none)
    case "$code" in none|000|30?|403|404) ;; *) fail "plain HTTP got $code" ;; esac
  fi
  code=$(curl -sS -m 10 -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer pst_not-a-key' "$GATEWAY/ask" -d '{"prompt":"x"}')
  case "$code" in 401|403) ;; *) fail "a wrong key got $code" ;; esac
fi
echo "smoke: the network is as planned, seen from $FROM"
