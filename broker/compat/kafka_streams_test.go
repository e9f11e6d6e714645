package compat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topics of the application (java-tests/streams) and their partitions.
const (
	sumsIn, sumsOut = "sums-in", "sums-out"
	sumsPartitions  = 4
	sumsAccounts    = 200
)

// TestKafkaStreams runs running sums in Kafka Streams, exactly_once_v2, as a
// process of its own, and kills it and the broker with SIGKILL,
// FLUXMQ_STREAMS_KILLS times each (default 3), while records go on coming.
// For each record of the input the output read committed must have one of its
// account whose count is one more than that before and whose sum is right. The
// application's group is a classic one, and then one of KIP-1071.
func TestKafkaStreams(t *testing.T) {
	classpath := os.Getenv("FLUXMQ_STREAMS_CLASSPATH")
	if classpath == "" {
		t.Skip("FLUXMQ_STREAMS_CLASSPATH is not set: the suite `streams` of broker/compat/clients builds the application and sets it")
	}
	for _, protocol := range []string{"classic", "streams"} {
		t.Run(protocol, func(t *testing.T) { runningSums(t, classpath, protocol) })
	}
}

// missedSoon lets the broker miss a killed member of a streams group as soon as
// one of a classic group may be missed.
var missedSoon = []string{
	"--override", "group.streams.initial.rebalance.delay.ms=0",
	"--override", "group.streams.min.session.timeout.ms=6000", "--override", "group.streams.session.timeout.ms=6000",
	"--override", "group.streams.min.heartbeat.interval.ms=1000", "--override", "group.streams.heartbeat.interval.ms=1000",
}

func runningSums(t *testing.T, classpath, protocol string) {
	kills := fromEnvironment(t, "FLUXMQ_STREAMS_KILLS", 3)
	rng := seeded(t)
	b := newProcess(t, append([]string{"--override", "group.initial.rebalance.delay.ms=0", "--override", "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000"}, missedSoon...)...)
	b.start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic(sumsIn))
	must(t, "NewClient", err)
	defer client.Close()
	admin := kadm.NewClient(client)
	for _, topic := range []string{sumsIn, sumsOut} {
		_, err := admin.CreateTopic(t.Context(), sumsPartitions, 1, nil, topic)
		must(t, "CreateTopic", err)
	}
	app := newJava(t, "streams", "-Xmx384m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath, "fluxmq.streams.StreamsMain", b.addr(), t.TempDir(), protocol)
	app.start(t)

	in, out := &input{counts: map[string]int64{}, sums: map[string]int64{}}, newSums(t, b.addr())
	defer out.client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	feeding, stopFeeding := context.WithCancel(ctx)
	var reading, putting sync.WaitGroup
	reading.Go(func() { out.read(ctx) })
	putting.Go(func() { in.feed(feeding, ctx, t, client) })
	defer func() { stopFeeding(); cancel(); putting.Wait(); reading.Wait() }()

	for k := range kills {
		// What came out since the last kill proves that both live, and that work is under way.
		out.await(t, 90*time.Second, fmt.Sprintf("before kill %d", k+1), out.above(500))
		killInSomeOrder(t, rng, app, b)
		if t.Failed() {
			t.FailNow()
		}
	}
	stopFeeding()
	putting.Wait()
	flushing, flushed := context.WithTimeout(ctx, 2*time.Minute)
	defer flushed()
	must(t, "the last records of the input", client.Flush(flushing))
	out.await(t, 3*time.Minute, "all sums", func() bool { return out.total == in.total() })
	app.stop(t, time.Minute)
	ends, err := admin.ListEndOffsets(t.Context(), sumsOut)
	must(t, "ListEndOffsets", err)
	out.await(t, 30*time.Second, "the output's end", func() bool {
		for p := range int32(sumsPartitions) {
			if end, known := ends.Lookup(sumsOut, p); !known || end.Err != nil || out.next[p] < end.Offset {
				return false
			}
		}
		return true
	})
	out.compare(t, in)
	groups, err := kmsg.NewPtrListGroupsRequest().RequestWith(t.Context(), client)
	must(t, "ListGroups", err)
	if i := slices.IndexFunc(groups.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return g.Group == "sums" }); i < 0 || groups.Groups[i].GroupType != protocol {
		t.Errorf("the group of the application is none of type %s: %+v", protocol, groups.Groups)
	}
	logged, err := os.ReadFile(app.log.Name())
	must(t, "the application's log", err)
	t.Logf("%d kills of each: %d records of %d accounts, their sums right read committed; %d threads of the application were replaced",
		kills, in.total(), len(in.counts), strings.Count(string(logged), "replaced a thread"))
}

// killInSomeOrder kills the application and the broker, one after the other, the other way round, or both at once.
func killInSomeOrder(t *testing.T, rng *rand.Rand, app *javaProcess, b *brokerProcess) {
	t.Helper()
	moment(rng, 500*time.Millisecond)
	switch rng.IntN(3) {
	case 0:
		b.kill(t)
		b.start(t)
		moment(rng, 2*time.Second)
		app.kill(t)
		app.start(t)
	case 1:
		app.kill(t)
		app.start(t)
		moment(rng, 4*time.Second) // it takes about that long to join
		b.kill(t)
		b.start(t)
	default:
		app.kill(t)
		b.kill(t)
		b.start(t)
		app.start(t)
	}
}

// input is what was put in, by account.
type input struct {
	mu           sync.Mutex // guards counts and sums
	counts, sums map[string]int64
}

func (in *input) total() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	var total int64
	for _, n := range in.counts {
		total += n
	}
	return total
}

// feed puts in 1,000 records a second until ctx ends. Each of them is
// acknowledged, however long that takes, unless producing ends before: the
// producer is idempotent and retries.
func (in *input) feed(ctx, producing context.Context, t *testing.T, client *kgo.Client) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for n := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		for range 10 {
			id := n
			account, amount := fmt.Sprintf("account-%d", id%sumsAccounts), id%97+1
			in.mu.Lock()
			in.counts[account]++
			in.sums[account] += amount
			in.mu.Unlock()
			client.Produce(producing, kgo.KeyStringRecord(fmt.Sprint(id), fmt.Sprintf("%s %d", account, amount)), func(_ *kgo.Record, err error) {
				if err != nil && producing.Err() == nil {
					t.Errorf("record %d of the input: %v", id, err)
				}
			})
			n++
		}
	}
}

// sums is the output as a reader of committed records sees it.
type sums struct {
	client *kgo.Client
	got    chan struct{} // capacity 1: something was read

	mu     sync.Mutex // guards what follows
	counts map[string]int64
	sums   map[string]int64
	next   map[int32]int64 // by partition; markers count
	total  int64
	wrong  string // the first thing that cannot be
}

func newSums(t *testing.T, addr string) *sums {
	t.Helper()
	// Markers are kept, so that the end of a log is reached when it is.
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(sumsOut), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	must(t, "NewClient", err)
	return &sums{client: client, got: make(chan struct{}, 1), counts: map[string]int64{}, sums: map[string]int64{}, next: map[int32]int64{}}
}

// read takes in what comes until ctx ends. That the broker is away is no error.
func (s *sums) read(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := s.client.PollFetches(ctx)
		s.mu.Lock()
		fetches.EachRecord(s.take)
		s.mu.Unlock()
		select {
		case s.got <- struct{}{}:
		default:
		}
	}
}

// take holds a record against what its account had so far; mu is held.
func (s *sums) take(r *kgo.Record) {
	s.next[r.Partition] = r.Offset + 1
	if r.Attrs.IsControl() || s.wrong != "" {
		return
	}
	account := string(r.Key)
	var count, sum int64
	if _, err := fmt.Sscanf(string(r.Value), "%d %d", &count, &sum); err != nil || count != s.counts[account]+1 || sum <= s.sums[account] {
		s.wrong = fmt.Sprintf("partition %d offset %d: %s has %q after count %d and sum %d (a higher count: lost; a lower: doubled or undone)",
			r.Partition, r.Offset, account, r.Value, s.counts[account], s.sums[account])
		return
	}
	s.counts[account], s.sums[account] = count, sum
	s.total++
}

// above holds when n more records than now have come.
func (s *sums) above(n int64) func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := s.total + n
	return func() bool { return s.total >= want }
}

// await waits until holds, which is called with mu held.
func (s *sums) await(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(limit)
	for {
		s.mu.Lock()
		wrong, ok, total := s.wrong, holds(), s.total
		s.mu.Unlock()
		switch {
		case wrong != "":
			t.Fatalf("%s: %s", what, wrong)
		case ok:
			return
		}
		select {
		case <-s.got:
		case <-deadline:
			t.Fatalf("%s: not within %v; %d sums came", what, limit, total)
		}
	}
}

func (s *sums) compare(t *testing.T, in *input) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.counts) != sumsAccounts {
		t.Errorf("only %d accounts were put in", len(in.counts))
	}
	for account := range in.counts {
		if s.counts[account] != in.counts[account] || s.sums[account] != in.sums[account] {
			t.Errorf("%s: count %d and sum %d came out, %d and %d went in", account, s.counts[account], s.sums[account], in.counts[account], in.sums[account])
		}
	}
}
