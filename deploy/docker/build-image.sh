#!/bin/sh
# Builds the image.
#   deploy/docker/build-image.sh -t example/postern [--push] [--platform linux/amd64,linux/arm64]
set -eu

tag=postern push=no platform=''
while [ $# -gt 0 ]; do
  case "$1" in
    -t | --tag) tag=${2:?-t takes a name}; shift 2 ;;
    --push) push=yes; shift ;;
    --platform) platform=${2:?--platform takes a list}; shift 2 ;;
    -h | --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    *) echo "unknown option: $1 (see --help)" >&2; exit 2 ;;
  esac
done
cd "$(dirname "$0")/../.."
command -v docker >/dev/null 2>&1 || { echo 'There is no docker here.' >&2; exit 1; }

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' packages/postern/package.json)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
case "$tag" in *:*) ;; *) tag="$tag:$version" ;; esac

set -- build --file deploy/docker/Dockerfile --tag "$tag" \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --sbom=true --provenance=true
[ -z "$platform" ] || set -- "$@" --platform "$platform"
if [ "$push" = yes ]; then set -- "$@" --push; else set -- "$@" --load; fi
docker buildx "$@" .
echo "$tag"
