#!/usr/bin/env bash
# Installs what the tests need from Debian or Ubuntu and is missing: a browser, Node, software OpenGL, PostgreSQL, Orthanc, curl. Does nothing when all is there.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v curl >/dev/null || missing+=(curl)
libraries=$(ldconfig -p 2>/dev/null || true)
[[ $libraries == *libGL.so.1* ]] || missing+=(libgl1 libgl1-mesa-dri)
[[ $libraries == *libEGL.so.1* ]] || missing+=(libegl1 libegl-mesa0)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
command -v Orthanc >/dev/null || [ -x /usr/sbin/Orthanc ] || missing+=(orthanc)
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "The tests need: ${missing[*]}. Install them, or run make test once as root where apt-get is." >&2
  exit 1
fi
echo "Installing for the tests: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
  mkdir -p /etc/postgresql-common # the tests start their own: no database server of the system's
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
if [[ " ${missing[*]} " == *" orthanc "* && ! -e /usr/sbin/policy-rc.d ]]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT # likewise: no PACS that starts with the system
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
fi
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null
