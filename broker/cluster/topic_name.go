package cluster

import (
	"fmt"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

// The topics that the broker keeps for itself. Clients read and list them;
// they do not create, delete or grow them.
const (
	OffsetsTopic     = "__consumer_offsets"
	transactionTopic = "__transaction_state"
	shareTopic       = "__share_group_state"
	MetadataTopic    = "__cluster_metadata" // no topic: the metadata log, by the name that tools know
)

// Reserved tells whether clients may not create a topic of that name.
func Reserved(name string) bool {
	switch name {
	case OffsetsTopic, transactionTopic, shareTopic, MetadataTopic:
		return true
	}
	return false
}

// NewOffsetsTopic is __consumer_offsets as the settings want it, for EnsureTopic.
func NewOffsetsTopic(n *config.Node) NewTopic {
	return newCoordinatorTopic(OffsetsTopic, n.OffsetsTopicPartitions, n.OffsetsTopicSegmentBytes)
}

// NewTransactionTopic is __transaction_state as the settings want it, for EnsureTopic.
func NewTransactionTopic(n *config.Node) NewTopic {
	return newCoordinatorTopic(transactionTopic, n.TransactionTopicPartitions, n.TransactionTopicSegmentBytes)
}

// NewShareTopic is __share_group_state as the settings want it, for
// EnsureTopic. It is not compacted: the share coordinator deletes what lies
// before the last snapshots itself.
func NewShareTopic(n *config.Node) NewTopic {
	t := newCoordinatorTopic(shareTopic, n.ShareTopicPartitions, n.ShareTopicSegmentBytes)
	t.Configs["cleanup.policy"] = "delete"
	t.Configs["retention.ms"], t.Configs["retention.bytes"] = "-1", "-1" // whatever the broker's defaults are
	return t
}

func newCoordinatorTopic(name string, partitions, segmentBytes int32) NewTopic {
	return NewTopic{
		Name: name, Partitions: partitions, Replicas: -1, Internal: true,
		Configs: map[string]string{
			"cleanup.policy":   "compact",
			"compression.type": "producer", // the coordinators compress nothing
			// Kafka allows smaller ones here than a topic may have.
			"segment.bytes": fmt.Sprint(max(segmentBytes, 1<<20)),
		},
	}
}

const maxTopicName = 249 // <name>-<partition> must be a file name of at most 255 bytes

// CheckTopicName refuses with INVALID_TOPIC_EXCEPTION what Kafka refuses: an
// empty name, "." and "..", more than 249 characters, and any other than
// letters, digits, '.', '_' and '-'.
func CheckTopicName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: the topic name is empty", protocol.ErrInvalidTopicException)
	case name == "." || name == "..":
		return fmt.Errorf("%w: a topic cannot be named %q", protocol.ErrInvalidTopicException, name)
	case len(name) > maxTopicName:
		return fmt.Errorf("%w: the topic name has %d characters, more than %d", protocol.ErrInvalidTopicException, len(name), maxTopicName)
	}
	for n := 0; n < len(name); n++ {
		switch c := name[n]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return fmt.Errorf("%w: topic name %q: only letters, digits, '.', '_' and '-' are allowed", protocol.ErrInvalidTopicException, name)
		}
	}
	return nil
}
