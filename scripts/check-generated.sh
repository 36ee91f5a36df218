#!/usr/bin/env bash
# Generates twice and fails if that changes a file: the first time says that somebody forgot to, the second that the result depends on
# more than its sources. Works in a tree with other changes too.
set -euo pipefail
cd "$(dirname "$0")/.."

state() { git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard | xargs -0 cksum 2>/dev/null | sort -k 3 || true; }

before=$(state)
for time in first second; do
  go generate ./...
  after=$(state)
  if [ "$before" != "$after" ]; then
    echo "generating (the $time time) changed these files; run \`make generate\` and commit them:" >&2
    diff <(echo "$before") <(echo "$after") | awk '/^[<>]/ { print "  " $4 }' | sort -u >&2
    exit 1
  fi
done
echo "generated code is fresh"
