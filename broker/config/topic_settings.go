package config

// notBuilt makes a check that allows only the given values.
func notBuilt(why string, allowed ...string) func(string) string {
	return func(text string) string {
		for _, value := range allowed {
			if text == value {
				return ""
			}
		}
		return why
	}
}

// synonym is the usual case: one broker key of the same unit.
func synonym(name string) []Synonym { return []Synonym{{Name: name}} }

const noJitter = "jitter on rolling segments is not built; only 0 is"

const (
	maxLong = "9223372036854775807"
	hourMs  = 3600_000
	minMs   = 60_000
)

// topicSettings are Kafka 4.3's topic keys with its defaults and bounds.
func topicSettings() []Setting {
	settings := []Setting{
		{Name: "cleanup.policy", Type: List, Default: "delete", Rule: listOf("compact", "delete"),
			Synonyms: synonym("log.cleanup.policy"),
			Doc:      "How old records go: delete removes whole segments by age and size, compact keeps the last record of each key. Empty keeps all."},
		{Name: "compression.gzip.level", Type: Int, Default: "-1", Rule: between(1, 9).or("-1"), Synonyms: synonym("compression.gzip.level"),
			Doc: "Level of gzip when compression.type is gzip; -1 is the codec's default."},
		{Name: "compression.lz4.level", Type: Int, Default: "9", Rule: between(1, 17), Synonyms: synonym("compression.lz4.level"),
			Doc: "Level of lz4 when compression.type is lz4. 9 is the fast compressor, any other one that searches; above 9 it searches no deeper."},
		{Name: "compression.type", Type: String, Default: "producer", Synonyms: synonym("compression.type"),
			Rule: oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
			Doc:  "Codec of stored batches. producer keeps them as they were sent; another one has the broker compress anew what came in a different codec, which costs processor time."},
		{Name: "compression.zstd.level", Type: Int, Default: "3", Rule: between(-131072, 22), Synonyms: synonym("compression.zstd.level"),
			Doc: "Level of zstd when compression.type is zstd. There are four: below 3, 3 to 5, 6 to 9, 10 and above."},
		{Name: "delete.retention.ms", Type: Long, Default: "86400000", Rule: atLeast(0), Synonyms: synonym("log.cleaner.delete.retention.ms"),
			Doc: "How long a compacted topic keeps tombstones and transaction markers after their first cleaning, in milliseconds."},
		{Name: "file.delete.delay.ms", Type: Long, Default: "60000", Rule: atLeast(0), Synonyms: synonym("log.segment.delete.delay.ms"),
			Doc: "How long a removed segment's file stays on disk, in milliseconds. Then it goes at once while nothing is appended to any log, else at 20 MB a second, or twice as fast as logs grow, or as all that is due needs to be gone in five minutes."},
		{Name: "flush.messages", Type: Long, Default: maxLong, Rule: atLeast(1), Synonyms: synonym("log.flush.interval.messages"),
			Doc: "Flush the log to disk after this many records. The largest value leaves it to log.flush."},
		{Name: "flush.ms", Type: Long, Default: maxLong, Rule: atLeast(0),
			Synonyms: []Synonym{{Name: "log.flush.interval.ms"}, {Name: "log.flush.scheduler.interval.ms"}},
			Doc:      "Flush the log to disk at least this often, in milliseconds. The largest value leaves it to log.flush."},
		{Name: "index.interval.bytes", Type: Int, Default: "4096", Rule: atLeast(0), Synonyms: synonym("log.index.interval.bytes"),
			Doc: "Bytes of log between two entries of the offset index."},
		{Name: "internal.segment.bytes", Type: Int, Null: true, Rule: atLeast(1), Internal: true,
			Doc: "Segment size below the public minimum, in bytes, for tests."},
		{Name: "max.compaction.lag.ms", Type: Long, Default: maxLong, Rule: atLeast(1), Synonyms: synonym("log.cleaner.max.compaction.lag.ms"),
			Doc: "Longest time a record stays uncompacted, in milliseconds. A compacted topic closes its segments at this age, too."},
		{Name: "max.message.bytes", Type: Int, Default: "1048588", Rule: atLeast(0), Synonyms: synonym("message.max.bytes"),
			Doc: "Largest record batch, in bytes, as it is sent (compressed) and as it is stored where that differs."},
		{Name: "message.timestamp.after.max.ms", Type: Long, Default: "3600000", Rule: atLeast(0), Synonyms: synonym("log.message.timestamp.after.max.ms"),
			Doc: "How far a record's timestamp may lie in the future, in milliseconds. Ignored with LogAppendTime."},
		{Name: "message.timestamp.before.max.ms", Type: Long, Default: maxLong, Rule: atLeast(0), Synonyms: synonym("log.message.timestamp.before.max.ms"),
			Doc: "How far a record's timestamp may lie in the past, in milliseconds. Ignored with LogAppendTime. With a limit the broker decompresses every batch to see."},
		{Name: "message.timestamp.type", Type: String, Default: "CreateTime", Rule: oneOf("CreateTime", "LogAppendTime"), Synonyms: synonym("log.message.timestamp.type"),
			Doc: "Whether a record's timestamp is the producer's (CreateTime) or the time of the append (LogAppendTime)."},
		{Name: "min.cleanable.dirty.ratio", Type: Double, Default: "0.5", Rule: between(0, 1), Synonyms: synonym("log.cleaner.min.cleanable.ratio"),
			Doc: "Share of uncompacted bytes above which a log is cleaned."},
		{Name: "min.compaction.lag.ms", Type: Long, Default: "0", Rule: atLeast(0), Synonyms: synonym("log.cleaner.min.compaction.lag.ms"),
			Doc: "Shortest time a record stays uncompacted, in milliseconds."},
		{Name: "min.insync.replicas", Type: Int, Default: "1", Rule: atLeast(1), Synonyms: synonym("min.insync.replicas"),
			Doc: "In-sync replicas that an acks=all append needs; never more than the topic has replicas, so on one node it always holds."},
		{Name: "preallocate", Type: Boolean, Default: "false", Synonyms: synonym("log.preallocate"),
			Doc: "Reserve a segment's full size on disk when it is made."},
		{Name: "retention.bytes", Type: Long, Default: "-1", Synonyms: synonym("log.retention.bytes"),
			Doc: "Size a partition may reach before its oldest segments go, in bytes; negative is no limit."},
		{Name: "retention.ms", Type: Long, Default: "604800000", Rule: atLeast(-1),
			Synonyms: []Synonym{{Name: "log.retention.ms"}, {Name: "log.retention.minutes", Factor: minMs}, {Name: "log.retention.hours", Factor: hourMs}},
			Doc:      "Age at which a segment goes, in milliseconds; -1 is for ever."},
		{Name: "segment.bytes", Type: Int, Default: "1073741824", Rule: atLeast(1 << 20), Synonyms: synonym("log.segment.bytes"),
			Doc: "Size at which a segment is closed and a new one begun, in bytes."},
		{Name: "segment.index.bytes", Type: Int, Default: "10485760", Rule: atLeast(4), Synonyms: synonym("log.index.size.max.bytes"),
			Doc: "Largest size of a segment's offset index, in bytes."},
		{Name: "segment.jitter.ms", Type: Long, Default: "0", Rule: atLeast(0),
			Synonyms: []Synonym{{Name: "log.roll.jitter.ms"}, {Name: "log.roll.jitter.hours", Factor: hourMs}},
			unbuilt:  notBuilt(noJitter, "0"),
			Doc:      "Random time taken off segment.ms, in milliseconds. Only 0 is built."},
		{Name: "segment.ms", Type: Long, Default: "604800000", Rule: atLeast(1),
			Synonyms: []Synonym{{Name: "log.roll.ms"}, {Name: "log.roll.hours", Factor: hourMs}},
			Doc:      "Age at which a segment is closed even if not full, in milliseconds."},
		{Name: "unclean.leader.election.enable", Type: Boolean, Default: "false", Synonyms: synonym("unclean.leader.election.enable"),
			Doc: "Whether a replica outside the ISR may become leader. With one replica there is none, so both values hold."},
	}
	const noTiers = "tiered storage is not built"
	const noQuota = "replication quotas are not built"
	for _, s := range []Setting{
		{Name: "remote.storage.enable", Type: Boolean, Default: "false", unbuilt: notBuilt(noTiers, "false"),
			Doc: "Tiered storage. Only false is built."},
		{Name: "remote.log.copy.disable", Type: Boolean, Default: "false", unbuilt: notBuilt(noTiers, "false"),
			Doc: "Tiered storage: stop copying segments. Only false is built."},
		{Name: "remote.log.delete.on.disable", Type: Boolean, Default: "false", unbuilt: notBuilt(noTiers, "false"),
			Doc: "Tiered storage: delete remote segments when it is switched off. Only false is built."},
		{Name: "local.retention.bytes", Type: Long, Default: "-2", Rule: atLeast(-2), Synonyms: synonym("log.local.retention.bytes"), unbuilt: notBuilt(noTiers, "-2"),
			Doc: "Tiered storage: bytes kept locally. Only -2 (use retention.bytes) is built."},
		{Name: "local.retention.ms", Type: Long, Default: "-2", Rule: atLeast(-2), Synonyms: synonym("log.local.retention.ms"), unbuilt: notBuilt(noTiers, "-2"),
			Doc: "Tiered storage: time kept locally, in milliseconds. Only -2 (use retention.ms) is built."},
		{Name: "leader.replication.throttled.replicas", Type: List, unbuilt: notBuilt(noQuota, ""),
			Doc: "Replicas whose leader side is throttled. Only the empty list is built."},
		{Name: "follower.replication.throttled.replicas", Type: List, unbuilt: notBuilt(noQuota, ""),
			Doc: "Replicas whose follower side is throttled. Only the empty list is built."},
	} {
		settings = append(settings, s)
	}
	for i := range settings {
		settings[i].Scope = TopicScope
		settings[i].Dynamic = true
	}
	return settings
}
