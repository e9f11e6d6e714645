package handler

import (
	"fmt"
	"testing"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func listOffsets(t *testing.T, b *bench, version int16, change func(*kmsg.ListOffsetsRequest), topics ...kmsg.ListOffsetsRequestTopic) []kmsg.ListOffsetsResponseTopic {
	t.Helper()
	in := kmsg.NewPtrListOffsetsRequest()
	in.ReplicaID, in.Topics = -1, topics
	change(in)
	return b.ask(t, in, version).(*kmsg.ListOffsetsResponse).Topics
}

// offsetsAt asks of each partition of topic t, by its index, for a timestamp.
func offsetsAt(timestamp int64, indexes ...int32) kmsg.ListOffsetsRequestTopic {
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = "t"
	for _, index := range indexes {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = index, timestamp
		topic.Partitions = append(topic.Partitions, p)
	}
	return topic
}

func asIs(*kmsg.ListOffsetsRequest) {}

// Every topic and partition is answered once; a partition that is asked for twice with an error.
func TestListOffsetsOfRepetitions(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 2), batch(t, 3)), 9)
	for _, version := range []int16{1, 6, 11} {
		got := listOffsets(t, b, version, asIs, offsetsAt(-1, 0, 0), offsetsAt(-1), offsetsAt(-1, 1), offsetsAt(-2, 0))
		if len(got) != 1 || len(got[0].Partitions) != 2 {
			t.Fatalf("version %d: %+v", version, got)
		}
		if p := got[0].Partitions[0]; p.Partition != 0 || p.ErrorCode != protocol.ErrInvalidRequest.Code || p.Offset != -1 {
			t.Errorf("version %d, asked three times: %+v", version, p)
		}
		if p := got[0].Partitions[1]; p.Partition != 1 || p.ErrorCode != 0 || p.Offset != 3 {
			t.Errorf("version %d, asked once: %+v", version, p)
		}
	}
}

func TestListOffsetsAsKafka(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 2)), 9)
	for _, c := range []struct {
		name      string
		version   int16
		timestamp int64
		change    func(*kmsg.ListOffsetsRequest)
		want      *protocol.Error
		offset    int64
	}{
		{"isolation level 2", 11, -1, func(r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 2 }, protocol.ErrUnknownServerError, -1},
		{"leader epoch -2", 11, -1, func(r *kmsg.ListOffsetsRequest) { r.Topics[0].Partitions[0].CurrentLeaderEpoch = -2 }, protocol.ErrFencedLeaderEpoch, -1},
		{"as a replica", 11, -1, func(r *kmsg.ListOffsetsRequest) { r.ReplicaID = 5 }, nil, 2},
		{"what is to move to another tier", 11, -6, asIs, nil, -1},
		{"the same, before there was such a thing", 10, -6, asIs, protocol.ErrUnsupportedVersion, -1},
	} {
		got := listOffsets(t, b, c.version, c.change, offsetsAt(c.timestamp, 0))
		if p := got[0].Partitions[0]; p.ErrorCode != code(c.want) || p.Offset != c.offset {
			t.Errorf("%s: %+v, want %v and %d", c.name, p, c.want, c.offset)
		}
	}
	in := kmsg.NewPtrOffsetForLeaderEpochRequest()
	in.ReplicaID = 5
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.LeaderEpoch = b.Partitions.Find([]byte("t"), 0).LeaderEpoch()
	in.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
	if got := b.ask(t, in, 4).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0]; got.ErrorCode != 0 || got.EndOffset != 2 {
		t.Errorf("the end of an epoch, as a replica: %+v", got)
	}
}

func TestDeleteTopicsByRepeatedWords(t *testing.T) {
	h := topicHandler(t)
	for _, name := range []string{"twice", "both", "byid", "fine"} {
		create(t, h, name, 1)
	}
	id := func(name string) [16]byte { return h.Metadata.Image().Topics[name].ID }
	got := ask[*kmsg.DeleteTopicsResponse](t, h, 6, &kmsg.DeleteTopicsRequest{Topics: []kmsg.DeleteTopicsRequestTopic{
		{Topic: ref("twice")}, {Topic: ref("nowhere")}, {TopicID: id("byid")}, {TopicID: id("both")}, {Topic: ref("fine")},
		{Topic: ref("twice")}, {Topic: ref("nowhere")}, {TopicID: id("byid")}, {Topic: ref("both")}, {}, {},
	}})
	invalid := code(protocol.ErrInvalidRequest)
	for n, want := range []int16{invalid, invalid, invalid, invalid, 0, invalid, invalid} {
		if n >= len(got.Topics) || got.Topics[n].ErrorCode != want {
			t.Fatalf("%d: %+v", n, got.Topics)
		}
	}
	if len(got.Topics) != 7 {
		t.Errorf("%d answers", len(got.Topics))
	}
	if both := got.Topics[3]; both.Topic == nil || *both.Topic != "both" || both.TopicID != id("both") {
		t.Errorf("by name and by id: %+v", both)
	}
	if image := h.Metadata.Image(); image.Topics["fine"] != nil || image.Topics["twice"] == nil || image.Topics["both"] == nil || image.Topics["byid"] == nil {
		t.Error("the wrong topics are gone")
	}
}

func TestGroupRequestsThatRepeatOrLack(t *testing.T) {
	b := newGroupBroker(t)
	topic := b.prepare()
	everyGroupVersion(42, func(v int16) {
		out := askGroupAPI[*kmsg.DeleteGroupsResponse](b, v, &kmsg.DeleteGroupsRequest{Groups: []string{"nobody", "nowhere", "nobody"}})
		if len(out.Groups) != 2 || out.Groups[0].Group != "nobody" || out.Groups[1].Group != "nowhere" {
			t.Errorf("version %d: %+v", v, out.Groups)
		}
	})
	everyGroupVersion(8, func(v int16) {
		in := kmsg.NewPtrOffsetCommitRequest()
		in.Group = fmt.Sprint("empty-", v)
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = "t", topic.ID
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = 1, 5
		with := rt
		with.Partitions = append(with.Partitions, rp)
		in.Topics = []kmsg.OffsetCommitRequestTopic{rt, with}
		out := askGroupAPI[*kmsg.OffsetCommitResponse](b, v, in)
		if len(out.Topics) != 1 || len(out.Topics[0].Partitions) != 1 || out.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("a commit of version %d to a topic without partitions: %+v", v, out.Topics)
		}
	})
	everyGroupVersion(13, func(v int16) {
		in := kmsg.NewPtrLeaveGroupRequest()
		in.Group, in.MemberID, in.Members = "nobody", "m", []kmsg.LeaveGroupRequestMember{{MemberID: "m"}, {MemberID: "n"}}
		out := askGroupAPI[*kmsg.LeaveGroupResponse](b, v, in)
		if v < 3 {
			b.expect("a leave of no group", out.ErrorCode, kerr.UnknownMemberID)
			return
		}
		if out.ErrorCode != 0 || len(out.Members) != 2 || out.Members[1].MemberID != "n" {
			t.Fatalf("a leave of no group, version %d: %+v", v, out)
		}
		b.expect("a member of no group", out.Members[1].ErrorCode, kerr.UnknownMemberID)
	})
	everyGroupVersion(14, func(v int16) {
		in := kmsg.NewPtrSyncGroupRequest()
		in.ProtocolType = kmsg.StringPtr("consumer") // and no protocol
		want := error(kerr.InvalidGroupID)
		if v >= 5 {
			want = kerr.InconsistentGroupProtocol
		}
		b.expect(fmt.Sprint("a sync without a protocol, version ", v), askGroupAPI[*kmsg.SyncGroupResponse](b, v, in).ErrorCode, want)
	})
	everyGroupVersion(10, func(v int16) {
		in := kmsg.NewPtrFindCoordinatorRequest()
		in.CoordinatorKey, in.CoordinatorKeys = "g", []string{"g"}
		out := askGroupAPI[*kmsg.FindCoordinatorResponse](b, v, in)
		message, want := out.ErrorMessage, ref("NONE")
		switch {
		case v == 0:
			want = nil // there is no such field
		case v >= 4:
			message, want = out.Coordinators[0].ErrorMessage, new(string)
		}
		if (message == nil) != (want == nil) || message != nil && *message != *want {
			t.Errorf("version %d says %v of a success", v, message)
		}
	})
}
