package share

import "slices"

// DeliveryState is what became of a record. The numbers are Kafka's
// (RecordState), stored and sent.
type DeliveryState int8

const (
	// Available: any member may acquire it.
	Available DeliveryState = 0
	// Acquired: a member has it, until it answers or its lock is over. Never stored.
	Acquired DeliveryState = 1
	// Acknowledged: it was processed.
	Acknowledged DeliveryState = 2
	// Archived: nobody gets it any more: rejected, delivered too often, or not
	// there to be delivered.
	Archived DeliveryState = 4
)

// terminal tells that a record is finished.
func (d DeliveryState) terminal() bool { return d == Acknowledged || d == Archived }

// Batch is a run of offsets in one state, delivered Count times.
type Batch struct {
	First, Last int64
	State       DeliveryState
	Count       int16
}

func (b Batch) same(c Batch) bool { return b.State == c.State && b.Count == c.Count }

// weaker tells that c says more about a record than b: that it was delivered
// more often, or is further on its way.
func (b Batch) weaker(c Batch) bool {
	return b.Count < c.Count || b.Count == c.Count && b.State < c.State
}

// unknownComplete stands for a delivery complete count that nobody told.
const unknownComplete = -1

// State is what is stored of a key.
type State struct {
	// Epoch is the state's: it rises when the state is initialized anew, and
	// what was read before may not be written any more.
	Epoch       int32
	LeaderEpoch int32
	// Start is -1 for a key that has no offset yet.
	Start int64
	// Complete counts the finished records from Start on, -1 when nobody told.
	Complete int32
	// Batches are ascending, apart, and end at Start or above. An offset from
	// Start on that is in none is Available and was never delivered.
	Batches []Batch
}

// combine puts newer batches over what is there: of what two say about an
// offset the stronger holds, so that the order in which they are put does not
// matter. Neither list is changed. Below start nothing is kept
// (Kafka's PersisterStateBatchCombiner).
func combine(start int64, there, newer []Batch) []Batch {
	merged := merge(there, normalize(newer))
	for len(merged) > 0 && merged[0].Last < start {
		merged = merged[1:]
	}
	if len(merged) > 0 {
		merged[0].First = max(merged[0].First, start)
	}
	return merged
}

// normalize sorts batches and parts those that overlap.
func normalize(list []Batch) []Batch {
	apart := true
	for i := 1; i < len(list) && apart; i++ {
		apart = list[i-1].Last < list[i].First
	}
	if apart {
		return list
	}
	half := len(list) / 2
	return merge(normalize(list[:half]), normalize(list[half:]))
}

// merge merges two ascending lists, each without overlap, into a new one.
func merge(a, b []Batch) []Batch {
	a, b = slices.Clone(a), slices.Clone(b) // their heads are cut
	out := make([]Batch, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if b[0].First < a[0].First {
			a, b = b, a
		}
		head := a[0]
		switch {
		case head.Last < b[0].First: // before the other
		case head.First < b[0].First:
			head.Last = b[0].First - 1
		default: // both begin here
			if head.weaker(b[0]) {
				head.State, head.Count = b[0].State, b[0].Count
			}
			head.Last = min(head.Last, b[0].Last)
			b = after(b, head.Last)
		}
		a = after(a, head.Last)
		out = join(out, head)
	}
	for _, rest := range [][]Batch{a, b} {
		for _, batch := range rest {
			out = join(out, batch)
		}
	}
	return out
}

// after cuts off what the first batch has up to an offset that it has.
func after(list []Batch, last int64) []Batch {
	if list[0].Last <= last {
		return list[1:]
	}
	list[0].First = last + 1
	return list
}

// join appends a batch that lies behind the last one, or makes that longer.
func join(list []Batch, b Batch) []Batch {
	if n := len(list); n > 0 && list[n-1].Last+1 == b.First && list[n-1].same(b) {
		list[n-1].Last = b.Last
		return list
	}
	return append(list, b)
}
