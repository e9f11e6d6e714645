package handler

import (
	"context"
	"strconv"

	"fluxmq/broker/cluster"
	"fluxmq/broker/group"
	"fluxmq/broker/protocol"
	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Types of coordinator keys.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
)

// handleFindCoordinator answers with this node for groups and transactional
// ids, making __consumer_offsets or __transaction_state first. Where no
// transactions are coordinated their key type gets UNSUPPORTED_VERSION, which
// clients do not retry (COORDINATOR_NOT_AVAILABLE, the other candidate, they
// retry until their own time is up).
func handleFindCoordinator(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.FindCoordinatorRequest)
	keys := q.CoordinatorKeys
	if r.Version < 4 {
		keys = []string{q.CoordinatorKey}
	}
	found := h.coordinator(r, q.CoordinatorType)
	found.ErrorMessage = coordinatorMessage(r.Version, found)
	response := kmsg.NewPtrFindCoordinatorResponse()
	response.ErrorCode, response.ErrorMessage = found.ErrorCode, found.ErrorMessage
	response.NodeID, response.Host, response.Port = found.NodeID, found.Host, found.Port
	for _, key := range keys {
		c := found
		c.Key = key
		response.Coordinators = append(response.Coordinators, c)
	}
	return Answer{Response: response}
}

// coordinatorMessage is Kafka's: NONE of a success and what is wrong of a
// failure, but from version 4 on nothing at all. What is particular to this
// broker is told in every version.
func coordinatorMessage(version int16, c kmsg.FindCoordinatorResponseCoordinator) *string {
	switch {
	case c.ErrorCode == 0 && version < 4:
		return kmsg.StringPtr("NONE")
	case c.ErrorCode == 0, c.ErrorCode == protocol.ErrInvalidRequest.Code && version >= 4:
		return new(string)
	}
	return c.ErrorMessage
}

// coordinator is the same for every key of a type: there is one node.
func (h *Handler) coordinator(r *Request, keyType int8) kmsg.FindCoordinatorResponseCoordinator {
	refuse := func(err *protocol.Error, message string) kmsg.FindCoordinatorResponseCoordinator {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.NodeID, c.Port, c.ErrorCode, c.ErrorMessage = -1, -1, err.Code, &message
		return c
	}
	topic, ensure := group.OffsetsTopic, h.ensureOffsetsTopic
	switch {
	case keyType == coordinatorTransaction && h.Transactions == nil:
		return refuse(protocol.ErrUnsupportedVersion, "This broker does not support transactions.")
	case keyType == coordinatorTransaction:
		topic, ensure = txn.StateTopic, h.ensureStateTopic
	case keyType != coordinatorGroup:
		return refuse(protocol.ErrInvalidRequest, "Coordinator key type "+strconv.Itoa(int(keyType))+" is not supported.")
	case !h.Groups.Enabled():
		return refuse(protocol.ErrCoordinatorNotAvailable, "Consumer groups are turned off on this broker (fluxmq.groups.enable).")
	}
	if err := ensure(); err != nil {
		return refuse(protocol.ErrCoordinatorNotAvailable, "Cannot create "+topic+": "+err.Error())
	}
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	broker := h.advertised(h.Metadata.Image(), r)
	c.NodeID, c.Host, c.Port = broker.NodeID, broker.Host, broker.Port
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
