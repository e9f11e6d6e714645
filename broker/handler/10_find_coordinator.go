package handler

import (
	"context"
	"slices"
	"strconv"

	"fluxmq/broker/cluster"
	"fluxmq/broker/group"
	"fluxmq/broker/protocol"
	"fluxmq/broker/share"
	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Types of coordinator keys.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
	coordinatorShare       = 2 // a partition as a share group sees it, by share.Key's text
)

// firstShareVersion is the first version that knows coordinatorShare.
const firstShareVersion = 6

// handleFindCoordinator answers with this node for groups, transactional ids
// and share partitions, making __consumer_offsets, __transaction_state or
// __share_group_state first. Where no transactions are coordinated their key
// type gets UNSUPPORTED_VERSION, which clients do not retry
// (COORDINATOR_NOT_AVAILABLE, the other candidate, they retry until their own
// time is up).
func handleFindCoordinator(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.FindCoordinatorRequest)
	keys := q.CoordinatorKeys
	if r.Version < 4 {
		keys = []string{q.CoordinatorKey}
	}
	found := h.coordinator(r, q.CoordinatorType, keys)
	found.ErrorMessage = coordinatorMessage(r.Version, q.CoordinatorType, found)
	response := kmsg.NewPtrFindCoordinatorResponse()
	response.ErrorCode, response.ErrorMessage = found.ErrorCode, found.ErrorMessage
	response.NodeID, response.Host, response.Port = found.NodeID, found.Host, found.Port
	for _, key := range keys {
		c := found
		if q.CoordinatorType == coordinatorShare && c.ErrorCode == 0 && !isShareKey(key) {
			c = refuseCoordinator(protocol.ErrInvalidRequest, "") // see coordinatorMessage
		}
		c.Key = key
		response.Coordinators = append(response.Coordinators, c)
	}
	return Answer{Response: response}
}

// coordinatorMessage is Kafka's: NONE of a success and what is wrong of a
// failure, but from version 4 on nothing at all, unless the type is none. What
// is particular to this broker is told in every version.
func coordinatorMessage(version int16, keyType int8, c kmsg.FindCoordinatorResponseCoordinator) *string {
	switch {
	case c.ErrorCode == 0 && version < 4:
		return kmsg.StringPtr("NONE")
	case c.ErrorCode == 0, c.ErrorCode == protocol.ErrInvalidRequest.Code && version >= 4 && keyType == coordinatorShare:
		return new(string)
	}
	return c.ErrorMessage
}

// isShareKey tells whether a key is that of a share partition.
func isShareKey(key string) bool {
	_, err := share.ParseKey(key)
	return err == nil
}

// coordinator is the same for every key of a type: there is one node. The topic
// of the share coordinator is made only where a key is one, as in Kafka.
func (h *Handler) coordinator(r *Request, keyType int8, keys []string) kmsg.FindCoordinatorResponseCoordinator {
	topic, ensure := group.OffsetsTopic, h.ensureOffsetsTopic
	switch {
	case keyType == coordinatorTransaction && h.Transactions == nil:
		return refuseCoordinator(protocol.ErrUnsupportedVersion, "This broker does not support transactions.")
	case keyType == coordinatorTransaction:
		topic, ensure = txn.StateTopic, h.ensureStateTopic
	case keyType == coordinatorShare && h.ShareState != nil && r.Version >= firstShareVersion && slices.ContainsFunc(keys, isShareKey):
		topic, ensure = share.StateTopic, h.ensureShareTopic
	case keyType == coordinatorShare && r.Version >= firstShareVersion:
		return refuseCoordinator(protocol.ErrInvalidRequest, "No key is that of a share partition.")
	case keyType != coordinatorGroup:
		return refuseCoordinator(protocol.ErrInvalidRequest, "Coordinator key type "+strconv.Itoa(int(keyType))+" is not supported.")
	case !h.Groups.Enabled():
		return refuseCoordinator(protocol.ErrCoordinatorNotAvailable, "Consumer groups are turned off on this broker (fluxmq.groups.enable).")
	}
	if err := ensure(); err != nil {
		return refuseCoordinator(protocol.ErrCoordinatorNotAvailable, "Cannot create "+topic+": "+err.Error())
	}
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	broker := h.advertised(h.Metadata.Image(), r)
	c.NodeID, c.Host, c.Port = broker.NodeID, broker.Host, broker.Port
	return c
}

func refuseCoordinator(err *protocol.Error, message string) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.NodeID, c.Port, c.ErrorCode, c.ErrorMessage = -1, -1, err.Code, &message
	return c
}

// ensureOffsetsTopic makes __consumer_offsets as Kafka would, if it is not there.
func (h *Handler) ensureOffsetsTopic() error {
	_, err := h.Metadata.EnsureTopic(cluster.NewOffsetsTopic(h.Config))
	return err
}

// ensureStateTopic makes __transaction_state as Kafka would, if it is not there.
func (h *Handler) ensureStateTopic() error {
	_, err := h.Metadata.EnsureTopic(cluster.NewTransactionTopic(h.Config))
	return err
}
