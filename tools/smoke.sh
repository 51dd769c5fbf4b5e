#!/usr/bin/env bash
# Starts Postern as a new user would and asks it one question.
set -euo pipefail
cd "$(dirname "$0")/.."
state=$(mktemp -d)
port=${SMOKE_PORT:-18080}
POSTERN_STATE="$state" PORT="$port" npm start > "$state/out" 2> "$state/err" &
pid=$!
cleanup() { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$state"; }
trap cleanup EXIT
for _ in $(seq 100); do
  curl -fs "127.0.0.1:$port/health" >/dev/null 2>&1 && break
  kill -0 "$pid" 2>/dev/null || { cat "$state/err"; exit 1; }
  sleep 0.1
done
cat "$state/err"
test "$(curl -fs "127.0.0.1:$port/health")" = '{"status":"ok"}'
answer=$(curl -fsS "127.0.0.1:$port/ask" -d '{"prompt":"I am worried about my build"}')
echo "$answer"
case "$answer" in *'"answer"'*) ;; *) exit 1 ;; esac
curl -fsS "127.0.0.1:$port/v1/models" | grep -q builtin/eliza
test "$(curl -s -o /dev/null -w '%{http_code}' -H 'X-Forwarded-For: 1.2.3.4' "127.0.0.1:$port/v1/models")" = 401
test "$(curl -s -o /dev/null -w '%{http_code}' -H 'Origin: https://evil.example' "127.0.0.1:$port/v1/models")" = 403
POSTERN_STATE="$state" npm run -s postern -- status
POSTERN_STATE="$state" npm run -s postern -- ask "Men are all alike." | grep -q 'In what way?'
key=$(POSTERN_STATE="$state" npm run -s postern -- key create smoke --json | sed 's/.*"secret":"\([^"]*\)".*/\1/')
curl -fsS -H "Authorization: Bearer $key" -H 'X-Forwarded-For: 1.2.3.4' "127.0.0.1:$port/v1/models" >/dev/null
POSTERN_STATE="$state" npm run -s postern -- key revoke smoke >/dev/null
test "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $key" "127.0.0.1:$port/v1/models")" = 401
echo 'smoke: ok'
