package share

// LogBatch is a record batch of the log as far as an acquisition looks at it.
type LogBatch struct {
	Base, Last int64
	// Skip tells that no record of it is delivered: a control batch, or one of
	// an aborted transaction to a group that reads committed records.
	Skip bool
}

// acquisition is what a member asks for, with what the log has from the
// machine's fetchOffset on.
type acquisition struct {
	member  string
	offset  int64      // where the log was read
	batches []LogBatch // ascending; nothing that the log has is left out between them
	most    int64      // records
	// strict gives never more than most records. Else whole batches of the log
	// are given until most is reached, for a client decompresses them whole.
	strict bool
	// batchSize is how many records are in a run of the answer at most, if the
	// log's batches allow it.
	batchSize int64
	lockMs    int64 // until when the records are the member's, Unix milliseconds

	deliveryLimit int16
	locks         int64 // records in flight at most
}

// segment is a batch of the log, or a stretch where it has nothing to deliver.
type segment struct {
	span
	base int64 // of the batch
	hole bool
}

// segments is what the log has from the acquisition's offset on, without gap.
func (a *acquisition) segments() []segment {
	list := make([]segment, 0, len(a.batches))
	at := a.offset
	for _, b := range a.batches {
		if b.Last < at {
			continue
		}
		if b.Base > at {
			list = append(list, segment{span{at, b.Base - 1}, at, true})
			at = b.Base
		}
		list = append(list, segment{span{at, b.Last}, b.Base, b.Skip})
		at = b.Last + 1
	}
	return list
}

// picked is a part of a run that an acquisition is about to change.
type picked struct {
	span
	state DeliveryState // what it becomes
	hole  bool
}

// taking is an acquisition on its way.
type taking struct {
	acquisition
	taken int64
	over  bool // nothing more is to be taken
	picks []picked
	given []Batch // the answer
}

// acquire gives a member records: first those that came back, then new ones.
// It returns them in runs with their delivery counts; it may return none and
// yet have moved on, over holes.
func (f *inflight) acquire(a acquisition) []Batch {
	room := a.locks - (f.next - f.start)
	newOnes := room > 0
	if !newOnes {
		room = f.next - a.offset // what is in flight already may be given again
	}
	if a.most = min(a.most, room); a.most <= 0 {
		return nil
	}
	t := &taking{acquisition: a}
	segments := a.segments()
	t.again(f, segments)
	spans := make([]span, len(t.picks))
	for i, p := range t.picks {
		spans[i] = p.span
	}
	f.rewrite(spans, func(r run, at int) run {
		p := t.picks[at]
		if p.state == Acquired {
			r = r.settled(Acquired, r.count+1)
			r.member, r.lockMs = a.member, a.lockMs
			return r
		}
		r = r.settled(p.state, r.count)
		r.hole = p.hole
		return r
	})
	if newOnes {
		t.fresh(f, segments)
	}
	f.advance()
	return t.given
}

// again picks records that are available again.
func (t *taking) again(f *inflight, segments []segment) {
	first := 0
	for _, r := range f.runs {
		if r.state != Available {
			continue
		}
		for first < len(segments) && segments[first].last < r.first {
			first++
		}
		begun := false
		for at := first; at < len(segments) && segments[at].first <= r.last; at++ {
			s := segments[at]
			part := r
			part.first, part.last = max(r.first, s.first), min(r.last, s.last)
			switch {
			case s.hole:
				t.picks = append(t.picks, picked{part.span(), Archived, true})
			case r.count >= t.deliveryLimit: // the limit was higher
				t.picks = append(t.picks, picked{part.span(), Archived, false})
			default:
				if t.takeAgain(part, begun); t.over {
					return
				}
				begun = true
			}
		}
	}
}

func (r run) span() span { return span{r.first, r.last} }

// takeAgain takes a part of a run, within one batch of the log. more tells
// that the part before it was of the same run.
func (t *taking) takeAgain(part run, more bool) {
	if t.taken >= t.most {
		t.over = true
		return
	}
	if few := part.throttled(t.deliveryLimit); few > 0 {
		// What failed often comes alone, and in small parts, so that one bad
		// record does not take its neighbours to their limit.
		if t.over = t.taken > 0; t.over {
			return
		}
		part.last = min(part.last, part.first+few-1)
		t.over = true
	}
	if t.strict {
		part.last = min(part.last, part.first+t.most-t.taken-1)
	}
	t.taken += part.length()
	t.picks = append(t.picks, picked{part.span(), Acquired, false})
	given := Batch{First: part.first, Last: part.last, State: Acquired, Count: part.count + 1}
	if more {
		t.given = join(t.given, given)
	} else {
		t.given = append(t.given, given)
	}
}

// throttled is how many records of a run that was delivered often are
// delivered at once, 0 for one that was not: from half the limit on ever fewer,
// and at the last delivery one.
func (r run) throttled(limit int16) int64 {
	from := max(2, (limit+1)/2)
	switch {
	case r.count < from:
		return 0
	case limit > 2 && r.count == limit-1:
		return 1
	}
	return max(1, r.size>>(r.count-from+1))
}

// fresh takes records that were never delivered.
func (t *taking) fresh(f *inflight, segments []segment) {
	began := f.next
	for _, s := range segments {
		if s.last < f.next {
			continue
		}
		if t.over || t.taken >= t.most {
			break
		}
		r := run{first: max(s.first, f.next), last: s.last}
		if s.hole {
			r.state, r.hole = Archived, true
			f.runs = joinRun(f.runs, r)
			f.next = r.last + 1
			continue
		}
		if t.strict {
			r.last = min(r.last, r.first+t.most-t.taken-1)
		}
		f.next = r.last + 1
		t.taken += r.length()
		t.give(r, s.base)
		r.state, r.count, r.member, r.lockMs = Acquired, 1, t.member, t.lockMs
		f.runs = append(f.runs, r)
	}
	t.size(f, began)
}

// give adds new records to the answer's last run, or begins another.
func (t *taking) give(r run, base int64) {
	given := Batch{First: r.first, Last: r.last, State: Acquired, Count: 1}
	if n := len(t.given); n > 0 && base-t.given[n-1].First < t.batchSize {
		t.given = join(t.given, given)
		return
	}
	t.given = append(t.given, given)
}

// size notes how many records the new runs, from an offset on, were given with.
func (t *taking) size(f *inflight, began int64) {
	at := len(t.given) - 1
	for i := len(f.runs) - 1; i >= 0 && f.runs[i].first >= began; i-- {
		r := &f.runs[i]
		if r.hole {
			continue
		}
		for t.given[at].First > r.first {
			at--
		}
		r.size = t.given[at].Last - t.given[at].First + 1
	}
	f.each(func(r run) run { return r }) // joins those that are alike now
}
