#!/bin/sh
# The OpenAI-style proxy, asked as its clients do.
#   BASE=https://ai-proxy.example.ts.net TOKEN=pst_… MODEL=gpt-4o-mini deploy/smoke/api-proxy.sh
set -eu
BASE=${BASE:?the address of the proxy, such as https://ai-proxy.example.ts.net}
TOKEN=${TOKEN:--}
MODEL=${MODEL:-gpt-4o-mini}
fail() { echo "smoke: $*" >&2; exit 1; }

curl -sSf -m 10 "$BASE/healthz" >/dev/null || fail '/healthz does not answer'

# `input` where the OpenAI API says `prompt`, and no content type: both are how people call it.
answer=$(curl -sS -m 60 -H "Authorization: Bearer $TOKEN" "$BASE/v1/completions" -d "{\"model\":\"$MODEL\",\"input\":\"ping\"}")
case "$answer" in *'"object":"text_completion"'*) ;; *) fail "/v1/completions: $answer" ;; esac
case "$answer" in *'"choices":['*'"text":'*) ;; *) fail "/v1/completions has no text: $answer" ;; esac

models=$(curl -sS -m 10 -H "Authorization: Bearer $TOKEN" "$BASE/v1/models")
case "$models" in *'"object":"list"'*) ;; *) fail "/v1/models: $models" ;; esac

chat=$(curl -sS -m 60 -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$BASE/v1/chat/completions" \
  -d "{\"model\":\"$MODEL\",\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}]}")
case "$chat" in *'"object":"chat.completion"'*) ;; *) fail "/v1/chat/completions: $chat" ;; esac
echo 'smoke: the proxy answers'
