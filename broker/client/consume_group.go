package client

import (
	"context"
	"errors"
	"sync"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// pollRecords is how many records are taken, and then committed, at a time.
const pollRecords = 5000

// groupEnds knows how far the partitions that a member was assigned are to be
// read. Its callbacks run on the group's goroutine, the rest on the caller's.
type groupEnds struct {
	to Options
	o  *ConsumeOptions

	// mu guards what follows.
	mu       sync.Mutex
	wake     context.CancelFunc       // ends the poll that waits for records
	joined   bool                     // the member was assigned something, or nothing, at least once
	assigned bool                     // no rebalance is under way
	left     map[TopicPartition]int64 // ends that are not reached
	failed   error
}

// readGroup reads topics as a member of a group and commits what was visited.
// With ExitAtEnd it follows the offsets of records and of transaction markers:
// in read_committed mode it waits where aborted records whose marker is above
// the last stable offset are the last that can be read.
func readGroup(ctx context.Context, to Options, o *ConsumeOptions, visit func(*kgo.Record) error) error {
	to = to.withDefaults()
	ends := &groupEnds{to: to, o: o, left: map[TopicPartition]int64{}}
	c, err := Connect(ctx, to, ends.options()...)
	if err != nil {
		return err
	}
	defer c.kafka.CloseAllowingRebalance()
	bounded, cancel := c.bound(ctx)
	_, err = c.details(bounded, topicsOf(o.Selections)...)
	cancel()
	if err != nil {
		return err
	}
	for left := o.MaxRecords; ; {
		most := pollRecords
		if o.MaxRecords > 0 {
			most = int(min(left, pollRecords))
		}
		polling, wake := context.WithCancel(ctx)
		ends.arm(wake)
		fetches := c.kafka.PollRecords(polling, most)
		wake()
		visited, err := ends.take(fetches, visit)
		if flushErr := o.flush(nil); flushErr != nil {
			return flushErr // nothing of it is committed
		}
		if len(visited) > 0 {
			bounded, cancel := c.bound(context.WithoutCancel(ctx)) // what was visited is committed at an interrupt, too
			commitErr := c.kafka.CommitRecords(bounded, visited...)
			cancel()
			if commitErr != nil && (err == nil || errors.Is(err, errEnough)) {
				err = refused("group "+o.Group, commitErr, "")
			}
		}
		for _, r := range visited {
			if !r.Attrs.IsControl() {
				left--
			}
		}
		c.kafka.AllowRebalance()
		if err != nil {
			return err
		}
		if finished, err := ends.finished(); finished || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// options are those of a member.
func (e *groupEnds) options() []kgo.Opt {
	start := kgo.NewOffset().AtEnd()
	if e.o.Start == AtBeginning {
		start = kgo.NewOffset().AtStart()
	}
	opts := []kgo.Opt{
		kgo.ConsumerGroup(e.o.Group), kgo.ConsumeTopics(topicsOf(e.o.Selections)...), kgo.ConsumeResetOffset(start),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.MaxDecompressBatchBytes(record.MaxDecompressedBytes),
		kgo.FetchMaxBytes(fetchBytes),
	}
	if e.o.ReadCommitted {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if e.o.ExitAtEnd {
		opts = append(opts, kgo.KeepControlRecords())
	}
	return append(opts, kgo.OnPartitionsAssigned(e.onAssigned), kgo.OnPartitionsRevoked(e.onGone), kgo.OnPartitionsLost(e.onGone))
}

// arm says what ends the poll that begins now; it is ended at once when
// nothing is left to be read.
func (e *groupEnds) arm(wake context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wake = wake
	e.wakeWhenDone()
}

// wakeWhenDone ends the poll when there is nothing to wait for. e.mu is held.
func (e *groupEnds) wakeWhenDone() {
	if e.wake != nil && e.o.ExitAtEnd && (e.assigned && len(e.left) == 0 || e.failed != nil) {
		e.wake()
	}
}

// onAssigned looks up the ends of new partitions. When nothing is left to be
// read, the poll is woken.
func (e *groupEnds) onAssigned(ctx context.Context, kafka *kgo.Client, assigned map[string][]int32) {
	var left map[TopicPartition]int64
	var err error
	if e.o.ExitAtEnd {
		left, err = e.unread(ctx, &Client{kafka: kafka, admin: kadm.NewClient(kafka), options: e.to}, assigned)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.joined, e.assigned = true, true
	e.failed = errors.Join(e.failed, err)
	for p, end := range left {
		e.left[p] = end
	}
	e.wakeWhenDone()
}

// unread are the partitions whose committed offset, or start without one, is below the end.
func (e *groupEnds) unread(ctx context.Context, c *Client, assigned map[string][]int32) (map[TopicPartition]int64, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	var partitions []TopicPartition
	for topic, numbers := range assigned {
		for _, number := range numbers {
			partitions = append(partitions, TopicPartition{topic, number})
		}
	}
	if len(partitions) == 0 {
		return nil, nil
	}
	committed, err := c.committed(ctx, e.o.Group, consumerGroup)
	if err != nil {
		return nil, err
	}
	starts, err := c.startsOf(ctx, partitions, e.o.Start)
	if err != nil {
		return nil, err
	}
	ends, err := c.listOffsets(ctx, Latest, e.o.ReadCommitted, partitions)
	if err != nil {
		return nil, err
	}
	left := map[TopicPartition]int64{}
	for n, p := range partitions {
		at := starts[n]
		if offset, ok := committed[p]; ok {
			at = offset.Offset
		}
		if ends[n].Err != nil {
			return nil, refused(p.String(), ends[n].Err, "")
		}
		if at < ends[n].Offset {
			left[p] = ends[n].Offset
		}
	}
	return left, nil
}

// onGone forgets partitions that another member reads from now on. An
// assignment follows, if only of nothing.
func (e *groupEnds) onGone(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.assigned = false
	for topic, numbers := range gone {
		for _, number := range numbers {
			delete(e.left, TopicPartition{topic, number})
		}
	}
}

// take visits the records of a poll and returns those that were, markers included.
func (e *groupEnds) take(fetches kgo.Fetches, visit func(*kgo.Record) error) (visited []*kgo.Record, err error) {
	for r := range fetches.RecordsAll() {
		if !r.Attrs.IsControl() {
			if err = visit(r); err != nil && !errors.Is(err, errEnough) {
				return visited, err
			}
		}
		visited = append(visited, r)
		e.reached(r)
		if err != nil {
			return visited, err
		}
	}
	fetches.EachError(func(topic string, partition int32, fetchErr error) {
		if err == nil {
			err = e.judge(topic, partition, fetchErr)
		}
	})
	return visited, err
}

// judge tells which errors of a poll end the run. A poll that ended with its
// context is judged by the caller. A member that lost its group, and offsets
// that the log lost, are taken up again by franz-go: they are a notice, except
// when the group could not be joined in the first place.
func (e *groupEnds) judge(topic string, partition int32, err error) error {
	subject := "group " + e.o.Group
	if topic != "" {
		subject = TopicPartition{topic, partition}.String()
	}
	e.mu.Lock()
	joined := e.joined
	e.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case joined && (errors.As(err, new(*kgo.ErrGroupSession)) || errors.As(err, new(*kgo.ErrDataLoss))):
		if e.o.Notice != nil {
			e.o.Notice(subject + ": " + reason(err))
		}
		return nil
	}
	return refused(subject, err, "")
}

// reached notes a record, and with it perhaps an end.
func (e *groupEnds) reached(r *kgo.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := TopicPartition{r.Topic, r.Partition}
	if end, ok := e.left[p]; ok && r.Offset+1 >= end {
		delete(e.left, p)
	}
}

// finished tells that all that was assigned is read.
func (e *groupEnds) finished() (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.o.ExitAtEnd && e.assigned && len(e.left) == 0, e.failed
}
