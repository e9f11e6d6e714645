// Package commitlog is one partition's log on disk, in Apache Kafka's layout
// byte for byte: segments of record batches with sparse offset and time
// indexes and one of aborted transactions, producer snapshots and the leader
// epoch checkpoint, plus the files that a log directory holds for all its
// partitions.
//
// It knows offsets, bytes and producer ids; it knows no topics, clients,
// replicas or Kafka error codes. partition calls it; nothing else on the data
// path does.
//
// Two kinds of caller meet in a Log. The writer (Append, Roll, Retain,
// SetLogStart, BeginVerification, Close) is one goroutine at a time: the
// partition's mutex sees to that. Everything else (Read, Sync, the look-ups,
// Compact) may run beside it. Log.mu makes the two meet; it is held for look-ups
// in memory and for publishing what was written, never across a write or an fsync.
//
// Words used here besides Kafka's own: a segment is sealed once its index
// files are on disk; durable is the offset below which everything was
// fdatasynced; a handle is a counted reference to a segment's open file. To
// clean a log is to compact it: the clean part ends where the last cleaning
// did, the dirty part follows. A transaction is open from its first record to
// its marker, then ended; one is unstable until that may be told to readers.
//
// After a write or an fsync has failed the log is offline for good: the state
// of those pages is unknown, and trying again could report success for data
// that is gone.
package commitlog
