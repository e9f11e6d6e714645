package coordinator

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"fluxmq/broker/coordinator/memlog"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// counter is a shard that knows how often each of its keys was counted.
type counter struct {
	*Queue[*counter]
	*Journal
	counts map[string]int
}

// counted is an answer of a counter.
type counted struct {
	times int
	err   error
}

const counterPartitions = 4

var errNoKey = errors.New("a record without a key")

// counters opens the shards of all partitions but the one whose log is nil.
func counters(t *testing.T, timeout time.Duration, logs *[counterPartitions]*memlog.Log) *Shards[*counter] {
	c := NewShards(func() int32 { return counterPartitions }, func(index int32) *memlog.Log { return logs[index] }, func(index int32, l *memlog.Log) *counter {
		s := &counter{Queue: NewQueue[*counter](timeout), counts: map[string]int{}}
		s.Journal = NewJournal(JournalConfig{
			Log: l, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Coordinator: "counter", Partition: index,
			Failed: func() { clear(s.counts) },
		})
		go s.loop() // stopped and awaited by Close
		return s
	})
	t.Cleanup(c.Close)
	return c
}

func memoryLogs() *[counterPartitions]*memlog.Log {
	var logs [counterPartitions]*memlog.Log
	for i := range logs {
		logs[i] = &memlog.Log{}
	}
	return &logs
}

func (s *counter) loop() {
	defer s.Ended()
	s.Load(errNoKey, func(_ record.Batch, r record.Record) error {
		if len(r.Key) == 0 {
			return errNoKey
		}
		s.counts[string(r.Key)]++
		return nil
	})
	s.Loaded()
	for {
		select {
		case c := <-s.Commands():
			s.Serve(s, s.Journal, c)
			s.Drain(s, s.Journal)
		case <-s.Stopping():
			return
		}
		s.Flush()
	}
}

func refuseCount(err error) counted { return counted{-1, err} }

// count counts a key once.
func count(ctx context.Context, c *Shards[*counter], key string) *Reply[counted] {
	s, err := c.LoadedOf(ctx, key)
	if err != nil {
		return Answered(refuseCount(err))
	}
	return Ask(ctx, s.Queue, refuseCount, func(s *counter, r *Reply[counted]) {
		s.counts[key]++
		s.Add(record.Record{Key: []byte(key)})
		r.Give(s, counted{times: s.counts[key]}, true)
	})
}

// total is what all counters have counted.
func total(t *testing.T, c *Shards[*counter]) map[string]int {
	t.Helper()
	type one struct {
		key   string
		times int
	}
	all := map[string]int{}
	err := Each(t.Context(), c, func(s *counter) (list []one) {
		for key, times := range s.counts {
			list = append(list, one{key, times})
		}
		return list
	}, func(list []one) {
		for _, o := range list {
			all[o.key] += o.times
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func expectCount(t *testing.T, what string, got counted, times int, code *protocol.Error) {
	t.Helper()
	if code == nil && got != (counted{times: times}) || code != nil && !errors.Is(got.err, code) {
		t.Errorf("%s: %d, %v; want %d, %v", what, got.times, got.err, times, code)
	}
}
