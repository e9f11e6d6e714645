package protocol

import (
	"errors"
	"fmt"
)

// Error is a Kafka error code as a Go error. The rooms of the broker return
// the ErrXxx values below, wrapped with what they know more
// (fmt.Errorf("%w: topic %q …", protocol.ErrInvalidTopicException, name)).
// Values are immutable; compare with errors.Is.
type Error struct {
	// Code is the number on the wire.
	Code int16
	// Name is Kafka's name, for example UNKNOWN_TOPIC_OR_PARTITION.
	Name string
}

// Error returns Kafka's name of the code.
func (e *Error) Error() string { return e.Name }

// CodeOf is the only function from an error to a Kafka code: nil is 0, an
// *Error anywhere in the chain gives its code, and anything else is
// UNKNOWN_SERVER_ERROR. It does not allocate for an unwrapped *Error.
func CodeOf(err error) int16 {
	if err == nil {
		return 0
	}
	if e, ok := err.(*Error); ok {
		return e.Code
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ErrUnknownServerError.Code
}

// ErrUnknownAPI says that a request names an API key that Kafka does not have.
// It cannot be answered: how its header ends is not known. Its code is
// UNSUPPORTED_VERSION.
var ErrUnknownAPI = fmt.Errorf("%w: unknown API key", ErrUnsupportedVersion)

// ErrMalformed says that bytes do not decode as the request they claim to be:
// cut short, a null where none may be, or a count that the bytes cannot hold.
// Kafka closes the connection on it. Its code is INVALID_REQUEST.
var ErrMalformed = fmt.Errorf("%w: malformed request", ErrInvalidRequest)

// Kafka's error codes, in the order of their numbers. Where Kafka renamed one
// (6 was NOT_LEADER_FOR_PARTITION), the present name is used.
var (
	ErrUnknownServerError                     = &Error{-1, "UNKNOWN_SERVER_ERROR"}
	ErrOffsetOutOfRange                       = &Error{1, "OFFSET_OUT_OF_RANGE"}
	ErrCorruptMessage                         = &Error{2, "CORRUPT_MESSAGE"}
	ErrUnknownTopicOrPartition                = &Error{3, "UNKNOWN_TOPIC_OR_PARTITION"}
	ErrInvalidFetchSize                       = &Error{4, "INVALID_FETCH_SIZE"}
	ErrLeaderNotAvailable                     = &Error{5, "LEADER_NOT_AVAILABLE"}
	ErrNotLeaderOrFollower                    = &Error{6, "NOT_LEADER_OR_FOLLOWER"}
	ErrRequestTimedOut                        = &Error{7, "REQUEST_TIMED_OUT"}
	ErrBrokerNotAvailable                     = &Error{8, "BROKER_NOT_AVAILABLE"}
	ErrReplicaNotAvailable                    = &Error{9, "REPLICA_NOT_AVAILABLE"}
	ErrMessageTooLarge                        = &Error{10, "MESSAGE_TOO_LARGE"}
	ErrStaleControllerEpoch                   = &Error{11, "STALE_CONTROLLER_EPOCH"}
	ErrOffsetMetadataTooLarge                 = &Error{12, "OFFSET_METADATA_TOO_LARGE"}
	ErrNetworkException                       = &Error{13, "NETWORK_EXCEPTION"}
	ErrCoordinatorLoadInProgress              = &Error{14, "COORDINATOR_LOAD_IN_PROGRESS"}
	ErrCoordinatorNotAvailable                = &Error{15, "COORDINATOR_NOT_AVAILABLE"}
	ErrNotCoordinator                         = &Error{16, "NOT_COORDINATOR"}
	ErrInvalidTopicException                  = &Error{17, "INVALID_TOPIC_EXCEPTION"}
	ErrRecordListTooLarge                     = &Error{18, "RECORD_LIST_TOO_LARGE"}
	ErrNotEnoughReplicas                      = &Error{19, "NOT_ENOUGH_REPLICAS"}
	ErrNotEnoughReplicasAfterAppend           = &Error{20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"}
	ErrInvalidRequiredAcks                    = &Error{21, "INVALID_REQUIRED_ACKS"}
	ErrIllegalGeneration                      = &Error{22, "ILLEGAL_GENERATION"}
	ErrInconsistentGroupProtocol              = &Error{23, "INCONSISTENT_GROUP_PROTOCOL"}
	ErrInvalidGroupID                         = &Error{24, "INVALID_GROUP_ID"}
	ErrUnknownMemberID                        = &Error{25, "UNKNOWN_MEMBER_ID"}
	ErrInvalidSessionTimeout                  = &Error{26, "INVALID_SESSION_TIMEOUT"}
	ErrRebalanceInProgress                    = &Error{27, "REBALANCE_IN_PROGRESS"}
	ErrInvalidCommitOffsetSize                = &Error{28, "INVALID_COMMIT_OFFSET_SIZE"}
	ErrTopicAuthorizationFailed               = &Error{29, "TOPIC_AUTHORIZATION_FAILED"}
	ErrGroupAuthorizationFailed               = &Error{30, "GROUP_AUTHORIZATION_FAILED"}
	ErrClusterAuthorizationFailed             = &Error{31, "CLUSTER_AUTHORIZATION_FAILED"}
	ErrInvalidTimestamp                       = &Error{32, "INVALID_TIMESTAMP"}
	ErrUnsupportedSaslMechanism               = &Error{33, "UNSUPPORTED_SASL_MECHANISM"}
	ErrIllegalSaslState                       = &Error{34, "ILLEGAL_SASL_STATE"}
	ErrUnsupportedVersion                     = &Error{35, "UNSUPPORTED_VERSION"}
	ErrTopicAlreadyExists                     = &Error{36, "TOPIC_ALREADY_EXISTS"}
	ErrInvalidPartitions                      = &Error{37, "INVALID_PARTITIONS"}
	ErrInvalidReplicationFactor               = &Error{38, "INVALID_REPLICATION_FACTOR"}
	ErrInvalidReplicaAssignment               = &Error{39, "INVALID_REPLICA_ASSIGNMENT"}
	ErrInvalidConfig                          = &Error{40, "INVALID_CONFIG"}
	ErrNotController                          = &Error{41, "NOT_CONTROLLER"}
	ErrInvalidRequest                         = &Error{42, "INVALID_REQUEST"}
	ErrUnsupportedForMessageFormat            = &Error{43, "UNSUPPORTED_FOR_MESSAGE_FORMAT"}
	ErrPolicyViolation                        = &Error{44, "POLICY_VIOLATION"}
	ErrOutOfOrderSequenceNumber               = &Error{45, "OUT_OF_ORDER_SEQUENCE_NUMBER"}
	ErrDuplicateSequenceNumber                = &Error{46, "DUPLICATE_SEQUENCE_NUMBER"}
	ErrInvalidProducerEpoch                   = &Error{47, "INVALID_PRODUCER_EPOCH"}
	ErrInvalidTxnState                        = &Error{48, "INVALID_TXN_STATE"}
	ErrInvalidProducerIDMapping               = &Error{49, "INVALID_PRODUCER_ID_MAPPING"}
	ErrInvalidTransactionTimeout              = &Error{50, "INVALID_TRANSACTION_TIMEOUT"}
	ErrConcurrentTransactions                 = &Error{51, "CONCURRENT_TRANSACTIONS"}
	ErrTransactionCoordinatorFenced           = &Error{52, "TRANSACTION_COORDINATOR_FENCED"}
	ErrTransactionalIDAuthorizationFailed     = &Error{53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"}
	ErrSecurityDisabled                       = &Error{54, "SECURITY_DISABLED"}
	ErrOperationNotAttempted                  = &Error{55, "OPERATION_NOT_ATTEMPTED"}
	ErrKafkaStorageError                      = &Error{56, "KAFKA_STORAGE_ERROR"}
	ErrLogDirNotFound                         = &Error{57, "LOG_DIR_NOT_FOUND"}
	ErrSaslAuthenticationFailed               = &Error{58, "SASL_AUTHENTICATION_FAILED"}
	ErrUnknownProducerID                      = &Error{59, "UNKNOWN_PRODUCER_ID"}
	ErrReassignmentInProgress                 = &Error{60, "REASSIGNMENT_IN_PROGRESS"}
	ErrDelegationTokenAuthDisabled            = &Error{61, "DELEGATION_TOKEN_AUTH_DISABLED"}
	ErrDelegationTokenNotFound                = &Error{62, "DELEGATION_TOKEN_NOT_FOUND"}
	ErrDelegationTokenOwnerMismatch           = &Error{63, "DELEGATION_TOKEN_OWNER_MISMATCH"}
	ErrDelegationTokenRequestNotAllowed       = &Error{64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"}
	ErrDelegationTokenAuthorizationFailed     = &Error{65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED"}
	ErrDelegationTokenExpired                 = &Error{66, "DELEGATION_TOKEN_EXPIRED"}
	ErrInvalidPrincipalType                   = &Error{67, "INVALID_PRINCIPAL_TYPE"}
	ErrNonEmptyGroup                          = &Error{68, "NON_EMPTY_GROUP"}
	ErrGroupIDNotFound                        = &Error{69, "GROUP_ID_NOT_FOUND"}
	ErrFetchSessionIDNotFound                 = &Error{70, "FETCH_SESSION_ID_NOT_FOUND"}
	ErrInvalidFetchSessionEpoch               = &Error{71, "INVALID_FETCH_SESSION_EPOCH"}
	ErrListenerNotFound                       = &Error{72, "LISTENER_NOT_FOUND"}
	ErrTopicDeletionDisabled                  = &Error{73, "TOPIC_DELETION_DISABLED"}
	ErrFencedLeaderEpoch                      = &Error{74, "FENCED_LEADER_EPOCH"}
	ErrUnknownLeaderEpoch                     = &Error{75, "UNKNOWN_LEADER_EPOCH"}
	ErrUnsupportedCompressionType             = &Error{76, "UNSUPPORTED_COMPRESSION_TYPE"}
	ErrStaleBrokerEpoch                       = &Error{77, "STALE_BROKER_EPOCH"}
	ErrOffsetNotAvailable                     = &Error{78, "OFFSET_NOT_AVAILABLE"}
	ErrMemberIDRequired                       = &Error{79, "MEMBER_ID_REQUIRED"}
	ErrPreferredLeaderNotAvailable            = &Error{80, "PREFERRED_LEADER_NOT_AVAILABLE"}
	ErrGroupMaxSizeReached                    = &Error{81, "GROUP_MAX_SIZE_REACHED"}
	ErrFencedInstanceID                       = &Error{82, "FENCED_INSTANCE_ID"}
	ErrEligibleLeadersNotAvailable            = &Error{83, "ELIGIBLE_LEADERS_NOT_AVAILABLE"}
	ErrElectionNotNeeded                      = &Error{84, "ELECTION_NOT_NEEDED"}
	ErrNoReassignmentInProgress               = &Error{85, "NO_REASSIGNMENT_IN_PROGRESS"}
	ErrGroupSubscribedToTopic                 = &Error{86, "GROUP_SUBSCRIBED_TO_TOPIC"}
	ErrInvalidRecord                          = &Error{87, "INVALID_RECORD"}
	ErrUnstableOffsetCommit                   = &Error{88, "UNSTABLE_OFFSET_COMMIT"}
	ErrThrottlingQuotaExceeded                = &Error{89, "THROTTLING_QUOTA_EXCEEDED"}
	ErrProducerFenced                         = &Error{90, "PRODUCER_FENCED"}
	ErrResourceNotFound                       = &Error{91, "RESOURCE_NOT_FOUND"}
	ErrDuplicateResource                      = &Error{92, "DUPLICATE_RESOURCE"}
	ErrUnacceptableCredential                 = &Error{93, "UNACCEPTABLE_CREDENTIAL"}
	ErrInconsistentVoterSet                   = &Error{94, "INCONSISTENT_VOTER_SET"}
	ErrInvalidUpdateVersion                   = &Error{95, "INVALID_UPDATE_VERSION"}
	ErrFeatureUpdateFailed                    = &Error{96, "FEATURE_UPDATE_FAILED"}
	ErrPrincipalDeserializationFailure        = &Error{97, "PRINCIPAL_DESERIALIZATION_FAILURE"}
	ErrSnapshotNotFound                       = &Error{98, "SNAPSHOT_NOT_FOUND"}
	ErrPositionOutOfRange                     = &Error{99, "POSITION_OUT_OF_RANGE"}
	ErrUnknownTopicID                         = &Error{100, "UNKNOWN_TOPIC_ID"}
	ErrDuplicateBrokerRegistration            = &Error{101, "DUPLICATE_BROKER_REGISTRATION"}
	ErrBrokerIDNotRegistered                  = &Error{102, "BROKER_ID_NOT_REGISTERED"}
	ErrInconsistentTopicID                    = &Error{103, "INCONSISTENT_TOPIC_ID"}
	ErrInconsistentClusterID                  = &Error{104, "INCONSISTENT_CLUSTER_ID"}
	ErrTransactionalIDNotFound                = &Error{105, "TRANSACTIONAL_ID_NOT_FOUND"}
	ErrFetchSessionTopicIDError               = &Error{106, "FETCH_SESSION_TOPIC_ID_ERROR"}
	ErrIneligibleReplica                      = &Error{107, "INELIGIBLE_REPLICA"}
	ErrNewLeaderElected                       = &Error{108, "NEW_LEADER_ELECTED"}
	ErrOffsetMovedToTieredStorage             = &Error{109, "OFFSET_MOVED_TO_TIERED_STORAGE"}
	ErrFencedMemberEpoch                      = &Error{110, "FENCED_MEMBER_EPOCH"}
	ErrUnreleasedInstanceID                   = &Error{111, "UNRELEASED_INSTANCE_ID"}
	ErrUnsupportedAssignor                    = &Error{112, "UNSUPPORTED_ASSIGNOR"}
	ErrStaleMemberEpoch                       = &Error{113, "STALE_MEMBER_EPOCH"}
	ErrMismatchedEndpointType                 = &Error{114, "MISMATCHED_ENDPOINT_TYPE"}
	ErrUnsupportedEndpointType                = &Error{115, "UNSUPPORTED_ENDPOINT_TYPE"}
	ErrUnknownControllerID                    = &Error{116, "UNKNOWN_CONTROLLER_ID"}
	ErrUnknownSubscriptionID                  = &Error{117, "UNKNOWN_SUBSCRIPTION_ID"}
	ErrTelemetryTooLarge                      = &Error{118, "TELEMETRY_TOO_LARGE"}
	ErrInvalidRegistration                    = &Error{119, "INVALID_REGISTRATION"}
	ErrTransactionAbortable                   = &Error{120, "TRANSACTION_ABORTABLE"}
	ErrInvalidRecordState                     = &Error{121, "INVALID_RECORD_STATE"}
	ErrShareSessionNotFound                   = &Error{122, "SHARE_SESSION_NOT_FOUND"}
	ErrInvalidShareSessionEpoch               = &Error{123, "INVALID_SHARE_SESSION_EPOCH"}
	ErrFencedStateEpoch                       = &Error{124, "FENCED_STATE_EPOCH"}
	ErrInvalidVoterKey                        = &Error{125, "INVALID_VOTER_KEY"}
	ErrDuplicateVoter                         = &Error{126, "DUPLICATE_VOTER"}
	ErrVoterNotFound                          = &Error{127, "VOTER_NOT_FOUND"}
	ErrInvalidRegularExpression               = &Error{128, "INVALID_REGULAR_EXPRESSION"}
	ErrRebootstrapRequired                    = &Error{129, "REBOOTSTRAP_REQUIRED"}
	ErrStreamsInvalidTopology                 = &Error{130, "STREAMS_INVALID_TOPOLOGY"}
	ErrStreamsInvalidTopologyEpoch            = &Error{131, "STREAMS_INVALID_TOPOLOGY_EPOCH"}
	ErrStreamsTopologyFenced                  = &Error{132, "STREAMS_TOPOLOGY_FENCED"}
	ErrShareSessionLimitReached               = &Error{133, "SHARE_SESSION_LIMIT_REACHED"}
	ErrGroupDeletionFailed                    = &Error{134, "GROUP_DELETION_FAILED"}
	ErrStreamsTopologyDescriptionUpdateFailed = &Error{135, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED"}
	ErrControllerIDNotRegistered              = &Error{136, "CONTROLLER_ID_NOT_REGISTERED"}
)
