package share

// release takes back what a member has and did not answer for: it goes away.
// These deliveries do not count. The change is nil when it has nothing.
func (f *inflight) release(member string, limit int16) *change {
	c := &change{}
	f.each(func(r run) run {
		if r.state != Acquired || r.member != member || r.change != nil {
			return r
		}
		r.change, r.nextCount = c, max(r.count-1, 0)
		r.next = run{count: r.nextCount}.returned(limit)
		c.add(r, r.next, r.nextCount)
		return r
	})
	return c.orNil()
}

// unacquire takes back what an acquisition has just given a member that was
// not told of it. These deliveries did not happen, and nothing of them is stored.
func (f *inflight) unacquire(member string, given []Batch) {
	spans := make([]span, len(given))
	for i, b := range given {
		spans[i] = span{b.First, b.Last}
	}
	f.rewrite(spans, func(r run, _ int) run {
		if r.state != Acquired || r.member != member || r.change != nil {
			return r
		}
		return r.settled(Available, max(r.count-1, 0))
	})
}

// expire takes back at once what members had for too long. The change says
// what to store; records that were delivered too often hold the start until
// it is. It is nil when no lock is over.
func (f *inflight) expire(nowMs int64, limit int16) *change {
	c := &change{}
	f.each(func(r run) run {
		if r.state != Acquired || r.change != nil || r.lockMs > nowMs {
			return r
		}
		r = r.settled(r.returned(limit), r.count)
		c.add(r, r.state, r.count)
		if r.state == Archived {
			r.change = c
		}
		return r
	})
	return c.orNil()
}

// nextLock is when the first lock is over, in Unix milliseconds; false when
// no record is locked.
func (f *inflight) nextLock() (atMs int64, any bool) {
	for _, r := range f.runs {
		if r.state == Acquired && r.change == nil && (!any || r.lockMs < atMs) {
			atMs, any = r.lockMs, true
		}
	}
	return atMs, any
}
