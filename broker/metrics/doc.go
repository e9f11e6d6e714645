// Package metrics counts what the broker does and shows it to Prometheus. It
// imports nothing of ours: rooms count through the typed fields of a
// Registry, and states (offsets, sizes, connections, groups) are read at
// scrape time through the functions in Sources, which node fills.
//
// Names that dashboards for Apache Kafka query are kept as the JMX exporter
// and kafka_exporter spell them, and are never renamed; what is ours begins
// with fluxmq_. Every metric is in definitions.go with its unit and sentence.
//
// Counting is one atomic addition: no lock, no allocation, no look-up by
// name. Counters are not sharded over cores: they move once a request or
// batch, not once a record (BenchmarkCount shows the cost).
package metrics
