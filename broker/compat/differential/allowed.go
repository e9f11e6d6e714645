package differential

import (
	"regexp"
	"strings"
)

// Allowance is a difference that is meant. It holds for APIs in a range of
// versions, in the cases and at the paths that its patterns match whole; a *
// stands for any text, a | between two patterns for either. Ours and Kafka, when
// not empty, are patterns of the two values.
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
	{API: "Produce|AlterConfigs|AddPartitionsToTxn", MinVersion: 0, MaxVersion: 13,
		Case: "null records|of a topic twice|a request for nothing|a body with a byte too many", Kafka: string(silent),
		Reason: "Kafka fails inside and answers nothing, so that the client waits for its timeout; here null records are INVALID_RECORD, a topic twice is INVALID_REQUEST, and a batch of no transactions is answered by none."},

	{API: "ApiVersions", MinVersion: 0, MaxVersion: 4, Path: "ApiKeys[*]", Ours: absent,
		Reason: "The API is not built, and what is not built is not advertised."},
	{API: "ApiVersions|DescribeQuorum", MinVersion: 2, MaxVersion: 4, Ours: absent + "|null",
		Path:   "SupportedFeatures|*Features[metadata.version]|*Features[kraft.version]|*Features[eligible.leader.replicas.version]|Nodes[1].Listeners",
		Reason: "The metadata is in a log of its own format, and the broker is its own controller: there is no level of Kafka's formats, no replica that could be eligible, and no listener of a controller to tell. Clients act on none of them; tools show them."},

	{API: "Produce", MinVersion: 8, MaxVersion: 13, Path: "Topics[*].Partitions[*].ErrorMessage", Ours: "text", Kafka: "null",
		Reason: "The message says more than the code does, and clients show it; Kafka has one only where single records are at fault."},
	{API: "Produce|Fetch", MinVersion: 3, MaxVersion: 18, Case: "gzip that is none|what became of doubtful records", Path: "Topics[*].Partitions[21].*",
		Reason: "What is in a compressed batch is read only with log.validation=full: the broker never unpacks what it only hands on. Consumers find the batch corrupt."},
	{API: "Produce|Fetch", MinVersion: 3, MaxVersion: 18, Case: "an offset delta of 5|what became of doubtful records", Path: "Topics[*].Partitions[27].*",
		Reason: "Kafka stores a record whose offset lies outside of its batch, and consumers then skip records; here it is INVALID_RECORD."},

	{API: "ConsumerGroupHeartbeat", MinVersion: 0, MaxVersion: 1, Path: "HeartbeatIntervalMillis", Ours: "1000", Kafka: "5000",
		Reason: "For 10 s after a change in a group its members are told to heartbeat sooner, so that partitions reach those that wait (fluxmq.group.consumer.settling.heartbeat.interval.ms)."},

	{API: "CreatePartitions", MinVersion: 0, MaxVersion: 3, Case: "the offsets topic",
		Reason: "The groups would be looked for in partitions that know nothing of them, and their offsets would be lost; Kafka lets it happen."},

	{API: "IncrementalAlterConfigs", MinVersion: 0, MaxVersion: 1, Case: "a dynamic config of the broker", Path: "Resources[4 1].*",
		Reason: "log.cleaner.threads has no effect here, and a success would say that it has: it is INVALID_REQUEST."},
	{API: "IncrementalAlterConfigs", MinVersion: 0, MaxVersion: 1, Case: "an unknown config of the broker", Path: "Resources[4 1].*",
		Reason: "Kafka keeps keys that it does not know for the sake of plugins, which there are not here: a key that nobody reads is INVALID_REQUEST, so that a mistyped one is seen."},

	{API: "CreateTopics|DescribeConfigs", MinVersion: 1, MaxVersion: 7, Path: "*.Configs[min.insync.replicas]*", Reason: noELR},
	{API: "DescribeConfigs", MinVersion: 1, MaxVersion: 4, Case: "the configs of every broker", Path: "Resources[*].Configs", Reason: noELR},
	{API: "DescribeConfigs", MinVersion: 1, MaxVersion: 4, Path: "Resources[*].Configs[num.io.threads]", Ours: absent,
		Reason: "There are no such threads here: a setting without effect is shown only where somebody set it."},
}

// The reason that two allowances have.
const noELR = "A new Kafka cluster copies min.insync.replicas into a setting of every broker for the sake of eligible leader replicas, which one replica cannot have."

func (a Allowance) covers(c Case, d Difference) bool {
	return matches(a.API, c.API) && a.MinVersion <= c.Version && c.Version <= a.MaxVersion &&
		matches(a.Case, c.Name) && matches(a.Path, d.Path) && matches(a.Ours, d.Ours) && matches(a.Kafka, d.Kafka)
}

// matches: an empty pattern matches everything.
func matches(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	expression := strings.NewReplacer(`\*`, ".*", `\|`, "|").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("(?s)^(?:" + expression + ")$").MatchString(text) // QuoteMeta leaves nothing that does not compile
}

// use is an allowance, by its index in the list, and one API that needed it.
type use struct {
	allowance int
	api       string
}

// judge gives the case its verdict and its differences their reasons. used
// counts how often each allowance was needed.
func judge(c *Case, allowances []Allowance, used map[use]int) {
	c.Verdict = Same
	for n := range c.Differences {
		d := &c.Differences[n]
		for m, a := range allowances {
			if a.covers(*c, *d) {
				d.Reason = a.Reason
				used[use{m, c.API}]++
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
