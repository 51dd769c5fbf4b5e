#!/bin/sh
# Makes this Mac reachable by SSH from the tailnet. Run with sudo; safe to run again.
#   macos.sh --user NAME --key 'ssh-ed25519 AAAA… comment' [--remove]
# Tailscale SSH has a server on macOS only in the open-source tailscaled; where that runs it is switched on and no key is
# needed. With the app from the store or the standalone app, Apple's own Remote Login is set up with the key.
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
[ "$(id -u)" = 0 ] || { echo 'Run this with sudo.' >&2; exit 1; }
case "$user" in '' | *[!A-Za-z0-9._-]*) echo '--user takes the short name of a user.' >&2; exit 2 ;; esac

# The app's command line talks to a system extension, which has no SSH server.
if [ "$remove" = no ] && pgrep -x tailscaled >/dev/null 2>&1 && command -v tailscale >/dev/null 2>&1; then
  tailscale set --ssh
  say 'Tailscale SSH is on; who may connect is what the ssh section of the policy says'
  exit 0
fi

case "$key" in
  'ssh-ed25519 AAAA'* | 'ecdsa-sha2-nistp'*' AAAA'* | 'sk-ssh-ed25519@openssh.com AAAA'* | 'ssh-rsa AAAA'*) ;;
  *) echo '--key takes one line of a public key.' >&2; exit 2 ;;
esac
[ "$(printf '%s' "$key" | wc -l)" -eq 0 ] || { echo '--key takes one line.' >&2; exit 2; }
body=$(printf '%s' "$key" | cut -d ' ' -f 2)

home=$(dscl . -read "/Users/$user" NFSHomeDirectory 2>/dev/null | sed 's/^NFSHomeDirectory: //')
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

conf=/etc/ssh/sshd_config.d/100-postern.conf
want='PasswordAuthentication no
KbdInteractiveAuthentication no'
if [ "$(cat "$conf" 2>/dev/null)" != "$want" ]; then
  printf '%s\n' "$want" > "$conf"
  chmod 0644 "$conf"
  say 'passwords are off'
fi

if systemsetup -getremotelogin 2>/dev/null | grep -q ': On'; then say 'Remote Login is on'; else
  launchctl enable system/com.openssh.sshd
  launchctl bootstrap system /System/Library/LaunchDaemons/ssh.plist 2>/dev/null || true
  say 'switched Remote Login on'
fi

say 'host keys, to compare at the first connection:'
for each in /etc/ssh/ssh_host_*_key.pub; do [ -e "$each" ] && ssh-keygen -lf "$each"; done
exit 0
