#!/usr/bin/env bash
# The pages, in a real Chromium.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec scripts/with-dev.sh npm --prefix scripts/browser test --silent
