package share

// run is a stretch of offsets that have everything in common.
type run struct {
	first, last int64
	state       DeliveryState
	count       int16 // of deliveries, the present one included
	// hole tells that there is no record to deliver; the state is Archived.
	hole bool
	// size is how many records were acquired together at first: what is
	// delivered again and again comes in ever smaller parts of it.
	size int64

	// Of an Acquired run: who has it, and until when (Unix milliseconds).
	member string
	lockMs int64

	// change is being stored; then an Acquired run becomes next, with
	// nextCount, and an Archived one may be left behind. nil: nothing is.
	change    *change
	next      DeliveryState
	nextCount int16
}

func (r run) length() int64 { return r.last - r.first + 1 }

// alike tells whether two neighbours are one run.
func (r run) alike(o run) bool {
	r.first, r.last, o.first, o.last = 0, 0, 0, 0
	return r == o
}

// finished tells that nobody will ever be delivered the run's records, which
// is also stored, or need not be.
func (r run) finished() bool { return r.state.terminal() && r.change == nil }

// ending tells that the run is finished, or is when what is being stored is.
func (r run) ending() bool {
	return r.state.terminal() || r.change != nil && r.next.terminal()
}

// settled is the run with nothing being stored in a state.
func (r run) settled(state DeliveryState, count int16) run {
	n := run{first: r.first, last: r.last, state: state, count: count, hole: r.hole}
	if !state.terminal() {
		n.size = r.size
	}
	return n
}

// change is what one input made of records, on its way to the log.
type change struct {
	batches []Batch
}

func (c *change) add(r run, state DeliveryState, count int16) {
	c.batches = join(c.batches, Batch{First: r.first, Last: r.last, State: state, Count: count})
}

// orNil is the change, or nil when nothing is in it.
func (c *change) orNil() *change {
	if len(c.batches) == 0 {
		return nil
	}
	return c
}

// span is a stretch of offsets that an input is about.
type span struct{ first, last int64 }

// inflight is the state machine of a share partition (Kafka's SharePartition):
// what became of each record from start on. It has no clock, lock or I/O. An
// input that must be stored returns a change, and complete ends it.
//
// All offsets from start to before next are in runs; those from next on were
// never looked at. start moves over finished records only.
type inflight struct {
	start, next int64
	runs        []run // ascending, without gap
}

// newInflight is the machine of a state that was read. Offsets that it says
// nothing of, but for those above all others, are available.
func newInflight(st State) *inflight {
	f := &inflight{start: st.Start, next: st.Start}
	for _, b := range st.Batches {
		if b.First > f.next {
			f.runs = joinRun(f.runs, run{first: f.next, last: b.First - 1, size: b.First - f.next})
		}
		stored := run{first: b.First, last: b.Last, size: b.Last - b.First + 1}
		f.runs = joinRun(f.runs, stored.settled(b.State, b.Count))
		f.next = b.Last + 1
	}
	f.advance()
	return f
}

// advance moves the start over finished records.
func (f *inflight) advance() {
	done := 0
	for done < len(f.runs) && f.runs[done].finished() {
		done++
	}
	f.runs = f.runs[done:]
	if f.start = f.next; len(f.runs) > 0 {
		f.start = f.runs[0].first
	}
}

// fetchOffset is where to read next: the first available record.
func (f *inflight) fetchOffset() int64 {
	for _, r := range f.runs {
		if r.state == Available {
			return r.first
		}
	}
	return f.next
}

// mayAcquire tells whether there may be something to acquire: a record that
// came back, or room for new ones.
func (f *inflight) mayAcquire(locks int64) bool {
	return f.fetchOffset() != f.next || f.next-f.start < locks
}

// trim forgets what the log does not have any more.
func (f *inflight) trim(logStart int64) {
	for len(f.runs) > 0 && f.runs[0].last < logStart {
		f.runs = f.runs[1:]
	}
	if len(f.runs) > 0 {
		f.runs[0].first = max(f.runs[0].first, logStart)
	}
	f.next = max(f.next, logStart)
	f.advance()
}

// completeCount counts the finished records from the start on, those included
// whose end is being stored.
func (f *inflight) completeCount() int32 {
	count := int64(0)
	for _, r := range f.runs {
		if r.ending() {
			count += r.length()
		}
	}
	return int32(min(count, 1<<31-1))
}

// visit shows the parts of runs that lie in spans, which are ascending and
// apart; at is the span's index. It ends when see returns false.
func (f *inflight) visit(spans []span, see func(part run, at int) bool) {
	first := 0
	for _, r := range f.runs {
		for first < len(spans) && spans[first].last < r.first {
			first++
		}
		for at := first; at < len(spans) && spans[at].first <= r.last; at++ {
			part := r
			part.first, part.last = max(r.first, spans[at].first), min(r.last, spans[at].last)
			if !see(part, at) {
				return
			}
		}
	}
}

// rewrite puts what edit makes of the parts of runs that lie in spans in their
// place; edit keeps first and last.
func (f *inflight) rewrite(spans []span, edit func(part run, at int) run) {
	out := make([]run, 0, len(f.runs)+len(spans))
	first := 0
	for _, r := range f.runs {
		for first < len(spans) && spans[first].last < r.first {
			first++
		}
		for at := first; at < len(spans) && spans[at].first <= r.last; at++ {
			if spans[at].first > r.first {
				before := r
				before.last = spans[at].first - 1
				out = joinRun(out, before)
				r.first = spans[at].first
			}
			part := r
			part.last = min(r.last, spans[at].last)
			out = joinRun(out, edit(part, at))
			r.first = part.last + 1
		}
		if r.first <= r.last {
			out = joinRun(out, r)
		}
	}
	f.runs = out
}

// joinRun appends a run that follows the last one, or makes that longer.
func joinRun(list []run, r run) []run {
	if n := len(list); n > 0 && list[n-1].alike(r) {
		list[n-1].last = r.last
		return list
	}
	return append(list, r)
}

// each puts what edit makes of every run in its place.
func (f *inflight) each(edit func(run) run) {
	f.rewrite([]span{{f.start, f.next - 1}}, func(r run, _ int) run { return edit(r) })
}

// complete ends a change: it is stored, or could not be. Then records that a
// member has answered for are still its own, until their lock is over.
func (f *inflight) complete(c *change, stored bool) {
	f.each(func(r run) run {
		if r.change != c {
			return r
		}
		if r.change = nil; stored && r.state == Acquired {
			return r.settled(r.next, r.nextCount)
		}
		r.next, r.nextCount = 0, 0
		return r
	})
	f.advance()
}
