#!/usr/bin/env bash
# Groups at scale, measured on the real binary: group-scale.sh COMMIT ROUNDS GROUPS. The result goes into
# broker/compat/results and COMPATIBILITY.md is written from it, also when a limit was broken.
set -euo pipefail
status=0
GROUP_SCALE_COMMIT=$1 GROUP_SCALE_ROUNDS=$2 GROUP_SCALE_GROUPS=$3 GROUP_SCALE_RESULT=$PWD/broker/compat/results/group-scale.json \
  "${GO:-go}" test ./broker/compat -run '^TestGroupScale$' -count=1 -v -timeout 25m || status=$?
"${GO:-go}" run ./broker/compat/report
exit "$status"
