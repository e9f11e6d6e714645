package compat

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/compat/scale"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	wideTopic   = "wide"
	settleLimit = 5 * time.Second
	settleWait  = time.Minute           // then a round has failed
	describeGap = 20 * time.Millisecond // between looks at what the broker says; the figures are that coarse
)

// settleCase is a group of franz-go members as every round of a measurement has it.
type settleCase struct {
	protocol  string // of the group, and the assignor
	consumer  bool   // KIP-848
	overrides []string
	client    []kgo.Opt
	settings  []string // what overrides and client change, for the result
	judged    bool     // the start must be over within settleLimit
}

var (
	classicRange = settleCase{protocol: "classic range", client: []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())}}
	cooperative  = settleCase{protocol: "classic cooperative-sticky", client: []kgo.Opt{kgo.Balancers(kgo.CooperativeStickyBalancer())}}
	uniform      = settleCase{protocol: "consumer uniform", consumer: true, client: []kgo.Opt{kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()}}
	serverRange  = settleCase{protocol: "consumer range", consumer: true, client: []kgo.Opt{kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()}}
)

// with adds a setting of the broker.
func (c settleCase) with(setting string) settleCase {
	c.overrides = append(slices.Clone(c.overrides), "--override", setting)
	c.settings = append(slices.Clone(c.settings), setting)
	return c
}

// heartbeating sets the client's heartbeat.interval.ms, which only classic members have.
func (c settleCase) heartbeating(every time.Duration) settleCase {
	c.client = append(slices.Clone(c.client), kgo.HeartbeatInterval(every))
	c.settings = append(slices.Clone(c.settings), fmt.Sprintf("client heartbeat.interval.ms=%d", every.Milliseconds()))
	return c
}

func (c settleCase) judgedBySettleLimit() settleCase {
	c.judged = true
	return c
}

// TestGroupSettles is the small form of the measurement of `make group-scale`:
// who owns what after members start at once, leave at once and come back, under
// each protocol, and that no partition has two owners at any time. Times are not looked at.
func TestGroupSettles(t *testing.T) {
	for _, c := range []settleCase{
		classicRange.with("group.initial.rebalance.delay.ms=200").heartbeating(100 * time.Millisecond),
		cooperative.with("group.initial.rebalance.delay.ms=0").heartbeating(100 * time.Millisecond),
		uniform.with("fluxmq.group.consumer.settling.heartbeat.interval.ms=100"),
		serverRange.with("fluxmq.group.consumer.settling.heartbeat.interval.ms=100"),
	} {
		t.Run(c.protocol, func(t *testing.T) { settle(t, c, 1, 8, 2, 40) })
	}
}

// settle runs rounds of a group of its own each: all members start at once,
// some leave at once, as many come back. Each step waits until the group is settled.
func settle(t *testing.T, c settleCase, rounds, members, moving, partitions int) scale.Settle {
	b := newProcess(t, c.overrides...)
	b.start(t)
	admin, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	must(t, "NewClient", err)
	defer admin.Close()
	_, err = kadm.NewClient(admin).CreateTopic(t.Context(), int32(partitions), 1, nil, wideTopic)
	must(t, "CreateTopic", err)

	result := scale.Settle{Protocol: c.protocol, Settings: c.settings, Members: members, Moving: moving, Partitions: partitions, Load: loadAverage(t)}
	for round := range rounds {
		func() {
			g := &wideGroup{settleCase: c, broker: b, admin: admin, name: fmt.Sprintf("wide-%d", round), members: make([]*wideMember, members),
				owners: owners{holders: make([]int, partitions), of: make([]map[int32]bool, members), changed: make(chan struct{}, 1)}}
			all := make([]int, members)
			for i := range all {
				all[i] = i
			}
			movers := all[:moving]
			defer func() { g.leave(all) }()

			begin := time.Now()
			g.join(t, all)
			start := g.awaitSettled(t, begin)
			begin = time.Now()
			g.leave(movers)
			leave := g.awaitSettled(t, begin)
			begin = time.Now()
			g.join(t, movers)
			back := g.awaitSettled(t, begin)
			t.Logf("round %d: settled %.2f s after the start of %d members, %.2f s after %d left, %.2f s after they came back", round+1, start, members, leave, moving, back)
			result.Start, result.Leave, result.Return = append(result.Start, start), append(result.Leave, leave), append(result.Return, back)
		}()
	}
	t.Logf("%s %v, %d members, %d partitions, %d rounds, median and maximum: start %.2f %.2f s, leave %.2f %.2f s, return %.2f %.2f s (load %.1f)", c.protocol, c.settings, members, partitions, rounds,
		scale.Median(result.Start), slices.Max(result.Start), scale.Median(result.Leave), slices.Max(result.Leave), scale.Median(result.Return), slices.Max(result.Return), result.Load)
	if c.judged && slices.Max(result.Start) > settleLimit.Seconds() {
		t.Errorf("%s: a start took %.2f s, the limit is %v", c.protocol, slices.Max(result.Start), settleLimit)
	}
	return result
}

// owners is who has which partitions, as the members say.
type owners struct {
	mu      sync.Mutex // guards what follows, but for changed
	holders []int      // of each partition
	of      []map[int32]bool
	twice   []string // what was seen that must never be
	changed chan struct{}
}

// change takes partitions to or from a member.
func (o *owners) change(member int, partitions []int32, has bool) {
	o.mu.Lock()
	for _, p := range partitions {
		switch {
		case int(p) >= len(o.holders):
			o.twice = append(o.twice, fmt.Sprintf("member %d has partition %d", member, p))
		case has && !o.of[member][p]:
			o.of[member][p] = true
			if o.holders[p]++; o.holders[p] > 1 {
				o.twice = append(o.twice, fmt.Sprintf("member %d got partition %d while another had it", member, p))
			}
		case !has && o.of[member][p]:
			delete(o.of[member], p)
			o.holders[p]--
		}
	}
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// even says whether each partition has one owner and each of present members its share, and else what is missing.
func (o *owners) even(present int) (bool, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	owned, shares := 0, 0
	for _, n := range o.holders {
		if n == 1 {
			owned++
		}
	}
	least := len(o.holders) / present
	for _, of := range o.of {
		if len(of) == least || len(of) == least+1 && len(o.holders)%present != 0 {
			shares++
		}
	}
	return owned == len(o.holders) && shares == present, fmt.Sprintf("%d of %d members have their share, %d of %d partitions one owner", shares, present, owned, len(o.holders))
}

// wideMember is one client that polls.
type wideMember struct {
	client *kgo.Client
	stop   context.CancelFunc
	ended  chan struct{} // closed when it does not poll any more
}

// wideGroup is one group of clients; join, leave and awaitSettled are called by one goroutine.
type wideGroup struct {
	settleCase
	broker  *brokerProcess
	admin   *kgo.Client
	name    string
	members []*wideMember // nil: not in
	owners
}

// join starts clients at once.
func (g *wideGroup) join(t *testing.T, which []int) {
	t.Helper()
	errs := make([]error, len(which))
	var starting sync.WaitGroup
	for i, n := range which {
		g.of[n] = map[int32]bool{}
		starting.Go(func() { g.members[n], errs[i] = g.begin(n) })
	}
	starting.Wait()
	for _, err := range errs {
		must(t, "NewClient", err)
	}
}

func (g *wideGroup) begin(n int) (*wideMember, error) {
	takes := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) { g.change(n, topics[wideTopic], has) }
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(g.broker.addr()), kgo.ConsumerGroup(g.name), kgo.ConsumeTopics(wideTopic), kgo.ClientID(fmt.Sprintf("member-%d", n)),
		kgo.OnPartitionsAssigned(takes(true)), kgo.OnPartitionsRevoked(takes(false)), kgo.OnPartitionsLost(takes(false))}, g.client...)...)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &wideMember{client, stop, make(chan struct{})}
	go func() { // stopped and awaited by leave
		defer close(m.ended)
		for ctx.Err() == nil {
			client.PollFetches(ctx)
		}
	}()
	return m, nil
}

// leave has members say goodbye, side by side, since each waits for its answer.
func (g *wideGroup) leave(which []int) {
	var leaving sync.WaitGroup
	for _, n := range which {
		m := g.members[n]
		if m == nil {
			continue
		}
		g.members[n] = nil
		leaving.Go(func() {
			m.stop()
			<-m.ended
			m.client.Close()
		})
	}
	leaving.Wait()
}

// awaitSettled returns the seconds from begin until the members and the broker agree that the group is settled.
func (g *wideGroup) awaitSettled(t *testing.T, begin time.Time) float64 {
	t.Helper()
	present := 0
	for _, m := range g.members {
		if m != nil {
			present++
		}
	}
	deadline := time.NewTimer(settleWait)
	defer deadline.Stop()
	look := time.NewTicker(describeGap)
	defer look.Stop()
	for {
		done, state := g.even(present)
		if done {
			if done, state = g.describedStable(t, present); done {
				break
			}
		}
		select {
		case <-g.changed:
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%s: not settled after %v: %s\n%s", g.name, settleWait, state, g.broker.tail())
		}
	}
	took := time.Since(begin).Seconds()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.twice) > 0 {
		t.Errorf("%s: %d times a partition had two owners, the first: %s", g.name, len(g.twice), g.twice[0])
	}
	return took
}

// describedStable asks the broker: Stable, with the members that there are.
func (g *wideGroup) describedStable(t *testing.T, present int) (bool, string) {
	t.Helper()
	var state string
	var count int
	var code int16
	if g.consumer {
		request := kmsg.NewPtrConsumerGroupDescribeRequest()
		request.Groups = []string{g.name}
		reply, err := request.RequestWith(t.Context(), g.admin)
		must(t, "ConsumerGroupDescribe", err)
		code, state, count = reply.Groups[0].ErrorCode, reply.Groups[0].State, len(reply.Groups[0].Members)
	} else {
		request := kmsg.NewPtrDescribeGroupsRequest()
		request.Groups = []string{g.name}
		reply, err := request.RequestWith(t.Context(), g.admin)
		must(t, "DescribeGroups", err)
		code, state, count = reply.Groups[0].ErrorCode, reply.Groups[0].State, len(reply.Groups[0].Members)
	}
	must(t, "describing the group", kerr.ErrorForCode(code))
	return state == "Stable" && count == present, fmt.Sprintf("the broker says %s with %d members of %d", state, count, present)
}
