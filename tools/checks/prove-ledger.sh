#!/usr/bin/env bash
# The ledger's own test. A broker built with the tag faultinject drops one
# batch in 10,000, then another stores one in 10,000 twice; the run over each must end with exit
# 6 and name partition and offset. A run over the sound broker must end with 0.
set -euo pipefail
client=${CLIENTS:-franz-go}
scenario=${NAME:-standard}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
expect() { # expected exit, word, env
  local want=$1 word=$2 fault=$3 code=0
  bin/fluxbench run "$scenario" --clients "$client" --rounds 1 --quiet --out "$out/$word" \
    ${fault:+--broker-tags faultinject --broker-env "FLUXMQ_FAULT=$fault"} >"$out/$word.txt" 2>&1 || code=$?
  echo "--- ${fault:-no fault}: exit $code, wanted $want"
  grep -iE 'lost|duplicated|partition [0-9]+.*offset' "$out/$word.txt" | head -12 || true
  [ "$code" = "$want" ] || { tail -30 "$out/$word.txt" >&2; exit 1; }
  if [ "$want" = 6 ] && ! grep -qiE "$word.*partition [0-9]+.*offset [0-9]+" "$out/$word.txt"; then
    echo "the output names no partition and offset for a $word record" >&2; exit 1
  fi
}
expect 0 sound ""
expect 6 lost drop-batch:10000
expect 6 duplicated duplicate-batch:10000
echo "prove-ledger: 3 passed, 0 failed"
