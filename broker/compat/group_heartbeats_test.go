package compat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fluxmq/broker/compat/scale"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/procfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat sends one of one member; it is called by one goroutine at a time.
type heartbeat func(context.Context) error

// join brings the only member of a group in and returns its heartbeat.
type join func(ctx context.Context, broker *kgo.Broker, group string) (heartbeat, error)

const (
	manyTopic  = "many"
	manyWarmUp = 12 * time.Second // a consumer group's members are asked to hurry in their first 10 s
	joinLimit  = time.Minute      // of all groups together
)

// heartbeatCase is many groups of one member as a measurement has them.
type heartbeatCase struct {
	protocol string
	interval time.Duration // its default
	join     join
	settings []string // of the broker
}

// apart has the broker read each connection by itself, as Kafka does.
func (c heartbeatCase) apart() heartbeatCase {
	c.settings = append(slices.Clone(c.settings), "fluxmq.heartbeat.coalescing.ms=0")
	return c
}

// name is that of the case's test.
func (c heartbeatCase) name() string {
	return strings.Join(append([]string{c.protocol, "heartbeats"}, c.settings...), " ")
}

var (
	classicHeartbeats  = heartbeatCase{"classic", 3 * time.Second, joinClassic, nil}
	consumerHeartbeats = heartbeatCase{"consumer", 5 * time.Second, joinConsumer, nil}
)

// TestManyGroupsHeartbeat is the small form of the measurement of `make
// group-scale`: groups form over a few connections and each of their heartbeats
// is taken. What that costs is not looked at.
func TestManyGroupsHeartbeat(t *testing.T) {
	for _, c := range []heartbeatCase{classicHeartbeats, consumerHeartbeats, classicHeartbeats.apart()} {
		t.Run(c.name(), func(t *testing.T) {
			m := formGroups(t, c, 100, 4)
			for range 3 {
				for _, d := range m.drivers {
					for _, beat := range d.beats {
						must(t, "heartbeat", beat(t.Context()))
					}
				}
			}
		})
	}
}

// heartbeats has groups heartbeat at their protocol's default interval, each
// heartbeat a request and a write of its own, evenly spread, and measures the
// broker's CPU in windows, over that of the broker before it had groups. It fails when
// a heartbeat does, or when they fall behind.
func heartbeats(t *testing.T, c heartbeatCase, groups, connections, windows int, window time.Duration) scale.Heartbeats {
	m := formGroups(t, c, groups, connections)
	result := scale.Heartbeats{Protocol: c.protocol, Settings: c.settings, Groups: groups, Connections: connections, IntervalMs: c.interval.Milliseconds(), JoinSeconds: m.joined.Seconds(), IdlePercent: m.idlePercent}
	t.Logf("%d groups of one member formed in %.2f s; the idle broker took %.2f %% of a core", groups, m.joined.Seconds(), m.idlePercent)

	ctx, stop := context.WithCancel(t.Context())
	var crew sync.WaitGroup
	defer crew.Wait()
	defer stop()
	var beats, failures atomic.Int64
	var latency latencies
	for n, d := range m.drivers {
		crew.Go(func() { // ends with ctx
			pace := c.interval / time.Duration(len(d.beats))
			next := time.Now().Add(pace * time.Duration(n) / time.Duration(len(m.drivers))) // not all connections at the same instant
			due := time.NewTimer(time.Until(next))
			defer due.Stop()
			for i := 0; ; i++ {
				select {
				case <-due.C:
				case <-ctx.Done():
					return
				}
				sent := time.Now()
				if err := d.beats[i%len(d.beats)](ctx); err == nil {
					beats.Add(1)
					latency.record(time.Since(sent))
				} else if ctx.Err() == nil && failures.Add(1) < 10 {
					t.Errorf("heartbeat: %v", err)
				}
				next = next.Add(pace)
				due.Reset(time.Until(next))
			}
		})
	}
	<-time.After(manyWarmUp)
	for n := range windows {
		before, from := usage(t, m.broker), time.Now()
		beatsBefore := beats.Load()
		latency.reset()
		<-time.After(window)
		count := beats.Load() - beatsBefore
		after, took := usage(t, m.broker), time.Since(from)
		percent := 100*(after.CPUTime()-before.CPUTime())/took.Seconds() - m.idlePercent
		w := scale.Window{Seconds: took.Seconds(), Beats: count, Percent: percent, P50: latency.quantile(50), P99: latency.quantile(99), Load: loadAverage(t)}
		result.Windows = append(result.Windows, w)
		result.ResidentMiB = int64(after.ResidentMemory()) >> 20
		t.Logf("window %d: %d heartbeats in %.1f s, %.1f %% of one core over the idle broker (user %.2f s, system %.2f s), %.1f µs each; answered in %.1f ms, p99 %.1f; %d MiB resident; load %.1f",
			n+1, count, took.Seconds(), percent, ticks(after.UTime-before.UTime), ticks(after.STime-before.STime), percent*1e4*took.Seconds()/float64(max(count, 1)), w.P50, w.P99, result.ResidentMiB, w.Load)
		if want := int64(0.95 * float64(groups) * took.Seconds() / c.interval.Seconds()); count < want {
			t.Errorf("only %d heartbeats, want %d: the broker or the driver fell behind", count, want)
		}
	}
	return result
}

// latencies are times of heartbeats; the zero value has none.
type latencies struct {
	mu   sync.Mutex
	seen *hdrhistogram.Histogram // µs
}

func (l *latencies) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen != nil {
		_ = l.seen.RecordValue(min(d, time.Minute).Microseconds()) // it is in range
	}
}

func (l *latencies) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

// quantile in ms, since the last reset.
func (l *latencies) quantile(percent float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.seen.ValueAtQuantile(percent)) / 1000
}

// ticks of the kernel's accounting, 100 a second, in seconds.
func ticks(n uint) float64 { return float64(n) / 100 }

// manyIdle is how long the broker is measured without groups.
const manyIdle = 10 * time.Second

// driver is a connection and the heartbeats of the members behind it.
type driver struct {
	client *kgo.Client
	beats  []heartbeat
}

// manyGroups are groups that have formed.
type manyGroups struct {
	broker      *brokerProcess
	drivers     []*driver
	joined      time.Duration // that it took
	idlePercent float64       // of one core
}

// formGroups starts a broker and brings the groups in, each with its one member, over so many connections.
func formGroups(t *testing.T, c heartbeatCase, groups, connections int) *manyGroups {
	// The session timeouts are long, so that no member is lost while the others join.
	settings := []string{"group.initial.rebalance.delay.ms=0", "group.consumer.max.session.timeout.ms=300000", "group.consumer.session.timeout.ms=300000"}
	var flags []string
	for _, setting := range append(settings, c.settings...) {
		flags = append(flags, "--override", setting)
	}
	b := newProcess(t, flags...)
	b.start(t)
	m := &manyGroups{broker: b}
	ctx, stop := context.WithTimeout(t.Context(), joinLimit+manyIdle)
	defer stop()
	for n := range connections {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.ClientID(fmt.Sprintf("driver-%d", n)))
		must(t, "NewClient", err)
		t.Cleanup(client.Close)
		m.drivers = append(m.drivers, &driver{client: client})
	}
	admin := kadm.NewClient(m.drivers[0].client)
	_, err := admin.CreateTopic(ctx, 1, 1, nil, manyTopic)
	must(t, "CreateTopic", err)
	must(t, "FindCoordinator", admin.FindGroupCoordinators(ctx, "group-0").Error()) // the first one makes the topic of the groups

	if groups > 1000 { // a measurement
		before, from := usage(t, b), time.Now()
		<-time.After(manyIdle)
		m.idlePercent = 100 * (usage(t, b).CPUTime() - before.CPUTime()) / time.Since(from).Seconds()
	}
	begin := time.Now()
	failed := make(chan error, connections)
	for n, d := range m.drivers {
		go func() { // ends with ctx; awaited below
			for g := n; g < groups; g += connections {
				beat, err := c.join(ctx, d.client.SeedBrokers()[0], fmt.Sprintf("group-%d", g))
				if err != nil {
					failed <- fmt.Errorf("group-%d: %w", g, err)
					return
				}
				d.beats = append(d.beats, beat)
			}
			failed <- nil
		}()
	}
	var joining []error
	for range connections {
		joining = append(joining, <-failed)
	}
	must(t, "joining", errors.Join(joining...))
	m.joined = time.Since(begin)
	return m
}

// usage is what the kernel counted of the broker.
func usage(t *testing.T, b *brokerProcess) procfs.ProcStat {
	t.Helper()
	process, err := procfs.NewProc(b.cmd.Process.Pid)
	must(t, "procfs", err)
	stat, err := process.Stat()
	must(t, "procfs", err)
	return stat
}

// loadAverage is how many processes of the machine wanted to run, on average of the last minute.
func loadAverage(t *testing.T) float64 {
	t.Helper()
	proc, err := procfs.NewDefaultFS()
	must(t, "procfs", err)
	load, err := proc.LoadAvg()
	must(t, "procfs", err)
	return load.Load1
}

// joinClassic joins, syncs as the leader that the only member is, and heartbeats (KIP-394: the first try only gives an id).
func joinClassic(ctx context.Context, broker *kgo.Broker, group string) (heartbeat, error) {
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics = []string{manyTopic}
	request := kmsg.NewPtrJoinGroupRequest()
	request.Group, request.ProtocolType = group, "consumer"
	request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = 300_000, 60_000
	offered := kmsg.NewJoinGroupRequestProtocol()
	offered.Name, offered.Metadata = "range", metadata.AppendTo(nil)
	request.Protocols = append(request.Protocols, offered)
	in, err := request.RequestWith(ctx, broker)
	if err == nil && kerr.ErrorForCode(in.ErrorCode) == kerr.MemberIDRequired {
		request.MemberID = in.MemberID
		in, err = request.RequestWith(ctx, broker)
	}
	if err == nil {
		err = kerr.ErrorForCode(in.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	assignment := kmsg.NewSyncGroupRequestGroupAssignment()
	assignment.MemberID = in.MemberID
	member := kmsg.NewConsumerMemberAssignment()
	assignment.MemberAssignment = member.AppendTo(nil)
	share := kmsg.NewPtrSyncGroupRequest()
	share.Group, share.Generation, share.MemberID = group, in.Generation, in.MemberID
	share.ProtocolType, share.Protocol = in.ProtocolType, in.Protocol
	share.GroupAssignment = append(share.GroupAssignment, assignment)
	synced, err := share.RequestWith(ctx, broker)
	if err == nil {
		err = kerr.ErrorForCode(synced.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.Generation, beat.MemberID = group, in.Generation, in.MemberID
	return func(ctx context.Context) error {
		reply, err := beat.RequestWith(ctx, broker)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(reply.ErrorCode)
	}, nil
}

// joinConsumer joins under KIP-848 and says once, with the next heartbeat, that it has what it was given.
func joinConsumer(ctx context.Context, broker *kgo.Broker, group string) (heartbeat, error) {
	request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	request.Group, request.MemberID, request.RebalanceTimeoutMillis = group, group+"-member", 60_000
	request.SubscribedTopicNames = []string{manyTopic}
	request.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	send := func(ctx context.Context) error {
		reply, err := request.RequestWith(ctx, broker)
		if err == nil {
			err = kerr.ErrorForCode(reply.ErrorCode)
		}
		if err != nil {
			return err
		}
		// A heartbeat after the first says only what changed: which partitions are held now, or nothing.
		request = kmsg.NewPtrConsumerGroupHeartbeatRequest()
		request.Group, request.MemberID, request.MemberEpoch, request.RebalanceTimeoutMillis = group, group+"-member", reply.MemberEpoch, -1
		if reply.Assignment != nil {
			request.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			for _, given := range reply.Assignment.Topics {
				held := kmsg.NewConsumerGroupHeartbeatRequestTopic()
				held.TopicID, held.Partitions = given.TopicID, given.Partitions
				request.Topics = append(request.Topics, held)
			}
		}
		return nil
	}
	return send, send(ctx)
}
