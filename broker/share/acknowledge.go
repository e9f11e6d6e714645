package share

import (
	"fmt"

	"fluxmq/broker/protocol"
)

// What a member says of a record (KIP-932, KIP-1222).
const (
	AckGap     int8 = 0 // there is no such record
	AckAccept  int8 = 1 // it was processed
	AckRelease int8 = 2 // it is to be delivered again
	AckReject  int8 = 3 // it cannot be processed, ever
	AckRenew   int8 = 4 // it takes longer than the lock
)

// Acknowledgement is what a member says of the records from First to Last: one
// type for all of them, or one for each.
type Acknowledgement struct {
	First, Last int64
	Types       []int8
}

// CheckAcknowledgements refuses with INVALID_REQUEST what no share partition
// could take: batches that are not ascending and apart, with one type or as
// many as records. renews tells whether the request may renew locks.
func CheckAcknowledgements(list []Acknowledgement, renews bool) error {
	last := int64(-1)
	for _, a := range list {
		switch {
		case a.First > a.Last || a.First <= last:
			return fmt.Errorf("%w: acknowledged records from %d to %d", protocol.ErrInvalidRequest, a.First, a.Last)
		case len(a.Types) == 0 || len(a.Types) > 1 && int64(len(a.Types)) != a.Last-a.First+1:
			return fmt.Errorf("%w: %d acknowledge types for the records from %d to %d", protocol.ErrInvalidRequest, len(a.Types), a.First, a.Last)
		}
		for _, t := range a.Types {
			if t < AckGap || t > AckRenew || t == AckRenew && !renews {
				return fmt.Errorf("%w: acknowledge type %d", protocol.ErrInvalidRequest, t)
			}
		}
		last = a.Last
	}
	return nil
}

// answers is one Acknowledge input.
type answers struct {
	member        string
	list          []Acknowledgement // as CheckAcknowledgements wants them
	nowMs, lockMs int64             // lockMs: until when renewed records are the member's
	deliveryLimit int16
	renews        bool // whether records may be renewed
}

// acknowledge takes what a member says of records that it has: all of it or,
// with an error, nothing. INVALID_RECORD_STATE says that one of them is not
// the member's (any more), INVALID_REQUEST that one was never delivered. What
// lies below the start is ignored: it is finished. The change is nil when
// nothing is to be stored.
func (f *inflight) acknowledge(a answers) (*change, error) {
	spans, types, err := f.spoken(a)
	if err != nil {
		return nil, err
	}
	f.visit(spans, func(r run, at int) bool {
		if r.hole {
			return true
		}
		if r.state != Acquired || r.member != a.member || r.change != nil {
			err = fmt.Errorf("%w: the records from %d to %d are not the member's to answer for", protocol.ErrInvalidRecordState, r.first, r.last)
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	c := &change{}
	f.rewrite(spans, func(r run, at int) run {
		switch {
		case r.hole:
			return r
		case types[at] == AckRenew:
			r.lockMs = a.lockMs
			return r
		}
		r.change, r.next, r.nextCount = c, r.becomes(types[at], a.deliveryLimit), r.count
		c.add(r, r.next, r.nextCount)
		return r
	})
	return c.orNil(), nil
}

// becomes is the state of an acquired record after an answer.
func (r run) becomes(answer int8, limit int16) DeliveryState {
	switch answer {
	case AckAccept:
		return Acknowledged
	case AckRelease:
		return r.returned(limit)
	}
	return Archived // a gap, or rejected
}

// returned is the state of a record that a member had and did not finish.
func (r run) returned(limit int16) DeliveryState {
	if r.count >= limit {
		return Archived
	}
	return Available
}

// spoken is what an input is about, with the answer to each span.
func (f *inflight) spoken(a answers) (spans []span, types []int8, err error) {
	for _, b := range a.list {
		switch {
		case b.Last < f.start:
			continue
		case len(f.runs) == 0:
			return nil, nil, fmt.Errorf("%w: no record is in flight", protocol.ErrInvalidRecordState)
		case b.Last >= f.next:
			return nil, nil, fmt.Errorf("%w: the records from %d to %d were never delivered", protocol.ErrInvalidRequest, max(b.First, f.next), b.Last)
		}
		if len(b.Types) == 1 {
			spans, types = append(spans, span{max(b.First, f.start), b.Last}), append(types, b.Types[0])
			continue
		}
		for offset := max(b.First, f.start); offset <= b.Last; offset++ {
			answer := b.Types[offset-b.First]
			if n := len(spans); n > 0 && types[n-1] == answer && spans[n-1].last+1 == offset {
				spans[n-1].last = offset
				continue
			}
			spans, types = append(spans, span{offset, offset}), append(types, answer)
		}
	}
	for _, answer := range types {
		if answer == AckRenew && !a.renews {
			return nil, nil, fmt.Errorf("%w: locks are not renewed (share.renew.acknowledge.enable)", protocol.ErrInvalidRecordState)
		}
	}
	return spans, types, nil
}
