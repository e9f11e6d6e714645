package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"

	"pgregory.net/rapid"
)

var (
	background = context.Background()
	quiet      = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// begin makes a coordinator over one log. Partitions 0 to 9 of every topic exist.
func begin(l *memoryLog, change ...func(*config.Node)) *Coordinator {
	n := *config.Default()
	for _, c := range change {
		c(&n)
	}
	return New(Config{
		Node: &n, Partitions: func() int32 { return 1 }, Log: func(int32) Log { return l },
		Exists: func(_ [16]byte, index int32) bool { return index < 10 },
		Logger: quiet,
	})
}

func keyOf(partition int32) Key { return Key{Group: "g", Topic: [16]byte{1}, Partition: partition} }

// nameOf is the Kafka name of an error, "ok" for none.
func nameOf(err error) string {
	var known *protocol.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &known):
		return known.Name
	}
	return err.Error()
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func (c *Coordinator) made(partition, epoch int32, start int64) string {
	return nameOf(c.Initialize(background, keyOf(partition), epoch, start).Wait(background))
}

func (c *Coordinator) wrote(partition int32, w Write) string {
	return nameOf(c.Write(background, keyOf(partition), w).Wait(background))
}

func (c *Coordinator) read(partition, leader int32) string {
	r := c.Read(background, keyOf(partition), leader).Wait(background)
	if r.Err != nil {
		return nameOf(r.Err)
	}
	return fmt.Sprintf("epoch %d from %d %s", r.Epoch, r.Start, shown(r.Batches))
}

func (c *Coordinator) summary(partition int32) string {
	s := c.Summary(background, keyOf(partition)).Wait(background)
	if s.Err != nil {
		return nameOf(s.Err)
	}
	return fmt.Sprintf("epoch %d leader %d from %d complete %d", s.StateEpoch, s.LeaderEpoch, s.Start, s.Complete)
}

// shown lists batches: 3-5 acked*2 is from 3 to 5, acknowledged, delivered twice.
func shown(list []Batch) string {
	names := map[DeliveryState]string{Available: "free", Acquired: "held", Acknowledged: "acked", Archived: "gone"}
	out := []string{}
	for _, b := range list {
		out = append(out, fmt.Sprintf("%d-%d %s*%d", b.First, b.Last, names[b.State], b.Count))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func TestAStateFromBeginToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(l)
		expect(t, "read what is not there", c.read(0, 1), "INVALID_REQUEST")
		expect(t, "write what is not there", c.wrote(0, Write{StateEpoch: 1, LeaderEpoch: 1}), "INVALID_REQUEST")
		expect(t, "summary of what is not there", c.summary(0), "epoch 0 leader 0 from -1 complete -1")
		expect(t, "initialize", c.made(0, 2, -1), "ok")
		expect(t, "read", c.read(0, 5), "epoch 2 from -1 []")
		expect(t, "where it begins", c.wrote(0, Write{StateEpoch: 2, LeaderEpoch: 5, Start: 10}), "ok")
		expect(t, "write", c.wrote(0, Write{StateEpoch: 2, LeaderEpoch: 5, Start: 10, Complete: 3, Batches: []Batch{{10, 12, Acknowledged, 1}, {15, 16, Available, 1}}}), "ok")
		expect(t, "summary", c.summary(0), "epoch 2 leader 5 from 10 complete 3")
		expect(t, "more", c.wrote(0, Write{StateEpoch: 2, LeaderEpoch: 5, Start: 13, Complete: 1, Batches: []Batch{{14, 15, Archived, 2}}}), "ok")
		expect(t, "one that is late", c.wrote(0, Write{StateEpoch: 2, LeaderEpoch: 5, Start: 10, Complete: 9, Batches: []Batch{{14, 14, Available, 1}, {13, 13, Available, 1}}}), "ok")
		const now = "epoch 2 from 13 [13-13 free*1, 14-15 gone*2, 16-16 free*1]"
		expect(t, "read", c.read(0, 5), now)
		expect(t, "summary", c.summary(0), "epoch 2 leader 5 from 13 complete 1")
		expect(t, "an older leader reads", c.read(0, 4), "FENCED_LEADER_EPOCH")
		expect(t, "an older leader writes", c.wrote(0, Write{StateEpoch: 2, LeaderEpoch: 4, Start: 13}), "FENCED_LEADER_EPOCH")
		expect(t, "an older state is written", c.wrote(0, Write{StateEpoch: 1, LeaderEpoch: 5, Start: 13}), "FENCED_STATE_EPOCH")
		expect(t, "an older state is made", c.made(0, 1, 0), "FENCED_STATE_EPOCH")
		expect(t, "another key", c.made(1, 3, 7), "ok")
		c.Close()

		c = begin(l)
		expect(t, "after a restart", c.read(0, -1), now)
		expect(t, "the summary", c.summary(0), "epoch 2 leader 5 from 13 complete 1")
		expect(t, "the other", c.read(1, -1), "epoch 3 from 7 []")
		expect(t, "the fence", c.wrote(0, Write{StateEpoch: 2, LeaderEpoch: 4, Start: 13}), "FENCED_LEADER_EPOCH")
		expect(t, "made anew", c.made(0, 4, 100), "ok")
		expect(t, "read", c.read(0, -1), "epoch 4 from 100 []")
		expect(t, "what was decided before", c.wrote(0, Write{StateEpoch: 2, LeaderEpoch: 5, Start: 14}), "FENCED_STATE_EPOCH")
		expect(t, "and by an older leader", c.read(0, 4), "FENCED_LEADER_EPOCH")
		expect(t, "delete", nameOf(c.Delete(background, keyOf(0)).Wait(background)), "ok")
		expect(t, "delete again", nameOf(c.Delete(background, keyOf(0)).Wait(background)), "ok")
		expect(t, "read", c.read(0, -1), "INVALID_REQUEST")
		c.Close()
		c = begin(l)
		defer c.Close()
		expect(t, "after a restart", c.read(0, -1), "INVALID_REQUEST")
		expect(t, "the other", c.read(1, -1), "epoch 3 from 7 []")
		c.TopicDeleted(background, [16]byte{1})
		expect(t, "its topic goes", c.read(1, -1), "INVALID_REQUEST")
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(&memoryLog{})
		defer c.Close()
		none := Key{Group: "g", Topic: [16]byte{1}, Partition: 11}
		for _, test := range []struct {
			name string
			err  error
			want string
		}{
			{"initialize what is no partition", c.Initialize(background, none, 1, 0).Wait(background), "UNKNOWN_TOPIC_OR_PARTITION"},
			{"summary of what is no partition", c.Summary(background, none).Wait(background).Err, "UNKNOWN_TOPIC_OR_PARTITION"},
			{"delete what is no partition", c.Delete(background, none).Wait(background), "UNKNOWN_TOPIC_OR_PARTITION"},
			{"a partition below 0", c.Initialize(background, keyOf(-1), 1, 0).Wait(background), "INVALID_REQUEST"},
			{"no group", c.Read(background, Key{}, 1).Wait(background).Err, "INVALID_REQUEST"},
			{"a group that cannot be stored", c.Delete(background, Key{Group: strings.Repeat("g", 1<<15)}).Wait(background), "INVALID_REQUEST"},
			{"a batch of an acquired record", c.Write(background, keyOf(0), Write{Batches: []Batch{{0, 1, Acquired, 1}}}).Wait(background), "INVALID_REQUEST"},
			{"a batch that ends before it begins", c.Write(background, keyOf(0), Write{Batches: []Batch{{2, 1, Available, 1}}}).Wait(background), "INVALID_REQUEST"},
		} {
			expect(t, test.name, nameOf(test.err), test.want)
		}
		nothing := New(Config{
			Node: config.Default(), Partitions: func() int32 { return 0 }, Log: func(int32) Log { return nil },
			Exists: func(_ [16]byte, index int32) bool { return index < 10 },
		})
		expect(t, "no __share_group_state: read", nothing.read(0, 1), "NOT_COORDINATOR")
		expect(t, "no __share_group_state: summary", nothing.summary(0), "epoch 0 leader 0 from -1 complete -1")
		expect(t, "no __share_group_state: delete", nameOf(nothing.Delete(background, keyOf(0)).Wait(background)), "ok")
		if err := nothing.Start(background); err != nil {
			t.Errorf("nothing to start, but: %v", err)
		}
	})
}

func TestAnswersWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{Waits: true}
		c := begin(l)
		defer c.Close()
		reply := c.Initialize(background, keyOf(0), 1, 0)
		synctest.Wait()
		if reply.Ready() {
			t.Fatal("the answer came before the record was durable")
		}
		crashed := l.Crash()
		l.Sync(nil)
		expect(t, "durable", nameOf(reply.Wait(background)), "ok")
		reply = c.Write(background, keyOf(0), Write{StateEpoch: 1, LeaderEpoch: 0, Start: 5})
		// An answer that writes nothing itself waits for what it speaks of.
		read := c.Read(background, keyOf(0), -1)
		synctest.Wait()
		if reply.Ready() || read.Ready() {
			t.Fatal("an answer came before what it says was durable")
		}
		l.Sync(errDisk)
		expect(t, "not durable", nameOf(reply.Wait(background)), "NOT_COORDINATOR")
		expect(t, "what was read", nameOf(read.Wait(background).Err), "NOT_COORDINATOR")
		other := begin(crashed)
		defer other.Close()
		expect(t, "what a crash took", other.read(0, -1), "INVALID_REQUEST")
	})
}

func TestAFailedAppendIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(l)
		defer c.Close()
		expect(t, "initialize", c.made(0, 1, 0), "ok")
		l.Set(func() { l.Fail = errDisk })
		expect(t, "write", c.wrote(0, Write{StateEpoch: 1, LeaderEpoch: 0, Start: 5}), "NOT_COORDINATOR")
		l.Set(func() { l.Fail = nil })
		expect(t, "after", c.read(0, -1), "NOT_COORDINATOR")
	})
}

func TestABlockedShardRefusesInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{AppendAt: make(chan struct{})}
		c := begin(l)
		defer c.Close()
		defer close(l.AppendAt)
		first := c.Initialize(background, keyOf(0), 1, 0)
		synctest.Wait() // the shard is in Append now
		for range coordinator.QueueLength {
			c.Summary(background, keyOf(0))
		}
		start := time.Now()
		expect(t, "one too many", c.summary(0), "COORDINATOR_NOT_AVAILABLE")
		expect(t, "the first", nameOf(first.Wait(background)), "COORDINATOR_NOT_AVAILABLE")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("that took %v", took)
		}
	})
}

func TestLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{ReplayAt: make(chan struct{})}
		c := begin(l)
		expect(t, "while loading", c.read(0, 1), "COORDINATOR_LOAD_IN_PROGRESS")
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if err := c.Start(ctx); err == nil {
			t.Error("Start returned before the load was over")
		}
		close(l.ReplayAt)
		expect(t, "after", c.made(0, 1, 0), "ok")
		c.Close()
		expect(t, "closed", c.made(0, 1, 0), "NOT_COORDINATOR")
	})
}

// TestPruning: the log keeps only what the keys need, also of keys that do not change.
func TestPruning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(l, func(n *config.Node) { n.ShareSnapshotUpdates = 4 })
		expect(t, "one that does not change", c.made(0, 1, 3), "ok")
		expect(t, "one that does", c.made(1, 1, 0), "ok")
		write := func(i int64) {
			expect(t, "write", c.wrote(1, Write{StateEpoch: 1, LeaderEpoch: 0, Start: i}), "ok")
		}
		for i := range int64(12) { // a snapshot, then four changes and a snapshot again
			write(i)
		}
		if start, end := l.Bounds(); end != 14 || start != 0 {
			t.Fatalf("the log is from %d to %d", start, end)
		}
		time.Sleep(5*time.Minute + time.Second)
		// Both keys are written anew: neither was for five minutes.
		synctest.Wait()
		if start, end := l.Bounds(); end != 16 || start != 14 {
			t.Errorf("the log is from %d to %d, want 14 to 16", start, end)
		}
		for i := range int64(3) {
			write(20 + i)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if start, _ := l.Bounds(); start <= 14 {
			t.Errorf("the log begins at %d, as before", start)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		_, end := l.Bounds()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if _, now := l.Bounds(); now != end {
			t.Errorf("nothing changes, and the log grew from %d to %d", end, now)
		}
		c.Close()
		c = begin(l)
		expect(t, "the one that does not change", c.read(0, -1), "epoch 1 from 3 []")
		expect(t, "the other", c.read(1, -1), "epoch 1 from 22 []")
		expect(t, "delete", nameOf(c.Delete(background, keyOf(0)).Wait(background)), "ok")
		expect(t, "delete", nameOf(c.Delete(background, keyOf(1)).Wait(background)), "ok")
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if start, end := l.Bounds(); start != end {
			t.Errorf("nothing is stored, and the log is from %d to %d", start, end)
		}
		c.Close()
	})
}

// TestRandomStates: whatever is written in whatever order, a restart, or a
// crash after all was durable, brings the same states back.
func TestRandomStates(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l, clock := &memoryLog{}, &testClock{}
		n := *config.Default()
		n.ShareSnapshotUpdates = rapid.Int32Range(0, 5).Draw(rt, "updates")
		begin := func() *Coordinator {
			return New(Config{
				Node: &n, Partitions: func() int32 { return 1 }, Log: func(int32) Log { return l },
				Exists: func([16]byte, int32) bool { return true }, Logger: quiet, Now: clock.now, NewTimer: clock.newTimer,
			})
		}
		c := begin()
		defer func() { c.Close() }()
		starts := map[int32]int64{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			p := rapid.Int32Range(0, 2).Draw(rt, "partition")
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				if c.made(p, rapid.Int32Range(0, 3).Draw(rt, "epoch"), rapid.Int64Range(-1, 20).Draw(rt, "start")) == "ok" {
					delete(starts, p)
				}
			case 1:
				c.Delete(background, keyOf(p)).Wait(background)
				delete(starts, p)
			case 2:
				c.read(p, rapid.Int32Range(-1, 4).Draw(rt, "leader"))
			case 3:
				clock.pass(time.Duration(rapid.IntRange(1, 6).Draw(rt, "minutes")) * time.Minute)
			case 4:
				var before []string
				for p := range int32(3) {
					before = append(before, c.read(p, -1)+c.summary(p))
				}
				c.Close()
				c = begin()
				for p := range int32(3) {
					if after := c.read(p, -1) + c.summary(p); after != before[p] {
						rt.Fatalf("%s came back as %s", before[p], after)
					}
				}
			default:
				c.wrote(p, Write{
					StateEpoch: 3, LeaderEpoch: -1, Start: rapid.Int64Range(-1, 30).Draw(rt, "start"),
					Complete: rapid.Int32Range(-1, 9).Draw(rt, "complete"), Batches: someBatches(rt, 3),
				})
			}
			if r := c.Read(background, keyOf(p), -1).Wait(background); r.Err == nil {
				if before, known := starts[p]; known && r.Start < before {
					rt.Fatalf("the start went back from %d to %d", before, r.Start)
				}
				starts[p] = r.Start
				for i, b := range r.Batches {
					if b.First < r.Start || i > 0 && b.First <= r.Batches[i-1].Last {
						rt.Fatalf("from %d: %s", r.Start, shown(r.Batches))
					}
				}
			}
		}
	})
}
