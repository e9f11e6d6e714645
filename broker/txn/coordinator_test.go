package txn

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var background = context.Background()

// partitionsStub takes the markers of a coordinator, as the partitions would.
type partitionsStub struct {
	mutex   sync.Mutex
	written []Marker
	fail    error         // of every marker
	writeAt chan struct{} // when set, writing waits until it is closed
}

func (p *partitionsStub) write(ctx context.Context, markers []Marker) []error {
	p.mutex.Lock()
	at := p.writeAt
	p.mutex.Unlock()
	if at != nil {
		select {
		case <-at:
		case <-ctx.Done():
			return slices.Repeat([]error{ctx.Err()}, len(markers))
		}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.fail != nil {
		return slices.Repeat([]error{p.fail}, len(markers))
	}
	p.written = append(p.written, markers...)
	return make([]error, len(markers))
}

func (p *partitionsStub) set(change func()) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	change()
}

// String lists what was written.
func (p *partitionsStub) String() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var out []string
	for _, m := range p.written {
		out = append(out, fmt.Sprintf("%s-%d %s commit=%v", m.Topic, m.Partition, m.Producer, m.Commit))
	}
	return strings.Join(out, ", ")
}

// begin makes a coordinator over one log. Producer ids begin at 1.
func begin(t *testing.T, l *memoryLog, p *partitionsStub, change ...func(*config.Node)) *Coordinator {
	t.Helper()
	n := *config.Default()
	for _, c := range change {
		c(&n)
	}
	// Ids of one coordinator follow each other; another one begins later on.
	next := int64(100 * l.Count())
	return New(Config{
		Node: &n, Partitions: func() int32 { return 1 }, Log: func(int32) Log { return l },
		NextProducerID: func() (int64, error) { next++; return next, nil },
		WriteMarkers:   p.write,
		Logger:         slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func initRequest(id string, expected ...Producer) *kmsg.InitProducerIDRequest {
	in := kmsg.NewPtrInitProducerIDRequest()
	in.Version, in.TransactionalID, in.TransactionTimeoutMillis = 5, &id, 60_000
	for _, p := range expected {
		in.ProducerID, in.ProducerEpoch = p.ID, p.Epoch
	}
	return in
}

func initialized(r *kmsg.InitProducerIDResponse) string {
	if r.ErrorCode != 0 {
		return codeName(r.ErrorCode)
	}
	return Producer{r.ProducerID, r.ProducerEpoch}.String()
}

func initID(c *Coordinator, id string, expected ...Producer) string {
	return initialized(c.InitProducerID(background, initRequest(id, expected...)).Wait(background))
}

func partitionsOf(words ...string) []TopicPartition { return arguments(words).partitions() }

func add(c *Coordinator, id string, p Producer, words ...string) string {
	return errorName(c.AddPartitions(background, id, p, partitionsOf(words...), true).Wait(background))
}

func verify(c *Coordinator, id string, p Producer, words ...string) string {
	var out []string
	for _, err := range c.Verify(background, id, p, partitionsOf(words...)).Wait(background) {
		out = append(out, errorName(err))
	}
	return strings.Join(out, " ")
}

func endRequestOf(id string, p Producer, commit bool) *kmsg.EndTxnRequest {
	in := kmsg.NewPtrEndTxnRequest()
	in.Version, in.TransactionalID, in.ProducerID, in.ProducerEpoch, in.Commit = 5, id, p.ID, p.Epoch, commit
	return in
}

func ended(r *kmsg.EndTxnResponse) string {
	if r.ErrorCode != 0 {
		return codeName(r.ErrorCode)
	}
	return Producer{r.ProducerID, r.ProducerEpoch}.String()
}

func end(c *Coordinator, id string, p Producer, commit bool) string {
	return ended(c.End(background, endRequestOf(id, p, commit)).Wait(background))
}

func stateOf(c *Coordinator, id string) string {
	d := c.Describe(background, id).Wait(background)
	if d.ErrorCode != 0 {
		return codeName(d.ErrorCode)
	}
	return fmt.Sprintf("%s %d/%d", d.State, d.ProducerID, d.ProducerEpoch)
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// settled tells whether a reply has come, without waiting longer than all
// goroutines need to come to rest. It must run in a synctest bubble.
func settled[T any](r *Reply[T]) bool {
	synctest.Wait()
	return r.Ready()
}

func TestATransactionFromBeginToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{}
		c := begin(t, l, p)
		expect(t, "init", initID(c, "x"), "1/0")
		expect(t, "add", add(c, "x", Producer{1, 0}, "t-0", "t-1"), "ok")
		expect(t, "verify", verify(c, "x", Producer{1, 0}, "t-1", "t-2"), "ok TRANSACTION_ABORTABLE")
		expect(t, "commit", end(c, "x", Producer{1, 0}, true), "1/1")
		synctest.Wait()
		expect(t, "markers", p.String(), "t-0 1/1 commit=true, t-1 1/1 commit=true")
		expect(t, "state", stateOf(c, "x"), "CompleteCommit 1/1")
		if m := p.written[0]; m.CoordinatorEpoch != 5 || m.Version != 2 {
			t.Errorf("marker %+v", m)
		}
		c.Close()

		c = begin(t, l, p)
		if err := c.Start(background); err != nil {
			t.Fatal(err)
		}
		expect(t, "after a restart", stateOf(c, "x"), "CompleteCommit 1/1")
		expect(t, "add", add(c, "x", Producer{1, 1}, "t-0"), "ok")
		expect(t, "abort", end(c, "x", Producer{1, 1}, false), "1/2")
		synctest.Wait()
		expect(t, "the third marker", fmt.Sprint(p.written[2].Producer, p.written[2].Commit), "1/2 false")
		expect(t, "another producer", initID(c, "x"), "1/3")
		expect(t, "the former one", add(c, "x", Producer{1, 2}, "t-0"), "PRODUCER_FENCED")
		c.Close()
	})
}

func TestAnswersAndMarkersWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{Waits: true}, &partitionsStub{}
		c := begin(t, l, p)
		defer c.Close()
		first := c.InitProducerID(background, initRequest("x"))
		if settled(first) {
			t.Error("a producer id was told before it was durable")
		}
		l.Sync(nil)
		expect(t, "init", initialized(first.Wait(background)), "1/0")
		added := c.AddPartitions(background, "x", Producer{1, 0}, partitionsOf("t-0"), true)
		again := c.AddPartitions(background, "x", Producer{1, 0}, partitionsOf("t-0"), true)
		verified := c.Verify(background, "x", Producer{1, 0}, partitionsOf("t-0"))
		if settled(added) || settled(again) || settled(verified) {
			t.Error("a partition counted before it was durable")
		}
		l.Sync(nil)
		expect(t, "add", errorName(added.Wait(background)), "ok")
		expect(t, "add again", errorName(again.Wait(background)), "ok")
		expect(t, "verify", errorName(verified.Wait(background)[0]), "ok")

		commit := c.End(background, endRequestOf("x", Producer{1, 0}, true))
		if settled(commit) || p.String() != "" {
			t.Error("an outcome was told or written before it was durable")
		}
		l.Sync(nil)
		expect(t, "commit", ended(commit.Wait(background)), "1/1")
		synctest.Wait()
		expect(t, "marker", p.String(), "t-0 1/1 commit=true")
	})
}

func TestMarkersAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{fail: errDisk}
		c := begin(t, l, p)
		defer c.Close()
		expect(t, "init", initID(c, "x"), "1/0")
		expect(t, "init y", initID(c, "y"), "2/0")
		expect(t, "add", add(c, "x", Producer{1, 0}, "t-0"), "ok")
		expect(t, "add y", add(c, "y", Producer{2, 0}, "t-0"), "ok")
		expect(t, "commit", end(c, "x", Producer{1, 0}, true), "1/1")
		time.Sleep(time.Minute)
		expect(t, "meanwhile", stateOf(c, "x"), "PrepareCommit 1/1")
		expect(t, "the next transaction has to wait", add(c, "x", Producer{1, 1}, "t-0"), "CONCURRENT_TRANSACTIONS")
		p.set(func() { p.fail = nil })
		expect(t, "one that comes later", end(c, "y", Producer{2, 0}, false), "2/1")
		synctest.Wait()
		expect(t, "does not wait for the first", p.String(), "t-0 2/1 commit=false")
		time.Sleep(longestRetry)
		synctest.Wait()
		expect(t, "markers", p.String(), "t-0 2/1 commit=false, t-0 1/1 commit=true")
		expect(t, "in the end", stateOf(c, "x"), "CompleteCommit 1/1")
		expect(t, "the next transaction", add(c, "x", Producer{1, 1}, "t-0"), "ok")

		// A partition that will never take the marker does not hold the transaction back.
		p.set(func() { p.fail = protocol.ErrInvalidProducerEpoch })
		expect(t, "commit", end(c, "x", Producer{1, 1}, true), "1/2")
		synctest.Wait()
		expect(t, "in the end", stateOf(c, "x"), "CompleteCommit 1/2")
	})
}

func TestTransactionsTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{}
		c := begin(t, l, p)
		defer c.Close()
		expect(t, "init", initID(c, "x"), "1/0")
		expect(t, "add", add(c, "x", Producer{1, 0}, "t-0"), "ok")
		time.Sleep(59 * time.Second)
		expect(t, "in time", stateOf(c, "x"), "Ongoing 1/0")
		time.Sleep(12 * time.Second)
		expect(t, "too late", stateOf(c, "x"), "CompleteAbort 1/1")
		expect(t, "marker", p.String(), "t-0 1/1 commit=false")
		expect(t, "commit", end(c, "x", Producer{1, 0}, true), "INVALID_TXN_STATE")
		expect(t, "abort", end(c, "x", Producer{1, 0}, false), "1/1")
	})
}

func TestTransactionalIDsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{}
		c := begin(t, l, p, func(n *config.Node) { n.TransactionMaxTimeout = 24 * 24 * time.Hour })
		expect(t, "init", initID(c, "x"), "1/0")
		long := initRequest("busy")
		long.TransactionTimeoutMillis = 1 << 30
		expect(t, "init", initialized(c.InitProducerID(background, long).Wait(background)), "2/0")
		expect(t, "add", add(c, "busy", Producer{2, 0}, "t-0"), "ok")
		time.Sleep(7*24*time.Hour - time.Minute)
		expect(t, "before", stateOf(c, "x"), "Empty 1/0")
		time.Sleep(time.Hour + time.Minute)
		expect(t, "after", stateOf(c, "x"), "TRANSACTIONAL_ID_NOT_FOUND")
		expect(t, "one with a transaction", stateOf(c, "busy"), "Ongoing 2/0")
		expect(t, "the producer", add(c, "x", Producer{1, 0}, "t-0"), "INVALID_PRODUCER_ID_MAPPING")
		c.Close()
		c = begin(t, l, p)
		defer c.Close()
		expect(t, "after a restart", stateOf(c, "x"), "TRANSACTIONAL_ID_NOT_FOUND")
		expect(t, "the other", stateOf(c, "busy"), "Ongoing 2/0")
	})
}

func TestListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{}, &partitionsStub{})
		defer c.Close()
		for i, id := range []string{"app-1", "app-2", "other"} {
			expect(t, "init", initID(c, id), fmt.Sprintf("%d/0", i+1))
		}
		expect(t, "add", add(c, "app-2", Producer{2, 0}, "t-0", "t-3", "s-1"), "ok")
		time.Sleep(5 * time.Second)
		expect(t, "add", add(c, "other", Producer{3, 0}, "t-0"), "ok")
		list := func(change func(*kmsg.ListTransactionsRequest)) string {
			in := kmsg.NewPtrListTransactionsRequest()
			change(in)
			r := c.List(background, in)
			out := []string{codeName(r.ErrorCode)}
			for _, s := range r.TransactionStates {
				out = append(out, fmt.Sprintf("%s:%d:%s", s.TransactionalID, s.ProducerID, s.TransactionState))
			}
			for _, s := range r.UnknownStateFilters {
				out = append(out, "unknown "+s)
			}
			return strings.Join(out, " ")
		}
		pattern := func(p string) string {
			return list(func(in *kmsg.ListTransactionsRequest) { in.TransactionalIDPattern = &p })
		}
		const one, two, three = "app-1:1:Empty", "app-2:2:Ongoing", "other:3:Ongoing"
		expect(t, "all", list(func(*kmsg.ListTransactionsRequest) {}), "ok "+one+" "+two+" "+three)
		expect(t, "by state", list(func(in *kmsg.ListTransactionsRequest) { in.StateFilters = []string{"Ongoing", "Dead"} }), "ok "+two+" "+three)
		expect(t, "by a state that is none", list(func(in *kmsg.ListTransactionsRequest) { in.StateFilters = []string{"ongoing"} }), "ok unknown ongoing")
		expect(t, "by producer id", list(func(in *kmsg.ListTransactionsRequest) { in.ProducerIDFilters = []int64{1, 3} }), "ok "+one+" "+three)
		// What has no transaction counts as running since 1970, as in Kafka.
		expect(t, "by duration", list(func(in *kmsg.ListTransactionsRequest) { in.DurationFilterMillis = 4999 }), "ok "+one+" "+two)
		expect(t, "by exactly its duration", list(func(in *kmsg.ListTransactionsRequest) { in.DurationFilterMillis = 5000 }), "ok "+one)
		expect(t, "by pattern", pattern("app-.*"), "ok "+one+" "+two)
		expect(t, "by an empty pattern", pattern(""), "ok "+one+" "+two+" "+three)
		expect(t, "by a pattern of a part", pattern("app|oth"), "ok")
		expect(t, "by no pattern", pattern("a)(?:b"), "INVALID_REGULAR_EXPRESSION")

		d := c.Describe(background, "app-2").Wait(background)
		if d.TimeoutMillis != 60_000 || d.StartTimestamp <= 0 || len(d.Topics) != 2 || d.Topics[1].Topic != "t" || !slices.Equal(d.Topics[1].Partitions, []int32{0, 3}) {
			t.Errorf("described as %+v", d)
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{}, &partitionsStub{})
		defer c.Close()
		try := func(change func(*kmsg.InitProducerIDRequest)) string {
			in := initRequest("x")
			change(in)
			return initialized(c.InitProducerID(background, in).Wait(background))
		}
		long := strings.Repeat("x", 1<<15)
		expect(t, "no id", try(func(in *kmsg.InitProducerIDRequest) { in.TransactionalID = nil }), "INVALID_REQUEST")
		expect(t, "an id that cannot be stored", try(func(in *kmsg.InitProducerIDRequest) { in.TransactionalID = &long }), "INVALID_REQUEST")
		expect(t, "no timeout", try(func(in *kmsg.InitProducerIDRequest) { in.TransactionTimeoutMillis = 0 }), "INVALID_TRANSACTION_TIMEOUT")
		expect(t, "a long timeout", try(func(in *kmsg.InitProducerIDRequest) { in.TransactionTimeoutMillis = 900_001 }), "INVALID_TRANSACTION_TIMEOUT")
		expect(t, "an id without an epoch", try(func(in *kmsg.InitProducerIDRequest) { in.ProducerID = 1 }), "INVALID_REQUEST")
		expect(t, "an epoch without an id", try(func(in *kmsg.InitProducerIDRequest) { in.ProducerEpoch = 1 }), "INVALID_REQUEST")
		expect(t, "add to nothing", add(c, "x", Producer{1, 0}, "t-0"), "INVALID_PRODUCER_ID_MAPPING")
		expect(t, "verify nothing", verify(c, "x", Producer{1, 0}, "t-0", "t-1"), "INVALID_PRODUCER_ID_MAPPING INVALID_PRODUCER_ID_MAPPING")
		expect(t, "end nothing", end(c, "x", Producer{1, 0}, true), "INVALID_PRODUCER_ID_MAPPING")
		expect(t, "describe nothing", stateOf(c, "x"), "TRANSACTIONAL_ID_NOT_FOUND")
		for name, got := range map[string]string{
			"add": add(c, "", Producer{1, 0}, "t-0"), "verify": verify(c, "", Producer{1, 0}, "t-0"),
			"end": end(c, "", Producer{1, 0}, true), "describe": stateOf(c, ""),
		} {
			expect(t, name+" without an id", got, "INVALID_REQUEST")
		}
		if l := c.List(background, kmsg.NewPtrListTransactionsRequest()); len(l.TransactionStates) != 0 {
			t.Errorf("refused requests left %+v", l.TransactionStates)
		}
	})
}

func TestNotCoordinated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := New(Config{Node: config.Default(), Partitions: func() int32 { return 0 }, Log: func(int32) Log { return nil }})
		expect(t, "no __transaction_state yet", initID(none, "x"), "NOT_COORDINATOR")
		if l := none.List(background, kmsg.NewPtrListTransactionsRequest()); l.ErrorCode != 0 || len(l.TransactionStates) != 0 {
			t.Errorf("listed %+v", l)
		}
		if err := none.Start(background); err != nil {
			t.Errorf("nothing to start, but: %v", err)
		}
		elsewhere := New(Config{Node: config.Default(), Partitions: func() int32 { return 3 }, Log: func(int32) Log { return nil }})
		expect(t, "a partition that is not here", initID(elsewhere, "x"), "NOT_COORDINATOR")
	})
}

func TestLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{ReplayAt: make(chan struct{})}
		c := begin(t, l, &partitionsStub{})
		defer c.Close()
		expect(t, "while loading", initID(c, "x"), "COORDINATOR_LOAD_IN_PROGRESS")
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if err := c.Start(ctx); err == nil {
			t.Error("Start returned before the load was over")
		}
		close(l.ReplayAt)
		expect(t, "after", initID(c, "x"), "1/0")
	})
}

func TestAFailedAppendIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{}, &partitionsStub{}
		c := begin(t, l, p)
		defer c.Close()
		expect(t, "init", initID(c, "x"), "1/0")
		expect(t, "add", add(c, "x", Producer{1, 0}, "t-0"), "ok")
		l.Set(func() { l.Fail = errDisk })
		expect(t, "commit", end(c, "x", Producer{1, 0}, true), "NOT_COORDINATOR")
		l.Set(func() { l.Fail = nil })
		expect(t, "after", stateOf(c, "x"), "NOT_COORDINATOR")
		synctest.Wait()
		expect(t, "markers of what was not decided", p.String(), "")
	})
}

func TestABlockedShardRefusesInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{AppendAt: make(chan struct{})}
		c := begin(t, l, &partitionsStub{})
		defer c.Close()
		defer close(l.AppendAt)
		first := c.InitProducerID(background, initRequest("x"))
		synctest.Wait() // the shard is in Append now
		for range coordinator.QueueLength {
			c.Describe(background, "x")
		}
		start := time.Now()
		expect(t, "one too many", stateOf(c, "x"), "COORDINATOR_NOT_AVAILABLE")
		expect(t, "the first", initialized(first.Wait(background)), "COORDINATOR_NOT_AVAILABLE")
		if took := time.Since(start); took > 2*answerTimeout {
			t.Errorf("that took %v", took)
		}
	})
}

func TestCloseAnswersAndStopsWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := &memoryLog{Waits: true}, &partitionsStub{writeAt: make(chan struct{})}
		c := begin(t, l, p)
		reply := c.InitProducerID(background, initRequest("x"))
		synctest.Wait()
		l.Sync(nil)
		expect(t, "init", initialized(reply.Wait(background)), "1/0")
		added := c.AddPartitions(background, "x", Producer{1, 0}, partitionsOf("t-0"), true)
		ending := c.End(background, endRequestOf("x", Producer{1, 0}, true))
		synctest.Wait()
		l.Sync(nil)
		expect(t, "add", errorName(added.Wait(background)), "ok")
		expect(t, "end", ended(ending.Wait(background)), "1/1")
		waiting := c.InitProducerID(background, initRequest("y"))
		synctest.Wait() // the marker is being written, the answer waits for the disk
		c.Close()
		expect(t, "what waited", initialized(waiting.Wait(background)), "NOT_COORDINATOR")
		expect(t, "what comes later", initID(c, "x"), "NOT_COORDINATOR")
		c.Close()
	})
}

func TestWaitingRequestsShareABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{AppendAt: make(chan struct{})}
		c := begin(t, l, &partitionsStub{})
		defer c.Close()
		var replies []*Reply[*kmsg.InitProducerIDResponse]
		for i := range 101 {
			replies = append(replies, c.InitProducerID(background, initRequest(fmt.Sprint(i))))
			if i == 0 {
				synctest.Wait()
			}
		}
		close(l.AppendAt)
		for i, r := range replies {
			expect(t, fmt.Sprint("init ", i), initialized(r.Wait(background)), fmt.Sprintf("%d/0", i+1))
		}
		if n := l.Count(); n != 2 {
			t.Errorf("%d batches, want 2", n)
		}
	})
}
