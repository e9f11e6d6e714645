// Package node builds one broker from its rooms, bottom-up, runs it and stops
// it in reverse. It owns the process's shape: which goroutine belongs to whom,
// what is told to whom, and in which order things end. The binary and the
// embedding API use it; it answers no request itself.
//
// # Lock order
//
// A goroutine that holds a lock takes only locks further down:
//
//	txn shard                a goroutine, not a lock: waits for the next one (producer ids),
//	                         never for a group shard, whom its markers' goroutine waits for
//	group share jobs         a goroutine, not a lock: waits for the metadata and for a share shard
//	handler streamsTopics.mu held while the internal topics of a streams group are made
//	cluster.Metadata.mu      one command at a time; held across OnImage
//	group shard              a mutex that its goroutine takes, or who asks it and finds it idle: waits for
//	                         nothing above. Under a lock above it is only told something (send), never asked
//	share shard              a goroutine, not a lock: waits for nothing above
//	handler shareSessions.mu nothing is taken under it
//	share.Set.mu             then share.Partition.mu, which reads the log, then lockKeeper.mu; nothing
//	                         waits for a shard under them
//	handler sessionCache.mu  then fetchSession.mu
//	Partition.cleanMu        one log is cleaned or moved at a time; nobody waits for it but RunMoves
//	partition.Set            create, delete, the exchange of a log that moves
//	partition.Partition      append, roll, wake waiters
//	commitlog.Log            cleanMu, exchangeMu, syncMu or rebuildMu, then mu
//	server.Server.mu         the table of connections; nothing is taken under it
//	server framePool.mu      likewise
//	quota.Manager.mu         then one of its shards', or a sensor's; nothing else is taken under them
//	telemetry.Manager.mu     nothing is taken under it
//	loglevel.Set.mu          likewise
//
// Callbacks from below (partition's durability reports, waiters) run under
// the locks of the room that calls them: they set a flag or send on a channel
// with room, and never block.
//
// # Stopping
//
// Listeners close; connections finish what they have read, and what their share sessions
// held is released; transactions stop, then groups, then share partitions;
// partitions close cleanly; the data directory gets its clean-shutdown marker
// when all of that succeeded.
package node
