package main

// kfakeRules say which tests of kfake are not turned. Most are left out by the
// compiler; those by hand assert what is the fake's or its client's, not Kafka's, as of 4.3.
var kfakeRules = rules{
	brokers: "NumBrokers",
	packages: map[string]string{
		"os":            "looks into the fake's own files",
		"path/filepath": "looks into the fake's own files",
	},
	files: map[string]string{"fault_test.go": "tests the fake's faults themselves"},
	byHand: map[string]string{
		// Fetch and produce.
		"TestFetchSessionEviction":        "Kafka evicts a fetch session after two minutes (min.incremental.fetch.session.eviction.ms), the fake at once",
		"TestIssue1281":                   "its records all have offset delta 0, which log.validation=records refuses",
		"TestProduceControlBatchRejected": "the batch is transactional and the request has no transactional id, which Kafka judges first",
		"TestTopicLifecycle":              "it produces a record without a key to a compacted topic: INVALID_RECORD in Kafka",

		// Transactions.
		"TestDescribeProducersShowsActiveTransaction":       "Kafka describes producers until they expire, not only in a transaction",
		"TestTxnDescribeTransactions":                       "a transaction that has ended is CompleteCommit in Kafka, Empty in the fake",
		"TestTxnInitProducerIDAbortOngoing":                 "Kafka answers CONCURRENT_TRANSACTIONS until the ongoing transaction is aborted",
		"TestTxnInitProducerIDStaleEpochRecovery":           "to the epoch before the current one Kafka answers the current one: a retry",
		"TestTxnNonTransactionalProduceDuringTx":            "before the transaction has a record in the partition, Kafka's producer state does not know of it",
		"TestTxnEndTxnRetry/tv1-retry":                      "Kafka answers CONCURRENT_TRANSACTIONS until the markers are written",
		"TestTxnEndTxnRetry/tv2-retry-mismatched-direction": "Kafka answers CONCURRENT_TRANSACTIONS until the markers are written",
		"TestPersistTxnAutoAbortExpiredOnRestart":           "Kafka aborts an expired transaction some time after it has started, the fake before",

		"TestTxnOffsetCommitV6": "it wants TxnOffsetCommit 6, which is newer than Kafka 4.3",
		"TestRecreationTxnSessionAborts/consumed-topic-unconfirmed": "it wants TxnOffsetCommit 6, which is newer than Kafka 4.3",

		"TestListOffsetsReadCommittedDuringTxn": "it reads the stable offset as soon as EndTxn is answered, which Kafka does before the markers are written",
		"TestEndTxnUnconfirmedAbortRetry":       "it counts one InitProducerId; Kafka answers CONCURRENT_TRANSACTIONS until the ongoing transaction is aborted, and the client asks again",

		// Groups.
		"TestAudit848RegexExcludesSkipsInternalTopics": "the fake makes a topic internal by a setting of its own",
		"TestGroupRebalanceOnNonLeaderMetadataChange":  "its SyncGroup names no protocol, which from version 5 on is INCONSISTENT_GROUP_PROTOCOL",
		"Test848RebalanceTimeout":                      "it joins without a member id, which from version 1 on is INVALID_REQUEST",
		"Test848UnsupportedAssignor":                   "it joins without a member id, which from version 1 on is INVALID_REQUEST",
		"TestOffsetExpiration":                         "it counts on offset.retention.ms, which is the fake's; Kafka's least is a minute",
		"TestOffsetExpirationActiveGroup":              "it counts on offset.retention.ms, which is the fake's; Kafka's least is a minute",
		"TestPersistGroupPhantomMemberExpiry":          "Kafka gives members a whole session after a restart, the fake what was left of theirs",
		"TestPersistGroupPhantomMemberExpiry848":       "Kafka gives members a whole session after a restart, the fake what was left of theirs",

		// Share groups.
		"TestShareHeartbeatAssignmentDelivery":                       "Kafka assigns a partition once its state is initialized, which is after the first heartbeat",
		"TestShareGroupTypeExclusive/ShareFetch_to_a_consumer_group": "Kafka's ShareFetch does not ask of which type the group is",
		"TestShareGroupMaxDeliveryCount":                             "it gives up after a second without records; its client sends a heartbeat a second, and with the first Kafka assigns nothing",
		"TestPersistShareGroupRestart/archived":                      "it gives up after a second without records; its client sends a heartbeat a second, and with the first Kafka assigns nothing",
		"TestShareGroupSessionTimeout":                               "Kafka releases what a fenced member had acquired when its connection ends or the locks run out",
		"TestShareGroupOffsetsAdmin/describe":                        "Kafka stores with an acknowledgement the start offset from before it",

		"TestPurgeAndReaddImmediately/share":       "it gives a share group a second to begin at the latest offset, which it does after its client's second heartbeat, sent a second after the first",
		"TestRecreationStallsAndHeals/share-group": "of an unknown topic Kafka says that node 0 leads it at epoch 0, the schema's default, which the client takes for a hint",

		// Administration.
		"TestAuditCloseSendsTerminatingTelemetryPush": "Kafka serves telemetry when it has a reporter of telemetry, the fake always",
		"TestIssue1142": "it counts all topics; the fake has no internal ones",
		"TestRequestCachedMetadata/AllTopicsCaching":       "it counts all topics; the fake has no internal ones",
		"TestAlterReplicaLogDirsMovesPartition":            "the fake moves to any folder, Kafka to those of log.dirs",
		"TestApiVersionsLiteralRequest":                    "it wants ApiVersions 5, which is newer than Kafka 4.3",
		"TestIssue1296":                                    "it wants ApiVersions 5, which is newer than Kafka 4.3: the client asks again with 4",
		"TestKadmCachedMetadata/MetadataAllTopics":         "the fake has no topics of its own, and makes others internal by a setting of its own",
		"TestKadmCachedMetadata/ListTopicsFiltersInternal": "the fake makes a topic internal by a setting of its own",
		"TestClientMetricsSubscriptions/nil_value":         "a null value is INVALID_REQUEST in Kafka, whatever the resource",
		"TestDescribeTopicPartitionsCursor":                "Kafka answers INVALID_REQUEST per topic, the fake closes the connection",
		"TestIncrementalAlterConfigAppendSubtract":         "to append to what is no list is INVALID_CONFIG in Kafka",
		"TestPersistBrokerConfigsRestart":                  "settings that a broker is started with are not stored",
		"TestSCRAMCredentialLifecycle":                     "SCRAM is not served",
		"TestSCRAMValidationErrors":                        "SCRAM is not served",
	},
}
