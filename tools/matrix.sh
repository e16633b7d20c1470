#!/usr/bin/env bash
# Shows of `go test -v ./matrix` the failures as they come and the table at the end,
# and fails if the tests did.
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
tee "$log" | grep --line-buffered -E '_test\.go:[0-9]+: |^--- ' || true
if grep -q '^ok ' "$log"; then
  sed -n '/^fault cells live/,$p' "$log"
  exit 0
fi
grep -vE '^ *(=== |--- PASS)' "$log"
exit 1
