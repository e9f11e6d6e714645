package compat

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestLargeGroup starts 100 members at once over 500 partitions, under the
// classic and under the consumer protocol, with the broker's and the client's
// defaults, and measures how long it takes until each has its five and no
// partition has two owners or none. It is asked for with FLUXMQ_LARGE_GROUP=1.
func TestLargeGroup(t *testing.T) {
	if os.Getenv("FLUXMQ_LARGE_GROUP") == "" {
		t.Skip("FLUXMQ_LARGE_GROUP is not set: `make compat-groups` sets it")
	}
	for name, protocol := range map[string][]kgo.Opt{
		"classic, range":              {kgo.Balancers(kgo.RangeBalancer())},
		"classic, cooperative-sticky": {kgo.Balancers(kgo.CooperativeStickyBalancer())},
		"consumer, uniform":           {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
		"consumer, range":             {kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()},
	} {
		t.Run(name, func(t *testing.T) { settle(t, protocol) })
	}
}

const (
	largeMembers, largePartitions = 100, 500
	largeShare                    = largePartitions / largeMembers
	settleLimit                   = 5 * time.Second
)

// owners is who has which partitions, as the members say.
type owners struct {
	mu      sync.Mutex // guards of
	of      []map[int32]bool
	changed chan struct{} // capacity 1
}

// change takes partitions to or from a member.
func (o *owners) change(member int, partitions []int32, has bool) {
	o.mu.Lock()
	for _, p := range partitions {
		if has {
			o.of[member][p] = true
		} else {
			delete(o.of[member], p)
		}
	}
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// settled says whether each member has its share and each partition one owner, and else what is missing.
func (o *owners) settled() (bool, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	held := map[int32]int{}
	even := 0
	for _, of := range o.of {
		for p := range of {
			held[p]++
		}
		if len(of) == largeShare {
			even++
		}
	}
	twice := 0
	for _, n := range held {
		if n > 1 {
			twice++
		}
	}
	return even == largeMembers && len(held) == largePartitions, fmt.Sprintf("%d of %d members have their %d, %d of %d partitions an owner, %d two", even, largeMembers, largeShare, len(held), largePartitions, twice)
}

func settle(t *testing.T, protocol []kgo.Opt) {
	b := newProcess(t)
	b.start(t)
	admin, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	must(t, "NewClient", err)
	defer admin.Close()
	_, err = kadm.NewClient(admin).CreateTopic(t.Context(), largePartitions, 1, nil, "wide")
	must(t, "CreateTopic", err)

	o := &owners{of: make([]map[int32]bool, largeMembers), changed: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	var polling sync.WaitGroup
	var members []*kgo.Client
	defer func() {
		stop()
		polling.Wait()
		var leaving sync.WaitGroup
		for _, m := range members {
			leaving.Go(m.Close) // each leaves the group; side by side, since each waits for its answer
		}
		leaving.Wait()
	}()
	begin := time.Now()
	for n := range largeMembers {
		o.of[n] = map[int32]bool{}
		takes := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) { o.change(n, topics["wide"], has) }
		}
		member, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addr()), kgo.ConsumerGroup("large"), kgo.ConsumeTopics("wide"), kgo.ClientID(fmt.Sprintf("member-%d", n)),
			kgo.OnPartitionsAssigned(takes(true)), kgo.OnPartitionsRevoked(takes(false)), kgo.OnPartitionsLost(takes(false))}, protocol...)...)
		must(t, "NewClient", err)
		members = append(members, member)
		polling.Go(func() { // ends with ctx
			for ctx.Err() == nil {
				member.PollFetches(ctx)
			}
		})
	}
	deadline := time.After(time.Minute)
	for {
		done, state := o.settled()
		if done {
			break
		}
		select {
		case <-o.changed:
		case <-deadline:
			t.Fatalf("not settled after a minute: %s\n%s", state, b.tail())
		}
	}
	took := time.Since(begin)
	t.Logf("%d members over %d partitions settled in %v", largeMembers, largePartitions, took.Round(time.Millisecond))
	if took > settleLimit {
		t.Errorf("it took %v, the limit is %v", took.Round(time.Millisecond), settleLimit)
	}
}
