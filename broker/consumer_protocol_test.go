package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestBothProtocolsInOneGroup: a member of the consumer protocol joins one of
// the classic protocol, both read, the classic one leaves, a classic one comes
// back and the other leaves. Whatever was produced is read.
func TestBothProtocolsInOneGroup(t *testing.T) {
	const partitions = 4
	b := run(t, Config{})
	c := client(t, b, kgo.DefaultProduceTopic("mixed"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	createTopic(t, c, "mixed", partitions, nil)
	ctx := within(t, 90*time.Second)
	type reading struct {
		by, value string
		partition int32
	}
	read := make(chan reading)
	join := func(by string, protocol ...kgo.Opt) *kgo.Client {
		m := client(t, b, append(protocol, kgo.ConsumeTopics("mixed"), kgo.ConsumerGroup("mixed"), kgo.HeartbeatInterval(50*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
		go func() { // ends when m is closed or ctx has ended
			for {
				fetches := m.PollFetches(ctx)
				if fetches.IsClientClosed() || ctx.Err() != nil {
					return
				}
				fetches.EachRecord(func(r *kgo.Record) {
					select {
					case read <- reading{by, string(r.Value), r.Partition}:
					case <-ctx.Done():
					}
				})
			}
		}()
		return m
	}
	unread := map[string]bool{}
	sent := 0
	// until waits for something to be read, and fails when that takes too long.
	until := func(what string, done func() bool, saw func(reading)) {
		t.Helper()
		for !done() {
			for p := range int32(partitions) {
				value := fmt.Sprint(sent)
				sent++
				unread[value] = true
				if err := c.ProduceSync(ctx, &kgo.Record{Partition: p, Value: []byte(value)}).FirstErr(); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			pause := time.After(100 * time.Millisecond)
			for waiting := true; waiting; {
				select {
				case r := <-read:
					delete(unread, r.value)
					saw(r)
				case <-pause:
					waiting = false
				case <-ctx.Done():
					t.Fatalf("%s: not in time", what)
				}
			}
		}
	}
	// reads waits until a member reads so many partitions.
	reads := func(by string, partitions int) {
		t.Helper()
		from := map[int32]bool{}
		until(fmt.Sprintf("%s reads %d partitions", by, partitions), func() bool { return len(from) >= partitions },
			func(r reading) {
				if r.by == by {
					from[r.partition] = true
				}
			})
	}
	kind := func() string {
		groups, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, c)
		if err != nil || len(groups.Groups) != 1 {
			t.Fatalf("%+v, %v", groups, err)
		}
		return groups.Groups[0].GroupType
	}

	old := join("old")
	reads("old", partitions)
	if got := kind(); got != "classic" {
		t.Errorf("the group is %q before the upgrade", got)
	}
	young := join("young", kgo.ServerSideBalancer())
	reads("young", partitions/2)
	reads("old", partitions/2)
	if got := kind(); got != "consumer" {
		t.Errorf("the group is %q after the upgrade", got)
	}
	old.Close()
	reads("young", partitions)
	again := join("again")
	reads("again", partitions/2)
	young.Close()
	reads("again", partitions)
	if got := kind(); got != "classic" {
		t.Errorf("the group is %q after the downgrade", got)
	}
	for len(unread) > 0 {
		select {
		case r := <-read:
			delete(unread, r.value)
		case <-ctx.Done():
			t.Fatalf("%d of %d records were never read", len(unread), sent)
		}
	}
	again.Close()
}
