#!/usr/bin/env bash
# Starts Postern as a new user would and asks it one question.
set -euo pipefail
cd "$(dirname "$0")/.."
state=$(mktemp -d)
POSTERN_STATE="$state" PORT="${SMOKE_PORT:-0}" npm start > "$state/out" 2> "$state/err" &
pid=$!
cleanup() { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$state"; }
trap cleanup EXIT
port=
for _ in $(seq 600); do
  port=$(sed -n 's/^ *gateway  *127\.0\.0\.1:\([0-9]*\)$/\1/p' "$state/err")
  if [ -n "$port" ] && curl -fs "127.0.0.1:$port/health" >/dev/null 2>&1; then break; fi
  kill -0 "$pid" 2>/dev/null || { cat "$state/err"; exit 1; }
  sleep 0.1
done
cat "$state/err"
postern() { POSTERN_STATE="$state" npm run -s postern -- "$@"; }
status() { curl -s -o /dev/null -w '%{http_code}' "$@" "127.0.0.1:$port/v1/models"; }
test "$(curl -fs "127.0.0.1:$port/health")" = '{"status":"ok"}'
if [ "$(status)" = 200 ]; then
  answer=$(curl -fsS "127.0.0.1:$port/ask" -d '{"prompt":"I am worried about my build"}')
  echo "$answer"
  case "$answer" in *'"answer"'*) ;; *) exit 1 ;; esac
  # All of it is read: a program that writes to a pipe which nobody reads any more fails.
  curl -fsS "127.0.0.1:$port/v1/models" | grep builtin/eliza >/dev/null
else
  echo 'smoke: no local operator on this machine (a container?); asked with a key only'
fi
test "$(status -H 'X-Forwarded-For: 1.2.3.4')" = 401
test "$(status -H 'Origin: https://evil.example')" = 403
postern status
postern ask --model builtin/eliza "Men are all alike." | grep 'In what way?' >/dev/null
key=$(postern key create smoke --json | sed 's/.*"secret":"\([^"]*\)".*/\1/')
test "$(status -H "Authorization: Bearer $key" -H 'X-Forwarded-For: 1.2.3.4')" = 200
postern key revoke smoke >/dev/null
test "$(status -H "Authorization: Bearer $key")" = 401
# The process itself: npm has an exit code of its own for a signal.
kill "$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$state/state.owner")"
wait "$pid" || { echo "smoke: the end was not clean"; exit 1; }
echo 'smoke: ok'
