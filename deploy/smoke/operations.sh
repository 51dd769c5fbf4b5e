#!/bin/sh
# The tools for agents: that the server speaks, offers the tools by their names, and changes no policy in one call.
#   ADMIN=http://127.0.0.1:8081 TOKEN=pst_… deploy/smoke/operations.sh
set -eu
ADMIN=${ADMIN:?the admin listener, such as http://127.0.0.1:8081}
TOKEN=${TOKEN:-}
fail() { echo "smoke: $*" >&2; exit 1; }
meta='"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"smoke","version":"1"}}'
call() {
  method=$1; name=$2; params=$3
  set -- -sS -m 30 -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H "Mcp-Method: $method"
  if [ -n "$name" ]; then set -- "$@" -H "Mcp-Name: $name"; fi
  if [ -n "$TOKEN" ]; then set -- "$@" -H "Authorization: Bearer $TOKEN"; fi
  curl "$@" "$ADMIN/mcp" -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$method\",\"params\":{$params$meta}}"
}

tools=$(call tools/list '' '')
for tool in list_devices get_acl_policy update_acl_policy generate_auth_key get_device_details; do
  case "$tools" in *"\"name\":\"$tool\""*) ;; *) fail "tools/list has no $tool: $tools" ;; esac
done

# A policy is never changed by its text: a plan comes first, and a person decides.
direct=$(call tools/call update_acl_policy '"name":"update_acl_policy","arguments":{"new_policy_json":"{}"},')
case "$direct" in *'"isError":true'*|*'"error":'*) ;; *) fail "update_acl_policy took a text: $direct" ;; esac
echo 'smoke: the tools answer'
