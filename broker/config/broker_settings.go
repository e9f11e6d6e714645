package config

import "math"

// broker is a broker setting with a default.
func broker(name string, t Type, value string, rule Rule, doc string) Setting {
	return Setting{Name: name, Type: t, Default: value, Rule: rule, Doc: doc}
}

// dynamic makes a setting one that can be altered while the broker runs.
func dynamic(s Setting) Setting {
	s.Dynamic = true
	return s
}

// unset is a broker setting without a default.
func unset(name string, t Type, rule Rule, doc string) Setting {
	return Setting{Name: name, Type: t, Null: true, Rule: rule, Doc: doc}
}

// brokerSettings are the broker keys: Kafka 4.3's with its defaults, and our own.
// Where a default differs from Kafka's, the sentence says so.
func brokerSettings() []Setting {
	var all []Setting
	for _, part := range [][]Setting{networkSettings(), logSettings(), cleanerSettings(), topicDefaultSettings(), groupSettings(), consumerGroupSettings(), shareGroupSettings(), streamsGroupSettings(), transactionSettings(), quotaSettings(), telemetrySettings(), ownSettings(), acceptedSettings()} {
		all = append(all, part...)
	}
	return all
}

func networkSettings() []Setting {
	return []Setting{
		{Name: "node.id", Type: Int, Default: "0", Rule: atLeast(0), Synonyms: []Synonym{{Name: "broker.id"}},
			Doc: "This node's id, as clients see it."},
		unset("broker.id", Int, atLeast(-1), "Older name of node.id; -1 leaves it to node.id."),
		unset("broker.rack", String, Rule{}, "Rack of this node, told to clients in Metadata."),
		broker("listeners", List, "PLAINTEXT://127.0.0.1:9092", notEmpty(),
			"Where the broker listens: NAME://host:port, comma-separated; port 0 takes a free one. Only PLAINTEXT is built. Kafka's default is every interface; ours is loopback."),
		unset("advertised.listeners", List, Rule{}, "What clients are told to connect to, by listener name; unset: the listeners themselves."),
		broker("listener.security.protocol.map", String, "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL", Rule{},
			"Security protocol of each listener name. Only PLAINTEXT is built."),
		broker("socket.send.buffer.bytes", Int, "102400", atLeast(-1), "Size of a connection's send buffer, in bytes; -1 leaves it to the kernel."),
		broker("socket.receive.buffer.bytes", Int, "102400", atLeast(-1), "Size of a connection's receive buffer, in bytes; -1 leaves it to the kernel."),
		broker("socket.request.max.bytes", Int, "104857600", atLeast(1), "Largest request accepted, in bytes; a larger one closes its connection."),
		dynamic(broker("max.connections", Int, "2147483647", atLeast(0), "Connections the broker holds at once; further ones are closed at accept.")),
		dynamic(broker("max.connections.per.ip", Int, "2147483647", atLeast(0), "Connections one client address may hold at once.")),
		dynamic(broker("max.connections.per.ip.overrides", String, "", addressLimits(), "Exceptions to max.connections.per.ip as address:count, comma-separated. Host names other than localhost are refused: they are not looked up.")),
		dynamic(broker("max.connection.creation.rate", Int, "2147483647", atLeast(0), "Most new connections a second; further ones wait to be accepted.")),
		broker("connections.max.idle.ms", Long, "600000", Rule{}, "Close a connection idle this long, in milliseconds; negative never."),
		broker("fluxmq.heartbeat.coalescing.ms", Int, "10", between(0, 1000),
			"How long a request may wait on a connection whose last 8 requests were heartbeats of groups, in milliseconds: such connections are read together, so that waking up is paid once for many. Any other request makes it an ordinary connection again. 0 is off, as in Kafka. Linux only. Not a Kafka key."),
		broker("max.incremental.fetch.session.cache.slots", Int, "1000", atLeast(0), "Incremental fetch sessions kept at once; 0 switches them off."),
		broker("fetch.max.bytes", Int, "57671680", atLeast(1024), "Most bytes one Fetch is answered with, whatever the client asks."),
		{Name: "authorizer.class.name", Type: String, unbuilt: notBuilt("authorization is not built; a broker that ignored this would let everyone in", ""),
			Doc: "Authorizer. Only the empty value (no authorization) is built."},
	}
}

func logSettings() []Setting {
	eachOnce := func(text string) string {
		seen := map[string]bool{}
		for _, path := range splitPaths(text) {
			if seen[path] {
				return "it names " + path + " twice"
			}
			seen[path] = true
		}
		return ""
	}
	return []Setting{
		{Name: "log.dirs", Type: List, Null: true, Rule: notEmpty(), Synonyms: []Synonym{{Name: "log.dir"}}, unbuilt: eachOnce,
			Doc: "Directories of the partitions' logs, comma-separated; unset: log.dir. The first holds the metadata too: with several the broker ends when it fails, and goes on when another does."},
		{Name: "log.dir", Type: List, Default: "./data", Rule: notEmpty(), unbuilt: eachOnce,
			Doc: "Directories of the partitions' logs when log.dirs is unset. Kafka's default is /tmp/kafka-logs; ours lies in the working directory."},
		broker("num.partitions", Int, "1", atLeast(1), "Partitions of a topic created without a count."),
		broker("default.replication.factor", Int, "1", atLeast(1), "Replicas of a topic created without a count; held to the number of live nodes."),
		broker("auto.create.topics.enable", Boolean, "true", Rule{}, "Whether a Metadata request may create the topics it asks for."),
		broker("delete.topic.enable", Boolean, "true", Rule{}, "Whether topics can be deleted."),
		broker("log.retention.check.interval.ms", Long, "300000", atLeast(1), "How often retention looks for segments that may go, in milliseconds."),
		dynamic(broker("replica.alter.log.dirs.io.max.bytes.per.second", Long, "9223372036854775807", atLeast(0), "Most bytes a second, on average, that logs are copied with to other log directories.")),
		dynamic(broker("producer.id.expiration.ms", Int, "86400000", atLeast(1), "How long the sequence numbers of a producer that writes nothing are kept, in milliseconds.")),
		broker("max.request.partition.size.limit", Int, "2000", atLeast(1), "Most partitions one DescribeTopicPartitions reply holds."),
	}
}

// cleanerSettings are those of the log cleaner; what it does for a topic is in
// the topic's settings.
func cleanerSettings() []Setting {
	settings := []Setting{
		broker("log.cleaner.dedupe.buffer.size", Long, "134217728", atLeast(1<<20), "Most memory for the cleaner's map of keys, in bytes; a key takes 24 of them. It is taken as a log needs it, and given back when nothing is left to clean."),
		broker("log.cleaner.io.buffer.load.factor", Double, "0.9", between(0.01, 1), "How full the map of keys may get; a log with more keys is cleaned in several rounds."),
		broker("log.cleaner.io.buffer.size", Int, "524288", atLeast(0), "Memory for the cleaner's reading and writing, in bytes; 8192 at least. What it reads with grows to the largest record batch, and one batch is held decompressed beside it."),
		broker("log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", between(1, math.MaxFloat64), "Most bytes that the cleaner reads and writes a second, on average."),
		broker("fluxmq.log.cleaner.busy.io.max.bytes.per.second", Double, "60000000", between(1, math.MaxFloat64),
			"The same while anything is appended to any log: producers wait less behind a cleaner that takes its time. Where compacted logs grow so fast that it would not keep up, it takes twice what keeping up needs. 1.7976931348623157E308 is off, as in Kafka. Not a Kafka key."),
		broker("log.cleaner.backoff.ms", Long, "15000", atLeast(0), "How long the cleaner waits when no log is due, in milliseconds; 100 at least."),
	}
	for i := range settings {
		settings[i].Dynamic = true
	}
	return append(settings, broker("log.cleaner.enable", Boolean, "true", Rule{}, "Whether compacted topics are compacted. If not, they and __consumer_offsets grow without end."))
}

// topicDefaultSettings are the broker keys that give topics their defaults.
// They are dynamic: topics without an override follow at once.
func topicDefaultSettings() []Setting {
	settings := []Setting{
		broker("log.cleanup.policy", List, "delete", listOf("compact", "delete"), "Default of cleanup.policy."),
		broker("log.cleaner.delete.retention.ms", Long, "86400000", atLeast(0), "Default of delete.retention.ms."),
		broker("log.cleaner.max.compaction.lag.ms", Long, maxLong, atLeast(1), "Default of max.compaction.lag.ms."),
		broker("log.cleaner.min.compaction.lag.ms", Long, "0", atLeast(0), "Default of min.compaction.lag.ms."),
		broker("log.cleaner.min.cleanable.ratio", Double, "0.5", between(0, 1), "Default of min.cleanable.dirty.ratio."),
		broker("log.segment.delete.delay.ms", Long, "60000", atLeast(0), "Default of file.delete.delay.ms, in milliseconds."),
		broker("log.flush.interval.messages", Long, maxLong, atLeast(1), "Default of flush.messages."),
		{Name: "log.flush.interval.ms", Type: Long, Null: true, Rule: atLeast(0), Synonyms: []Synonym{{Name: "log.flush.scheduler.interval.ms"}},
			Doc: "Default of flush.ms, in milliseconds; unset: log.flush.scheduler.interval.ms."},
		broker("log.index.interval.bytes", Int, "4096", atLeast(0), "Default of index.interval.bytes."),
		broker("log.index.size.max.bytes", Int, "10485760", atLeast(4), "Default of segment.index.bytes."),
		broker("message.max.bytes", Int, "1048588", atLeast(0), "Default of max.message.bytes."),
		broker("log.message.timestamp.after.max.ms", Long, "3600000", atLeast(0), "Default of message.timestamp.after.max.ms."),
		broker("log.message.timestamp.before.max.ms", Long, maxLong, atLeast(0), "Default of message.timestamp.before.max.ms."),
		broker("log.message.timestamp.type", String, "CreateTime", oneOf("CreateTime", "LogAppendTime"), "Default of message.timestamp.type."),
		broker("min.insync.replicas", Int, "1", atLeast(1), "Default of the topic setting of the same name."),
		broker("log.preallocate", Boolean, "false", Rule{}, "Default of preallocate."),
		broker("log.retention.bytes", Long, "-1", Rule{}, "Default of retention.bytes."),
		{Name: "log.retention.ms", Type: Long, Null: true, Rule: atLeast(-1),
			Synonyms: []Synonym{{Name: "log.retention.minutes", Factor: minMs}, {Name: "log.retention.hours", Factor: hourMs}},
			Doc:      "Default of retention.ms; unset: log.retention.minutes, then log.retention.hours. -1 is for ever."},
		broker("log.segment.bytes", Int, "1073741824", atLeast(1<<20), "Default of segment.bytes."),
		{Name: "log.roll.ms", Type: Long, Null: true, Rule: atLeast(1), Synonyms: []Synonym{{Name: "log.roll.hours", Factor: hourMs}},
			Doc: "Default of segment.ms; unset: log.roll.hours."},
		broker("compression.type", String, "producer", oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"), "Default of the topic setting of the same name."),
		broker("compression.gzip.level", Int, "-1", between(1, 9).or("-1"), "Default of the topic setting of the same name."),
		broker("compression.lz4.level", Int, "9", between(1, 17), "Default of the topic setting of the same name."),
		broker("compression.zstd.level", Int, "3", between(-131072, 22), "Default of the topic setting of the same name."),
	}
	for i := range settings {
		settings[i].Dynamic = true
	}
	return append(settings,
		broker("log.flush.scheduler.interval.ms", Long, maxLong, atLeast(0), "Default of log.flush.interval.ms, in milliseconds."),
		unset("log.retention.minutes", Int, atLeast(-1), "log.retention.ms in minutes, used when that is unset."),
		broker("log.retention.hours", Int, "168", atLeast(-1), "log.retention.ms in hours, used when both finer ones are unset."),
		broker("log.roll.hours", Int, "168", atLeast(1), "log.roll.ms in hours, used when that is unset."),
	)
}

func groupSettings() []Setting {
	return []Setting{
		broker("group.min.session.timeout.ms", Int, "6000", atLeast(1), "Shortest session timeout a member may ask for, in milliseconds."),
		broker("group.max.session.timeout.ms", Int, "1800000", atLeast(1), "Longest session timeout a member may ask for, in milliseconds."),
		broker("group.initial.rebalance.delay.ms", Int, "3000", atLeast(0), "How long an empty group waits for more members before its first rebalance, in milliseconds: until none has come for that long, at most the rebalance timeout. Kafka waits in whole steps of it, so twice as long where all members start at once."),
		broker("group.max.size", Int, "2147483647", atLeast(1), "Most members of one group."),
		broker("offset.metadata.max.bytes", Int, "4096", atLeast(0), "Longest metadata string of an offset commit, in bytes."),
		broker("offsets.commit.timeout.ms", Int, "5000", atLeast(1), "How long an offset commit may take to become durable, in milliseconds."),
		broker("offsets.retention.minutes", Int, "10080", atLeast(1), "How long offsets of an empty group are kept, in minutes."),
		broker("offsets.retention.check.interval.ms", Long, "600000", atLeast(1), "How often expired offsets are looked for, in milliseconds."),
		broker("offsets.topic.num.partitions", Int, "50", atLeast(1), "Partitions of __consumer_offsets, fixed when it is created."),
		broker("offsets.topic.segment.bytes", Int, "104857600", atLeast(1), "Segment size of __consumer_offsets, in bytes."),
		broker("offsets.topic.replication.factor", Short, "3", atLeast(1), "Replicas of __consumer_offsets; held to the number of live nodes, so that 3 works on one."),
	}
}

func transactionSettings() []Setting {
	return []Setting{
		broker("transaction.max.timeout.ms", Int, "900000", atLeast(1), "Longest transaction timeout a producer may ask for, in milliseconds."),
		broker("transactional.id.expiration.ms", Int, "604800000", atLeast(1), "How long a transactional id that nobody uses is kept, in milliseconds."),
		broker("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", atLeast(1), "How often transactions whose time is up are looked for, in milliseconds."),
		broker("transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000", atLeast(1), "How often expired transactional ids are looked for, in milliseconds."),
		broker("transaction.state.log.num.partitions", Int, "50", atLeast(1), "Partitions of __transaction_state, fixed when it is created."),
		broker("transaction.state.log.segment.bytes", Int, "104857600", atLeast(1), "Segment size of __transaction_state, in bytes."),
		broker("transaction.state.log.replication.factor", Short, "3", atLeast(1), "Replicas of __transaction_state; held to the number of live nodes, so that 3 works on one."),
	}
}

// quotaSettings say how client quotas are measured; the quotas themselves are
// set with AlterClientQuotas.
func quotaSettings() []Setting {
	return []Setting{
		broker("quota.window.num", Int, "11", atLeast(1), "Samples over which the rates of client quotas are measured."),
		broker("quota.window.size.seconds", Int, "1", atLeast(1), "Span of one sample of a client quota, in seconds."),
		broker("controller.quota.window.num", Int, "11", atLeast(1), "Spans for which a client may save up partitions to create and delete (controller_mutation_rate)."),
		broker("controller.quota.window.size.seconds", Int, "1", atLeast(1), "One of the spans of controller.quota.window.num, in seconds."),
	}
}

// telemetrySettings are those of what clients push of their own metrics; what
// they are asked for is in the client metrics subscriptions.
func telemetrySettings() []Setting {
	return []Setting{
		broker("telemetry.max.bytes", Int, "1048576", atLeast(1), "Most bytes of metrics that one PushTelemetry may carry, compressed or not."),
	}
}

// ownSettings are not Kafka's.
func ownSettings() []Setting {
	return []Setting{
		broker("log.flush", String, "acks", oneOf("acks", "os", "always"),
			"When data reaches stable storage: acks, a reply to acks=all waits for fdatasync; os, nothing waits (as Kafka by default); always, nothing is acknowledged or readable before fdatasync. Not a Kafka key."),
		broker("log.validation", String, "records", oneOf("header", "records", "full"),
			"What is checked of a produced batch: header, its header and CRC; records, also the records of uncompressed batches; full, also those of compressed ones. Not a Kafka key."),
		broker("fluxmq.admin.listener", String, "127.0.0.1:9644", Rule{}, "Address of the admin HTTP (health, metrics, profiles) as host:port; empty is off. Not a Kafka key."),
		broker("fluxmq.insecure", Boolean, "false", Rule{}, "Allow listeners beyond loopback though nothing authenticates the clients. Not a Kafka key."),
		broker("fluxmq.groups.enable", Boolean, "true", Rule{}, "Whether the broker coordinates consumer groups. Not a Kafka key."),
		broker("fluxmq.log.level", String, "info", oneOf("trace", "debug", "info", "warn", "error"), "Least level of log lines. Not a Kafka key."),
		broker("fluxmq.log.format", String, "text", oneOf("text", "json"), "Form of log lines. Not a Kafka key."),
		{Name: "cluster.id", Type: String, Null: true, Doc: "Id of a new cluster, 22 characters of base64url; unset: minted at the first start. A data directory of another id is refused. Not a Kafka key."},
	}
}

// alteredWithoutEffect are dynamic in Kafka and defaults of topic settings for
// which every allowed value holds here, so that altering them is no lie.
var alteredWithoutEffect = map[string]bool{"log.roll.jitter.ms": true, "unclean.leader.election.enable": true}

// acceptedSettings are the Kafka keys without effect that a normal
// server.properties or container image sets, so that their values are checked
// and Suggest knows them. Families are in acceptedPrefixes.
func acceptedSettings() []Setting {
	settings := []Setting{
		broker("num.network.threads", Int, "3", atLeast(1), "Threads of Kafka's network layer; each connection has its own goroutine here."),
		broker("num.io.threads", Int, "8", atLeast(1), "Threads of Kafka's request handlers; each connection has its own goroutine here."),
		broker("num.replica.fetchers", Int, "1", atLeast(1), "Fetchers per leader; there are no followers yet."),
		broker("num.replica.alter.log.dirs.threads", Int, "1", atLeast(1), "Threads that move replicas between directories; here one goroutine moves one at a time, whatever the number."),
		broker("background.threads", Int, "10", atLeast(1), "Threads of Kafka's background work."),
		broker("queued.max.requests", Int, "500", atLeast(1), "Bound of Kafka's request queue; there is no such queue here."),
		broker("queued.max.request.bytes", Long, "-1", Rule{}, "Bound of Kafka's request queue, in bytes."),
		broker("socket.listen.backlog.size", Int, "50", atLeast(1), "Length of the accept queue; Go's listener takes the system's maximum."),
		broker("process.roles", List, "broker", listOf("broker", "controller"), "Roles in KRaft; this broker is both."),
		unset("controller.quorum.voters", List, Rule{}, "Controllers in KRaft; this node is its own."),
		unset("controller.listener.names", List, Rule{}, "Listeners of the controller. Listeners named here are not opened."),
		unset("inter.broker.listener.name", String, Rule{}, "Listener that brokers use among each other; there is one broker."),
		broker("unclean.leader.election.enable", Boolean, "false", Rule{}, "Whether a replica outside the ISR may become leader; there is one replica."),
		broker("auto.leader.rebalance.enable", Boolean, "true", Rule{}, "Whether leadership moves back by itself; there is one node."),
		broker("transaction.state.log.min.isr", Int, "2", atLeast(1), "Least ISR of __transaction_state; there is one replica."),
		broker("share.coordinator.state.topic.min.isr", Short, "2", atLeast(1), "Least ISR of __share_group_state; there is one replica."),
		broker("sasl.enabled.mechanisms", List, "GSSAPI", Rule{}, "SASL mechanisms; SASL is not built yet."),
		broker("super.users", String, "", Rule{}, "Principals that authorization does not bind; authorization is not built yet."),
		broker("log.flush.offset.checkpoint.interval.ms", Int, "60000", atLeast(0), "How often recovery points are written; here with every round of log maintenance."),
		broker("num.recovery.threads.per.data.dir", Int, "2", atLeast(1), "Logs opened at the same time at start; here twice the CPUs."),
		broker("request.timeout.ms", Int, "30000", Rule{}, "Timeout of requests between brokers."),
		broker("log.flush.start.offset.checkpoint.interval.ms", Int, "60000", atLeast(0), "How often log start offsets are written; here they are written when they move."),
		broker("offsets.load.buffer.size", Int, "5242880", atLeast(1), "Bytes read at a time when a coordinator loads."),
		broker("offsets.topic.compression.codec", Int, "0", Rule{}, "Codec of __consumer_offsets; it is written uncompressed."),
		broker("log.local.retention.bytes", Long, "-2", atLeast(-2), "Default of local.retention.bytes; tiered storage is not built."),
		broker("log.local.retention.ms", Long, "-2", atLeast(-2), "Default of local.retention.ms; tiered storage is not built."),
		broker("log.cleaner.threads", Int, "1", atLeast(0), "Threads of the log cleaner; here one goroutine cleans the log directory, whatever the number."),
		{Name: "log.roll.jitter.hours", Type: Int, Default: "0", Rule: atLeast(0), unbuilt: notBuilt(noJitter, "0"),
			Doc: "Default of segment.jitter.ms, in hours."},
		{Name: "log.roll.jitter.ms", Type: Long, Null: true, Rule: atLeast(0), unbuilt: notBuilt(noJitter, "0"),
			Doc: "Default of segment.jitter.ms."},
	}
	for _, name := range []string{
		"alter.config.policy.class.name", "client.quota.callback.class", "connection.failed.authentication.delay.ms",
		"connections.max.reauth.ms", "create.topic.policy.class.name", "early.start.listeners",
		"fetch.purgatory.purge.interval.requests", "delete.records.purgatory.purge.interval.requests",
		"producer.purgatory.purge.interval.requests", "group.coordinator.rebalance.protocols", "group.coordinator.threads",
		"group.consumer.assignor.offload.enable",
		"initial.broker.registration.timeout.ms", "log.dir.failure.timeout.ms", "log.initial.task.delay.ms",
		"principal.builder.class",
		"producer.id.expiration.check.interval.ms", "reserved.broker.max.id", "server.max.startup.time.ms",
		"socket.connection.setup.timeout.ms", "socket.connection.setup.timeout.max.ms", "unclean.leader.election.interval.ms",
		"unstable.api.versions.enable", "unstable.feature.versions.enable", "offsets.commit.required.acks",
		"inter.broker.protocol.version", "log.message.format.version", "log.message.downconversion.enable",
		"log.message.timestamp.difference.max.ms", "cordoned.log.dirs",
	} {
		settings = append(settings, unset(name, String, Rule{}, "Kafka's; not used here."))
	}
	for i := range settings {
		settings[i].Accepted = true
		settings[i].Dynamic = alteredWithoutEffect[settings[i].Name]
	}
	return settings
}
