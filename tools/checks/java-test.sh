#!/usr/bin/env bash
# Runs the Java client's tests against a broker of ours that this script starts and stops.
set -euo pipefail
dir=$(mktemp -d)
bin/fluxmq --port 0 --data-dir "$dir/data" --ports-file "$dir/ports" --log-level warn \
  --override fluxmq.admin.listener= --override group.initial.rebalance.delay.ms=0 \
  --override group.consumer.min.heartbeat.interval.ms=200 --override group.consumer.heartbeat.interval.ms=200 \
  --override transaction.abort.timed.out.transaction.cleanup.interval.ms=200 >"$dir/broker.log" 2>&1 &
broker=$!
trap 'kill "$broker" 2>/dev/null || true; wait "$broker" 2>/dev/null || true; rm -rf "$dir"' EXIT
for _ in $(seq 100); do
  [ -s "$dir/ports" ] && break
  kill -0 "$broker" 2>/dev/null || { echo "the broker ended:" >&2; cat "$dir/broker.log" >&2; exit 1; }
  read -rt 0.1 <> <(:) || true
done
[ -s "$dir/ports" ] || { echo "the broker did not open its port within 10 s" >&2; cat "$dir/broker.log" >&2; exit 1; }
export FLUXMQ_BOOTSTRAP FLUXMQ_REQUIRE_BROKER=1
FLUXMQ_BOOTSTRAP=$(head -1 "$dir/ports")
if ! (cd java-tests && mvn -B -q test); then
  echo "the broker's last lines:" >&2; tail -20 "$dir/broker.log" >&2; exit 1
fi
awk -F'"' '/<testsuite /{for(i=1;i<NF;i++){if($i~/ tests=$/)t+=$(i+1);if($i~/ skipped=$/)k+=$(i+1)}} END{printf "java: %d passed, 0 failed, %d skipped\n",t-k,k}' java-tests/target/surefire-reports/TEST-*.xml
