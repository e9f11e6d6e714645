package txn

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/partition"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const testPartitions = 4

// disk is a real log directory with __transaction_state on it and a coordinator over it.
type disk struct {
	set *partition.Set
	*Coordinator
}

var lastProducerID atomic.Int64

// open opens the directory; the first time it makes the partitions, with
// small segments, so that a replay crosses from one to the next.
func open(t *testing.T, dir string, d partition.Durability, p *partitionsStub) *disk {
	t.Helper()
	cfg := partition.Config{
		SegmentBytes: 16 << 10, SegmentIndexBytes: 1 << 20, IndexIntervalBytes: 4096, MaxMessageBytes: 1 << 20,
		SegmentAge: -1, Retention: -1, RetentionBytes: -1, Compact: true,
	}
	set, err := partition.OpenSet(partition.SetConfig{Dir: dir, Durability: d, ConfigFor: func(string) partition.Config { return cfg }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int32(testPartitions) {
		if _, err := set.Create(StateTopic, partition.TopicID{1}, i, cfg); err != nil {
			t.Fatal(err)
		}
	}
	c := New(Config{
		Node: config.Default(), Partitions: func() int32 { return testPartitions },
		Log: func(i int32) Log {
			if p := set.Find([]byte(StateTopic), i); p != nil {
				return PartitionLog(p)
			}
			return nil
		},
		NextProducerID: func() (int64, error) { return lastProducerID.Add(1), nil },
		WriteMarkers:   p.write,
		Logger:         slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &disk{set, c}
}

func (d *disk) close(t *testing.T) {
	t.Helper()
	d.Coordinator.Close()
	if err := d.set.Close(); err != nil {
		t.Fatal(err)
	}
}

// awaitState waits for the markers of a transaction.
func (d *disk) awaitState(t *testing.T, id, want string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		got := stateOf(d.Coordinator, id)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s, want %s", id, got, want)
		}
	}
}

// TestOnRealPartitions runs many transactions and finds all ids again, after a
// clean stop and after none: the copy of the directory is what kill -9 leaves.
func TestOnRealPartitions(t *testing.T) {
	for name, durability := range map[string]partition.Durability{
		"acks": partition.FlushAcks, "os": partition.FlushOS, "always": partition.FlushAlways,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, p := t.TempDir(), &partitionsStub{}
			d := open(t, dir, durability, p)
			const ids, rounds = 12, 40
			producers := make([]Producer, ids)
			for i := range ids {
				if r := d.InitProducerID(background, initRequest(fmt.Sprint("id-", i))).Wait(background); r.ErrorCode != 0 {
					t.Fatalf("init: %s", codeName(r.ErrorCode))
				} else {
					producers[i] = Producer{r.ProducerID, r.ProducerEpoch}
				}
			}
			for round := range int16(rounds) {
				for i, producer := range producers {
					id, now := fmt.Sprint("id-", i), Producer{producer.ID, producer.Epoch + round}
					expect(t, "add", add(d.Coordinator, id, now, "t-0", "t-1"), "ok")
					expect(t, "end", end(d.Coordinator, id, now, round%2 == 0), fmt.Sprintf("%d/%d", now.ID, now.Epoch+1))
					d.awaitState(t, id, fmt.Sprintf("%s %d/%d", []string{"CompleteCommit", "CompleteAbort"}[round%2], now.ID, now.Epoch+1))
				}
			}
			// One stays open, one is decided and its markers do not get through.
			open0, cut := producers[0], producers[1]
			open0.Epoch, cut.Epoch = open0.Epoch+rounds, cut.Epoch+rounds
			expect(t, "add", add(d.Coordinator, "id-0", open0, "t-0", "u-7"), "ok")
			expect(t, "add", add(d.Coordinator, "id-1", cut, "t-5"), "ok")
			p.set(func() { p.fail = errDisk })
			expect(t, "end", end(d.Coordinator, "id-1", cut, true), fmt.Sprintf("%d/%d", cut.ID, cut.Epoch+1))
			segments, err := filepath.Glob(filepath.Join(dir, StateTopic+"-*", "*.log"))
			if err != nil || len(segments) <= testPartitions {
				t.Fatalf("%d segments in %d partitions: the replay crosses none (%v)", len(segments), testPartitions, err)
			}
			killed := t.TempDir()
			if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			d.close(t)
			for _, dir := range []string{killed, dir} {
				p := &partitionsStub{}
				d := open(t, dir, durability, p)
				for i := 2; i < ids; i++ {
					expect(t, "state", stateOf(d.Coordinator, fmt.Sprint("id-", i)), fmt.Sprintf("CompleteAbort %d/%d", producers[i].ID, producers[i].Epoch+rounds))
				}
				expect(t, "the open one", stateOf(d.Coordinator, "id-0"), fmt.Sprintf("Ongoing %d/%d", open0.ID, open0.Epoch))
				expect(t, "its partitions", verify(d.Coordinator, "id-0", open0, "t-0", "u-7", "t-1"), "ok ok TRANSACTION_ABORTABLE")
				d.awaitState(t, "id-1", fmt.Sprintf("CompleteCommit %d/%d", cut.ID, cut.Epoch+1))
				expect(t, "its marker", p.String(), fmt.Sprintf("t-5 %d/%d commit=true", cut.ID, cut.Epoch+1))
				if l := d.List(background, kmsg.NewPtrListTransactionsRequest()); len(l.TransactionStates) != ids {
					t.Errorf("%d transactional ids are listed, want %d", len(l.TransactionStates), ids)
				}
				d.close(t)
			}
		})
	}
}
