package txn

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"
)

// Bugs that transaction coordinators are known to have had, each with a test
// of its name.

// TestCoordinatorFailoverMidTxn_CommitMustFailOrBeWhole is B11: a coordinator
// that forgot a part of a transaction in a crash committed the rest.
func TestCoordinatorFailoverMidTxn_CommitMustFailOrBeWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{Waits: true}, &partitionsStub{}
		c := begin(t, l, p)
		first := c.InitProducerID(background, initRequest("x"))
		synctest.Wait()
		l.Sync(nil)
		expect(t, "init", initialized(first.Wait(background)), "1/0")
		added := c.AddPartitions(background, "x", Producer{1, 0}, partitionsOf("t-0"), true)
		synctest.Wait()
		l.Sync(nil)
		expect(t, "the first partition", errorName(added.Wait(background)), "ok")
		more := c.AddPartitions(background, "x", Producer{1, 0}, partitionsOf("t-1"), true)
		if settled(more) {
			t.Fatal("a partition was confirmed that a crash would forget")
		}
		// The power goes. The client was told of t-0 alone, and writes there alone.
		c.Close()
		l = l.Crash()
		c = begin(t, l, p)
		commit := c.End(background, endRequestOf("x", Producer{1, 0}, true))
		synctest.Wait()
		expect(t, "no marker before the outcome is durable", p.String(), "")
		// The power goes again, before the outcome is durable.
		c.Close()
		if settled(commit) && commit.Wait(background).ErrorCode == 0 {
			t.Fatal("a commit was confirmed that a crash undoes")
		}
		l = l.Crash()
		c = begin(t, l, p)
		defer c.Close()
		expect(t, "undecided", stateOf(c, "x"), "Ongoing 1/0")
		again := c.End(background, endRequestOf("x", Producer{1, 0}, true))
		synctest.Wait()
		l.Sync(nil)
		expect(t, "the commit is whole", ended(again.Wait(background)), "1/1")
		synctest.Wait()
		expect(t, "markers", p.String(), "t-0 1/1 commit=true")
	})
}

// TestDelayedEndTxn_TV2Fenced is B13, KAFKA-17754: a late EndTxn ended the next
// transaction. Under transaction version 2 it names another epoch. Clients that
// only know the first versions stay exposed, as the last part shows.
func TestDelayedEndTxn_TV2Fenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{}, &partitionsStub{})
		defer c.Close()
		expect(t, "init", initID(c, "x"), "1/0")
		expect(t, "first transaction", add(c, "x", Producer{1, 0}, "t-0"), "ok")
		expect(t, "commit", end(c, "x", Producer{1, 0}, true), "1/1")
		synctest.Wait()
		expect(t, "second transaction", add(c, "x", Producer{1, 1}, "t-0"), "ok")
		for _, commit := range []bool{true, false} {
			expect(t, "late", end(c, "x", Producer{1, 0}, commit), "PRODUCER_FENCED")
		}
		expect(t, "goes on", stateOf(c, "x"), "Ongoing 1/1")
		expect(t, "and ends as it should", end(c, "x", Producer{1, 1}, false), "1/2")
		synctest.Wait()
		expect(t, "late, when it is over", end(c, "x", Producer{1, 0}, true), "PRODUCER_FENCED")

		expect(t, "init", initID(c, "old"), "2/0")
		old := endRequestOf("old", Producer{2, 0}, true)
		old.Version = 4
		for range 2 {
			expect(t, "a transaction of version 1", errorName(c.AddPartitions(background, "old", Producer{2, 0}, partitionsOf("t-0"), false).Wait(background)), "ok")
			expect(t, "its end, or a late one", codeName(c.End(background, old).Wait(background).ErrorCode), "ok")
			synctest.Wait()
		}
	})
}

// TestTxnEpochOverflow is B15: KAFKA-18660 (the epoch went past 32767),
// KAFKA-19367 (InitProducerId raised it twice) and KAFKA-20090 (an exhausted
// epoch left the transaction Ongoing).
func TestTxnEpochOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{writeAt: make(chan struct{})}
		atEpoch := func(id string, epoch int16) {
			tx := newTransaction(id, 1, time.Now().UnixMilli())
			tx.Epoch, tx.timeoutMs, tx.version = epoch, 60_000, 2
			s := newShard(0, new(settings), l)
			s.Add(transactionRecord(tx, 0))
			if s.Flush(); s.Failure() != nil {
				t.Fatal(s.Failure())
			}
		}
		for _, id := range []string{"commit", "init", "timeout", "fence"} {
			atEpoch(id, maxEpoch-1)
		}
		c := begin(t, l, p) // ids from 401 on
		defer c.Close()
		last := Producer{1, maxEpoch - 1}
		expect(t, "add", add(c, "commit", last, "t-0"), "ok")
		expect(t, "commit", end(c, "commit", last, true), "401/0")
		expect(t, "the successor, at once", add(c, "commit", Producer{401, 0}, "t-0"), "CONCURRENT_TRANSACTIONS")
		close(p.writeAt)
		synctest.Wait()
		expect(t, "marker", p.String(), "t-0 1/32767 commit=true")
		expect(t, "the answer was lost", end(c, "commit", last, true), "401/0")
		expect(t, "the successor", add(c, "commit", Producer{401, 0}, "t-0"), "ok")

		expect(t, "init", initID(c, "init", last), "402/0")
		expect(t, "the answer was lost", initID(c, "init", last), "402/0")

		expect(t, "add", add(c, "timeout", last, "t-0"), "ok")
		expect(t, "add", add(c, "fence", last, "t-0"), "ok")
		expect(t, "another producer", initID(c, "fence"), "CONCURRENT_TRANSACTIONS")
		synctest.Wait()
		expect(t, "fenced once", stateOf(c, "fence"), "CompleteAbort 403/0")
		expect(t, "another producer", initID(c, "fence"), "403/1")
		time.Sleep(71 * time.Second)
		expect(t, "timed out", stateOf(c, "timeout"), "CompleteAbort 404/0")
		expect(t, "the producer that was slow", end(c, "timeout", last, false), "404/0")

		// With an epoch in the middle one fencing is one epoch.
		expect(t, "init", initID(c, "plain"), "405/0")
		expect(t, "add", add(c, "plain", Producer{405, 0}, "t-0"), "ok")
		expect(t, "another producer", initID(c, "plain"), "CONCURRENT_TRANSACTIONS")
		synctest.Wait()
		expect(t, "fenced once", stateOf(c, "plain"), "CompleteAbort 405/1")
		expect(t, "another producer", initID(c, "plain"), "405/2")
	})
}

// TestMarkerRetryIdempotent is B15, KAFKA-19999: a coordinator that starts
// again writes the markers again, with the same epoch and the same outcome,
// and the transaction ends.
func TestMarkerRetryIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{writeAt: make(chan struct{})}
		c := begin(t, l, p)
		expect(t, "init", initID(c, "x"), "1/0")
		expect(t, "add", add(c, "x", Producer{1, 0}, "t-0"), "ok")
		expect(t, "abort", end(c, "x", Producer{1, 0}, false), "1/1")
		synctest.Wait()
		c.Close() // while the marker is being written: it may be there, or not
		p.set(func() { p.writeAt = nil })
		for range 2 {
			// The first time the log cannot take the end either.
			l.Set(func() {
				l.Fail = nil
				if len(p.written) == 0 {
					l.Fail = errDisk
				}
			})
			c = begin(t, l, p)
			if err := c.Start(background); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c.Close()
		}
		expect(t, "markers", p.String(), "t-0 1/1 commit=false, t-0 1/1 commit=false")
		c = begin(t, l, p)
		defer c.Close()
		expect(t, "the end", stateOf(c, "x"), "CompleteAbort 1/1")
		expect(t, "goes on", add(c, "x", Producer{1, 1}, "t-0"), "ok")
	})
}

// TestAnOutcomeWithoutPartitionsEnds: Kafka writes the two records of an abort
// of nothing one after the other; a crash in between leaves a decision that no
// marker has to follow.
func TestAnOutcomeWithoutPartitionsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{}
		tx := newTransaction("x", 1, time.Now().UnixMilli())
		tx.Epoch, tx.timeoutMs, tx.version, tx.state = 3, 60_000, 2, prepareAbort
		s := newShard(0, new(settings), l)
		s.Add(transactionRecord(tx, 0))
		if s.Flush(); s.Failure() != nil {
			t.Fatal(s.Failure())
		}
		c := begin(t, l, p)
		defer c.Close()
		if err := c.Start(background); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect(t, "state", stateOf(c, "x"), "CompleteAbort 1/3")
		expect(t, "markers", p.String(), "")
	})
}

// TestProduceToUnaddedPartitionRejected is B16: the verification that keeps a
// record out of a partition that no marker will come to (KIP-890).
func TestProduceToUnaddedPartitionRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &partitionsStub{writeAt: make(chan struct{})}
		c := begin(t, &memoryLog{}, p)
		defer c.Close()
		expect(t, "init", initID(c, "x"), "1/0")
		expect(t, "before the transaction", verify(c, "x", Producer{1, 0}, "t-0"), "TRANSACTION_ABORTABLE")
		expect(t, "add", add(c, "x", Producer{1, 0}, "t-0"), "ok")
		expect(t, "in it", verify(c, "x", Producer{1, 0}, "t-0", "t-1", "u-0"), "ok TRANSACTION_ABORTABLE TRANSACTION_ABORTABLE")
		expect(t, "another producer", verify(c, "x", Producer{2, 0}, "t-0"), "INVALID_PRODUCER_ID_MAPPING")
		expect(t, "abort", end(c, "x", Producer{1, 0}, false), "1/1")
		expect(t, "after the decision", verify(c, "x", Producer{1, 0}, "t-0"), "PRODUCER_FENCED")
		expect(t, "after the decision, with the next epoch", verify(c, "x", Producer{1, 1}, "t-0"), "CONCURRENT_TRANSACTIONS")
		close(p.writeAt)
		synctest.Wait()
		expect(t, "after the end", verify(c, "x", Producer{1, 1}, "t-0"), "TRANSACTION_ABORTABLE")

		expect(t, "init", initID(c, "old"), "2/0")
		expect(t, "a transaction of version 1", errorName(c.AddPartitions(background, "old", Producer{2, 0}, partitionsOf("t-0"), false).Wait(background)), "ok")
		old := endRequestOf("old", Producer{2, 0}, false)
		old.Version = 3
		expect(t, "its end", codeName(c.End(background, old).Wait(background).ErrorCode), "ok")
		synctest.Wait()
		expect(t, "late", verify(c, "old", Producer{2, 0}, "t-0"), "TRANSACTION_ABORTABLE")
	})
}

// TestAReplacedProducerIsNotTakenForARetry: where a transaction of the first
// versions did not raise the epoch, the epoch before the present one is that
// of a producer that was replaced.
func TestAReplacedProducerIsNotTakenForARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{}, &partitionsStub{})
		defer c.Close()
		expect(t, "a", initID(c, "x"), "1/0")
		expect(t, "b", initID(c, "x"), "1/1")
		expect(t, "b begins", errorName(c.AddPartitions(background, "x", Producer{1, 1}, partitionsOf("t-0"), false).Wait(background)), "ok")
		old := endRequestOf("x", Producer{1, 1}, false)
		old.Version = 4
		expect(t, "b ends", codeName(c.End(background, old).Wait(background).ErrorCode), "ok")
		synctest.Wait()
		expect(t, "a", end(c, "x", Producer{1, 0}, false), "PRODUCER_FENCED")
	})
}

// TestProducerIDsRunOut: without a producer id nothing is half done.
func TestProducerIDsRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{}
		ids := errors.New("the metadata log failed")
		c := New(Config{
			Node: config.Default(), Partitions: func() int32 { return 1 }, Log: func(int32) Log { return l },
			NextProducerID: func() (int64, error) { return -1, ids }, WriteMarkers: p.write,
		})
		defer c.Close()
		expect(t, "init", initID(c, "x"), "-1")
		expect(t, "nothing is kept", stateOf(c, "x"), "TRANSACTIONAL_ID_NOT_FOUND")
		if l.Count() != 0 {
			t.Error("something was stored")
		}
	})
}
