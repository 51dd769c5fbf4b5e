#!/bin/sh
# Makes this Linux machine reachable by SSH from the tailnet. Run as root; safe to run again.
#   linux.sh                                              Tailscale SSH: identity from the tailnet, no key
#   linux.sh --user NAME --key 'ssh-ed25519 AAAA…'        OpenSSH with a key, for machines without tailscaled
#   linux.sh --user NAME --key '…' --remove               takes the key away
set -eu

user='' key='' remove=no
while [ $# -gt 0 ]; do
  case "$1" in
    --user) user=$2; shift 2 ;;
    --key) key=$2; shift 2 ;;
    --remove) remove=yes; shift ;;
    *) echo "unknown option: $1" >&2; exit 2 ;;
  esac
done
say() { echo "postern: $*"; }
[ "$(id -u)" = 0 ] || { echo 'Run this as root.' >&2; exit 1; }

if [ -z "$key" ]; then
  command -v tailscale >/dev/null 2>&1 || { echo 'There is no tailscale here. Install it, or give --user and --key.' >&2; exit 1; }
  tailscale set --ssh
  say 'Tailscale SSH is on; who may connect is what the ssh section of the policy says'
  exit 0
fi

case "$user" in '' | *[!A-Za-z0-9._-]*) echo '--user takes the name of a user.' >&2; exit 2 ;; esac
case "$key" in
  'ssh-ed25519 AAAA'* | 'ecdsa-sha2-nistp'*' AAAA'* | 'sk-ssh-ed25519@openssh.com AAAA'* | 'ssh-rsa AAAA'*) ;;
  *) echo '--key takes one line of a public key.' >&2; exit 2 ;;
esac
[ "$(printf '%s' "$key" | wc -l)" -eq 0 ] || { echo '--key takes one line.' >&2; exit 2; }
body=$(printf '%s' "$key" | cut -d ' ' -f 2)

home=$(getent passwd "$user" | cut -d : -f 6)
if [ -z "$home" ] || [ ! -d "$home" ]; then
  echo "There is no user $user here." >&2
  exit 1
fi
file="$home/.ssh/authorized_keys"

if [ "$remove" = yes ]; then
  if [ -f "$file" ]; then
    grep -vF "$body" "$file" > "$file.postern" || true
    cat "$file.postern" > "$file"
    rm -f "$file.postern"
  fi
  say 'the key is not authorised any more'
  exit 0
fi

command -v sshd >/dev/null 2>&1 || [ -x /usr/sbin/sshd ] || { echo 'There is no sshd here: install openssh-server.' >&2; exit 1; }
install -d -m 0700 -o "$user" "$home/.ssh"
touch "$file"
if grep -qF "$body" "$file"; then say 'the key is authorised'; else
  [ -z "$(tail -c 1 "$file")" ] || echo >> "$file"
  # From the tailnet only: elsewhere the key opens nothing.
  printf 'from="100.64.0.0/10,fd7a:115c:a1e0::/48" %s\n' "$key" >> "$file"
  say 'authorised the key, from the tailnet'
fi
chown "$user" "$file"
chmod 0600 "$file"

conf="${SSHD_CONFIG_DIR:-/etc/ssh/sshd_config.d}/10-postern.conf"
want='PasswordAuthentication no
KbdInteractiveAuthentication no'
if [ "$(cat "$conf" 2>/dev/null)" = "$want" ]; then say 'passwords are off already'; else
  install -d -m 0755 "$(dirname "$conf")"
  printf '%s\n' "$want" > "$conf"
  say 'passwords are off'
  if command -v systemctl >/dev/null 2>&1; then systemctl reload ssh 2>/dev/null || systemctl reload sshd; fi
fi
