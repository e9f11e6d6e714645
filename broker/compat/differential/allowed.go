package differential

import (
	"regexp"
	"strings"
)

// Allowance is a difference that is meant. It holds for an API in a range of
// versions, in the cases and at the paths that its patterns match whole; a *
// stands for any text. Ours and Kafka, when not empty, are patterns of the two values.
type Allowance struct {
	API                     string
	MinVersion, MaxVersion  int16
	Case, Path, Ours, Kafka string // an empty one matches everything
	// Reason says why a client is not hurt, and why we differ.
	Reason string
}

// AllowedLimit is how many differences may be explained away; more of them
// would mean that this is another broker.
const AllowedLimit = 20

// Allowances is the whole list. One that a full run never uses is an error:
// it would hide what comes later.
var Allowances = []Allowance{
	{API: "Metadata", MinVersion: 0, MaxVersion: 13, Case: "a topic that is created by asking", Path: "Topics[automatic].*",
		Reason: "The topic is there in the reply that creates it. Kafka creates it behind its reply, and the client asks again."},
	{API: "Produce", MinVersion: 0, MaxVersion: 2, Kafka: string(closed),
		Reason: "Kafka 4 advertises these versions for the sake of old librdkafka and closes the connection that asks for one; here they are carried out, with message formats v0 and v1."},
	{API: "Produce", MinVersion: 3, MaxVersion: 13, Case: "null records", Kafka: string(silent),
		Reason: "Kafka fails inside and answers nothing, so that the client waits for its timeout; here it is INVALID_RECORD."},
	{API: "AlterConfigs", MinVersion: 0, MaxVersion: 2, Case: "of a topic twice", Kafka: string(silent),
		Reason: "Kafka fails inside and answers nothing, so that the client waits for its timeout; here it is INVALID_REQUEST."},

	{API: "ApiVersions", MinVersion: 0, MaxVersion: 4, Path: "ApiKeys[*]", Ours: absent,
		Reason: "The API is not built, and what is not built is not advertised."},

	{API: "Produce", MinVersion: 8, MaxVersion: 13, Path: "Topics[*].Partitions[*].ErrorMessage", Ours: "text", Kafka: "null",
		Reason: "The message says more than the code does, and clients show it; Kafka has one only where single records are at fault."},
	{API: "Produce", MinVersion: 3, MaxVersion: 13, Case: "gzip that is none", Reason: compressedUnread},
	{API: "Fetch", MinVersion: 4, MaxVersion: 18, Case: "what became of doubtful records", Path: "Topics[*].Partitions[21].*", Reason: compressedUnread},
	{API: "Produce", MinVersion: 3, MaxVersion: 13, Case: "an offset delta of 5", Reason: offsetsInOrder},
	{API: "Fetch", MinVersion: 4, MaxVersion: 18, Case: "what became of doubtful records", Path: "Topics[*].Partitions[27].*", Reason: offsetsInOrder},

	{API: "ConsumerGroupHeartbeat", MinVersion: 0, MaxVersion: 1, Path: "HeartbeatIntervalMillis", Ours: "1000", Kafka: "5000",
		Reason: "For 10 s after a change in a group its members are told to heartbeat sooner, so that partitions reach those that wait (fluxmq.group.consumer.settling.heartbeat.interval.ms)."},

	{API: "CreatePartitions", MinVersion: 0, MaxVersion: 3, Case: "the offsets topic",
		Reason: "The groups would be looked for in partitions that know nothing of them, and their offsets would be lost; Kafka lets it happen."},

	{API: "IncrementalAlterConfigs", MinVersion: 0, MaxVersion: 1, Case: "a dynamic config of the broker", Path: "Resources[4 1].*",
		Reason: "log.cleaner.threads has no effect here, and a success would say that it has: it is INVALID_REQUEST."},
	{API: "IncrementalAlterConfigs", MinVersion: 0, MaxVersion: 1, Case: "an unknown config of the broker", Path: "Resources[4 1].*",
		Reason: "Kafka keeps keys that it does not know for the sake of plugins, which there are not here: a key that nobody reads is INVALID_REQUEST, so that a mistyped one is seen."},

	{API: "CreateTopics", MinVersion: 5, MaxVersion: 7, Path: "Topics[*].Configs[min.insync.replicas].Source", Ours: "5", Kafka: "3", Reason: noELR},
	{API: "DescribeConfigs", MinVersion: 1, MaxVersion: 4, Path: "Resources[*].Configs[min.insync.replicas]*", Reason: noELR},
	{API: "DescribeConfigs", MinVersion: 1, MaxVersion: 4, Case: "the configs of every broker", Path: "Resources[*].Configs", Reason: noELR},
	{API: "DescribeConfigs", MinVersion: 1, MaxVersion: 4, Case: "a group", Path: "Resources[*].Configs[streams.*]", Ours: absent,
		Reason: "Groups of Kafka Streams are not built, and neither are their settings."},
	{API: "DescribeConfigs", MinVersion: 1, MaxVersion: 4, Path: "Resources[*].Configs[num.io.threads]", Ours: absent,
		Reason: "There are no such threads here: a setting without effect is shown only where somebody set it."},
}

// Reasons that several allowances have.
const (
	compressedUnread = "What is in a compressed batch is read only with log.validation=full: the broker never unpacks what it only hands on. Consumers find the batch corrupt."
	offsetsInOrder   = "Kafka stores a record whose offset lies outside of its batch, and consumers then skip records; here it is INVALID_RECORD."
	noELR            = "A new Kafka cluster copies min.insync.replicas into a setting of every broker for the sake of eligible leader replicas, which one replica cannot have."
)

func (a Allowance) covers(c Case, d Difference) bool {
	return a.API == c.API && a.MinVersion <= c.Version && c.Version <= a.MaxVersion &&
		matches(a.Case, c.Name) && matches(a.Path, d.Path) && matches(a.Ours, d.Ours) && matches(a.Kafka, d.Kafka)
}

// matches: an empty pattern matches everything.
func matches(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	parts := strings.Split(pattern, "*")
	for n := range parts {
		parts[n] = regexp.QuoteMeta(parts[n])
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text) // QuoteMeta leaves nothing that does not compile
}

// judge gives the case its verdict and its differences their reasons. used
// counts, by index in allowances, how often each was needed.
func judge(c *Case, allowances []Allowance, used []int) {
	c.Verdict = Same
	for n := range c.Differences {
		d := &c.Differences[n]
		for m, a := range allowances {
			if a.covers(*c, *d) {
				d.Reason = a.Reason
				used[m]++
				break
			}
		}
		switch {
		case d.Reason == "":
			c.Verdict = Different
		case c.Verdict == Same:
			c.Verdict = Permitted
		}
	}
}
