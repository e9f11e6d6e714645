package loadgen

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// idleLimit ends a read back that gets nothing more.
const idleLimit = 15 * time.Second

// PollWait is how long Consumer.Poll waits at most.
const PollWait = 200 * time.Millisecond

// observer takes one record of a partition; for one partition never concurrently.
type observer func(partition int32, offset int64, value []byte)

// partitionReader reads some partitions with one consumer and knows how far it is.
type partitionReader struct {
	consumer Consumer
	position map[int32]int64 // next offset wanted
	received atomic.Int64    // records seen, and their keys and values; any goroutine may read both
	rawBytes atomic.Int64
}

// split deals partitions 0..count-1 out to at most readers groups.
func split(count, readers int) [][]int32 {
	readers = max(1, min(readers, count))
	groups := make([][]int32, readers)
	for p := range count {
		groups[p%readers] = append(groups[p%readers], int32(p))
	}
	return groups
}

// readBack reads every partition's range once, with as many consumers as
// cores. failure is why it could not reach all ends; err is a broken client.
func readBack(ctx context.Context, client Client, ranges []PartitionRange, see observer) (failure string, err error) {
	groups := split(len(ranges), runtime.NumCPU())
	var all sync.WaitGroup
	failures, errs := make([]string, len(groups)), make([]error, len(groups))
	for i, group := range groups {
		all.Add(1)
		go func() { // ends at the ranges' ends, after idleLimit, or with ctx; awaited below
			defer all.Done()
			consumer, err := client.NewConsumer(ctx)
			if err != nil {
				errs[i] = err
				return
			}
			defer consumer.Close()
			reader := &partitionReader{consumer: consumer}
			failures[i], errs[i] = reader.pass(ctx, group, ranges, see)
		}()
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", fmt.Errorf("read back: %w", err)
	}
	for _, text := range failures {
		if text != "" {
			return text, nil
		}
	}
	return "", nil
}

// pass reads the ranges of a group of partitions once. Records outside the ranges are not seen.
func (r *partitionReader) pass(ctx context.Context, group []int32, ranges []PartitionRange, see observer) (failure string, err error) {
	r.position = map[int32]int64{}
	for _, p := range group {
		if ranges[p].End > ranges[p].Start {
			r.position[p] = ranges[p].Start
		}
	}
	if len(r.position) == 0 {
		return "", nil
	}
	if err := r.consumer.Assign(ctx, r.position); err != nil {
		return "", err
	}
	open := len(r.position)
	positions, ends := make([]int64, len(ranges)), make([]int64, len(ranges)) // no map on the way of a record
	for p, position := range r.position {
		positions[p], ends[p] = position, ranges[p].End
	}
	lastProgress := time.Now()
	for open > 0 {
		before := r.received.Load()
		err := r.consumer.Poll(ctx, func(p int32, offset int64, key, value []byte) {
			if offset < positions[p] || offset >= ends[p] {
				return
			}
			see(p, offset, value)
			add(&r.received, 1)
			add(&r.rawBytes, int64(len(key)+len(value)))
			positions[p] = offset + 1
			if positions[p] >= ends[p] {
				open--
			}
		})
		switch {
		case ctx.Err() != nil:
			return unfinished(group, positions, ends, "the time for it was over"), nil
		case err != nil:
			return unfinished(group, positions, ends, err.Error()), nil
		case r.received.Load() > before:
			lastProgress = time.Now()
		case time.Since(lastProgress) > idleLimit:
			return unfinished(group, positions, ends, fmt.Sprintf("nothing came for %v", idleLimit)), nil
		}
	}
	return "", nil
}

// unfinished names the first partition whose end was not reached.
func unfinished(group []int32, positions, ends []int64, why string) string {
	for _, p := range group {
		if positions[p] < ends[p] {
			return fmt.Sprintf("partition %d could be read to offset %d, its end offset is %d: %s", p, positions[p], ends[p], why)
		}
	}
	return why
}
