package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/group"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
)

// acksAll is how markers are written: what a transaction was told to be
// survives what acks=all survives.
const acksAll = -1

// StartMarker writes a transaction's marker to one partition, at once. finish,
// called once, returns when the marker is durable and, in __consumer_offsets, the
// group coordinator has acted on it; or when ctx ends, with REQUEST_TIMED_OUT. The
// coordinator of this node starts all markers of a transaction before it finishes
// the first, so that they share their fdatasyncs; it may write a marker again
// that was not finished.
func (h *Handler) StartMarker(topic string, index int32, m partition.Marker) (finish func(ctx context.Context) error) {
	if topic == group.OffsetsTopic && h.Groups != nil && h.Groups.Enabled() {
		return h.endOffsets(index, m)
	}
	written := make(chan error, 1)
	p := h.Partitions.Find([]byte(topic), index)
	if p == nil {
		written <- protocol.ErrUnknownTopicOrPartition
	} else if appended, err := p.AppendMarker(m); err != nil || !p.MustWait(acksAll) {
		written <- err
	} else {
		p.WhenDurable(appended.LastOffset+1, func(err error) { written <- err })
	}
	return func(ctx context.Context) error {
		select {
		case err := <-written:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%w: the marker in %s-%d is not durable yet", protocol.ErrRequestTimedOut, topic, index)
		}
	}
}

// endOffsets lets the group coordinator write the marker: nobody else writes to
// its partitions, so that the offsets of the transaction become visible, or go,
// just when the marker says so.
func (h *Handler) endOffsets(index int32, m partition.Marker) func(ctx context.Context) error {
	// The coordinator's own deadlines bound the call.
	reply := h.Groups.EndTransaction(context.Background(), index, group.TransactionEnd{
		ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch,
		Version: m.TransactionVersion, Commit: m.Commit,
	})
	return func(ctx context.Context) error { return offsetsError(reply.Wait(ctx)) }
}

// offsetsError is what Kafka tells a transaction coordinator of a group
// coordinator that is not there: it tries again.
func offsetsError(err error) error {
	switch protocol.CodeOf(err) {
	case protocol.ErrCoordinatorNotAvailable.Code, protocol.ErrCoordinatorLoadInProgress.Code, protocol.ErrNotCoordinator.Code:
		return fmt.Errorf("%w: %w", protocol.ErrNotLeaderOrFollower, err)
	}
	return err
}
