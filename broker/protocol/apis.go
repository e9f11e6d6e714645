package protocol

import "slices"

// API is one advertised API with its inclusive version range.
type API struct {
	Key                    int16
	Name                   string // Kafka's name, for logs and metrics
	MinVersion, MaxVersion int16
}

// API keys that code names; the numbers are Kafka's.
const (
	KeyProduce                 int16 = 0
	KeyFetch                   int16 = 1
	KeyListOffsets             int16 = 2
	KeyMetadata                int16 = 3
	KeyControlledShutdown      int16 = 7
	KeyOffsetCommit            int16 = 8
	KeyOffsetFetch             int16 = 9
	KeyFindCoordinator         int16 = 10
	KeyJoinGroup               int16 = 11
	KeyHeartbeat               int16 = 12
	KeyLeaveGroup              int16 = 13
	KeySyncGroup               int16 = 14
	KeyDescribeGroups          int16 = 15
	KeyListGroups              int16 = 16
	KeyApiVersions             int16 = 18
	KeyCreateTopics            int16 = 19
	KeyDeleteTopics            int16 = 20
	KeyDeleteRecords           int16 = 21
	KeyInitProducerID          int16 = 22
	KeyOffsetForLeaderEpoch    int16 = 23
	KeyAddPartitionsToTxn      int16 = 24
	KeyAddOffsetsToTxn         int16 = 25
	KeyEndTxn                  int16 = 26
	KeyWriteTxnMarkers         int16 = 27
	KeyTxnOffsetCommit         int16 = 28
	KeyDescribeConfigs         int16 = 32
	KeyAlterConfigs            int16 = 33
	KeyDescribeLogDirs         int16 = 35
	KeyCreatePartitions        int16 = 37
	KeyDeleteGroups            int16 = 42
	KeyIncrementalAlterConfigs int16 = 44
	KeyOffsetDelete            int16 = 47
	KeyDescribeClientQuotas    int16 = 48
	KeyAlterClientQuotas       int16 = 49
	KeyDescribeCluster         int16 = 60
	KeyDescribeProducers       int16 = 61
	KeyDescribeTransactions    int16 = 65
	KeyListTransactions        int16 = 66
	KeyConsumerGroupHeartbeat  int16 = 68
	KeyConsumerGroupDescribe   int16 = 69
	KeyDescribeTopicPartitions int16 = 75

	KeyShareGroupHeartbeat       int16 = 76
	KeyShareGroupDescribe        int16 = 77
	KeyShareFetch                int16 = 78
	KeyShareAcknowledge          int16 = 79
	KeyInitializeShareGroupState int16 = 83
	KeyReadShareGroupState       int16 = 84
	KeyWriteShareGroupState      int16 = 85
	KeyDeleteShareGroupState     int16 = 86
	KeyReadShareGroupSummary     int16 = 87
	KeyStreamsGroupHeartbeat     int16 = 88
	KeyStreamsGroupDescribe      int16 = 89
	KeyDescribeShareGroupOffsets int16 = 90
	KeyAlterShareGroupOffsets    int16 = 91
	KeyDeleteShareGroupOffsets   int16 = 92
)

// API keys of the administration of a cluster, and of client metrics.
const (
	KeyDescribeACLs                 int16 = 29
	KeyCreateACLs                   int16 = 30
	KeyDeleteACLs                   int16 = 31
	KeyAlterReplicaLogDirs          int16 = 34
	KeyElectLeaders                 int16 = 43
	KeyAlterPartitionReassignments  int16 = 45
	KeyListPartitionReassignments   int16 = 46
	KeyDescribeUserScramCredentials int16 = 50
	KeyDescribeQuorum               int16 = 55
	KeyUpdateFeatures               int16 = 57
	KeyGetTelemetrySubscriptions    int16 = 71
	KeyPushTelemetry                int16 = 72
	KeyListConfigResources          int16 = 74
)

// MaxKey is the largest API key that Kafka has.
const MaxKey = int16(len(firstFlexible)) - 1

// ProduceBatchesOnly is the first Produce version whose records are of format
// v2 and nothing else. Versions 0 to 2 may carry message sets of formats v0 and
// v1. Kafka 4 advertises them, because librdkafka before 2.8 turns compression
// off without them (KAFKA-18659), and closes the connection that sends one; here
// they are carried out.
const ProduceBatchesOnly int16 = 3

// supported is the only list of supported APIs, ordered by key. Maxima are
// the smaller of Kafka 4.3's and kmsg's; minima are those that Kafka 4.3 advertises.
var supported = [...]API{
	{KeyProduce, "Produce", 0, 13},
	{KeyFetch, "Fetch", 4, 18},
	{KeyListOffsets, "ListOffsets", 1, 11},
	{KeyMetadata, "Metadata", 0, 13},
	{KeyOffsetCommit, "OffsetCommit", 2, 10},
	{KeyOffsetFetch, "OffsetFetch", 1, 10},
	{KeyFindCoordinator, "FindCoordinator", 0, 6},
	{KeyJoinGroup, "JoinGroup", 0, 9},
	{KeyHeartbeat, "Heartbeat", 0, 4},
	{KeyLeaveGroup, "LeaveGroup", 0, 5},
	{KeySyncGroup, "SyncGroup", 0, 5},
	{KeyDescribeGroups, "DescribeGroups", 0, 6},
	{KeyListGroups, "ListGroups", 0, 5},
	{KeyApiVersions, "ApiVersions", 0, 4},
	{KeyCreateTopics, "CreateTopics", 2, 7},
	{KeyDeleteTopics, "DeleteTopics", 1, 6},
	{KeyDeleteRecords, "DeleteRecords", 0, 2},
	{KeyInitProducerID, "InitProducerId", 0, 5},
	{KeyOffsetForLeaderEpoch, "OffsetForLeaderEpoch", 2, 4},
	{KeyAddPartitionsToTxn, "AddPartitionsToTxn", 0, 5},
	{KeyAddOffsetsToTxn, "AddOffsetsToTxn", 0, 4},
	{KeyEndTxn, "EndTxn", 0, 5},
	{KeyWriteTxnMarkers, "WriteTxnMarkers", 1, 2},
	{KeyTxnOffsetCommit, "TxnOffsetCommit", 0, 5},
	{KeyDescribeACLs, "DescribeAcls", 1, 3},
	{KeyCreateACLs, "CreateAcls", 1, 3},
	{KeyDeleteACLs, "DeleteAcls", 1, 3},
	{KeyDescribeConfigs, "DescribeConfigs", 1, 4},
	{KeyAlterConfigs, "AlterConfigs", 0, 2},
	{KeyAlterReplicaLogDirs, "AlterReplicaLogDirs", 1, 2},
	{KeyDescribeLogDirs, "DescribeLogDirs", 1, 5},
	{KeyCreatePartitions, "CreatePartitions", 0, 3},
	{KeyDeleteGroups, "DeleteGroups", 0, 2},
	{KeyElectLeaders, "ElectLeaders", 0, 2},
	{KeyIncrementalAlterConfigs, "IncrementalAlterConfigs", 0, 1},
	{KeyAlterPartitionReassignments, "AlterPartitionReassignments", 0, 1},
	{KeyListPartitionReassignments, "ListPartitionReassignments", 0, 0},
	{KeyOffsetDelete, "OffsetDelete", 0, 0},
	{KeyDescribeClientQuotas, "DescribeClientQuotas", 0, 1},
	{KeyAlterClientQuotas, "AlterClientQuotas", 0, 1},
	{KeyDescribeUserScramCredentials, "DescribeUserScramCredentials", 0, 0},
	{KeyDescribeQuorum, "DescribeQuorum", 0, 2},
	{KeyUpdateFeatures, "UpdateFeatures", 0, 2},
	{KeyDescribeCluster, "DescribeCluster", 0, 2},
	{KeyDescribeProducers, "DescribeProducers", 0, 0},
	{KeyDescribeTransactions, "DescribeTransactions", 0, 0},
	{KeyListTransactions, "ListTransactions", 0, 2},
	{KeyConsumerGroupHeartbeat, "ConsumerGroupHeartbeat", 0, 1},
	{KeyConsumerGroupDescribe, "ConsumerGroupDescribe", 0, 1},
	{KeyGetTelemetrySubscriptions, "GetTelemetrySubscriptions", 0, 0},
	{KeyPushTelemetry, "PushTelemetry", 0, 0},
	{KeyListConfigResources, "ListConfigResources", 0, 1},
	{KeyDescribeTopicPartitions, "DescribeTopicPartitions", 0, 0},
	{KeyShareGroupHeartbeat, "ShareGroupHeartbeat", 1, 1},
	{KeyShareGroupDescribe, "ShareGroupDescribe", 1, 1},
	{KeyShareFetch, "ShareFetch", 1, 2},
	{KeyShareAcknowledge, "ShareAcknowledge", 1, 2},
	{KeyInitializeShareGroupState, "InitializeShareGroupState", 0, 0},
	{KeyReadShareGroupState, "ReadShareGroupState", 0, 0},
	{KeyWriteShareGroupState, "WriteShareGroupState", 0, 1},
	{KeyDeleteShareGroupState, "DeleteShareGroupState", 0, 0},
	{KeyReadShareGroupSummary, "ReadShareGroupStateSummary", 0, 1},
	{KeyStreamsGroupHeartbeat, "StreamsGroupHeartbeat", 0, 0},
	{KeyStreamsGroupDescribe, "StreamsGroupDescribe", 0, 0},
	{KeyDescribeShareGroupOffsets, "DescribeShareGroupOffsets", 0, 1},
	{KeyAlterShareGroupOffsets, "AlterShareGroupOffsets", 0, 0},
	{KeyDeleteShareGroupOffsets, "DeleteShareGroupOffsets", 0, 0},
}

// APIs returns the advertised APIs ordered by key. The slice is the caller's.
func APIs() []API { return slices.Clone(supported[:]) }

// find returns the advertised API of that key, or nil.
func find(key int16) *API {
	for i := range supported {
		if supported[i].Key == key {
			return &supported[i]
		}
	}
	return nil
}

// Supported reports whether key is advertised at version.
func Supported(key, version int16) bool {
	a := find(key)
	return a != nil && a.MinVersion <= version && version <= a.MaxVersion
}

// NameOf returns Kafka's name of an advertised API, or "" for any other key.
func NameOf(key int16) string {
	if a := find(key); a != nil {
		return a.Name
	}
	return ""
}

// never is the first flexible version of APIs that have none.
const never = 1<<15 - 1

// firstFlexible holds, by key, the first version with compact lengths and
// tagged fields, for every API key that Kafka has (a header must be read
// before it is known whether its API is served). A test compares it with kmsg.
var firstFlexible = [...]int16{
	9, 12, 6, 9, 4, 2, 6, 3, 8, 6, // 0-9
	3, 6, 4, 4, 4, 5, 3, never, 3, 5, // 10-19
	4, 2, 2, 4, 3, 3, 3, 1, 3, 2, // 20-29
	2, 2, 4, 2, 2, 2, 2, 2, 2, 2, // 30-39
	2, 2, 2, 2, 1, 0, 0, never, 1, 1, // 40-49
	0, 0, 0, 1, 1, 0, 0, 0, 0, 0, // 50-59
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 60-69
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 70-79
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 80-89
	0, 0, 0, 0, 0, // 90-94
}

// flexible reports whether requests and response bodies of that key and
// version use compact lengths and tagged fields. key must be in range.
func flexible(key, version int16) bool { return version >= firstFlexible[key] }
