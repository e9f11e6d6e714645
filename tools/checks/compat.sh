#!/usr/bin/env bash
# Apache Kafka's own tools on our files and on our broker, from Maven artifacts.
set -euo pipefail
libs=$(bin/fluxbench kafka-libs)
KAFKA_LIBS=$libs go test ./broker/compat -count=1 -v -timeout 15m
