// Package fluxmq is the root of the module: a benchmark and tuning harness with
// a reference Kafka-compatible broker. It holds no code; see README.md.
package fluxmq
