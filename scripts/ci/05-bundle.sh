#!/usr/bin/env bash
# The GraphiQL bundle that is committed is the one that its sources make.
set -euo pipefail
cd "$(dirname "$0")/../.."
before=$(cksum server/assets/graphiql/*)
npm --prefix web/graphiql run --silent assets
[ "$before" = "$(cksum server/assets/graphiql/*)" ] || {
  echo "server/assets/graphiql is not what web/graphiql makes: run \`npm run assets\` there and commit it" >&2
  exit 1
}
echo "the bundle is fresh"
