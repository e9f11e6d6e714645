package differential

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// quotaOf is a change of quotas of entities given as type, name, type, name, …; the name "" is the default.
func quotaOf(ops []kmsg.AlterClientQuotasRequestEntryOp, entities ...string) kmsg.AlterClientQuotasRequestEntry {
	e := kmsg.NewAlterClientQuotasRequestEntry()
	e.Ops = ops
	for n := 0; n+1 < len(entities); n += 2 {
		entity := kmsg.NewAlterClientQuotasRequestEntryEntity()
		entity.Type = entities[n]
		if entities[n+1] != "" {
			entity.Name = &entities[n+1]
		}
		e.Entity = append(e.Entity, entity)
	}
	return e
}

func set(key string, value float64) []kmsg.AlterClientQuotasRequestEntryOp {
	op := kmsg.NewAlterClientQuotasRequestEntryOp()
	op.Key, op.Value = key, value
	return []kmsg.AlterClientQuotasRequestEntryOp{op}
}

func unset(key string) []kmsg.AlterClientQuotasRequestEntryOp {
	ops := set(key, 0)
	ops[0].Remove = true
	return ops
}

func alterQuotas(validateOnly bool, entries ...kmsg.AlterClientQuotasRequestEntry) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrAlterClientQuotasRequest()
		r.ValidateOnly, r.Entries = validateOnly, entries
		return r
	}
}

// describeQuotas filters by components given as type, name, …; the name "" is the default and "*" any.
func describeQuotas(strict bool, components ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeClientQuotasRequest()
		r.Strict = strict
		for n := 0; n+1 < len(components); n += 2 {
			c := kmsg.NewDescribeClientQuotasRequestComponent()
			c.EntityType = components[n]
			switch components[n+1] {
			case "":
				c.MatchType = kmsg.QuotasMatchTypeDefault
			case "*":
				c.MatchType = kmsg.QuotasMatchTypeAny
			default:
				c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, &components[n+1]
			}
			r.Components = append(r.Components, c)
		}
		return r
	}
}

// quotasScript: quotas as they are kept; what they do to clients is not a reply's business.
var quotasScript = script{name: "quotas", needs: []int16{keyDescribeClientQuotas}, steps: []step{
	{name: "before there is one", request: describeQuotas(false)},
	{name: "of a user", request: alterQuotas(false, quotaOf(set("producer_byte_rate", 1e9), "user", "someone"))},
	{name: "of a client id", request: alterQuotas(false, quotaOf(set("consumer_byte_rate", 2e9), "client-id", "something"))},
	{name: "of a user and a client id", request: alterQuotas(false, quotaOf(set("request_percentage", 150), "user", "someone", "client-id", "something"))},
	{name: "of the default user", request: alterQuotas(false, quotaOf(set("controller_mutation_rate", 50), "user", ""))},
	{name: "of an address", request: alterQuotas(false, quotaOf(set("connection_creation_rate", 1000), "ip", "192.0.2.1"))},
	{name: "of an address that is none", request: alterQuotas(false, quotaOf(set("connection_creation_rate", 1000), "ip", "not an address"))},
	{name: "of an address and a user", request: alterQuotas(false, quotaOf(set("connection_creation_rate", 1000), "ip", "192.0.2.1", "user", "someone"))},
	{name: "of an entity that is not there", request: alterQuotas(false, quotaOf(set("producer_byte_rate", 1), "planet", "earth"))},
	{name: "of nobody", request: alterQuotas(false, quotaOf(set("producer_byte_rate", 1)))},
	{name: "of a user twice", request: alterQuotas(false, quotaOf(set("producer_byte_rate", 1), "user", "a", "user", "b"))},
	{name: "a key that is not there", request: alterQuotas(false, quotaOf(set("sleep_rate", 1), "user", "someone"))},
	{name: "a rate of 0", request: alterQuotas(false, quotaOf(set("producer_byte_rate", 0), "user", "someone"))},
	{name: "a rate of -1", request: alterQuotas(false, quotaOf(set("producer_byte_rate", -1), "user", "someone"))},
	{name: "a byte rate with a fraction", request: alterQuotas(false, quotaOf(set("producer_byte_rate", 1.5), "user", "someone"))},
	{name: "a user's quota for an address", request: alterQuotas(false, quotaOf(set("producer_byte_rate", 1), "ip", "192.0.2.1"))},
	{name: "validate only", request: alterQuotas(true, quotaOf(set("producer_byte_rate", 5), "user", "nobody"))},
	{name: "one that is not there, removed", request: alterQuotas(false, quotaOf(unset("consumer_byte_rate"), "user", "someone"))},
	{name: "all", request: describeQuotas(false), until: func(reply kmsg.Response) bool {
		return len(reply.(*kmsg.DescribeClientQuotasResponse).Entries) >= 5
	}},
	{name: "of a user by name", request: describeQuotas(false, "user", "someone")},
	{name: "of a user by name, strictly", request: describeQuotas(true, "user", "someone")},
	{name: "of the default user by name", request: describeQuotas(false, "user", "")},
	{name: "of any client id", request: describeQuotas(false, "client-id", "*")},
	{name: "of an address by name", request: describeQuotas(false, "ip", "192.0.2.1")},
	{name: "of a user that has none", request: describeQuotas(false, "user", "nobody")},
	{name: "of an entity type that is not there", request: describeQuotas(false, "planet", "earth")},
	{name: "of an entity type without a name", request: describeQuotas(false, "", "earth")},
	{name: "of a user by two names", request: describeQuotas(false, "user", "a", "user", "b")},
	{name: "of an address and a user by name", request: describeQuotas(false, "ip", "*", "user", "*")},
	{name: "one removed", request: alterQuotas(false, quotaOf(unset("producer_byte_rate"), "user", "someone"))},
}}

func electLeaders(kind int8, topic string, partitions ...int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrElectLeadersRequest()
		r.ElectionType, r.TimeoutMillis = kind, 5000
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		r.Topics = append(r.Topics, t)
		return r
	}
}

// reassign moves a partition; nil replicas cancel.
func reassign(topic string, partition int32, replicas []int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition, p.Replicas = partition, replicas
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, p)
		r := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		r.TimeoutMillis, r.Topics = 5000, append(r.Topics, t)
		return r
	}
}

func listReassignments(topic string, partitions ...int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		t := kmsg.NewListPartitionReassignmentsRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		r := kmsg.NewPtrListPartitionReassignmentsRequest()
		r.TimeoutMillis, r.Topics = 5000, append(r.Topics, t)
		return r
	}
}

func updateFeature(name string, level int16, kind int8, validateOnly bool) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		f.Feature, f.MaxVersionLevel, f.UpgradeType = name, level, kind
		f.AllowDowngrade = kind != 1
		r := kmsg.NewPtrUpdateFeaturesRequest()
		r.ValidateOnly, r.FeatureUpdates, r.TimeoutMillis = validateOnly, append(r.FeatureUpdates, f), 5000
		return r
	}
}

func describeQuorum(topic string, partition int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		p := kmsg.NewDescribeQuorumRequestTopicPartition()
		p.Partition = partition
		t := kmsg.NewDescribeQuorumRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, p)
		r := kmsg.NewPtrDescribeQuorumRequest()
		r.Topics = append(r.Topics, t)
		return r
	}
}

func moveLogDir(dir string, topic string, partitions ...int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
		t.Topic, t.Partitions = topic, partitions
		d := kmsg.NewAlterReplicaLogDirsRequestDir()
		if d.Dir = dir; dir == "" {
			d.Dir = s.peer.DataDir
		}
		d.Topics = append(d.Topics, t)
		r := kmsg.NewPtrAlterReplicaLogDirsRequest()
		r.Dirs = append(r.Dirs, d)
		return r
	}
}

func listConfigResources(types ...int8) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrListConfigResourcesRequest()
		r.ResourceTypes = types
		return r
	}
}

// adminScript: what a cluster of one node answers to those who would move things about.
var adminScript = script{name: "administration", steps: []step{
	{name: "a partition that has its preferred leader", request: electLeaders(0, "orders", 0)},
	{name: "an unclean election that is not needed", request: electLeaders(1, "orders", 0), from: 1},
	{name: "an election type that is not there", request: electLeaders(7, "orders", 0), from: 1},
	{name: "an unknown topic", request: electLeaders(0, "nowhere", 0)},
	{name: "an unknown partition", request: electLeaders(0, "orders", 99)},
	{name: "to where it is", request: reassign("orders", 0, []int32{1})},
	{name: "to a broker that is not there", request: reassign("orders", 0, []int32{9})},
	{name: "to a broker twice", request: reassign("orders", 0, []int32{1, 1})},
	{name: "to no broker", request: reassign("orders", 0, []int32{})},
	{name: "a cancellation of nothing", request: reassign("orders", 0, nil)},
	{name: "of an unknown topic", request: reassign("nowhere", 0, []int32{1})},
	{name: "of an unknown partition", request: reassign("orders", 99, []int32{1})},
	{name: "of a topic", request: listReassignments("orders", 0, 1)},
	{name: "of an unknown topic", request: listReassignments("nowhere", 0)},
	{name: "a feature that is not there", request: updateFeature("no.such.feature", 1, 1, false)},
	{name: "a feature without a name", request: updateFeature("", 1, 1, false)},
	{name: "a level that is not there", request: updateFeature("metadata.version", 9999, 1, false)},
	{name: "a level of -1", request: updateFeature("metadata.version", -1, 1, false)},
	{name: "a kind of upgrade that is not there", request: updateFeature("group.version", 1, 9, false), from: 1},
	{name: "a level that it has", request: updateFeature("group.version", 1, 1, false)},
	{name: "an upgrade that is a downgrade", request: updateFeature("group.version", 0, 1, false)},
	{name: "validate only a downgrade", request: updateFeature("group.version", 0, 2, true), from: 1},
	{name: "the metadata log", request: describeQuorum("__cluster_metadata", 0)},
	{name: "a partition of the metadata log that is not there", request: describeQuorum("__cluster_metadata", 1)},
	{name: "another topic", request: describeQuorum("orders", 0)},
	{name: "to where it is", request: moveLogDir("", "orders", 0)},
	{name: "to a directory that is not there", request: moveLogDir("/no/such/directory", "orders", 0)},
	{name: "an unknown partition", request: moveLogDir("", "orders", 99)},
	{name: "of every type", request: listConfigResources()},
	{name: "topics", request: listConfigResources(2), from: 1},
	{name: "brokers", request: listConfigResources(4), from: 1},
	{name: "groups", request: listConfigResources(32), from: 1},
	{name: "client metrics", request: listConfigResources(16), from: 1},
	{name: "of a type that is not there", request: listConfigResources(3), from: 1},
}}

// telemetryScript: client metrics (KIP-714).
var telemetryScript = script{name: "telemetry", needs: []int16{keyGetTelemetrySubscription}, steps: []step{
	{name: "a client without an id", request: telemetrySubscription([16]byte{})},
	{name: "a client with an id", request: telemetrySubscription(stray)},
	{name: "a subscription that is not there", request: pushTelemetry(stray, -7, 0, nil)},
	{name: "a client without an id", request: pushTelemetry([16]byte{}, 0, 0, nil)},
	{name: "a codec that is not there", request: pushTelemetry(stray, -7, 9, []byte{1})},
}}

func telemetrySubscription(client [16]byte) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrGetTelemetrySubscriptionsRequest()
		r.ClientInstanceID = client
		return r
	}
}

func pushTelemetry(client [16]byte, subscription int32, codec int8, metrics []byte) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrPushTelemetryRequest()
		r.ClientInstanceID, r.SubscriptionID, r.CompressionType, r.Metrics = client, subscription, codec, metrics
		return r
	}
}

// securityScript: what is answered where no security is configured.
var securityScript = script{name: "security", steps: []step{
	{name: "a mechanism, on a listener without SASL", on: "sasl", request: func(*scene) kmsg.Request {
		r := kmsg.NewPtrSASLHandshakeRequest()
		r.Mechanism = "PLAIN"
		return r
	}},
	{name: "bytes, on a listener without SASL", on: "sasl", request: func(*scene) kmsg.Request {
		r := kmsg.NewPtrSASLAuthenticateRequest()
		r.SASLAuthBytes = []byte("\x00user\x00password")
		return r
	}},
	{name: "without an authorizer", request: func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeACLsRequest()
		r.ResourceType, r.ResourcePatternType, r.Operation, r.PermissionType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		return r
	}},
	{name: "without an authorizer", request: func(*scene) kmsg.Request {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, "orders", kmsg.ACLResourcePatternTypeLiteral
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:someone", "*", kmsg.ACLOperationRead, kmsg.ACLPermissionTypeAllow
		r := kmsg.NewPtrCreateACLsRequest()
		r.Creations = append(r.Creations, c)
		return r
	}},
	{name: "without an authorizer", request: func(*scene) kmsg.Request {
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		r := kmsg.NewPtrDeleteACLsRequest()
		r.Filters = append(r.Filters, f)
		return r
	}},
	{name: "every user", request: func(*scene) kmsg.Request { return kmsg.NewPtrDescribeUserSCRAMCredentialsRequest() }},
	{name: "a user that is not there", request: func(*scene) kmsg.Request {
		u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		u.Name = "nobody"
		r := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		r.Users = append(r.Users, u)
		return r
	}},
	{name: "a user that is not there, removed", request: func(*scene) kmsg.Request {
		d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
		d.Name, d.Mechanism = "nobody", 1
		r := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		r.Deletions = append(r.Deletions, d)
		return r
	}},
}}
