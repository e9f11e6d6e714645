#!/usr/bin/env bash
# The exports' own test: freshly made trials are exported, and the programs that the formats are for read them. benchstat comes
# with the Go modules, Otava and junitparser from PyPI into .cache/venv, HdrHistogram's reader with the Java tests. One that cannot
# be installed here is named and left out; one that cannot read, or does not see the change that is in the trials, fails the check.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
read_by=() left_out=()
fail() { echo "formats: $1 FAILED: $2" >&2; [ -f "$dir/$1.txt" ] && tail -40 "$dir/$1.txt" >&2; exit 1; }

# 24 trials, the head's broker CPU a fifth higher from the 13th on; the last one has its latency logs.
mkdir "$dir/trials" "$dir/latency"
FLUXMQ_SPECIMENS=$dir/trials ${GO:-go} test ./reports/formats -run TestWriteSpecimens -count=1 >/dev/null || fail specimens "no trials were made"
last=$dir/trials/23
export_as() { bin/fluxbench export "$last" --format "$1" -o "$2" || fail "$1" "fluxbench export ended with $?"; }
for format in benchfmt junit github-action bencher omb csv markdown html; do export_as "$format" "$dir/$format/"; done
export_as hlog "$dir/latency/"; export_as hgrm "$dir/latency/"
bin/fluxbench export "$dir"/trials/* --format otava -o "$dir/history" || fail otava "fluxbench export ended with $?"

${GO:-go} run golang.org/x/perf/cmd/benchstat "$dir/benchfmt/base.txt" "$dir/benchfmt/head.txt" >"$dir/benchstat.txt" 2>&1 || fail benchstat "it ended with $?"
awk '/broker-cpu-sec\/msg/{on=1} on&&/^Megabatch/{n++; if($0!~/\+(19|2[01])\.[0-9]*% \(p=0\.00/)bad=1} on&&/^geomean/{exit} END{exit !(n==2&&!bad)}' "$dir/benchstat.txt" ||
  fail benchstat "it does not see 20 % more broker CPU in both workloads"
grep -q 'msg/s .*vs base' "$dir/benchstat.txt" || fail benchstat "it compared no throughput"
read_by+=(benchstat)

venv=.cache/venv
if { [ -x $venv/bin/python ] || python3 -m venv $venv; } >"$dir/venv.txt" 2>&1 && $venv/bin/pip install -q apache-otava==0.8.0 junitparser==5.0.3 >"$dir/venv.txt" 2>&1; then
  for workload in megabatch-wire megabatch-franz-go; do
    $venv/bin/otava analyze --config-file "$dir/history/otava.yaml" --since 2000-01-01 "$workload" >"$dir/otava.txt" 2>&1 || fail otava "it ended with $?"
    [ "$(grep -cE '^20[0-9]{2}-.* 0{35}abc' "$dir/otava.txt")" = 24 ] || fail otava "it did not read the 24 commits"
    grep -E '^ +\+(19|2[01])\.[0-9]+%' -A2 "$dir/otava.txt" | grep -q abc0c || fail otava "it does not see the change at the 13th commit"
  done
  read_by+=("otava $($venv/bin/pip show apache-otava | awk '/^Version/{print $2}')")
  $venv/bin/python - "$dir/junit/junit.xml" >"$dir/junitparser.txt" 2>&1 <<'PY' || fail junitparser "it ended with $?"
import sys
from junitparser import Failure, JUnitXml
suites = list(JUnitXml.fromfile(sys.argv[1]))
cases = [c for s in suites for c in s]
failed = {c.name for c in cases for r in c.result if isinstance(r, Failure)}
assert len(suites) == 2 and len(cases) == 18, (len(suites), len(cases))
assert failed == {"broker_cpu_ns_per_msg"}, failed
PY
  read_by+=(junitparser)
  for json in "$dir"/{github-action,bencher,omb}/*.json; do $venv/bin/python -m json.tool "$json" >"$dir/json.txt" 2>&1 || fail json "$json"; done
else
  tail -3 "$dir/venv.txt" >&2
  left_out+=("otava and junitparser (no Python environment or no PyPI)")
fi

if command -v mvn >/dev/null; then
  (cd java-tests && FLUXMQ_HLOG_FOLDER=$dir/latency FLUXMQ_HLOG_RECORDS=7200 mvn -B -q -Dtest=HistogramLogTest test) >"$dir/hdrhistogram.txt" 2>&1 || fail hdrhistogram "mvn ended with $?"
  [ "$(grep -c 'HdrHistogram (Java) read' "$dir/hdrhistogram.txt")" = 4 ] || fail hdrhistogram "it did not read the four logs"
  read_by+=("HdrHistogram (Java)")
else
  left_out+=("HdrHistogram (no mvn)")
fi

[ ${#left_out[@]} = 0 ] || printf 'formats: left out: %s\n' "${left_out[@]}"
printf -v list '%s, ' "${read_by[@]}"
echo "formats: read by ${list%, }: ${#read_by[@]} passed, 0 failed"
