package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sharingQuickly are settings with which members of share groups soon have
// what they are to have.
func sharingQuickly() map[string]string {
	return map[string]string{
		"group.share.min.heartbeat.interval.ms": "50", "group.share.heartbeat.interval.ms": "50", "group.share.assignment.interval.ms": "0",
		"share.coordinator.state.topic.num.partitions": "2",
	}
}

// setGroup gives a group settings of its own.
func setGroup(t *testing.T, c *kgo.Client, group string, configs ...string) {
	t.Helper()
	in := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	for i := 0; i < len(configs); i += 2 {
		config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		config.Name, config.Value = configs[i], &configs[i+1]
		resource.Configs = append(resource.Configs, config)
	}
	in.Resources = append(in.Resources, resource)
	r, err := in.RequestWith(within(t, 10*time.Second), c)
	if err == nil {
		err = kerr.ErrorForCode(r.Resources[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("settings of group %s: %v", group, err)
	}
}

// shareLedger is what became of records, by their values.
type shareLedger struct {
	mu                           sync.Mutex
	accepted, rejected, released map[string]int
	deliveries                   map[string]int32
}

func newShareLedger() *shareLedger {
	return &shareLedger{accepted: map[string]int{}, rejected: map[string]int{}, released: map[string]int{}, deliveries: map[string]int32{}}
}

func (l *shareLedger) finished() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted) + len(l.rejected)
}

// judge decides about a record: every tenth cannot be processed, every seventh
// is given back the first time.
func (l *shareLedger) judge(r *kgo.Record) kgo.AckStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	value := string(r.Value)
	l.deliveries[value] = max(l.deliveries[value], r.DeliveryCount())
	var n int
	fmt.Sscan(value, &n)
	switch {
	case n%7 == 0 && l.released[value] == 0:
		l.released[value]++
		return kgo.AckRelease
	case n%10 == 0:
		l.rejected[value]++
		return kgo.AckReject
	}
	l.accepted[value]++
	return kgo.AckAccept
}

// TestShareGroup: members share the records of two partitions; each record is
// finished by one of them, those that are given back come again, and a restart
// of the broker brings none back that was finished.
func TestShareGroup(t *testing.T) {
	const records = 500
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir, Properties: sharingQuickly()})
	c := client(t, b, kgo.DefaultProduceTopic("work"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	createTopic(t, c, "work", 2, nil)
	setGroup(t, c, "workers", "share.auto.offset.reset", "earliest")
	ctx := within(t, 90*time.Second)
	ledger := newShareLedger()
	for n := range records {
		if err := c.ProduceSync(ctx, &kgo.Record{Partition: int32(n % 2), Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}

	var failed sync.Map // acknowledgements that the broker refused
	work := func(ctx context.Context) {
		m := client(t, b, kgo.ConsumeTopics("work"), kgo.ShareGroup("workers"), kgo.ShareMaxRecords(20),
			kgo.FetchMaxWait(200*time.Millisecond), kgo.ShareAckCallback(func(_ *kgo.Client, results kgo.ShareAckResults) {
				for _, r := range results {
					if r.Err != nil {
						failed.Store(r.Err.Error(), true)
					}
				}
			}))
		for ctx.Err() == nil && ledger.finished() < records {
			fetches := m.PollFetches(ctx)
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachRecord(func(r *kgo.Record) { r.Ack(ledger.judge(r)) })
			if err := m.FlushAcks(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("acknowledging: %v", err)
				return
			}
		}
		m.Close()
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() { work(working) })
	}
	for ledger.finished() < records && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond) // until all is done, or the time is over
	}
	stop()
	workers.Wait()
	if n := ledger.finished(); n != records {
		t.Fatalf("%d of %d records are finished", n, records)
	}
	failed.Range(func(err, _ any) bool {
		t.Errorf("an acknowledgement failed: %v", err)
		return true
	})
	ledger.mu.Lock()
	for n := range records {
		value := fmt.Sprint(n)
		times := ledger.accepted[value] + ledger.rejected[value]
		if want := int32(1 + ledger.released[value]); times != 1 || ledger.deliveries[value] != want {
			t.Errorf("record %d is finished %d times, and was delivered %d times, want %d", n, times, ledger.deliveries[value], want)
		}
	}
	ledger.mu.Unlock()

	admin := kadm.NewClient(c)
	groups, err := admin.ListGroupsByType(ctx, []string{"share"})
	if err != nil || len(groups) != 1 {
		t.Errorf("listed %v: %v", groups, err)
	}
	c.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	b = run(t, Config{DataDir: dir, Properties: sharingQuickly()})
	p := client(t, b, kgo.DefaultProduceTopic("work"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for partition := range int32(2) {
		if err := p.ProduceSync(ctx, &kgo.Record{Partition: partition, Value: []byte("late")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	m := client(t, b, kgo.ConsumeTopics("work"), kgo.ShareGroup("workers"), kgo.FetchMaxWait(200*time.Millisecond))
	for late := 0; late < 2; {
		fetches := m.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("after the restart %d of 2 records came", late)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != "late" {
				t.Errorf("after the restart record %s came again", r.Value)
			}
			late++
			r.Ack(kgo.AckAccept)
		})
	}
	if err := m.FlushAcks(ctx); err != nil {
		t.Error(err)
	}
}

// TestShareVersion: while share.version is 0 there are no share groups, and the
// share sessions of before are gone.
func TestShareVersion(t *testing.T) {
	b := run(t, Config{Properties: sharingQuickly()})
	c := client(t, b)
	ctx := within(t, 30*time.Second)
	fetch := func(epoch int32) error {
		t.Helper()
		in := kmsg.NewPtrShareFetchRequest()
		in.GroupID, in.MemberID, in.ShareSessionEpoch = kmsg.StringPtr("g"), kmsg.StringPtr("m"), epoch
		in.MaxBytes, in.MaxRecords, in.BatchSize = 1<<20, 10, 10
		r, err := in.RequestWith(ctx, c.Broker(0))
		if err != nil {
			t.Fatal(err)
		}
		return kerr.ErrorForCode(r.ErrorCode)
	}
	level := func(to int16, how int8) {
		t.Helper()
		updated, err := kadm.NewClient(c).UpdateFeatures(ctx, false, kadm.FeatureUpdate{Feature: "share.version", MaxVersionLevel: to, UpgradeType: how})
		if err != nil || updated["share.version"].Err != nil {
			t.Fatalf("%+v, %v", updated, err)
		}
	}
	if err := fetch(0); err != nil {
		t.Fatal(err)
	}
	if err := fetch(1); err != nil {
		t.Errorf("the session goes on: %v", err)
	}
	level(0, 2)
	if err := fetch(2); !errors.Is(err, kerr.UnsupportedVersion) {
		t.Errorf("at level 0: %v", err)
	}
	level(1, 1)
	if err := fetch(2); !errors.Is(err, kerr.ShareSessionNotFound) {
		t.Errorf("at level 1 again, with the session of before: %v", err)
	}
	if err := fetch(0); err != nil {
		t.Errorf("a new session: %v", err)
	}
}

// TestShareGroupTakesOver: what a member has and does not finish goes to
// another one: at once when it closes, when its lock is over when it does not.
func TestShareGroupTakesOver(t *testing.T) {
	properties := sharingQuickly()
	properties["group.share.min.record.lock.duration.ms"], properties["group.share.record.lock.duration.ms"] = "1000", "1000"
	b := run(t, Config{Properties: properties})
	c := client(t, b, kgo.DefaultProduceTopic("work"))
	createTopic(t, c, "work", 1, nil)
	setGroup(t, c, "workers", "share.auto.offset.reset", "earliest")
	ctx := within(t, 60*time.Second)
	for n := range 10 {
		if err := c.ProduceSync(ctx, &kgo.Record{Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	member := func() *kgo.Client {
		// With a strict limit the client fetches only when it is polled.
		return client(t, b, kgo.ConsumeTopics("work"), kgo.ShareGroup("workers"), kgo.FetchMaxWait(100*time.Millisecond),
			kgo.ShareMaxRecords(100), kgo.ShareMaxRecordsStrict())
	}
	// poll reads n records, which come at once, and shows how often they were delivered.
	poll := func(m *kgo.Client, n int) (deliveries map[int32]int) {
		t.Helper()
		deliveries = map[int32]int{}
		for got := 0; got < n; {
			fetches := m.PollFetches(ctx)
			if ctx.Err() != nil {
				t.Fatalf("%d of %d records came", got, n)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				got++
				deliveries[r.DeliveryCount()]++
			})
		}
		return deliveries
	}
	first := member()
	if got := poll(first, 10); got[1] != 10 {
		t.Errorf("delivered %v", got)
	}
	second := member()
	// The first member neither finishes nor polls: its locks end.
	if got := poll(second, 10); got[2] != 10 {
		t.Errorf("when the locks are over: %v", got)
	}
	second.Close()
	third := member()
	if got := poll(third, 10); got[2]+got[3] != 10 {
		t.Errorf("when the member is gone: %v", got)
	}
	third.MarkAcks(kgo.AckAccept)
	if err := third.FlushAcks(ctx); err != nil {
		t.Error(err)
	}
	first.Close()
}
