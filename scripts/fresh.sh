#!/usr/bin/env bash
# Tries what the README promises a newcomer, where nothing is there by luck: on a clean clone in a bare Debian that holds Go, Node, make
# and gcc and nothing else; as root below /root and as a user; in a path of 120 characters; with port 8080 taken. The commands are read
# out of README.md. Takes some 20 minutes.
#
# Usage, as root on Debian with debootstrap:  scripts/fresh.sh [root|user]...
#   OCHRE_FRESH_DIR     where the Debian roots are made (default /var/tmp/ochre-fresh); the bare one is kept for the next time
#   OCHRE_FRESH_MIRROR  of Debian (default http://deb.debian.org/debian)
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
  echo "needs root, and debootstrap: apt-get install debootstrap" >&2
  exit 1
fi
# Mounts and processes of our own, which are gone when we are.
if [ -z "${OCHRE_FRESH_INSIDE-}" ]; then
  OCHRE_FRESH_INSIDE=1 exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi

where=${OCHRE_FRESH_DIR:-/var/tmp/ochre-fresh}
bare=$where/bare
certificates=/usr/local/share/machine-certificates.crt # not where apt would write its own

# command TARGET: the first line `make TARGET` in a code block of the README.
command_for() {
  awk -v want="make $1" '/^ *```/ { code = !code } { line = $0; gsub(/^[ $]+/, "", line); sub(/ *#.*$/, "", line) }
    code && line == want { print line; exit }' README.md | grep . || { echo "README.md does not show \`make $1\`" >&2; exit 1; }
}

make_bare() {
  [ ! -e "$bare/.complete" ] || return 0
  rm -rf "$bare"
  mkdir -p "$bare"
  debootstrap --variant=minbase --include=make,gcc,libc6-dev bookworm "$bare" "${OCHRE_FRESH_MIRROR:-http://deb.debian.org/debian}"
  cp -a "$(go env GOROOT)" "$bare/usr/local/go"
  cp "$(readlink -f "$(command -v node)")" "$bare/usr/local/bin/node"
  mkdir -p "$bare/usr/local/lib/node_modules"
  cp -a "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$bare/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$bare/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$bare/usr/local/bin/npx"
  # What comes with any machine that could download Go: certificates and a name server.
  cp /etc/ssl/certs/ca-certificates.crt "$bare$certificates"
  # There is no init in here: what apt installs must not try to start services.
  printf '#!/bin/sh\nexit 101\n' >"$bare/usr/sbin/policy-rc.d"
  chmod 755 "$bare/usr/sbin/policy-rc.d"
  chroot "$bare" useradd --create-home --shell /bin/bash newcomer
  touch "$bare/.complete"
}

# inside USER COMMAND: runs it in $root, with an environment as after a log-in and the proxies of ours.
inside() {
  local user=$1 home=/root proxies=()
  [ "$user" = root ] || home=/home/$user
  for name in GOPROXY GOSUMDB http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY npm_config_registry; do
    [ -z "${!name-}" ] || proxies+=("$name=${!name}")
  done
  chroot --userspec="$user:$user" "$root" /usr/bin/env -i HOME="$home" USER="$user" TERM=dumb SSL_CERT_FILE=$certificates \
    NODE_EXTRA_CA_CERTS=$certificates PATH=/usr/local/go/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${proxies[@]}" bash -c "$2"
}

# make_root USER: a copy of the bare root with a clean clone in a path of 120 characters; sets root and clone.
make_root() {
  local user=$1 home=/root deep
  [ "$user" = root ] || home=/home/$user
  root=$where/$user
  rm -rf "$root"
  cp -a "$bare" "$root"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  deep=$(printf '%120s' '' | tr ' ' d)
  deep=$home/${deep:0:$((120 - ${#home} - 7))}
  clone=$deep/ochre
  mkdir -p "$root$(dirname "$clone")"
  git -c safe.directory='*' clone --quiet --no-local . "$root$clone"
  chroot "$root" chown -R "$user:$user" "$home"
}

# try_dev USER: starts it, waits until /readyz of an address that it prints says 200, ends it by Ctrl-C, and looks for what is left.
try_dev() {
  local log=$root/dev.log pid status=0 limit=$((SECONDS + 900)) url ready=
  : >"$log"
  # A shell without job control lets what it starts in the background ignore SIGINT; a terminal does not.
  env --default-signal=INT,QUIT setsid bash -c "$(declare -p root certificates; declare -f inside)
    inside $1 'cd $clone && exec $(command_for dev)'" >"$log" 2>&1 &
  pid=$!
  until [ -n "$ready" ]; do
    kill -0 $pid 2>/dev/null || { cat "$log" >&2; return 1; }
    [ $SECONDS -lt $limit ] || { cat "$log" >&2; echo "not ready after 15 minutes" >&2; return 1; }
    for url in $(grep -Eo 'http://(127\.0\.0\.1|localhost):[0-9]+' "$log" | sort -u); do
      [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$url/readyz")" != 200 ] || ready=$url
    done
    sleep 1
  done
  echo "ready at $ready"
  kill -INT -- "-$pid"
  wait $pid || status=$?
  cat "$log"
  # make itself ends by the signal, too.
  case $status in 0 | 2 | 130) ;; *) echo "ended with status $status" >&2; return 1 ;; esac
  if pgrep -a 'postgres|ochre'; then
    echo "these were left running" >&2
    return 1
  fi
}

try() {
  local user=$1 line
  echo "=== as $user: $clone"
  if [ "$user" != root ]; then
    # A user can't install: the first run must name the very line that does.
    for target in dev test; do
      if inside "$user" "cd $clone && scripts/prereqs.sh $target" >"$root/prereqs.log" 2>&1; then continue; fi
      line=$(sed -n 's/^missing: .*: *sudo //p' "$root/prereqs.log" | sed 's/sudo //g')
      [ -n "$line" ] || { cat "$root/prereqs.log" >&2; return 1; }
      echo "as told: $line"
      inside root "export DEBIAN_FRONTEND=noninteractive; $line" >"$root/apt.log" 2>&1 || { cat "$root/apt.log" >&2; return 1; }
    done
  fi
  try_dev "$user"
  inside "$user" "cd $clone && $(command_for test)"
}

command_for dev >/dev/null
command_for test >/dev/null
make_bare
node -e 'require("net").createServer().listen(8080, "127.0.0.1").on("error", () => {})' & # taken
[ $# -gt 0 ] || set -- root user
for who in "$@"; do
  [ "$who" = root ] || who=newcomer
  make_root $who
  try $who
done
echo "all well"
