package handler

import (
	"context"
	"time"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// markersTimeout bounds how long the markers of one request may take.
const markersTimeout = 30 * time.Second

// handleWriteTxnMarkers answers WriteTxnMarkers (API key 27): it ends
// transactions in the partitions named. Coordinators send it, and operators who
// abort a transaction that no coordinator knows.
func handleWriteTxnMarkers(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.WriteTxnMarkersRequest)
	response := kmsg.NewPtrWriteTxnMarkersResponse()
	var finish []func(context.Context) error // by the response's partitions
	for _, m := range request.Markers {
		answer := kmsg.NewWriteTxnMarkersResponseMarker()
		answer.ProducerID = m.ProducerID
		marker := partition.Marker{
			ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch,
			TransactionVersion: int16(m.TransactionVersion), Commit: m.Committed,
		}
		for _, t := range m.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			for _, index := range t.Partitions {
				p := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				p.Partition = index
				topic.Partitions = append(topic.Partitions, p)
				finish = append(finish, h.StartMarker(t.Topic, index, marker))
			}
			answer.Topics = append(answer.Topics, topic)
		}
		response.Markers = append(response.Markers, answer)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		ctx, cancel := context.WithTimeout(ctx, markersTimeout)
		defer cancel()
		for _, m := range response.Markers {
			for _, t := range m.Topics {
				for i := range t.Partitions {
					t.Partitions[i].ErrorCode = protocol.CodeOf(finish[0](ctx))
					finish = finish[1:]
				}
			}
		}
		return response
	}}
}
