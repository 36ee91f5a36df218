#!/usr/bin/env bash
# Programs that Ochre did not write, against a running Ochre: the graphql-http audits, the official Slack client, graphql-ws and graphql-sse.
set -euo pipefail
cd "$(dirname "$0")/../.."
(cd live/socket/nodeclient && go run .)
exec scripts/with-dev.sh bash -c '
  set -e
  (cd scripts/audits && OCHRE_URL=$OCHRE_URL/graphql npm run --silent audit)
  (cd slacksim/nodeclient && npm test --silent)
  (cd scripts/mainjob && npm start --silent)
'
