package compat

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// TestManyGroups has FLUXMQ_MANY_GROUPS groups of one member each heartbeat
// at their protocol's default interval, over 50 connections, and measures the
// broker's CPU over 30 s. It fails when a heartbeat does, or when they fall behind.
func TestManyGroups(t *testing.T) {
	if os.Getenv("FLUXMQ_MANY_GROUPS") == "" {
		t.Skip("FLUXMQ_MANY_GROUPS is not set: `make compat-groups` sets it")
	}
	groups := fromEnvironment(t, "FLUXMQ_MANY_GROUPS", 10000)
	t.Run("classic", func(t *testing.T) { manyGroups(t, groups, 3*time.Second, joinClassic) })
	t.Run("consumer", func(t *testing.T) { manyGroups(t, groups, 5*time.Second, joinConsumer) })
}

const (
	manyConnections = 50
	manyTopic       = "many"
	manyWarmUp      = 12 * time.Second // a consumer group's members are asked to hurry in their first 10 s
	manyMeasured    = 30 * time.Second
)

func manyGroups(t *testing.T, groups int, interval time.Duration, join join) {
	// The session timeouts are long, so that no member is lost while the others join.
	b := newProcess(t, "--override", "group.initial.rebalance.delay.ms=0",
		"--override", "group.consumer.max.session.timeout.ms=300000", "--override", "group.consumer.session.timeout.ms=300000")
	b.start(t)
	ctx, stop := context.WithCancel(t.Context())
	var crew sync.WaitGroup
	var clients []*kgo.Client
	defer func() {
		stop()
		crew.Wait()
		for _, c := range clients {
			c.Close()
		}
	}()
	var beats, failures atomic.Int64
	joined := make(chan error, manyConnections)
	start := make(chan struct{})
	begin := time.Now()
	for c := range manyConnections {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.ClientID(fmt.Sprintf("driver-%d", c)))
		must(t, "NewClient", err)
		clients = append(clients, client)
		if c == 0 {
			_, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, manyTopic)
			must(t, "CreateTopic", err)
		}
		crew.Go(func() { // ends with ctx
			var mine []heartbeat
			for g := c; g < groups; g += manyConnections {
				beat, err := join(ctx, client.SeedBrokers()[0], fmt.Sprintf("group-%d", g))
				if err != nil {
					joined <- fmt.Errorf("group-%d: %w", g, err)
					return
				}
				mine = append(mine, beat)
			}
			joined <- nil
			select {
			case <-start:
			case <-ctx.Done():
				return
			}
			pace := time.NewTicker(interval / time.Duration(max(len(mine), 1)))
			defer pace.Stop()
			for n := 0; len(mine) > 0; n++ {
				select {
				case <-pace.C:
				case <-ctx.Done():
					return
				}
				if err := mine[n%len(mine)](ctx); err == nil {
					beats.Add(1)
				} else if ctx.Err() == nil && failures.Add(1) < 10 {
					t.Errorf("heartbeat: %v", err)
				}
			}
		})
	}
	limit := time.After(4 * time.Minute)
	for range manyConnections {
		select {
		case err := <-joined:
			must(t, "joining", err)
		case <-limit:
			t.Fatalf("%d groups did not form within 4 minutes\n%s", groups, b.tail())
		}
	}
	t.Logf("%d groups of one member formed in %v", groups, time.Since(begin).Round(time.Millisecond))
	close(start)
	<-time.After(manyWarmUp)
	before, beatsBefore, from := usage(t, b), beats.Load(), time.Now()
	<-time.After(manyMeasured)
	after, beatsAfter, took := usage(t, b), beats.Load(), time.Since(from)
	n := beatsAfter - beatsBefore
	cpu := after.CPUTime() - before.CPUTime()
	t.Logf("%d heartbeats in %v: %.2f s of CPU, %.1f %% of one core, %.0f µs each; %d MiB resident",
		n, took.Round(time.Millisecond), cpu, 100*cpu/took.Seconds(), 1e6*cpu/float64(max(n, 1)), after.ResidentMemory()>>20)
	if want := int64(0.95 * float64(groups) * took.Seconds() / interval.Seconds()); n < want {
		t.Errorf("only %d heartbeats, want %d: the broker or the driver fell behind", n, want)
	}
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
