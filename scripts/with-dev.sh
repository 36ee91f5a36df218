#!/usr/bin/env bash
# Usage: scripts/with-dev.sh COMMAND…
#
# Runs a command beside an `ochre dev` of its own, on free ports with new data, and ends it afterwards. The command finds OCHRE_URL, OCHRE_TOKEN,
# SLACKSIM_URL and OCHRE_SIGNIN in its environment.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
(cd "$top" && make --no-print-directory build)
data=$(mktemp -d)
free() { node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
ochre=127.0.0.1:$(free) sim=127.0.0.1:$(free)
export OCHRE_URL=http://$ochre SLACKSIM_URL=http://$sim OCHRE_DEV_TOKEN
OCHRE_DEV_TOKEN=ochre_$(node -e 'console.log(require("crypto").randomBytes(32).toString("base64url"))')
export OCHRE_TOKEN=$OCHRE_DEV_TOKEN
"$top/bin/ochre" dev --addr "$ochre" --sim-addr "$sim" --data-dir "$data/ochre" >"$data/out" 2>&1 &
dev=$!
finish() {
  local code=$?
  kill -INT $dev 2>/dev/null || true
  wait $dev || { echo "ochre dev ended with $?" >&2; code=1; }
  if [ $code != 0 ]; then
    cat "$data/out" >&2
    grep -v '"level":"INFO"' "$data/ochre/ochre.log" | tail -n 50 >&2 || true
  fi
  "$top/bin/ochre" dev --forget --data-dir "$data/ochre" >/dev/null || true
  rm -rf "$data"
  exit $code
}
trap finish EXIT
for _ in $(seq 1200); do
  kill -0 $dev
  curl -fs "$OCHRE_URL/readyz" >/dev/null && break
  sleep 0.1
done
curl -fsS "$OCHRE_URL/readyz" >/dev/null
OCHRE_SIGNIN=$(grep -Eo 'http://[^ ]*/signin\?token=[^ ]*' "$data/out")
export OCHRE_SIGNIN
"$@"
