package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"
	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleShareAcknowledge answers ShareAcknowledge (API key 79): what a member
// says of records that it has, outside of a fetch.
func handleShareAcknowledge(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.ShareAcknowledgeRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrShareAcknowledgeResponse()
		if err := h.shareAcknowledge(ctx, r, q, response); err != nil {
			response.ErrorCode = protocol.CodeOf(err) // Kafka says no more
		}
		return response
	}}
}

// shareAcknowledge fills the response; an error refuses all of the request.
func (h *Handler) shareAcknowledge(ctx context.Context, r *Request, q *kmsg.ShareAcknowledgeRequest, response *kmsg.ShareAcknowledgeResponse) error {
	if !h.servesShareGroups() {
		return errNoShareGroups
	}
	of, err := shareMemberOf(q.GroupID, q.MemberID)
	if err != nil {
		return err
	}
	var held []sharePlace // of a session that ends
	switch q.ShareSessionEpoch {
	case initialShareEpoch: // a session begins with a fetch
		return protocol.ErrInvalidShareSessionEpoch
	case finalShareEpoch:
		held, err = h.shareSessions.close(of)
	default:
		_, err = h.shareSessions.advance(of, q.ShareSessionEpoch)
	}
	if err != nil {
		return err
	}
	done := h.acknowledge(ctx, of, acknowledgedIn(q), q.IsRenewAck)
	if q.ShareSessionEpoch == finalShareEpoch {
		h.releaseShared(ctx, of, held)
	}
	response.AcquisitionLockTimeoutMillis = h.lockDurationMs(of.group)
	broker, elsewhere := h.advertised(h.Metadata.Image(), r), false
	for i, d := range done {
		if i == 0 || done[i-1].topic != d.topic {
			topic := kmsg.NewShareAcknowledgeResponseTopic()
			topic.TopicID = d.topic
			response.Topics = append(response.Topics, topic)
		}
		one := kmsg.NewShareAcknowledgeResponseTopicPartition()
		one.Partition, one.ErrorCode, one.ErrorMessage = d.partition, protocol.CodeOf(d.err), d.words
		if isElsewhere(one.ErrorCode) && d.log != nil {
			one.CurrentLeader.LeaderID, one.CurrentLeader.LeaderEpoch = broker.NodeID, d.log.LeaderEpoch()
			elsewhere = true
		}
		topic := &response.Topics[len(response.Topics)-1]
		topic.Partitions = append(topic.Partitions, one)
	}
	if elsewhere {
		response.NodeEndpoints = []kmsg.ShareAcknowledgeResponseNodeEndpoint{endpointOf(broker)}
	}
	return nil
}

func endpointOf(b cluster.Broker) kmsg.ShareAcknowledgeResponseNodeEndpoint {
	e := kmsg.NewShareAcknowledgeResponseNodeEndpoint()
	e.NodeID, e.Host, e.Port, e.Rack = b.NodeID, b.Host, b.Port, rackOf(b)
	return e
}

func acknowledgedIn(q *kmsg.ShareAcknowledgeRequest) []shareAnswers {
	var list []shareAnswers
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			a := shareAnswers{sharePlace: sharePlace{t.TopicID, p.Partition}}
			for _, b := range p.AcknowledgementBatches {
				a.list = append(a.list, share.Acknowledgement{First: b.FirstOffset, Last: b.LastOffset, Types: b.AcknowledgeTypes})
			}
			list = append(list, a)
		}
	}
	return list
}
