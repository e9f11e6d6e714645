#!/usr/bin/env bash
# Compaction at scale, measured on the real binary: compaction-scale.sh COMMIT GIB SETTINGS. With default GIB and SETTINGS the
# result goes into broker/compat/results and COMPATIBILITY.md is written from it, also when a limit was broken.
set -euo pipefail
status=0
result=
if [ "$2" = 10 ] && [ -z "$3" ]; then
  result=$PWD/broker/compat/results/compaction-scale.json
fi
COMPACTION_COMMIT=$1 COMPACTION_GIB=$2 COMPACTION_SETTINGS=$3 COMPACTION_RESULT=$result \
  "${GO:-go}" test ./broker/compat -run '^TestCompactionAtScale$' -count=1 -v -timeout 60m || status=$?
if [ -n "$result" ]; then
  "${GO:-go}" run ./broker/compat/report
fi
exit "$status"
