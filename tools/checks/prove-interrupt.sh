#!/usr/bin/env bash
# SIGINT at N=6 moments of a gate: it must end with 130 and leave no process, no worktree and no data behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${N:-6}
mkdir -p .cache
failed=0
hit=0
for round in $(seq "$rounds"); do
  out=.cache/interrupt-$round
  rm -rf "$out"
  setsid bin/fluxbench gate --base HEAD --scenario standard --quiet --out "$out" >/dev/null 2>"$out.err" &
  gate=$!
  # Moments spread over build, pilot and blocks.
  sleep "$(awk -v r="$round" 'BEGIN { srand(); print 0.3 + (r - 1) * 2.5 + rand() }')"
  if kill -INT "$gate" 2>/dev/null; then hit=$((hit + 1)); fi
  code=0
  wait "$gate" || code=$?
  left=$(pgrep -s "$gate" || true) # its session: compilers have groups of their own
  brokers=$(pgrep -f "$PWD/.cache/(worktrees|build).*/(fluxmq|fluxload)" || true)
  trees=$(git worktree list --porcelain | grep -c "^worktree .*/.cache/worktrees/$gate-" || true)
  data=$(find .cache/run -maxdepth 1 -name 'trial-*' 2>/dev/null | wc -l)
  echo "round $round: exit $code, processes ${left:-none} ${brokers:-}, worktrees $trees, data folders $data"
  if [ "$code" != 130 ] || [ -n "$left$brokers" ] || [ "$trees" != 0 ] || [ "$data" != 0 ]; then
    failed=1
    tail -n 5 "$out.err"
  fi
  rm -rf "$out" "$out.err"
done
[ "$hit" -gt 0 ] || { echo "the interrupt never hit a running gate"; exit 1; }
exit $failed
