#!/usr/bin/env bash
# Real clients, Apache Kafka's own tools on our files and on our broker, and the
# differential test, from Maven artifacts; counts and differences go to COMPATIBILITY.md.
set -euo pipefail
libs=$(bin/fluxbench kafka-libs)
results=broker/compat/results
KAFKA_LIBS=$libs DIFFERENTIAL_RESULT=$PWD/$results/differential.json \
    go test ./broker/compat ./broker/compat/differential -p 1 -count=1 -json -timeout 25m | go run ./broker/compat/report -tests -
