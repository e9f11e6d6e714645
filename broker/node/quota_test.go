package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/quota"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// quotaClock is the clock of the broker's quotas. As a hook of a client it
// moves by what the client is told to wait, and by step on top.
type quotaClock struct {
	step time.Duration

	mu     sync.Mutex // guards what follows
	now    time.Time
	times  int // that the client was throttled
	before int // of them, those that Kafka before 2.0 would have waited for
}

func newQuotaClock(step time.Duration) *quotaClock {
	return &quotaClock{step: step, now: time.Unix(1_700_000_000, 0)}
}

func (c *quotaClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *quotaClock) OnBrokerThrottle(_ kgo.BrokerMetadata, wait time.Duration, afterResponse bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(wait + c.step)
	if c.times++; !afterResponse {
		c.before++
	}
}

// throttled is how often the client was throttled; each time after a response.
func (c *quotaClock) throttled(t *testing.T) int {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before != 0 {
		t.Errorf("%d of %d throttles came before the response", c.before, c.times)
	}
	return c.times
}

// runNode runs a node on dir whose quotas are measured over two seconds and
// the running one.
func runNode(t *testing.T, dir string, c *quotaClock) (*Node, func()) {
	t.Helper()
	settings, _, err := config.Load(config.Sources{Strict: true, Overrides: []string{
		"listeners=PLAINTEXT://127.0.0.1:0", "fluxmq.admin.listener=", "log.dirs=" + dir, "log.flush=os", "quota.window.num=3",
	}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(Options{Settings: settings, Log: slog.New(slog.DiscardHandler), Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	// Ends with ctx; stop waits for it.
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return n, stop
}

func newClient(t *testing.T, n *Node, id string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(n.Addrs()[0].String()), kgo.ClientID(id), kgo.DisableIdempotentWrite(),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DefaultProduceTopic("t"),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// limit sets a quota of the client id "limited".
func limit(t *testing.T, ctx context.Context, admin *kadm.Client, key string, value float64) {
	t.Helper()
	name := "limited"
	altered, err := admin.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: quota.ClientIDType, Name: &name}}, Ops: []kadm.AlterClientQuotaOp{{Key: key, Value: value}},
	}})
	if err != nil || len(altered) != 1 || altered[0].Err != nil {
		t.Fatalf("%+v, %v", altered, err)
	}
}

func ending(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestProducerWithinItsQuota(t *testing.T) {
	const bytesPerSecond, valueSize, records = 50_000, 8000, 18
	ctx, clock, dir := ending(t), newQuotaClock(0), t.TempDir()
	n, stop := runNode(t, dir, clock)
	free := newClient(t, n, "free")
	admin := kadm.NewClient(free)
	if _, err := admin.CreateTopic(ctx, 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	limit(t, ctx, admin, "producer_byte_rate", bytesPerSecond)
	begin := clock.Now()
	limited := newClient(t, n, "limited", kgo.WithHooks(clock))
	for range records {
		if err := limited.ProduceSync(ctx, &kgo.Record{Value: make([]byte, valueSize)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := free.ProduceSync(ctx, &kgo.Record{Value: make([]byte, valueSize)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	// The two windows let 100,000 bytes pass at once; then each request waits
	// for its share. What is not limited does not wait.
	passed := clock.Now().Sub(begin).Seconds()
	if times := clock.throttled(t); times < 3 || times > records-10 {
		t.Errorf("throttled %d times", times)
	}
	if most := bytesPerSecond * (passed + 2); records*valueSize > most {
		t.Errorf("%d bytes in %v s, at most %v are allowed", records*valueSize, passed, most)
	}
	ends, err := admin.ListEndOffsets(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := ends.Lookup("t", 0); end.Offset != 2*records {
		t.Errorf("%d records arrived, want %d", end.Offset, 2*records)
	}
	described, err := admin.DescribeClientQuotas(ctx, false, nil)
	if err != nil || len(described) != 1 || described[0].Entity.String() != "{client-id=limited}" || described[0].Values[0].Value != bytesPerSecond {
		t.Errorf("%v, %v", described, err)
	}
	usages := n.listUsages()
	if len(usages) != 1 || usages[0].ClientID != "limited" || usages[0].Value <= 0 || n.countThrottled()["producer_byte_rate"] != int64(clock.throttled(t)) {
		t.Errorf("%+v, %v", usages, n.countThrottled())
	}
	// A quota binds from the start on when it was set before.
	limited.Close()
	free.Close()
	stop()
	again, _ := runNode(t, dir, clock)
	if !again.quotas.Active() {
		t.Error("after a restart nothing is limited")
	}
}

func TestConsumerWithinItsQuota(t *testing.T) {
	const bytesPerSecond, valueSize, records = 50_000, 8000, 13 // 12 of them pass at once
	ctx, clock := ending(t), newQuotaClock(10*time.Second)
	n, _ := runNode(t, t.TempDir(), clock)
	free := newClient(t, n, "free")
	admin := kadm.NewClient(free)
	if _, err := admin.CreateTopic(ctx, 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := free.ProduceSync(ctx, &kgo.Record{Value: bytes.Repeat([]byte{byte(i)}, valueSize)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	limit(t, ctx, admin, "consumer_byte_rate", bytesPerSecond)
	limited := newClient(t, n, "limited", kgo.WithHooks(clock), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var got []*kgo.Record
	for len(got) < records {
		fetches := limited.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", len(got), err)
		}
		got = append(got, fetches.Records()...)
	}
	for i, r := range got {
		if r.Offset != int64(i) || len(r.Value) != valueSize || r.Value[0] != byte(i) {
			t.Fatalf("record %d: offset %d, %d bytes", i, r.Offset, len(r.Value))
		}
	}
	if len(got) != records || clock.throttled(t) == 0 {
		t.Errorf("%d records, throttled %d times", len(got), clock.throttled(t))
	}
}

func TestTopicsWithinTheMutationQuota(t *testing.T) {
	ctx, clock := ending(t), newQuotaClock(0)
	n, _ := runNode(t, t.TempDir(), clock)
	limit(t, ctx, kadm.NewClient(newClient(t, n, "free")), "controller_mutation_rate", 10)
	limited := kadm.NewClient(newClient(t, n, "limited", kgo.WithHooks(clock)))
	if r, err := limited.CreateTopic(ctx, 111, 1, nil, "first"); err != nil { // one more than there are tokens
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := limited.CreateTopics(ctx, 1, 1, nil, "second"); err != nil || !errors.Is(r["second"].Err, kerr.ThrottlingQuotaExceeded) {
		t.Fatalf("%+v, %v", r, err)
	}
	if clock.throttled(t) != 1 {
		t.Errorf("throttled %d times", clock.throttled(t))
	}
	// Having waited, it may.
	if r, err := limited.CreateTopic(ctx, 1, 1, nil, "second"); err != nil {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestConnectionsWithinTheQuota(t *testing.T) {
	ctx, clock := ending(t), newQuotaClock(0)
	n, _ := runNode(t, t.TempDir(), clock)
	admin := kadm.NewClient(newClient(t, n, "free"))
	altered, err := admin.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: quota.IPType}}, Ops: []kadm.AlterClientQuotaOp{{Key: "connection_creation_rate", Value: 1}},
	}})
	if err != nil || altered[0].Err != nil {
		t.Fatalf("%+v, %v", altered, err)
	}
	ask := func() error {
		c, err := net.Dial("tcp", n.Addrs()[0].String())
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := c.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff}); err != nil { // ApiVersions 0
			return err
		}
		_, err = io.ReadFull(c, make([]byte, 10))
		return err
	}
	for range 2 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	err = ask()
	if timeout := net.Error(nil); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the third connection in two seconds: %v", err)
	}
	if n.quotas.Throttled(quota.ConnectionCreationRate) != 1 {
		t.Errorf("%v", n.countThrottled())
	}
}
