// Package cluster is what the cluster is: brokers, topics, settings altered at
// run time, client quotas, producer id blocks. Handlers read its Image and send it commands;
// node follows its changes to make and drop partitions.
//
// Three parts. An Image is immutable and swapped by one atomic pointer. Change
// is the append-only list of what can happen to an image; changes are kept as
// JSON in record batches in a log on disk, <log dir>/__cluster_metadata-0,
// one batch a command, so that a command happens wholly or not at all. The
// controller decides commands: pure functions from an image and a command to
// changes or an error, without I/O, clock or randomness of their own.
//
// Metadata is the live shell around them: it takes one command at a time,
// writes its changes, waits for fdatasync, tells node (OnImage), publishes the
// new image, and only then returns. What a caller was told survives kill -9;
// what it was not told may have happened or not.
//
// One node for now: the log is this node's own and every partition has one replica.
package cluster
