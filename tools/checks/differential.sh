#!/usr/bin/env bash
# The same requests to our broker and to Apache Kafka. The page is written also when they differ.
set -euo pipefail
libs=$(bin/fluxbench kafka-libs)
status=0
KAFKA_LIBS=$libs DIFFERENTIAL_RESULT=$PWD/broker/compat/results/differential.json \
    go test ./broker/compat/differential -count=1 -v -timeout 15m || status=$?
go run ./broker/compat/report
exit "$status"
