package loadgen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// followers read partitions at their ends while others write, until they are
// told where the logs end.
type followers struct {
	received atomic.Int64
	ends     atomic.Pointer[[]int64]
	cancel   context.CancelFunc
	all      sync.WaitGroup
	errs     []error
}

// startFollowers connects one consumer a group and assigns its partitions
// from the given offsets. see is called with every record, by one goroutine per group.
func startFollowers(ctx context.Context, client Client, groups [][]int32, from []int64, see func(group int, partition int32, offset int64, value []byte)) (*followers, error) {
	f := &followers{errs: make([]error, len(groups))}
	ctx, f.cancel = context.WithCancel(ctx)
	var consumers []Consumer
	for _, group := range groups {
		consumer, err := client.NewConsumer(ctx)
		if err == nil {
			consumers = append(consumers, consumer)
			offsets := map[int32]int64{}
			for _, p := range group {
				offsets[p] = from[p]
			}
			err = consumer.Assign(ctx, offsets)
		}
		if err != nil {
			f.cancel()
			for _, c := range consumers {
				c.Close()
			}
			return nil, fmt.Errorf("end-to-end consumer: %w", err)
		}
	}
	for i, group := range groups {
		f.all.Add(1)
		go func() { // ends at the ends, or with ctx; finish awaits it
			defer f.all.Done()
			defer consumers[i].Close()
			f.errs[i] = f.follow(ctx, consumers[i], group, slices.Clone(from), func(p int32, offset int64, value []byte) { see(i, p, offset, value) })
		}()
	}
	return f, nil
}

func (f *followers) follow(ctx context.Context, consumer Consumer, group []int32, positions []int64, see observer) error {
	for {
		if ends := f.ends.Load(); ends != nil && !slices.ContainsFunc(group, func(p int32) bool { return positions[p] < (*ends)[p] }) {
			return nil
		}
		err := consumer.Poll(ctx, func(p int32, offset int64, _, value []byte) {
			if offset < positions[p] {
				return
			}
			see(p, offset, value)
			positions[p] = offset + 1
			f.received.Add(1)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// finish lets the followers read up to ends and stops them; ctx bounds the wait.
func (f *followers) finish(ctx context.Context, ends []int64) error {
	f.ends.Store(&ends)
	release := context.AfterFunc(ctx, f.cancel)
	f.all.Wait()
	release()
	f.cancel()
	if err := errors.Join(f.errs...); err != nil {
		return fmt.Errorf("end-to-end consumers: %w", err)
	}
	return nil
}

// stop ends them where they are.
func (f *followers) stop() {
	f.cancel()
	f.all.Wait()
}
