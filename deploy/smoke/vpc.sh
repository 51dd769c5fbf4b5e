#!/bin/sh
# The private cloud, asked from one of its machines: the calls that nodes make, through the mesh's way out.
#   SERVER_APP=3f… NODE=my-node TYPE=mongodb MESH=http://localhost:8091 deploy/smoke/vpc.sh
#   AUTH=http://localhost:8092 … also asks the auth service.
set -eu
SERVER_APP=${SERVER_APP:?the app id of the server}
MESH=${MESH:-http://localhost:8091}
AUTH=${AUTH:-}
NODE=${NODE:-smoke-node}
TYPE=${TYPE:-smoke}
ADDRESS=${ADDRESS:-100.64.0.9}
INSTANCE=${INSTANCE:-smoke-instance}
fail() { echo "smoke: $*" >&2; exit 1; }
ask() { curl -sS -m 30 -H "x-dstack-target-app: $SERVER_APP" -H 'x-dstack-target-port: 443' -H 'Host: vpc-server' "$@"; }

curl -sSf -m 10 "$MESH/health" >/dev/null || fail 'the way out (/health) does not answer'

registered=$(ask "$MESH/api/register?instance_id=$INSTANCE&node_name=$NODE")
for field in pre_auth_key shared_key server_url; do
  case "$registered" in *"\"$field\":"*) ;; *) fail "/api/register has no $field: $registered" ;; esac
done

updated=$(ask -X POST "$MESH/api/nodes/update?uuid=$INSTANCE&node_type=$TYPE&tailscale_ip=$ADDRESS&hostname=$NODE.dstack.internal")
case "$updated" in *'"message":"Node information updated successfully"'*) ;; *) fail "/api/nodes/update: $updated" ;; esac

found=$(ask "$MESH/api/discover/$TYPE")
case "$found" in *"\"tailscale_ip\":\"$ADDRESS\""*) ;; *) fail "/api/discover/$TYPE does not have this node: $found" ;; esac
case "$found" in *"\"node_type\":\"$TYPE\""*) ;; *) fail "/api/discover/$TYPE: $found" ;; esac

# Nothing is sent anywhere that no target header names.
code=$(curl -sS -m 10 -o /dev/null -w '%{http_code}' "$MESH/api/data")
case "$code" in 4??) ;; *) fail "a request without a target got $code" ;; esac

if [ -n "$AUTH" ]; then
  # Without nginx and a client certificate there is nobody to vouch for.
  code=$(curl -sS -m 10 -o /dev/null -w '%{http_code}' -H 'x-dstack-app-id: 0000000000000000000000000000000000000000' "$AUTH/auth")
  case "$code" in 401|403) ;; *) fail "/auth let an app id in a header through: $code" ;; esac
fi
echo 'smoke: the private cloud answers'
