#!/bin/sh
# On the machine that connects: makes a key when there is none, and pins the other side's host key after a person compared it.
#   trust.sh --host NAME --user NAME --fingerprint SHA256:…
set -eu

host='' user='' fingerprint=''
while [ $# -gt 0 ]; do
  case "$1" in
    --host) host=$2; shift 2 ;;
    --user) user=$2; shift 2 ;;
    --fingerprint) fingerprint=$2; shift 2 ;;
    *) echo "unknown option: $1" >&2; exit 2 ;;
  esac
done
say() { echo "postern: $*" >&2; }
case "$host" in '' | -* | *[!A-Za-z0-9.:-]*) echo '--host takes a name of the tailnet.' >&2; exit 2 ;; esac
case "$user" in '' | -* | *[!A-Za-z0-9._-]*) echo '--user takes a user name of the other side.' >&2; exit 2 ;; esac

umask 077
mkdir -p "$HOME/.ssh"
key="$HOME/.ssh/id_ed25519"
if [ -f "$key" ]; then say "the key is $key"; else
  ssh-keygen -q -t ed25519 -N '' -C "$(id -un)@$(hostname -s)" -f "$key"
  say "made $key"
fi

if [ -z "$fingerprint" ]; then
  say 'the public key, for the other side:'
  cat "$key.pub"
  say 'run this again with --fingerprint, as the script on the other side printed it'
  exit 0
fi

known="$HOME/.ssh/known_hosts"
touch "$known"
scan=$(mktemp)
trap 'rm -f "$scan"' EXIT
ssh-keyscan -T 5 "$host" 2>/dev/null > "$scan"
[ -s "$scan" ] || { echo "$host does not answer on port 22. Is it on the tailnet, and does the policy allow port 22?" >&2; exit 1; }
found=no
while read -r line; do
  if [ "$(printf '%s\n' "$line" | ssh-keygen -lf - 2>/dev/null | cut -d ' ' -f 2)" = "$fingerprint" ]; then
    found=yes
    grep -qxF "$line" "$known" || printf '%s\n' "$line" >> "$known"
  fi
done < "$scan"
if [ "$found" = no ]; then
  echo "$host shows other keys than $fingerprint. Somebody stands between, or the fingerprint is of another machine." >&2
  ssh-keygen -lf "$scan" >&2
  exit 1
fi
say "pinned the host key of $host"

config="$HOME/.ssh/config"
touch "$config"
if grep -qE "^Host (.* )?$host( |\$)" "$config"; then say "$config has an entry for $host"; else
  printf '\nHost %s\n  User %s\n  IdentityFile %s\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n' "$host" "$user" "$key" >> "$config"
  say "wrote an entry for $host"
fi
say "try: ssh $host"
