package handler

import (
	"testing"
	"time"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetched asks and returns the whole reply and its one partition, nil when there is not one.
func fetched(t *testing.T, b *bench, in *kmsg.FetchRequest, version int16) (*kmsg.FetchResponse, *kmsg.FetchResponseTopicPartition) {
	t.Helper()
	r := b.ask(t, in, version).(*kmsg.FetchResponse)
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return r, nil
	}
	return r, &r.Topics[0].Partitions[0]
}

// A partition that is named twice is read once, as the last question says.
func TestFetchOfAPartitionTwice(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	size := len(batch(t, 1))
	for range 3 {
		b.ask(t, produceRequest(b.id, 1, batch(t, 1), batch(t, 1)), 9)
	}
	for _, version := range []int16{4, 12, 13, 18} {
		in := fetchRequest(b.id, 0, 0)
		again := in.Topics[0].Partitions[0]
		again.FetchOffset = 2
		in.Topics[0].Partitions = append(in.Topics[0].Partitions, again)
		r := b.ask(t, in, version).(*kmsg.FetchResponse)
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 2 {
			t.Fatalf("version %d: %+v", version, r.Topics)
		}
		for index, want := range []int{size, 3 * size} {
			if p := r.Topics[0].Partitions[index]; p.Partition != int32(index) || len(p.RecordBatches) != want {
				t.Errorf("version %d: partition %d with %d bytes at place %d, want %d", version, p.Partition, len(p.RecordBatches), index, want)
			}
		}
	}
}

func TestFetchOfNegativeSizes(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 1), batch(t, 1)), 9)
	in := fetchRequest(b.id, 0)
	in.Topics[0].Partitions[0].PartitionMaxBytes = -1
	if _, p := fetched(t, b, in, 12); p == nil || p.ErrorCode != protocol.ErrUnknownServerError.Code || p.HighWatermark != -1 || p.AbortedTransactions != nil {
		t.Errorf("-1 bytes of a partition: %+v", p)
	}
	in.Topics[0].Partitions[0].FetchOffset = 1
	if _, p := fetched(t, b, in, 12); p == nil || p.ErrorCode != 0 || p.HighWatermark != 1 {
		t.Errorf("-1 bytes where there are none: %+v", p)
	}
	in = fetchRequest(b.id, 0, 0)
	in.MaxBytes = -1
	r := b.ask(t, in, 12).(*kmsg.FetchResponse)
	if first, second := r.Topics[0].Partitions[0], r.Topics[0].Partitions[1]; first.ErrorCode != protocol.ErrUnknownServerError.Code || second.ErrorCode != 0 || len(second.RecordBatches) == 0 {
		t.Errorf("-1 bytes at most: %+v", r.Topics[0].Partitions)
	}
}

// An isolation level that is not there fails the request, when there is something to read.
func TestFetchOfAnUnknownIsolationLevel(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	in := fetchRequest(b.id, 0)
	in.IsolationLevel = 2
	for _, version := range []int16{4, 12} {
		r, p := fetched(t, b, in, version)
		if p == nil || p.ErrorCode != protocol.ErrUnknownServerError.Code || p.AbortedTransactions == nil || version >= 7 && r.ErrorCode != protocol.ErrUnknownServerError.Code {
			t.Errorf("version %d: %+v", version, r)
		}
	}
	if r, _ := fetched(t, b, in, 13); r.ErrorCode != protocol.ErrUnknownServerError.Code || len(r.Topics) != 0 {
		t.Errorf("version 13: %+v", r)
	}
	in.Topics[0].Topic = "nowhere"
	if r, p := fetched(t, b, in, 12); r.ErrorCode != 0 || p == nil || p.ErrorCode != protocol.ErrUnknownTopicOrPartition.Code {
		t.Errorf("an unknown topic: %+v", r)
	}
}

// Kafka's reply has an empty list of aborted transactions where it did not
// look, and none where it looked in vain.
func TestFetchErrorsAndAbortedTransactions(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	in := fetchRequest(b.id, 0)
	in.Topics[0].Partitions[0].Partition = 9
	if _, p := fetched(t, b, in, 12); p == nil || p.ErrorCode != protocol.ErrUnknownTopicOrPartition.Code || p.AbortedTransactions == nil {
		t.Errorf("an unknown partition: %+v", p)
	}
	if _, p := fetched(t, b, fetchRequest(b.id, 7), 12); p == nil || p.ErrorCode != protocol.ErrOffsetOutOfRange.Code || p.AbortedTransactions != nil {
		t.Errorf("an offset that is not there: %+v", p)
	}
}

func TestFetchAsAFollower(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	epoch := b.Partitions.Find([]byte("t"), 0).LeaderEpoch()
	for _, c := range []struct {
		name    string
		version int16
		epoch   int32
		want    *protocol.Error
		leader  int32
	}{
		{"no epoch", 12, -1, protocol.ErrNotLeaderOrFollower, -1},
		{"no epoch, told the leader", 16, -1, protocol.ErrNotLeaderOrFollower, b.Config.NodeID},
		{"the right epoch", 16, epoch, protocol.ErrUnknownLeaderEpoch, -1},
		{"a future epoch", 16, epoch + 9, protocol.ErrUnknownLeaderEpoch, -1},
	} {
		in := fetchRequest(b.id, 0)
		in.ReplicaID, in.ReplicaState.ID, in.ReplicaState.Epoch = 5, 5, 1
		in.Topics[0].Partitions[0].CurrentLeaderEpoch = c.epoch
		if _, p := fetched(t, b, in, c.version); p == nil || p.ErrorCode != c.want.Code || p.CurrentLeader.LeaderID != c.leader {
			t.Errorf("%s: %+v, want %s", c.name, p, c.want.Name)
		}
	}
}

// Of a Fetch every negative leader epoch is none.
func TestFetchWithANegativeLeaderEpoch(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	in := fetchRequest(b.id, 0)
	in.Topics[0].Partitions[0].CurrentLeaderEpoch = -2
	if _, p := fetched(t, b, in, 12); p == nil || p.ErrorCode != 0 {
		t.Errorf("%+v", p)
	}
}

// A session cannot remember a topic that has no id. The session stays as it was.
func TestFetchSessionOfNoTopic(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	in := fetchRequest(b.id, 0)
	in.SessionEpoch = 0
	r := b.ask(t, in, 13).(*kmsg.FetchResponse)
	if r.SessionID == 0 {
		t.Fatalf("no session: %+v", r)
	}
	nothing := fetchRequest(partition.TopicID{}, 0)
	nothing.SessionID, nothing.SessionEpoch = r.SessionID, 1
	if got, _ := fetched(t, b, nothing, 13); got.ErrorCode != protocol.ErrUnknownServerError.Code || got.SessionID != r.SessionID || len(got.Topics) != 0 {
		t.Errorf("in the session: %+v", got)
	}
	nothing.SessionID, nothing.SessionEpoch = 0, 0
	if got, _ := fetched(t, b, nothing, 13); got.ErrorCode != protocol.ErrUnknownServerError.Code {
		t.Errorf("a new session: %+v", got)
	}
	in = fetchRequest(b.id)
	in.SessionID, in.SessionEpoch, in.Topics = r.SessionID, 1, nil
	if got := b.ask(t, in, 13).(*kmsg.FetchResponse); got.ErrorCode != 0 || got.SessionID != r.SessionID {
		t.Errorf("the session after that: %+v", got)
	}
}

// A session remembers the name of a topic id: of a topic that is gone the
// partition is unknown, and of one that was made anew the id is not the log's.
// A request outside of the session knows the id alone.
func TestFetchSessionOfATopicThatIsGone(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	old := b.id
	in := fetchRequest(old, 0)
	in.SessionEpoch = 0
	session := b.ask(t, in, 13).(*kmsg.FetchResponse).SessionID
	if session == 0 {
		t.Fatal("no session")
	}
	epoch := int32(0)
	in.SessionID = session
	expect := func(when string, topics bool, want *protocol.Error) {
		t.Helper()
		epoch++
		next := *in
		if next.SessionEpoch = epoch; !topics {
			next.Topics = nil
		}
		r, p := fetched(t, b, &next, 13)
		if p == nil || p.ErrorCode != want.Code || r.Topics[0].TopicID != old {
			t.Errorf("%s: %+v, want %s", when, r, want.Name)
		}
	}
	if err := b.Partitions.Delete("t"); err != nil {
		t.Fatal(err)
	}
	expect("deleted", false, protocol.ErrUnknownTopicOrPartition)
	expect("deleted, and named again", true, protocol.ErrUnknownTopicOrPartition)
	if _, err := b.Partitions.Create("t", partition.TopicID{7}, 0, partition.Config{SegmentBytes: 1 << 20, SegmentIndexBytes: 1 << 16, IndexIntervalBytes: 4096, MaxMessageBytes: 1 << 20, Retention: time.Hour, RetentionBytes: -1, SegmentAge: time.Hour}); err != nil {
		t.Fatal(err)
	}
	expect("made anew", false, protocol.ErrInconsistentTopicID)
	expect("made anew, and the old id named again", true, protocol.ErrInconsistentTopicID)
	in.SessionID, in.SessionEpoch = 0, -1
	if r, p := fetched(t, b, in, 13); p == nil || p.ErrorCode != protocol.ErrUnknownTopicID.Code {
		t.Errorf("without a session: %+v", r)
	}
}
