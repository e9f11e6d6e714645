// Package coordinator is what the coordinators of groups, transactions and
// share partitions have in common (in Kafka: CoordinatorRuntime).
//
// A coordinator keeps its state in a topic of the broker's own. Each partition
// of that topic has a shard, a goroutine that owns what is stored there: it
// takes requests from a Queue, gathers the records that they make in a Journal,
// writes them as one batch and lets the answers go when that is written, or durable. A
// request is answered through a Reply. What a shard knows, and what a record
// means, is the business of the rooms that use this one.
package coordinator
