package differential

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Resource types, short.
const (
	ofTopic   = kmsg.ConfigResourceTypeTopic
	ofBroker  = kmsg.ConfigResourceTypeBroker
	ofLogger  = kmsg.ConfigResourceTypeBrokerLogger
	ofMetrics = kmsg.ConfigResourceTypeClientMetrics
	ofGroup   = kmsg.ConfigResourceTypeGroupConfig
)

// configsOf asks for named configs of a resource; no names at all ask for every one.
func configsOf(kind kmsg.ConfigResourceType, name string, configs ...string) kmsg.DescribeConfigsRequestResource {
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, configs
	return r
}

func describeConfigs(resources ...kmsg.DescribeConfigsRequestResource) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeConfigsRequest()
		r.Resources = resources
		return r
	}
}

// describeMore asks for synonyms and documentation too.
func describeMore(resources ...kmsg.DescribeConfigsRequestResource) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := describeConfigs(resources...)(s).(*kmsg.DescribeConfigsRequest)
		r.IncludeSynonyms, r.IncludeDocumentation = true, true
		return r
	}
}

// change is one incremental change: "+" sets, "-" deletes, ">" appends, "<" subtracts, "?" is an
// operation that is not there; then key=value, and a key alone has the value null.
func change(kind kmsg.ConfigResourceType, name string, changes ...string) kmsg.IncrementalAlterConfigsRequestResource {
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	for _, c := range changes {
		config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		config.Op = map[byte]kmsg.IncrementalAlterConfigOp{'+': 0, '-': 1, '>': 2, '<': 3, '?': 9}[c[0]]
		var value string
		var set bool
		if config.Name, value, set = strings.Cut(c[1:], "="); set {
			config.Value = &value
		}
		r.Configs = append(r.Configs, config)
	}
	return r
}

func alterIncrementally(validateOnly bool, resources ...kmsg.IncrementalAlterConfigsRequestResource) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r.ValidateOnly, r.Resources = validateOnly, resources
		return r
	}
}

func replacement(kind kmsg.ConfigResourceType, name string, configs ...string) kmsg.AlterConfigsRequestResource {
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	for _, c := range configs {
		config := kmsg.NewAlterConfigsRequestResourceConfig()
		var value string
		var set bool
		if config.Name, value, set = strings.Cut(c, "="); set {
			config.Value = &value
		}
		r.Configs = append(r.Configs, config)
	}
	return r
}

func alterConfigs(validateOnly bool, resources ...kmsg.AlterConfigsRequestResource) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrAlterConfigsRequest()
		r.ValidateOnly, r.Resources = validateOnly, resources
		return r
	}
}

// configIs waits until a topic's config has a value: Kafka answers a change before its broker has it.
func configIs(topic, config, want string) step {
	return step{name: "until " + config + " of " + topic + " is " + want, quiet: true, version: at(4), request: describeConfigs(configsOf(ofTopic, topic, config)),
		until: func(reply kmsg.Response) bool {
			r := reply.(*kmsg.DescribeConfigsResponse)
			return len(r.Resources) == 1 && len(r.Resources[0].Configs) == 1 && r.Resources[0].Configs[0].Value != nil && *r.Resources[0].Configs[0].Value == want
		}}
}

// brokerKeys are broker configs that people look at and that both brokers are started alike with.
var brokerKeys = []string{"log.retention.ms", "log.retention.hours", "log.segment.bytes", "num.partitions", "default.replication.factor", "message.max.bytes",
	"auto.create.topics.enable", "log.cleanup.policy", "min.insync.replicas", "compression.type", "log.message.timestamp.type", "node.id", "broker.id",
	"offsets.topic.num.partitions", "offsets.retention.minutes", "group.initial.rebalance.delay.ms", "group.min.session.timeout.ms", "group.max.session.timeout.ms",
	"delete.topic.enable", "log.flush.interval.messages", "log.retention.bytes", "log.roll.hours", "log.index.interval.bytes", "socket.request.max.bytes",
	"transaction.max.timeout.ms", "transactional.id.expiration.ms", "producer.id.expiration.ms", "log.cleaner.enable", "num.io.threads", "max.connections"}

// configsScript: DescribeConfigs, IncrementalAlterConfigs, AlterConfigs.
var configsScript = script{name: "configs", steps: []step{
	{name: "every config of a topic", request: describeConfigs(configsOf(ofTopic, "orders"))},
	{name: "every config of a topic, with synonyms and documentation", request: describeMore(configsOf(ofTopic, "orders"))},
	{name: "every config of a topic with configs of its own", request: describeMore(configsOf(ofTopic, "configured"))},
	{name: "named configs of a topic", request: describeConfigs(configsOf(ofTopic, "orders", "retention.ms", "cleanup.policy"))},
	{name: "an unknown config of a topic", request: describeConfigs(configsOf(ofTopic, "orders", "no.such.config"))},
	{name: "a config of a broker, of a topic", request: describeConfigs(configsOf(ofTopic, "orders", "log.retention.ms"))},
	{name: "no configs of a topic", request: describeConfigs(func() kmsg.DescribeConfigsRequestResource {
		r := configsOf(ofTopic, "orders")
		r.ConfigNames = []string{}
		return r
	}())},
	{name: "an unknown topic", request: describeConfigs(configsOf(ofTopic, "nowhere"))},
	{name: "an illegal topic", request: describeConfigs(configsOf(ofTopic, "a b"))},
	{name: "a topic without a name", request: describeConfigs(configsOf(ofTopic, ""))},
	{name: "a topic twice", request: describeConfigs(configsOf(ofTopic, "orders", "retention.ms"), configsOf(ofTopic, "orders", "cleanup.policy"))},
	{name: "named configs of the broker", request: describeConfigs(configsOf(ofBroker, "1", brokerKeys...))},
	{name: "named configs of the broker, with synonyms and documentation", request: describeMore(configsOf(ofBroker, "1", brokerKeys...))},
	{name: "the configs of every broker", request: describeConfigs(configsOf(ofBroker, ""))},
	{name: "a broker that is not there", request: describeConfigs(configsOf(ofBroker, "9", "num.partitions"))},
	{name: "a broker that is no number", request: describeConfigs(configsOf(ofBroker, "one", "num.partitions"))},
	{name: "the loggers of a broker that is not there", request: describeConfigs(configsOf(ofLogger, "9"))},
	{name: "the loggers of every broker", request: describeConfigs(configsOf(ofLogger, ""))},
	{name: "a group", request: describeConfigs(configsOf(ofGroup, "nobody"))},
	{name: "a group with synonyms", request: describeMore(configsOf(ofGroup, "nobody"))},
	{name: "a group without a name", request: describeConfigs(configsOf(ofGroup, ""))},
	{name: "client metrics that are not there", request: describeConfigs(configsOf(ofMetrics, "nothing"))},
	{name: "client metrics without a name", request: describeConfigs(configsOf(ofMetrics, ""))},
	{name: "resource type 0", request: describeConfigs(configsOf(0, "orders"))},
	{name: "resource type 3", request: describeConfigs(configsOf(3, "orders"))},
	{name: "known and unknown resources", request: describeConfigs(configsOf(ofTopic, "orders", "retention.ms"), configsOf(ofTopic, "nowhere"), configsOf(3, "x"))},

	{name: "a value set", request: alterIncrementally(false, change(ofTopic, "orders", "+retention.ms=60000"))},
	configIs("orders", "retention.ms", "60000"),
	{name: "a topic after a value was set", request: describeMore(configsOf(ofTopic, "orders", "retention.ms"))},
	{name: "a list appended to", request: alterIncrementally(false, change(ofTopic, "orders", ">cleanup.policy=compact"))},
	configIs("orders", "cleanup.policy", "delete,compact"),
	{name: "a list appended to with what it has", request: alterIncrementally(false, change(ofTopic, "orders", ">cleanup.policy=compact"))},
	{name: "a list subtracted from", request: alterIncrementally(false, change(ofTopic, "orders", "<cleanup.policy=compact"))},
	configIs("orders", "cleanup.policy", "delete"),
	{name: "a list subtracted from with what it has not", request: alterIncrementally(false, change(ofTopic, "orders", "<cleanup.policy=compact"))},
	{name: "a list subtracted from until it is empty", request: alterIncrementally(true, change(ofTopic, "orders", "<cleanup.policy=delete"))},
	{name: "a number appended to", request: alterIncrementally(false, change(ofTopic, "orders", ">retention.ms=1"))},
	{name: "a value deleted", request: alterIncrementally(false, change(ofTopic, "orders", "-retention.ms"))},
	configIs("orders", "retention.ms", "604800000"),
	{name: "a value deleted that is not set", request: alterIncrementally(false, change(ofTopic, "orders", "-segment.ms"))},
	{name: "a value deleted with a value", request: alterIncrementally(false, change(ofTopic, "orders", "-segment.ms=1"))},
	{name: "a null value set", request: alterIncrementally(false, change(ofTopic, "orders", "+retention.ms"))},
	{name: "a value set that does not parse", request: alterIncrementally(false, change(ofTopic, "orders", "+retention.ms=soon"))},
	{name: "a value set that is out of range", request: alterIncrementally(false, change(ofTopic, "orders", "+segment.bytes=1"))},
	{name: "an unknown config set", request: alterIncrementally(false, change(ofTopic, "orders", "+no.such.config=1"))},
	{name: "an unknown config deleted", request: alterIncrementally(false, change(ofTopic, "orders", "-no.such.config"))},
	{name: "a config without a name set", request: alterIncrementally(false, change(ofTopic, "orders", "+=1"))},
	{name: "a config set twice", request: alterIncrementally(false, change(ofTopic, "orders", "+retention.ms=1000", "+retention.ms=2000"))},
	{name: "an operation that is not there", request: alterIncrementally(false, change(ofTopic, "orders", "?retention.ms=1000"))},
	{name: "one right and one wrong config", request: alterIncrementally(false, change(ofTopic, "orders", "+retention.ms=70000", "+segment.bytes=1"))},
	{name: "a topic after a change that was half wrong", request: describeConfigs(configsOf(ofTopic, "orders", "retention.ms", "segment.bytes"))},
	{name: "no configs", request: alterIncrementally(false, change(ofTopic, "orders"))},
	{name: "an unknown topic", request: alterIncrementally(false, change(ofTopic, "nowhere", "+retention.ms=1000"))},
	{name: "an illegal topic", request: alterIncrementally(false, change(ofTopic, "a b", "+retention.ms=1000"))},
	{name: "a topic without a name", request: alterIncrementally(false, change(ofTopic, "", "+retention.ms=1000"))},
	{name: "a topic twice", request: alterIncrementally(false, change(ofTopic, "orders", "+retention.ms=1000"), change(ofTopic, "orders", "+segment.ms=1000"))},
	{name: "several topics, one of them unknown", request: alterIncrementally(false, change(ofTopic, "once", "+retention.ms=80000"), change(ofTopic, "nowhere", "+retention.ms=80000"))},
	configIs("once", "retention.ms", "80000"),
	{name: "validate only", request: alterIncrementally(true, change(ofTopic, "orders", "+retention.ms=90000"))},
	{name: "validate only what is wrong", request: alterIncrementally(true, change(ofTopic, "orders", "+retention.ms=soon"))},
	{name: "a read-only config of the broker", request: alterIncrementally(false, change(ofBroker, "1", "+node.id=7"))},
	{name: "another read-only config of the broker", request: alterIncrementally(false, change(ofBroker, "1", "+num.partitions=7"))},
	{name: "a dynamic config of the broker", request: alterIncrementally(false, change(ofBroker, "1", "+log.cleaner.threads=2"))},
	{name: "a config of the broker that does not parse", request: alterIncrementally(false, change(ofBroker, "1", "+message.max.bytes=large"))},
	{name: "an unknown config of the broker", request: alterIncrementally(false, change(ofBroker, "1", "+no.such.config=1"))},
	{name: "a config of every broker", request: alterIncrementally(false, change(ofBroker, "", "+message.max.bytes=1048500"))},
	{name: "a config of a broker that is not there", request: alterIncrementally(false, change(ofBroker, "9", "+message.max.bytes=1048500"))},
	{name: "a config of a broker that is no number", request: alterIncrementally(false, change(ofBroker, "one", "+message.max.bytes=1048500"))},
	{name: "the broker after its config was set", request: describeMore(configsOf(ofBroker, "1", "message.max.bytes", "log.cleaner.threads")), quiet: true,
		until: func(reply kmsg.Response) bool {
			for _, resource := range reply.(*kmsg.DescribeConfigsResponse).Resources {
				for _, c := range resource.Configs {
					if c.Name == "message.max.bytes" && c.Value != nil && *c.Value == "1048500" {
						return true
					}
				}
			}
			return false
		}},
	{name: "the broker after a config of every broker was set", request: describeMore(configsOf(ofBroker, "1", "message.max.bytes"))},
	{name: "every broker after a config of theirs was set", request: describeMore(configsOf(ofBroker, ""))},
	{name: "a topic after its broker's config was set", request: describeMore(configsOf(ofTopic, "orders", "max.message.bytes"))},
	{name: "the config of every broker deleted", request: alterIncrementally(false, change(ofBroker, "", "-message.max.bytes"))},
	{name: "a config of a group", request: alterIncrementally(false, change(ofGroup, "somebody", "+consumer.session.timeout.ms=50000"))},
	{name: "an unknown config of a group", request: alterIncrementally(false, change(ofGroup, "somebody", "+no.such.config=1"))},
	{name: "client metrics", request: alterIncrementally(false, change(ofMetrics, "all", "+interval.ms=60000", "+metrics="))},
	{name: "client metrics out of range", request: alterIncrementally(false, change(ofMetrics, "all", "+interval.ms=1"))},
	{name: "resource type 3", request: alterIncrementally(false, change(3, "orders", "+retention.ms=1000"))},

	{name: "all replaced", request: alterConfigs(false, replacement(ofTopic, "once", "segment.ms=100000"))},
	configIs("once", "segment.ms", "100000"),
	{name: "a topic after all was replaced", request: describeConfigs(configsOf(ofTopic, "once", "segment.ms", "retention.ms"))},
	{name: "replaced with nothing", request: alterConfigs(false, replacement(ofTopic, "once"))},
	{name: "replaced with a null", request: alterConfigs(false, replacement(ofTopic, "orders", "retention.ms"))},
	{name: "replaced with what does not parse", request: alterConfigs(false, replacement(ofTopic, "orders", "retention.ms=soon"))},
	{name: "replaced with an unknown config", request: alterConfigs(false, replacement(ofTopic, "orders", "no.such.config=1"))},
	{name: "replaced with a config twice", request: alterConfigs(false, replacement(ofTopic, "orders", "retention.ms=1000", "retention.ms=2000"))},
	{name: "of an unknown topic", request: alterConfigs(false, replacement(ofTopic, "nowhere", "retention.ms=1000"))},
	{name: "of a topic without a name", request: alterConfigs(false, replacement(ofTopic, "", "retention.ms=1000"))},
	{name: "of a topic twice", patience: malformedPatience, request: alterConfigs(false, replacement(ofTopic, "orders", "retention.ms=1000"), replacement(ofTopic, "orders", "segment.ms=1000"))},
	{name: "replacement, validate only", request: alterConfigs(true, replacement(ofTopic, "orders", "retention.ms=1000"))},
	{name: "replacement of a read-only config of the broker", request: alterConfigs(false, replacement(ofBroker, "1", "node.id=7"))},
	{name: "replacement on a broker that is not there", request: alterConfigs(false, replacement(ofBroker, "9", "message.max.bytes=1048500"))},
	{name: "replacement of resource type 3", request: alterConfigs(false, replacement(3, "orders", "retention.ms=1000"))},
}}
