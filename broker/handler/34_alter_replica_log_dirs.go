package handler

import (
	"context"
	"errors"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxLogDirName is the longest name of a directory; Kafka moves a partition by
// way of one that is 40 characters longer than "topic-partition".
const (
	maxLogDirName  = 255
	futureDirExtra = 40
)

// handleAlterReplicaLogDirs answers AlterReplicaLogDirs (API key 34, KIP-113).
// A move is answered when it has begun; DescribeLogDirs shows how far it is.
func handleAlterReplicaLogDirs(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.AlterReplicaLogDirsRequest)
	response := request.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
	at := map[string]int{} // topics in response.Topics
	for _, dir := range request.Dirs {
		for _, t := range dir.Topics {
			place, known := at[t.Topic]
			if !known {
				place = len(response.Topics)
				at[t.Topic] = place
				response.Topics = append(response.Topics, kmsg.AlterReplicaLogDirsResponseTopic{Topic: t.Topic})
			}
			out := &response.Topics[place]
			for _, index := range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.AlterReplicaLogDirsResponseTopicPartition{
					Partition: index, ErrorCode: protocol.CodeOf(h.moveLogDir(dir.Dir, t.Topic, index)),
				})
			}
		}
	}
	return Answer{Response: response}
}

// moveLogDir decides one move, in the order of Kafka's ReplicaManager.
func (h *Handler) moveLogDir(dir, topic string, index int32) error {
	if len(fmt.Sprintf("%s-%d", topic, index))+futureDirExtra > maxLogDirName {
		return protocol.ErrInvalidTopicException
	}
	err := h.Partitions.MoveTo(topic, index, dir)
	if errors.Is(err, protocol.ErrReplicaNotAvailable) && cluster.CheckPartition(h.Metadata.Image(), topic, index) != nil {
		return protocol.ErrUnknownTopicOrPartition // it is not being made either
	}
	return err
}
