package share

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/config"
	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// shelf is partitions with records, and a coordinator and a Set over them.
type shelf struct {
	t       *testing.T
	clock   *testClock
	log     *memoryLog // of __share_group_state
	topics  *partition.Set
	state   *Coordinator
	set     *Set
	group   config.ShareGroup
	nextSeq map[[2]int64]int32 // of a producer in a partition
}

const shelfPartitions = 2

var shelfTopic = [16]byte{7}

// newShelf has its partitions on the disk, or in memory when dir is "".
func newShelf(t *testing.T, dir string) *shelf {
	t.Helper()
	c := partition.SetConfig{Dir: dir, Durability: partition.FlushOS}
	if dir == "" {
		c.Dir, c.FS = "/data", memfs.New()
	}
	topics, err := partition.OpenSet(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, clock: &testClock{}, log: &memoryLog{}, topics: topics, group: config.Default().Groups.Share, nextSeq: map[[2]int64]int32{}}
	cfg := partition.Config{SegmentBytes: 1 << 20, SegmentAge: 100 * 365 * 24 * time.Hour, SegmentIndexBytes: 1 << 16, IndexIntervalBytes: 4096, Retention: -1, RetentionBytes: -1, DeleteOld: true}
	for i := range int32(shelfPartitions) {
		if _, err := topics.Create("t", shelfTopic, i, cfg); err != nil {
			t.Fatal(err)
		}
	}
	s.open()
	t.Cleanup(func() {
		s.close()
		if err := topics.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *shelf) open() {
	s.state = New(Config{
		Node: config.Default(), Partitions: func() int32 { return 1 }, Log: func(int32) Log { return s.log },
		Exists: func(topic [16]byte, index int32) bool { return s.find(topic, index) != nil },
		Logger: quiet, Now: s.clock.now,
	})
	s.set = NewSet(SetConfig{
		State: s.state, Find: s.find, Settings: func(string) config.ShareGroup { return s.group },
		Timeout: 5 * time.Second, Logger: quiet, Now: s.clock.now, NewTimer: s.clock.newTimer,
	})
	s.set.Start()
}

func (s *shelf) close() {
	s.set.Close()
	s.state.Close()
}

func (s *shelf) find(topic [16]byte, index int32) *partition.Partition {
	p, _ := s.topics.FindByID(topic, index)
	return p
}

func shelfKey(index int32) Key { return Key{Group: "g", Topic: shelfTopic, Partition: index} }

// begin gives the group a state in a partition.
func (s *shelf) begin(index int32, start int64) {
	s.t.Helper()
	if err := s.state.Initialize(background, shelfKey(index), 1, start).Wait(background); err != nil {
		s.t.Fatal(err)
	}
}

// opened is the share partition of an index.
func (s *shelf) opened(index int32) *Partition {
	s.t.Helper()
	o := s.set.Open(background, []Key{shelfKey(index)})[0]
	if o.Err != nil {
		s.t.Fatal(o.Err)
	}
	return o.Partition
}

// produce appends one batch of records.
func (s *shelf) produce(index int32, count int) {
	s.t.Helper()
	s.append(index, record.Builder{ProducerID: -1}, count)
}

func (s *shelf) append(index int32, b record.Builder, count int) {
	s.t.Helper()
	p := s.find(shelfTopic, index)
	rs := make([]record.Record, count)
	for i := range rs {
		rs[i] = record.Record{Timestamp: s.clock.now().UnixMilli(), Value: fmt.Appendf(nil, "value-%d", i)}
	}
	batch, err := b.Build(rs)
	if err != nil {
		s.t.Fatal(err)
	}
	o := partition.AppendOptions{Acks: 1, CurrentLeaderEpoch: -1}
	if b.Transactional {
		if o.Guard, err = p.BeginVerification(b.ProducerID, b.ProducerEpoch, b.BaseSequence, false); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := p.Append(batch, o); err != nil {
		s.t.Fatal(err)
	}
}

// transaction appends a batch of a transaction, and unless end is "" the marker.
func (s *shelf) transaction(index int32, producer int64, count int, end string) {
	s.t.Helper()
	of := [2]int64{int64(index), producer}
	s.append(index, record.Builder{ProducerID: producer, BaseSequence: s.nextSeq[of], Transactional: true}, count)
	s.nextSeq[of] += int32(count)
	if end != "" {
		s.end(index, producer, end)
	}
}

func (s *shelf) end(index int32, producer int64, end string) {
	s.t.Helper()
	if _, err := s.find(shelfTopic, index).AppendMarker(partition.Marker{ProducerID: producer, Commit: end == "commit"}); err != nil {
		s.t.Fatal(err)
	}
}

// fetch shows what a member gets: the runs, and behind a colon the base offsets of the batches.
func (s *shelf) fetch(index int32, member string, most int64) string {
	s.t.Helper()
	got, err := s.opened(index).Fetch(Fetch{Member: member, MaxBytes: 1 << 20, MinOneBatch: true, MaxRecords: most, BatchSize: 500})
	if err != nil {
		return nameOf(err)
	}
	out := given(got.Acquired)
	for b := got.Records; len(b) > 0; {
		batch, rest, err := record.Next(b)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := record.Verify(batch); err != nil {
			s.t.Fatal(err)
		}
		out, b = out+fmt.Sprintf(" :%d", batch.BaseOffset()), rest
	}
	return out
}

func (s *shelf) acknowledge(index int32, member string, first, last int64, types ...int8) string {
	p := s.set.Find(shelfKey(index))
	if p == nil {
		return "not open"
	}
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	return nameOf(p.StartAcknowledge(ctx, member, []Acknowledgement{{first, last, types}})(ctx))
}

func (s *shelf) start(index int32) int64 {
	p := s.opened(index)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machine.start
}

// TestRecordsAreShared runs on the disk and in memory.
func TestRecordsAreShared(t *testing.T) {
	for _, dir := range []string{t.TempDir(), ""} {
		s := newShelf(t, dir)
		s.begin(0, 0)
		for range 5 {
			s.produce(0, 10)
		}
		expect(t, "the first member", s.fetch(0, "a", 15), "0-19*1 :0 :10")
		expect(t, "the second", s.fetch(0, "b", 10), "20-29*1 :20")
		expect(t, "not the other's", s.acknowledge(0, "b", 0, 4, AckAccept), "INVALID_RECORD_STATE")
		expect(t, "some are done", s.acknowledge(0, "a", 0, 4, AckAccept), "ok")
		expect(t, "some are given back", s.acknowledge(0, "a", 5, 9, AckRelease), "ok")
		expect(t, "some cannot be", s.acknowledge(0, "b", 20, 20, AckReject), "ok")
		expect(t, "those that came back, and new ones", s.fetch(0, "b", 10), "5-9*2 30-39*1 :0 :30")
		if got := s.start(0); got != 5 {
			t.Errorf("the start is %d, want 5", got)
		}
		s.close()
		s.open()
		// What members had is available; what they finished is not.
		expect(t, "after a restart", s.fetch(0, "c", 100), "5-9*2 10-19*1 21-49*1 :0 :10 :20 :30 :40")
		expect(t, "all", s.acknowledge(0, "c", 5, 19, AckAccept), "ok")
		expect(t, "what lies below the start is ignored", s.acknowledge(0, "c", 20, 29, AckAccept), "ok")
		expect(t, "the rest", s.acknowledge(0, "c", 30, 49, AckAccept), "ok")
		expect(t, "nothing is left", s.fetch(0, "a", 100), "")
		if got := s.start(0); got != 50 {
			t.Errorf("the start is %d, want 50", got)
		}
		sum := s.state.Summary(background, shelfKey(0)).Wait(background)
		if sum.Start+int64(sum.Complete) != 50 {
			t.Errorf("stored is %+v", sum)
		}
	}
}

func TestWhereAGroupBegins(t *testing.T) {
	s := newShelf(t, "")
	s.produce(0, 10)
	s.clock.pass(time.Hour)
	s.produce(0, 10)
	s.clock.pass(time.Hour)
	for _, c := range []struct {
		name  string
		reset config.OffsetReset
		want  string
	}{
		{"at the latest record", config.OffsetReset{}, ""},
		{"at the earliest", config.OffsetReset{Earliest: true}, "0-19*1 :0 :10"},
		{"by time", config.OffsetReset{By: 90 * time.Minute}, "10-19*1 :10"},
		{"by time before all", config.OffsetReset{By: 24 * time.Hour}, "0-19*1 :0 :10"},
		{"by time after all", config.OffsetReset{By: time.Minute}, ""},
	} {
		s.group.OffsetReset = c.reset
		s.begin(0, -1)
		s.set.Drop(shelfKey(0))
		expect(t, c.name, s.fetch(0, "a", 20), c.want)
	}
	// A group that began at the end and got nothing before a restart goes on there.
	s.group.OffsetReset = config.OffsetReset{}
	s.begin(0, -1)
	s.set.Drop(shelfKey(0))
	expect(t, "the end", s.fetch(0, "a", 20), "")
	s.close()
	s.produce(0, 1)
	s.open()
	expect(t, "what came while it was away", s.fetch(0, "a", 20), "20-20*1 :20")
}

func TestLocksEndAndWakeWhoWaits(t *testing.T) {
	s := newShelf(t, "")
	s.begin(0, 0)
	s.produce(0, 4)
	expect(t, "the first member", s.fetch(0, "a", 10), "0-3*1 :0")
	p := s.opened(0)
	w := partition.NewWaiter()
	p.Watch(w)
	defer p.Forget(w)
	s.clock.pass(20 * time.Second)
	expect(t, "more time for some", s.acknowledge(0, "a", 0, 1, AckRenew), "ok")
	if len(w.C) > 0 {
		t.Error("somebody was woken for nothing")
	}
	s.clock.pass(10 * time.Second)
	awaitWaiter(t, w)
	expect(t, "the others are over", s.fetch(0, "b", 10), "2-3*2 :0")
	expect(t, "too late", s.acknowledge(0, "a", 2, 3, AckAccept), "INVALID_RECORD_STATE")
	expect(t, "in time", s.acknowledge(0, "a", 0, 1, AckAccept), "ok")
	awaitWaiter(t, w)
	s.produce(0, 1)
	awaitWaiter(t, w)
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	expect(t, "a member goes", nameOf(p.StartRelease(ctx, "b")(ctx)), "ok")
	awaitWaiter(t, w)
	expect(t, "its deliveries did not count", s.fetch(0, "c", 10), "2-3*2 4-4*1 :0 :4")
}

func awaitWaiter(t *testing.T, w *partition.Waiter) {
	t.Helper()
	select {
	case <-w.C:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was woken")
	}
}

func TestRecordsAreArchivedAtTheLimit(t *testing.T) {
	s := newShelf(t, "")
	s.group.DeliveryCountLimit = 2
	s.begin(0, 0)
	s.produce(0, 1)
	expect(t, "first", s.fetch(0, "a", 10), "0-0*1 :0")
	expect(t, "given back", s.acknowledge(0, "a", 0, 0, AckRelease), "ok")
	expect(t, "second", s.fetch(0, "a", 10), "0-0*2 :0")
	p := s.opened(0)
	w := partition.NewWaiter()
	p.Watch(w)
	defer p.Forget(w)
	s.clock.pass(time.Minute)
	awaitWaiter(t, w) // the lock is over
	for deadline := time.Now().Add(20 * time.Second); s.start(0) != 1; {
		if time.Now().After(deadline) {
			t.Fatal("the start waits for ever")
		}
		awaitWaiter(t, w) // that is stored
	}
	expect(t, "no third", s.fetch(0, "a", 10), "")
}

func TestStatesThatAreNotStored(t *testing.T) {
	s := newShelf(t, "")
	s.begin(0, 0)
	s.produce(0, 10)
	expect(t, "fetch", s.fetch(0, "a", 10), "0-9*1 :0")
	s.log.Set(func() { s.log.Fail = errDisk })
	expect(t, "acknowledge", s.acknowledge(0, "a", 0, 4, AckAccept), "COORDINATOR_NOT_AVAILABLE")
	s.close()
	s.log.Set(func() { s.log.Fail = nil })
	s.open()
	expect(t, "it is delivered again", s.fetch(0, "b", 10), "0-9*1 :0")
}

func TestDroppedPartitions(t *testing.T) {
	s := newShelf(t, "")
	none := s.set.Open(background, []Key{shelfKey(0), {Group: "g", Topic: [16]byte{9}}, shelfKey(1)})
	expect(t, "a state that was never made", nameOf(none[0].Err), "UNKNOWN_SERVER_ERROR")
	expect(t, "a topic that is not there", nameOf(none[1].Err), "UNKNOWN_TOPIC_OR_PARTITION")
	if s.set.Find(shelfKey(0)) != nil {
		t.Error("what could not be opened is there")
	}
	s.begin(0, 0)
	s.begin(1, 0)
	s.produce(0, 10)
	expect(t, "fetch", s.fetch(0, "a", 5), "0-9*1 :0")
	old := s.opened(0)
	// The offsets are altered: the group begins anew at 3.
	if err := s.state.Initialize(background, shelfKey(0), 2, 3).Wait(background); err != nil {
		t.Fatal(err)
	}
	expect(t, "what was acquired before", s.acknowledge(0, "a", 0, 4, AckAccept), "NOT_LEADER_OR_FOLLOWER")
	if _, err := old.Fetch(Fetch{Member: "a", MaxBytes: 1 << 20, MinOneBatch: true, MaxRecords: 5}); nameOf(err) != "NOT_LEADER_OR_FOLLOWER" {
		t.Errorf("one that is dropped gives: %v", err)
	}
	expect(t, "opened anew", s.fetch(0, "a", 5), "3-9*1 :0")
	s.opened(1)
	s.set.DropTopic(shelfTopic)
	expect(t, "a topic that went", s.acknowledge(0, "a", 3, 9, AckAccept), "not open")
}

func TestDeletedRecords(t *testing.T) {
	s := newShelf(t, t.TempDir())
	s.begin(0, 0)
	for range 3 {
		s.produce(0, 10)
	}
	expect(t, "fetch", s.fetch(0, "a", 10), "0-9*1 :0")
	if _, err := s.find(shelfTopic, 0).DeleteRecords(15); err != nil {
		t.Fatal(err)
	}
	expect(t, "what is left", s.fetch(0, "b", 100), "15-29*1 :10 :20")
	expect(t, "of what is gone", s.acknowledge(0, "a", 0, 9, AckAccept), "ok")
	if got := s.start(0); got != 15 {
		t.Errorf("the start is %d, want 15", got)
	}
}

// TestRecordsThatCannotBeRead: what a disk does not give is available again, and
// nobody has been delivered it.
func TestRecordsThatCannotBeRead(t *testing.T) {
	s := newShelf(t, t.TempDir())
	s.begin(0, 0)
	s.produce(0, 10)
	p := s.opened(0)
	got, err := p.acquire(Fetch{Member: "a", MaxBytes: 1 << 20, MinOneBatch: true, MaxRecords: 10, BatchSize: 500})
	if err != nil {
		t.Fatal(err)
	}
	got.release()
	short, err := os.Create(filepath.Join(t.TempDir(), "short"))
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	got.result.File = short
	if records, err := got.read(); nameOf(err) != "KAFKA_STORAGE_ERROR" {
		t.Errorf("%d bytes were read of an empty file: %v", len(records), err)
	}
	p.giveBack("a", got.given)
	expect(t, "delivered for the first time", s.fetch(0, "b", 10), "0-9*1 :0")
}

// TestReadCommitted: a group that reads committed records is not delivered
// those of aborted transactions, nor those of open ones.
func TestReadCommitted(t *testing.T) {
	for _, dir := range []string{t.TempDir(), ""} {
		s := newShelf(t, dir)
		s.begin(0, 0)
		s.begin(1, 0)
		for index := range int32(shelfPartitions) {
			// 0 and 1; 2 to 4 with marker 5; 6 and 7 with 8; 9 with 10; 11 and 12 of an open one; 13.
			s.produce(index, 2)
			s.transaction(index, 7, 3, "abort")
			s.transaction(index, 8, 2, "commit")
			s.transaction(index, 7, 1, "commit")
			s.transaction(index, 8, 2, "")
			s.produce(index, 1)
		}
		expect(t, "uncommitted", s.fetch(0, "a", 100), "0-4*1 6-7*1 9-9*1 11-13*1 :0 :2 :6 :9 :11 :13")
		s.group.ReadCommitted = true
		expect(t, "committed", s.fetch(1, "a", 100), "0-1*1 6-7*1 9-9*1 :0 :6 :9")
		expect(t, "nothing more for now", s.fetch(1, "a", 100), "")
		expect(t, "acknowledge all", s.acknowledge(1, "a", 0, 9, AckAccept), "ok")
		if got := s.start(1); got != 11 {
			t.Errorf("the start is %d, want 11: behind the marker", got)
		}
		s.end(1, 8, "abort")
		expect(t, "what followed the open transaction", s.fetch(1, "a", 100), "13-13*1 :13")
	}
}
