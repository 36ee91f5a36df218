#!/usr/bin/env bash
# Usage: scripts/npm.sh build|test
#
# Runs the npm script of that name in each package that is part of the program (those with a "build" script). A build is skipped if
# dist/ is newer than every source.
set -euo pipefail
cd "$(dirname "$0")/.."
action=${1:?usage: $0 build|test}

has_script() { node -e 'process.exit(require(process.argv[1]).scripts?.[process.argv[2]] ? 0 : 1)' "$PWD/$1/package.json" "$2"; }

# install PACKAGE: npm ci, again only if package-lock.json has changed.
install() {
  if ! cmp -s "$1/package-lock.json" "$1/node_modules/.ochre-lock"; then
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
    mkdir -p "$1/node_modules" # npm makes none for a package without dependencies
    cp "$1/package-lock.json" "$1/node_modules/.ochre-lock"
  fi
}

is_fresh() {
  [ -e "$1/dist/.built" ] &&
    [ -z "$(find "$1" \( -name node_modules -o -path "$1/dist" \) -prune -o -type f -newer "$1/dist/.built" -print | head -n 1)" ]
}

for file in web/package.json slacksim/*/package.json; do
  package=$(dirname "$file")
  [ -e "$file" ] && has_script "$package" build || continue
  case $action in
  build)
    is_fresh "$package" && continue
    echo "building $package"
    install "$package"
    (cd "$package" && npm run --silent build)
    touch "$package/dist/.built"
    ;;
  test)
    has_script "$package" test || continue
    install "$package"
    (cd "$package" && npm test)
    ;;
  esac
done
