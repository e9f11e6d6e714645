package share

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
)

// Partition is a partition as one group sees it: the machine of its records,
// and who waits for some. Safe for concurrent use.
//
// What happens to records is decided under its mutex and stored without it:
// StartAcknowledge and StartRelease return what waits for the storing, which
// must be called, so that several partitions share the wait.
type Partition struct {
	set *Set
	key Key
	log *partition.Partition

	loaded  chan struct{} // closed when the state was read, or could not be
	loadErr error         // read-only once loaded is closed

	// lockAt (Unix milliseconds) and place are the lock keeper's.
	lockAt int64
	place  int

	mu      sync.Mutex
	machine *inflight // nil before it is loaded
	epoch   int32     // of the state
	gone    bool      // the state was made anew, or deleted: nothing goes any more
	waiters []*partition.Waiter
}

// errGone is for requests that come to a Partition that was dropped; the next
// request opens it anew.
var errGone = fmt.Errorf("%w: the state of the share partition was made anew", protocol.ErrNotLeaderOrFollower)

// Log is the partition that it shares out.
func (p *Partition) Log() *partition.Partition { return p.log }

// begin takes the state that was read. The error is why there is nowhere to begin.
func (p *Partition) begin(st State, c config.ShareGroup) (State, error) {
	if st.Start == -1 {
		start, err := p.beginning(c.OffsetReset)
		if err != nil {
			return st, err
		}
		st.Start, st.Batches = start, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.machine, p.epoch = newInflight(st), st.Epoch
	p.machine.trim(p.log.Offsets().LogStart)
	return st, nil
}

// beginning is where a group begins that has no offset yet
// (share.auto.offset.reset).
func (p *Partition) beginning(reset config.OffsetReset) (int64, error) {
	if err := p.log.Offline(); err != nil {
		return -1, err
	}
	offsets := p.log.Offsets()
	switch {
	case reset.Earliest:
		return offsets.LogStart, nil
	case reset.By > 0:
		offset, _, _, err := p.log.OffsetForTimestamp(p.set.now().Add(-reset.By).UnixMilli(), false)
		if err != nil || offset >= 0 {
			return offset, err
		}
	}
	return offsets.HighWatermark, nil
}

// Watch registers w until Forget: it is told when there may be something to
// acquire. Look again after Watch.
func (p *Partition) Watch(w *partition.Waiter) {
	p.log.Watch(w)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiters = append(p.waiters, w)
}

// Forget removes w.
func (p *Partition) Forget(w *partition.Waiter) {
	p.log.Forget(w)
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiters, w); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
	}
}

// wake tells everybody who watches. p.mu is held.
func (p *Partition) wake() {
	for _, w := range p.waiters {
		select {
		case w.C <- struct{}{}:
		default:
		}
	}
}

// drop ends the use of the state that was read.
func (p *Partition) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	p.wake()
}

// StartAcknowledge takes what a member says of records, all of it or nothing;
// see acknowledge for the errors. finish waits until it is stored, or ctx ends.
func (p *Partition) StartAcknowledge(ctx context.Context, member string, list []Acknowledgement) (finish func(ctx context.Context) error) {
	c := p.set.settings(p.key.Group)
	now := p.set.now()
	return p.change(ctx, func(f *inflight) (*change, error) {
		return f.acknowledge(answers{
			member: member, list: list, nowMs: now.UnixMilli(), lockMs: now.Add(c.LockDuration).UnixMilli(),
			deliveryLimit: c.DeliveryCountLimit, renews: c.RenewEnabled,
		})
	})
}

// StartRelease takes back what a member has: it has gone away.
func (p *Partition) StartRelease(ctx context.Context, member string) (finish func(ctx context.Context) error) {
	limit := p.set.settings(p.key.Group).DeliveryCountLimit
	return p.change(ctx, func(f *inflight) (*change, error) { return f.release(member, limit), nil })
}

// startExpiry takes back the records whose lock is over.
func (p *Partition) startExpiry(ctx context.Context, now time.Time) (finish func(ctx context.Context) error) {
	limit := p.set.settings(p.key.Group).DeliveryCountLimit
	return p.change(ctx, func(f *inflight) (*change, error) {
		c := f.expire(now.UnixMilli(), limit)
		p.keepLocks()
		p.wake()
		return c, nil
	})
}

// change feeds an input to the machine and starts to store what it changed.
func (p *Partition) change(ctx context.Context, input func(*inflight) (*change, error)) (finish func(ctx context.Context) error) {
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		return func(context.Context) error { return errGone }
	}
	c, err := input(p.machine)
	if c == nil {
		p.mu.Unlock()
		return func(context.Context) error { return err }
	}
	w := Write{
		StateEpoch: p.epoch, LeaderEpoch: p.log.LeaderEpoch(),
		Start: p.machine.start, Complete: p.machine.completeCount(), Batches: c.batches,
	}
	p.mu.Unlock()
	reply := p.set.state.Write(ctx, p.key, w)
	return func(ctx context.Context) error { return p.stored(c, reply.Wait(ctx)) }
}

// stored ends a change.
func (p *Partition) stored(c *change, err error) error {
	p.mu.Lock()
	p.machine.complete(c, err == nil)
	p.keepLocks() // of records that are a member's again, or still
	p.wake()
	p.mu.Unlock()
	if err == nil {
		return nil
	}
	if errors.Is(err, protocol.ErrFencedStateEpoch) || errors.Is(err, protocol.ErrFencedLeaderEpoch) || errors.Is(err, protocol.ErrInvalidRequest) {
		p.set.remove(p) // the state is another's, or there is none any more
	}
	return stateError(err)
}

// keepLocks lets the lock keeper come when the first lock is over. p.mu is held.
func (p *Partition) keepLocks() {
	if atMs, any := p.machine.nextLock(); any && !p.gone {
		p.set.keeper.watch(p, atMs)
	}
}

// stateError is what a client is told of an error of the Coordinator
// (SharePartition.fetchPersisterError).
func stateError(err error) error {
	var told *protocol.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, protocol.ErrNotCoordinator), errors.Is(err, protocol.ErrCoordinatorNotAvailable), errors.Is(err, protocol.ErrCoordinatorLoadInProgress):
		told = protocol.ErrCoordinatorNotAvailable
	case errors.Is(err, protocol.ErrUnknownTopicOrPartition):
		return err
	case errors.Is(err, protocol.ErrFencedStateEpoch), errors.Is(err, protocol.ErrFencedLeaderEpoch):
		told = protocol.ErrNotLeaderOrFollower
	default:
		told = protocol.ErrUnknownServerError
	}
	return fmt.Errorf("%w: the state of the share partition: %s", told, err)
}
