package handler

import "fluxmq/broker/protocol"

// controls maps API keys to control-plane handlers. Every API that
// protocol.APIs lists is here, but for the three that Serve names (a test
// compares the two).
var controls = [protocol.MaxKey + 1]control{
	protocol.KeyListOffsets:             handleListOffsets,
	protocol.KeyMetadata:                handleMetadata,
	protocol.KeyOffsetCommit:            handleOffsetCommit,
	protocol.KeyOffsetFetch:             handleOffsetFetch,
	protocol.KeyFindCoordinator:         handleFindCoordinator,
	protocol.KeyJoinGroup:               handleJoinGroup,
	protocol.KeyHeartbeat:               handleHeartbeat,
	protocol.KeyLeaveGroup:              handleLeaveGroup,
	protocol.KeySyncGroup:               handleSyncGroup,
	protocol.KeyDescribeGroups:          handleDescribeGroups,
	protocol.KeyListGroups:              handleListGroups,
	protocol.KeyCreateTopics:            handleCreateTopics,
	protocol.KeyDeleteTopics:            handleDeleteTopics,
	protocol.KeyDeleteRecords:           handleDeleteRecords,
	protocol.KeyInitProducerID:          handleInitProducerID,
	protocol.KeyOffsetForLeaderEpoch:    handleOffsetForLeaderEpoch,
	protocol.KeyAddPartitionsToTxn:      handleAddPartitionsToTxn,
	protocol.KeyAddOffsetsToTxn:         handleAddOffsetsToTxn,
	protocol.KeyEndTxn:                  handleEndTxn,
	protocol.KeyWriteTxnMarkers:         handleWriteTxnMarkers,
	protocol.KeyTxnOffsetCommit:         handleTxnOffsetCommit,
	protocol.KeyDescribeConfigs:         handleDescribeConfigs,
	protocol.KeyAlterConfigs:            handleAlterConfigs,
	protocol.KeyDescribeLogDirs:         handleDescribeLogDirs,
	protocol.KeyCreatePartitions:        handleCreatePartitions,
	protocol.KeyDeleteGroups:            handleDeleteGroups,
	protocol.KeyIncrementalAlterConfigs: handleIncrementalAlterConfigs,
	protocol.KeyOffsetDelete:            handleOffsetDelete,
	protocol.KeyDescribeClientQuotas:    handleDescribeClientQuotas,
	protocol.KeyAlterClientQuotas:       handleAlterClientQuotas,
	protocol.KeyDescribeCluster:         handleDescribeCluster,
	protocol.KeyDescribeProducers:       handleDescribeProducers,
	protocol.KeyDescribeTransactions:    handleDescribeTransactions,
	protocol.KeyListTransactions:        handleListTransactions,
	protocol.KeyConsumerGroupHeartbeat:  handleConsumerGroupHeartbeat,
	protocol.KeyConsumerGroupDescribe:   handleConsumerGroupDescribe,
	protocol.KeyDescribeTopicPartitions: handleDescribeTopicPartitions,

	// Administration of a cluster, and client metrics.
	protocol.KeyDescribeACLs:                 handleDescribeACLs,
	protocol.KeyCreateACLs:                   handleCreateACLs,
	protocol.KeyDeleteACLs:                   handleDeleteACLs,
	protocol.KeyAlterReplicaLogDirs:          handleAlterReplicaLogDirs,
	protocol.KeyElectLeaders:                 handleElectLeaders,
	protocol.KeyAlterPartitionReassignments:  handleAlterPartitionReassignments,
	protocol.KeyListPartitionReassignments:   handleListPartitionReassignments,
	protocol.KeyDescribeUserScramCredentials: handleDescribeUserScramCredentials,
	protocol.KeyDescribeQuorum:               handleDescribeQuorum,
	protocol.KeyUpdateFeatures:               handleUpdateFeatures,
	protocol.KeyGetTelemetrySubscriptions:    handleGetTelemetrySubscriptions,
	protocol.KeyPushTelemetry:                handlePushTelemetry,
	protocol.KeyListConfigResources:          handleListConfigResources,

	// Share groups.
	protocol.KeyShareGroupHeartbeat:       handleShareGroupHeartbeat,
	protocol.KeyShareGroupDescribe:        handleShareGroupDescribe,
	protocol.KeyShareFetch:                handleShareFetch,
	protocol.KeyShareAcknowledge:          handleShareAcknowledge,
	protocol.KeyInitializeShareGroupState: handleInitializeShareGroupState,
	protocol.KeyReadShareGroupState:       handleReadShareGroupState,
	protocol.KeyWriteShareGroupState:      handleWriteShareGroupState,
	protocol.KeyDeleteShareGroupState:     handleDeleteShareGroupState,
	protocol.KeyReadShareGroupSummary:     handleReadShareGroupStateSummary,
	protocol.KeyDescribeShareGroupOffsets: handleDescribeShareGroupOffsets,
	protocol.KeyAlterShareGroupOffsets:    handleAlterShareGroupOffsets,
	protocol.KeyDeleteShareGroupOffsets:   handleDeleteShareGroupOffsets,

	// Groups of Kafka Streams.
	protocol.KeyStreamsGroupHeartbeat: handleStreamsGroupHeartbeat,
	protocol.KeyStreamsGroupDescribe:  handleStreamsGroupDescribe,
}
