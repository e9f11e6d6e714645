package group

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator/memlog"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func verified(context.Context, int32) error { return nil }

func transactionalOf(group string, producerID int64, epoch int16, offset int64) TransactionalCommit {
	return TransactionalCommit{Commit: commitOf(group, "", -1, offset), ProducerID: producerID, ProducerEpoch: epoch}
}

// commitIn commits t-3 of a group in a producer's transaction.
func commitIn(c *Coordinator, group string, producerID int64, epoch int16, offset int64) string {
	return codeName(c.CommitTransactional(background, transactionalOf(group, producerID, epoch, offset), verified)[0])
}

// endOf writes a version 2 marker: its epoch is one above that of the transaction.
func endOf(c *Coordinator, index int32, producerID int64, epoch int16, commit bool) string {
	in := TransactionEnd{ProducerID: producerID, ProducerEpoch: epoch, Version: 2, Commit: commit}
	return codeName(protocol.CodeOf(c.EndTransaction(background, index, in).Wait(background)))
}

// stable3 is what a consumer with isolation.level=read_committed is told of t-3.
func stable3(c *Coordinator, group string) string {
	f := c.Fetch(background, group, nil, -1, []FetchTopic{{"t", []int32{3}}}, true).Wait(background)
	if f.ErrorCode != 0 || len(f.Offsets) != 1 {
		return codeName(f.ErrorCode)
	}
	return fmt.Sprintf("%s %d", codeName(f.Offsets[0].ErrorCode), f.Offsets[0].Offset)
}

func TestOffsetsOfATransactionArePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l)
		c.Commit(background, commitOf("g", "", -1, 5)).Wait(background)
		expect(t, "commit", commitIn(c, "g", 7, 0, 9), "ok")
		expect(t, "a transaction of another group", commitIn(c, "h", 7, 0, 90), "ok")
		for range 2 { // before and after a restart
			expect(t, "stable", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
			expect(t, "not stable", fetched(c, "g"), "ok t-3=5")
			expect(t, "all of a group that has none yet", fetched(c, "h"), "ok")
			expect(t, "stable, of the other group", stable3(c, "h"), "UNSTABLE_OFFSET_COMMIT -1")
			c.Close()
			c = begin(t, l)
		}
		expect(t, "marker", endOf(c, 0, 7, 1, true), "ok")
		for range 2 {
			expect(t, "after the marker", stable3(c, "g"), "ok 9")
			expect(t, "after the marker, the other group", stable3(c, "h"), "ok 90")
			c.Close()
			c = begin(t, l)
		}
		expect(t, "next commit", commitIn(c, "g", 7, 1, 11), "ok")
		expect(t, "abort", endOf(c, 0, 7, 2, false), "ok")
		for range 2 {
			expect(t, "after the abort", stable3(c, "g"), "ok 9")
			c.Close()
			c = begin(t, l)
		}
		c.Close()
	})
}

// TestOffsetFetch_RequireStable_AfterUnknownCommit is B12: whoever asks for
// stable offsets after a commit whose outcome the client does not know never
// gets the old offset while the new one may still become valid.
func TestOffsetFetch_RequireStable_AfterUnknownCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{memlog.Log{Waits: true}}
		c := begin(t, l, func(n *config.Node) { n.OffsetsCommitTimeout = time.Second })
		defer c.Close()
		first := c.Commit(background, commitOf("g", "", -1, 5))
		synctest.Wait()
		l.Sync(nil)
		expect(t, "the offset before", codeName(first.Wait(background)[0]), "ok")
		// The disk does not answer: the client is told nothing it could rely on.
		expect(t, "commit", commitIn(c, "g", 7, 0, 9), "COORDINATOR_NOT_AVAILABLE")
		l.Sync(nil)
		expect(t, "stable after the unknown commit", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		in := TransactionEnd{ProducerID: 7, ProducerEpoch: 1, Version: 2, Commit: true}
		end := c.EndTransaction(background, 0, in)
		fetch := c.Fetch(background, "g", nil, -1, nil, true)
		if settled(end) || settled(fetch) {
			t.Error("the new offset was told before its marker was durable")
		}
		l.Sync(nil)
		if err := end.Wait(background); err != nil {
			t.Errorf("marker: %v", err)
		}
		if f := fetch.Wait(background); len(f.Offsets) != 1 || f.Offsets[0].Offset != 9 || f.Offsets[0].ErrorCode != 0 {
			t.Errorf("fetched %+v", f)
		}
	})
}

// TestLateMarkerRejected is B15, KIP-1228: the marker of an earlier
// transaction does not end a later one.
func TestLateMarkerRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{})
		defer c.Close()
		expect(t, "first transaction", commitIn(c, "g", 7, 0, 1), "ok")
		expect(t, "its marker", endOf(c, 0, 7, 1, true), "ok")
		expect(t, "second transaction", commitIn(c, "g", 7, 1, 2), "ok")
		expect(t, "the first marker again, late", endOf(c, 0, 7, 1, false), "INVALID_PRODUCER_EPOCH")
		expect(t, "an older one", endOf(c, 0, 7, 0, false), "INVALID_PRODUCER_EPOCH")
		expect(t, "the second transaction goes on", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		expect(t, "its marker", endOf(c, 0, 7, 2, true), "ok")
		expect(t, "stable", stable3(c, "g"), "ok 2")

		expect(t, "the last epoch there is", commitIn(c, "g", 8, math.MaxInt16, 3), "ok")
		expect(t, "can end", endOf(c, 0, 8, math.MaxInt16, true), "ok")
		expect(t, "stable", stable3(c, "g"), "ok 3")

		expect(t, "a version 1 transaction", commitIn(c, "g", 9, 4, 4), "ok")
		old := TransactionEnd{ProducerID: 9, ProducerEpoch: 4, Version: 0, Commit: true}
		if err := c.EndTransaction(background, 0, old).Wait(background); err != nil {
			t.Errorf("does not end in its own epoch: %v", err)
		}
		expect(t, "stable", stable3(c, "g"), "ok 4")
	})
}

// TestMarkerRetryIdempotent is B15, KAFKA-19999: the coordinator may write a
// marker again, after a crash or a lost answer.
func TestMarkerRetryIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l)
		expect(t, "commit", commitIn(c, "g", 7, 0, 1), "ok")
		for range 3 {
			expect(t, "marker", endOf(c, 0, 7, 1, true), "ok")
			c.Close()
			c = begin(t, l)
		}
		expect(t, "stable", stable3(c, "g"), "ok 1")
		c.Close()
	})
}

// TestProduceToUnaddedPartitionRejected is B16 for offsets: what comes after
// the end of its transaction is not committed, or it would be pending for ever.
func TestProduceToUnaddedPartitionRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{})
		defer c.Close()
		between := func(what string, marker func(), verdict error, want string) {
			codes := c.CommitTransactional(background, transactionalOf("g", 7, 3, 1), func(_ context.Context, index int32) error {
				if index != 0 {
					t.Errorf("partition %d is verified", index)
				}
				marker()
				return verdict
			})
			expect(t, what, codeName(codes[0]), want)
		}
		between("not in the transaction", func() {}, protocol.ErrInvalidTxnState, "INVALID_TXN_STATE")
		between("the marker comes after the verification", func() { endOf(c, 0, 7, 3, true) }, nil, "INVALID_TXN_STATE")
		between("and another transaction begins", func() {
			endOf(c, 0, 7, 3, true)
			expect(t, "commit of the next transaction", commitIn(c, "g", 7, 4, 2), "ok")
		}, nil, "INVALID_TXN_STATE")
		expect(t, "only that is pending", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		expect(t, "an older epoch", commitIn(c, "g", 7, 3, 9), "INVALID_PRODUCER_EPOCH")
		expect(t, "marker", endOf(c, 0, 7, 5, true), "ok")
		expect(t, "stable", stable3(c, "g"), "ok 2")
		synctest.Wait()
		s, err := c.shards.At(0)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(s.transactions); n != 0 {
			t.Errorf("%d transactions are remembered", n)
		}
	})
}

// TestWhatTheLogRefuses: a batch or marker that the partition does not take
// changes nothing, and does not end the shard.
func TestWhatTheLogRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l)
		defer c.Close()
		l.Fail = protocol.ErrInvalidProducerEpoch
		expect(t, "commit", commitIn(c, "g", 7, 0, 1), "INVALID_PRODUCER_EPOCH")
		expect(t, "nothing is pending", stable3(c, "g"), "ok -1")
		if got := c.List(background, nil, nil); len(got.Groups) != 0 {
			t.Errorf("a refused commit left %+v", got.Groups)
		}
		l.Fail = nil
		expect(t, "another commit", commitIn(c, "g", 7, 1, 2), "ok")
		l.Fail = protocol.ErrTransactionCoordinatorFenced
		expect(t, "marker", endOf(c, 0, 7, 2, true), strconv.Itoa(int(protocol.ErrTransactionCoordinatorFenced.Code)))
		expect(t, "still pending", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		l.Fail = nil
		expect(t, "marker", endOf(c, 0, 7, 2, true), "ok")
		expect(t, "stable", stable3(c, "g"), "ok 2")
		l.Fail = errDisk
		expect(t, "commit when the disk is gone", commitIn(c, "g", 7, 2, 3), "NOT_COORDINATOR")
		expect(t, "marker when the disk is gone", endOf(c, 0, 7, 3, true), "NOT_COORDINATOR")
	})
}

func TestTheLaterCommitStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l)
		expect(t, "in a transaction", commitIn(c, "g", 7, 0, 1), "ok")
		c.Commit(background, commitOf("g", "", -1, 2)).Wait(background)
		expect(t, "in another transaction", commitIn(c, "g", 8, 0, 3), "ok")
		expect(t, "the later one ends first", endOf(c, 0, 8, 1, true), "ok")
		expect(t, "the earlier one is still open", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		expect(t, "the earlier one ends", endOf(c, 0, 7, 1, true), "ok")
		for range 2 {
			expect(t, "stable", stable3(c, "g"), "ok 3")
			c.Close()
			c = begin(t, l)
		}
		c.Close()
	})
}

func TestWhoMayCommitInATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{})
		defer c.Close()
		member, generation := enter(t, c, "g")
		commit := func(change func(*TransactionalCommit)) string {
			in := transactionalOf("g", 7, 0, 1)
			change(&in)
			return codeName(c.CommitTransactional(background, in, verified)[0])
		}
		expect(t, "no member named", commit(func(*TransactionalCommit) {}), "ok")
		expect(t, "the member", commit(func(in *TransactionalCommit) { in.MemberID, in.Generation = member, generation }), "ok")
		expect(t, "a former generation", commit(func(in *TransactionalCommit) { in.MemberID, in.Generation = member, generation-1 }), "ILLEGAL_GENERATION")
		expect(t, "another member", commit(func(in *TransactionalCommit) { in.MemberID, in.Generation = "x", generation }), "UNKNOWN_MEMBER_ID")
		expect(t, "another instance", commit(func(in *TransactionalCommit) {
			instance := "i"
			in.MemberID, in.Generation, in.InstanceID = member, generation, &instance
		}), "UNKNOWN_MEMBER_ID")
		expect(t, "a generation of no group", commit(func(in *TransactionalCommit) { in.Group, in.Generation = "none", 1 }), "ILLEGAL_GENERATION")
		expect(t, "no group", commit(func(in *TransactionalCommit) { in.Group = "" }), "INVALID_GROUP_ID")
		expect(t, "too much metadata", commit(func(in *TransactionalCommit) {
			in.Offsets[0].Metadata = string(make([]byte, 5000))
		}), "OFFSET_METADATA_TOO_LARGE")
	})
}

func TestDeletedOffsetsAreNotPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l, func(n *config.Node) { n.OffsetsRetention, n.OffsetsRetentionCheck = time.Hour, time.Minute })
		offsetDelete := kmsg.NewPtrOffsetDeleteRequest()
		offsetDelete.Group = "g"
		offsetDelete.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 3}}}}
		for i, drop := range []func(){
			func() { c.DeleteOffsets(background, offsetDelete).Wait(background) },
			func() { c.TopicDeleted(background, "t") },
			func() { expect(t, "delete", codeName(c.Delete(background, "g").Wait(background)), "ok") },
		} {
			epoch := int16(2 * i)
			expect(t, "commit", commitIn(c, "g", 7, epoch, 1), "ok")
			drop()
			expect(t, "deleted", stable3(c, "g"), "ok -1")
			expect(t, "marker", endOf(c, 0, 7, epoch+1, true), "ok")
			expect(t, "after the marker", stable3(c, "g"), "ok -1")
		}
		// An open transaction keeps its group from expiring.
		c.Commit(background, commitOf("g", "", -1, 5)).Wait(background)
		expect(t, "commit", commitIn(c, "g", 7, 9, 6), "ok")
		time.Sleep(2 * time.Hour)
		expect(t, "not expired", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		expect(t, "abort", endOf(c, 0, 7, 10, false), "ok")
		time.Sleep(2 * time.Minute)
		expect(t, "expired", stable3(c, "g"), "ok -1")
		c.Close()
		c = begin(t, l)
		defer c.Close()
		expect(t, "after a restart", fetched(c, "g"), "ok")
	})
}

// TestTransactionalOffsetsOnRealPartitions finds pending and settled offsets
// again after a clean stop and after none.
func TestTransactionalOffsetsOnRealPartitions(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, partition.FlushAcks)
	const rounds = 100
	index := PartitionOf("g", testPartitions)
	for round := range int64(rounds) {
		expect(t, "commit", commitIn(d.Coordinator, "g", 7, int16(round), round), "ok")
		expect(t, "marker", endOf(d.Coordinator, index, 7, int16(round+1), round%3 != 0), "ok")
	}
	expect(t, "commit", commitIn(d.Coordinator, "g", 8, 0, 1000), "ok")
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	d.close(t)
	for _, dir := range []string{dir, killed} {
		d := open(t, dir, partition.FlushAcks)
		expect(t, "the last one committed", fetched(d.Coordinator, "g"), fmt.Sprintf("ok t-3=%d", rounds-2))
		expect(t, "stable", stable3(d.Coordinator, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		expect(t, "marker", endOf(d.Coordinator, index, 8, 1, true), "ok")
		expect(t, "stable", stable3(d.Coordinator, "g"), "ok 1000")
		d.close(t)
	}
}
