package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Limits of one fetch. A broker's answer is at most fetchBytes and a batch
// more, which franz-go caps at 100 MB.
const (
	fetchBytes          = 32 << 20
	fetchPartitionBytes = 1 << 20
	fetchWaitMs         = 500
	retryAfter          = 200 * time.Millisecond
)

// decompressor bounds what a fetched batch may decompress to.
type decompressor struct{}

// Decompress implements kgo.Decompressor.
func (decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	return record.Decompress(record.Codec(codec), src, record.MaxDecompressedBytes)
}

// position is where reading stands in one partition.
type position struct {
	TopicPartition
	next int64
	end  int64 // where ExitAtEnd stops; -1 never
	// failingSince is when the first of the failures in a row was; zero for none.
	failingSince time.Time
}

// reader reads partitions without a group. It is used by one goroutine.
type reader struct {
	c     *Client
	o     *ConsumeOptions
	visit func(*kgo.Record) error

	positions []*position // those that are still to be read
	topics    kadm.TopicDetails
	stale     bool // leaders are to be looked up again
	rotation  int  // which position is asked for first
}

// readPartitions reads the selected partitions from their start.
func readPartitions(ctx context.Context, to Options, o *ConsumeOptions, visit func(*kgo.Record) error) error {
	c, err := Connect(ctx, to)
	if err != nil {
		return err
	}
	defer c.Close()
	r := &reader{c: c, o: o, visit: visit, stale: true}
	if err := r.begin(ctx); err != nil {
		return err
	}
	for len(r.positions) > 0 {
		if err := o.flush(r.round(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// begin finds out where to start and, with ExitAtEnd, where to end.
func (r *reader) begin(ctx context.Context) error {
	ctx, cancel := r.c.bound(ctx)
	defer cancel()
	partitions, err := r.c.resolve(ctx, r.o.Selections)
	if err != nil {
		return err
	}
	starts, err := r.c.startsOf(ctx, partitions, r.o.Start)
	if err != nil {
		return err
	}
	var ends []kadm.ListedOffset
	if r.o.ExitAtEnd {
		if ends, err = r.c.listOffsets(ctx, Latest, r.o.ReadCommitted, partitions); err != nil {
			return err
		}
	}
	for n, p := range partitions {
		at := &position{TopicPartition: p, next: starts[n], end: -1}
		if r.o.ExitAtEnd {
			if ends[n].Err != nil {
				return refused(p.String(), ends[n].Err, "")
			}
			at.end = ends[n].Offset
		}
		r.positions = append(r.positions, at)
	}
	r.drop()
	return nil
}

// drop forgets positions that are at their end.
func (r *reader) drop() {
	r.positions = slices.DeleteFunc(r.positions, func(p *position) bool { return p.end >= 0 && p.next >= p.end })
}

// round asks every leader once, all at the same time, and visits what came.
func (r *reader) round(ctx context.Context) error {
	if r.stale {
		if err := r.lookUp(ctx); err != nil {
			return err
		}
	}
	byLeader := map[int32][]*position{}
	var leaderless []*position
	for n := range r.positions {
		p := r.positions[(n+r.rotation)%len(r.positions)]
		if detail, ok := r.topics[p.Topic].Partitions[p.Partition]; ok && detail.Leader >= 0 {
			byLeader[detail.Leader] = append(byLeader[detail.Leader], p)
		} else {
			leaderless = append(leaderless, p)
		}
	}
	r.rotation++
	failed := false
	for _, p := range leaderless {
		failed = true
		if err := r.failure(p, kerr.LeaderNotAvailable); err != nil {
			return err
		}
	}
	leaders := slices.Sorted(maps.Keys(byLeader))
	answers := make([]*kmsg.FetchResponse, len(leaders))
	errs := make([]error, len(leaders))
	var fetching sync.WaitGroup
	for n, leader := range leaders {
		// Ends with its request, which ends with ctx; waited for below.
		fetching.Go(func() { answers[n], errs[n] = r.fetch(ctx, leader, byLeader[leader]) })
	}
	fetching.Wait()
	for n, leader := range leaders {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errs[n] != nil {
			failed = true
			for _, p := range byLeader[leader] {
				if err := r.failure(p, errs[n]); err != nil {
					return err
				}
			}
			continue
		}
		more, err := r.take(ctx, answers[n])
		if err != nil {
			return err
		}
		failed = failed || more
	}
	r.drop()
	if failed {
		r.stale = true
		return wait(ctx, retryAfter)
	}
	return nil
}

// wait returns after d or with the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookUp asks for the leaders. A cluster that cannot say is asked again by the
// next round: the positions' failures decide when it is enough.
func (r *reader) lookUp(ctx context.Context) error {
	bounded, cancel := r.c.bound(ctx)
	defer cancel()
	topics, err := r.c.admin.ListTopicsWithInternal(bounded, topicsOf(r.o.Selections)...)
	if err != nil {
		return refused("metadata", err, "")
	}
	r.topics, r.stale = topics, false
	return nil
}

// failure notes that a partition could not be read now. It is an error when
// that has lasted for longer than the timeout, or when trying again cannot help.
func (r *reader) failure(p *position, err error) error {
	now := time.Now()
	if p.failingSince.IsZero() {
		p.failingSince = now
	}
	var kafka *kerr.Error
	if errors.As(err, &kafka) && !kafka.Retriable || now.Sub(p.failingSince) > r.c.options.Timeout {
		return refused(p.TopicPartition.String(), err, "")
	}
	return nil
}

func (r *reader) fetch(ctx context.Context, leader int32, positions []*position) (*kmsg.FetchResponse, error) {
	request := kmsg.NewPtrFetchRequest()
	request.MaxWaitMillis, request.MinBytes, request.MaxBytes = fetchWaitMs, 1, fetchBytes
	if r.o.ReadCommitted {
		request.IsolationLevel = 1
	}
	places := map[string]int{}
	for _, p := range positions {
		place, ok := places[p.Topic]
		if !ok {
			place = len(request.Topics)
			places[p.Topic] = place
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic, topic.TopicID = p.Topic, r.topics[p.Topic].ID
			request.Topics = append(request.Topics, topic)
		}
		partition := kmsg.NewFetchRequestTopicPartition()
		partition.Partition, partition.FetchOffset, partition.PartitionMaxBytes = p.Partition, p.next, fetchPartitionBytes
		request.Topics[place].Partitions = append(request.Topics[place].Partitions, partition)
	}
	ctx, cancel := context.WithTimeout(ctx, r.c.options.Timeout+fetchWaitMs*time.Millisecond)
	defer cancel()
	answer, err := r.c.kafka.Broker(int(leader)).Request(ctx, request)
	if err != nil {
		return nil, err
	}
	response := answer.(*kmsg.FetchResponse)
	return response, kerr.ErrorForCode(response.ErrorCode)
}

// take visits the records of an answer and moves the positions. failed tells
// that a partition is to be tried again after its leader was looked up.
func (r *reader) take(ctx context.Context, answer *kmsg.FetchResponse) (failed bool, err error) {
	for _, t := range answer.Topics {
		name := t.Topic
		for known, detail := range r.topics {
			if name == "" && detail.ID == kadm.TopicID(t.TopicID) {
				name = known
			}
		}
		for n := range t.Partitions {
			in := &t.Partitions[n]
			at := slices.IndexFunc(r.positions, func(p *position) bool { return p.Topic == name && p.Partition == in.Partition })
			if at < 0 {
				continue // not asked for
			}
			p := r.positions[at]
			switch err := kerr.ErrorForCode(in.ErrorCode); {
			case errors.Is(err, kerr.OffsetOutOfRange):
				if err := r.jump(ctx, p); err != nil {
					return failed, err
				}
			case err != nil:
				failed = true
				if err := r.failure(p, err); err != nil {
					return failed, err
				}
			default:
				p.failingSince = time.Time{}
				if err := r.records(p, in); err != nil {
					return failed, err
				}
			}
		}
	}
	return failed, nil
}

// records visits what a partition answered.
func (r *reader) records(p *position, in *kmsg.FetchResponseTopicPartition) error {
	o := kgo.ProcessFetchPartitionOpts{Offset: p.next, Topic: p.Topic, Partition: p.Partition}
	if r.o.ReadCommitted {
		o.IsolationLevel = kgo.ReadCommitted()
	}
	fetched, next := kgo.ProcessFetchPartition(o, in, decompressor{}, nil)
	for _, one := range fetched.Records {
		if p.end >= 0 && one.Offset >= p.end {
			break
		}
		if err := r.visit(one); err != nil {
			return err
		}
	}
	p.next = next
	return refused(p.TopicPartition.String(), fetched.Err, "")
}

// jump moves a position that retention overtook to the first offset there is,
// and refuses one above the end: somebody cut the log.
func (r *reader) jump(ctx context.Context, p *position) error {
	ctx, cancel := r.c.bound(ctx)
	defer cancel()
	all, err := r.c.boundsOf(ctx, []TopicPartition{p.TopicPartition}, Reset{To: ToEarliest})
	if err != nil {
		return err
	}
	if all[0].start <= p.next {
		return refused(p.TopicPartition.String(), kerr.OffsetOutOfRange, fmt.Sprintf("offset %d is not within %d to %d", p.next, all[0].start, all[0].end))
	}
	if r.o.Notice != nil {
		r.o.Notice(fmt.Sprintf("%s: offsets %d to %d were deleted before they were read", p.TopicPartition, p.next, all[0].start-1))
	}
	p.next = all[0].start
	return nil
}
