#!/usr/bin/env bash
# Usage (as root on Debian): scripts/apt-install.sh PACKAGE…
#
# Installs packages without starting the services that they bring: Ochre uses their programs only, with data of its own.
set -euo pipefail

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
fi
cluster=/etc/postgresql-common/createcluster.conf
if [ ! -e $cluster ]; then
  mkdir -p "$(dirname $cluster)"
  echo 'create_main_cluster = false  # a new PostgreSQL gets no cluster, as Ochre needs none; delete this line for Debian'\''s default' >$cluster
fi

# One line each instead of apt's pages; all of it if something goes wrong.
log=$(mktemp)
run() {
  if ! DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "failed: $*" >&2
    exit 1
  fi
}
run apt-get update
run apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
rm -f "$log"
echo "installed: $*"
