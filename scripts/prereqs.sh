#!/usr/bin/env bash
# Usage: scripts/prereqs.sh dev|test|browser
#
# Says for each program that must be there whether it is. What else `make dev` or `make test` needs (PostgreSQL; for tests also Redis,
# for the browser tests Chromium) is installed if we are root on Debian; else the command that installs it is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?usage: $0 dev|test|browser}
failed=

# need NAME OLDEST VERSION HINT: one line. VERSION is empty if there is none; OLDEST is empty if any will do.
need() {
  local name=$1 oldest=$2 version=$3 hint=$4
  if [ -n "$version" ] && printf '%s\n%s\n' "$oldest" "$version" | sort -V -C; then
    echo "$name $version ok"
  else
    echo "$name ${oldest:+$oldest or newer }is needed${version:+, this is $version}: $hint" >&2
    failed=yes
  fi
}

# version COMMAND…: the first number with a dot in what it prints, nothing if it fails.
version() {
  { "$@" 2>/dev/null || true; } | grep -Eo '[0-9]+(\.[0-9]+)+' | head -n 1 || true
}

need go 1.26 "$(GOTOOLCHAIN=local version go env GOVERSION)" "see https://go.dev/dl/"
need node 20 "$(version node --version)" "see https://nodejs.org/"
need npm '' "$(version npm --version)" "it comes with Node; on Debian: apt-get install npm"
need make '' "$(version make --version)" "apt-get install make, or xcode-select --install on macOS"
need gcc '' "$(version gcc --version)" "apt-get install gcc libc6-dev, or xcode-select --install on macOS"
[ -z "$failed" ] || exit 1

# The places are those of internal/localpg.
has_postgres() {
  local bin major
  for bin in $(command -v postgres || true) "$(pg_config --bindir 2>/dev/null || true)/postgres" /usr/lib/postgresql/*/bin/postgres \
    /usr/pgsql-*/bin/postgres /usr/libexec/postgresql*/postgres /opt/homebrew/opt/postgresql@*/bin/postgres \
    /usr/local/opt/postgresql@*/bin/postgres /home/linuxbrew/.linuxbrew/opt/postgresql@*/bin/postgres \
    /opt/local/lib/postgresql*/bin/postgres /Applications/Postgres.app/Contents/Versions/*/bin/postgres \
    /Library/PostgreSQL/*/bin/postgres /usr/local/pgsql/bin/postgres; do
    [ -x "$bin" ] && [ -x "$(dirname "$bin")/initdb" ] || continue
    major=$("$bin" --version | grep -Eo '[0-9]+' | head -n 1)
    [ "$major" -lt 15 ] || return 0
  done
  return 1
}
has_redis() { command -v redis-server >/dev/null || command -v valkey-server >/dev/null; }
has_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    [ -d "/Applications/Chromium.app" ] || [ -d "/Applications/Google Chrome.app" ]
}


apt=() brew=()
has_postgres || { apt+=(postgresql) brew+=(postgresql@17); }
if [ "$what" = test ]; then
  has_redis || { apt+=(redis-server) brew+=(valkey); }
fi
if [ "$what" = browser ]; then
  has_chromium || { apt+=(chromium) brew+=(chromium); }
fi
[ ${#apt[@]} -gt 0 ] || exit 0

if [ "$(uname)" = Darwin ]; then
  echo "missing: ${brew[*]}. Install with:  brew install ${brew[*]}" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${apt[*]}. Install with (Debian, Ubuntu):  sudo apt-get update && sudo apt-get install -y ${apt[*]}" >&2
  exit 1
fi
echo "installing: ${apt[*]}"
exec scripts/apt-install.sh "${apt[@]}"
