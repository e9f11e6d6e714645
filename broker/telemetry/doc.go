// Package telemetry is what clients tell of themselves (KIP-714): it decides
// which metrics a client is asked for and how often (subscriptions), holds
// pushes to that, reads what they carry, and keeps the latest numbers until
// they are scraped. Handlers of GetTelemetrySubscriptions and PushTelemetry
// call it, node gives it the subscriptions of the cluster and the clock, and
// metrics shows its samples.
//
// Words: an instance is one client, known by its client instance id; a
// subscription is an operator's wish (resource type CLIENT_METRICS), and an
// instance's subscription id stands for all wishes that match it; a series is
// one metric with its attributes of one instance.
//
// Nothing here waits, starts a goroutine or trusts a length: instances, series,
// labels and the size of what is decompressed are bounded, and what is beyond a
// bound is left out and counted. It decodes OTLP itself, as far as Kafka's
// clients write it (gauges and sums), with a reader of protobuf that
// does not recurse and does not allocate.
package telemetry
