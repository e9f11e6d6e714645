package kfake

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// These two take the place of the tests' own helpers of the same names, which
// count on the fake's doing at once what Kafka does behind the reply: a member
// has nothing assigned before its partitions' state is initialized, and a share
// partition is read before it can be fetched from.

const (
	shareMember  = "test-member-1" // the helper's; tests may look for it
	shareMaxWait = 2 * time.Second
)

// joinShareGroupRaw joins a share group and waits until the topic is assigned;
// it returns the member's id and the topic's.
func joinShareGroupRaw(t *testing.T, client *kgo.Client, group, topic string) (memberID string, topicID [16]byte) {
	t.Helper()
	ctx, cancel := calling()
	defer cancel()
	memberID = shareMember
	for epoch := int32(0); ; {
		request := kmsg.NewPtrShareGroupHeartbeatRequest()
		request.GroupID, request.MemberID, request.MemberEpoch, request.SubscribedTopicNames = group, memberID, epoch, []string{topic}
		reply, err := request.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(reply.ErrorCode)
		}
		if err != nil {
			t.Fatalf("heartbeat: %v", err)
		}
		epoch = reply.MemberEpoch
		if reply.MemberID != nil {
			memberID = *reply.MemberID
		}
		if reply.Assignment != nil && len(reply.Assignment.TopicPartitions) > 0 {
			return memberID, reply.Assignment.TopicPartitions[0].TopicID
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nothing was assigned: %v", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// rawShareFetch fetches from partition 0, waiting for records, and counts those acquired.
func rawShareFetch(t *testing.T, client *kgo.Client, group, memberID string, topicID [16]byte, epoch int32) (*kmsg.ShareFetchResponse, int) {
	t.Helper()
	ctx, cancel := calling()
	defer cancel()
	request := kmsg.NewPtrShareFetchRequest()
	request.GroupID, request.MemberID, request.ShareSessionEpoch = &group, &memberID, epoch
	request.MaxRecords, request.MinBytes, request.MaxWaitMillis = 500, 1, int32(shareMaxWait.Milliseconds())
	of := kmsg.NewShareFetchRequestTopic()
	of.TopicID = topicID
	one := kmsg.NewShareFetchRequestTopicPartition()
	one.PartitionMaxBytes = 1 << 20
	of.Partitions = append(of.Partitions, one)
	request.Topics = append(request.Topics, of)
	reply, err := request.RequestWith(ctx, client)
	if err != nil {
		t.Fatalf("ShareFetch: %v", err)
	}
	acquired := 0
	for _, topic := range reply.Topics {
		for _, p := range topic.Partitions {
			for _, records := range p.AcquiredRecords {
				acquired += int(records.LastOffset-records.FirstOffset) + 1
			}
		}
	}
	return reply, acquired
}
