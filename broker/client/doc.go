// Package client administers, fills and reads a Kafka cluster over the wire:
// topics, groups, settings, records. It is the command line's half of the
// conversation and knows nothing of the server's rooms, so that it works on
// Apache Kafka as on this broker.
//
// cmd/fluxmq calls it, and Go programs may. It reads no flags and no
// environment and prints nothing: what it finds out it returns as plain data
// with JSON names, in which a nil pointer is what Kafka's tools show as "-".
//
// Operations on several topics, groups or partitions do what can be done:
// they return a row for each, with the refusal in the row, and an error that
// says how many were refused. An error that wraps ErrInput is the caller's
// (an impossible combination, a text that does not parse); any other comes
// from the broker or from the way to it and is one sentence with Kafka's name.
package client
