#!/usr/bin/env bash
# Real clients and Apache Kafka's own tools (arguments are those of broker/compat/clients), then, when no suites are named,
# the differential test. COMPATIBILITY.md is written from their results, also when they failed.
set -euo pipefail
KAFKA_LIBS=$(bin/fluxbench kafka-libs)
export KAFKA_LIBS
status=0
${GO:-go} build -o bin/ ./broker/compat/clients # `go run` would hide its exit code
bin/clients "$@" || status=$?
[ "$status" -le 1 ] || exit "$status"
case " $* " in
  *" -suites "*) ;;
  *) DIFFERENTIAL_RESULT=$PWD/broker/compat/results/differential.json ${GO:-go} test ./broker/compat/differential -count=1 -v -timeout 15m || status=$? ;;
esac
${GO:-go} run ./broker/compat/report
exit "$status"
