package share

import (
	"errors"
	"fmt"
	"testing"

	"fluxmq/broker/protocol"

	"pgregory.net/rapid"
)

// modelRecord is what the model knows of one offset.
type modelRecord struct {
	state  DeliveryState
	count  int16
	owner  string
	lockMs int64
	hole   bool
	// pending is being stored; then the record becomes next.
	pending   *change
	next      DeliveryState
	nextCount int16
	// stored tells that its end is: a restart must know it.
	stored bool
}

// modelWorld drives the machine of one share partition, and a model that has
// an entry for every offset, with members that acquire, answer, lose their
// locks and go away, while the log grows and is deleted from, states are stored
// or are not, and the broker restarts.
type modelWorld struct {
	t        *rapid.T
	f        *inflight
	records  map[int64]*modelRecord
	log      []LogBatch
	end      int64 // of the log
	logStart int64
	nowMs    int64
	limit    int16
	locks    int64
	changes  []pendingChange
	kept     State            // what is stored
	acked    map[int64]string // offset → who acknowledged it for good
	seen     struct{ acquired, acked, again, refused, expired, restarts, failed int }
}

type pendingChange struct {
	c     *change
	start int64
	who   string
}

const (
	lockMs  = 1000
	longest = 8 // records of a batch of the log
)

var modelMembers = []string{"a", "b", "c"}

func newModelWorld(t *rapid.T) *modelWorld {
	w := &modelWorld{
		t: t, records: map[int64]*modelRecord{}, acked: map[int64]string{}, nowMs: 1,
		limit: rapid.Int16Range(2, 6).Draw(t, "limit"), locks: rapid.Int64Range(5, 60).Draw(t, "locks"),
	}
	w.f = newInflight(w.kept)
	return w
}

// grow appends to the log, sometimes behind a gap.
func (w *modelWorld) grow() {
	if rapid.IntRange(0, 5).Draw(w.t, "gap") == 0 {
		w.end += rapid.Int64Range(1, 4).Draw(w.t, "missing")
	}
	b := LogBatch{Base: w.end, Last: w.end + rapid.Int64Range(0, longest-1).Draw(w.t, "records")}
	b.Skip = rapid.IntRange(0, 6).Draw(w.t, "skip") == 0
	w.log = append(w.log, b)
	w.end = b.Last + 1
}

// isRecord tells whether the log has something to deliver at an offset.
func (w *modelWorld) isRecord(offset int64) bool {
	for _, b := range w.log {
		if b.Base <= offset && offset <= b.Last {
			return !b.Skip
		}
	}
	return false
}

// acquire lets a member have records; strict is KIP-1206's record limit.
func (w *modelWorld) acquire(member string, most int64, strict bool) []Batch {
	offset := w.f.fetchOffset()
	var batches []LogBatch
	for _, b := range w.log {
		if b.Last >= offset && len(batches) < 6 {
			batches = append(batches, b)
		}
	}
	if len(batches) == 0 || !w.f.mayAcquire(w.locks) {
		return nil
	}
	before, took := w.f.next, int64(0)
	given := w.f.acquire(acquisition{
		member: member, offset: offset, batches: batches, most: most, strict: strict, batchSize: rapid.Int64Range(1, 20).Draw(w.t, "batch size"),
		lockMs: w.nowMs + lockMs, deliveryLimit: w.limit, locks: w.locks,
	})
	last := int64(-1)
	for _, g := range given {
		if g.First <= last || g.Last < g.First || g.State != Acquired {
			w.t.Fatalf("acquired %s", shown(given))
		}
		last = g.Last
		for o := g.First; o <= g.Last; o++ {
			took++
			r := w.records[o]
			switch {
			case !w.isRecord(o):
				w.t.Fatalf("there is no record %d, and %s has it", o, member)
			case r == nil && (o < before || g.Count != 1):
				w.t.Fatalf("record %d is delivered for the %d. time, and nobody had it", o, g.Count)
			case r != nil && (r.state != Available || g.Count != r.count+1):
				w.t.Fatalf("record %d is delivered for the %d. time, and was %+v", o, g.Count, *r)
			case g.Count > w.limit:
				w.t.Fatalf("record %d is delivered for the %d. time, of %d", o, g.Count, w.limit)
			}
			if r != nil {
				w.seen.again++
			}
			w.records[o] = &modelRecord{state: Acquired, count: g.Count, owner: member, lockMs: w.nowMs + lockMs}
		}
	}
	w.seen.acquired += int(took)
	if strict && took > most || took >= most+longest {
		w.t.Fatalf("%d records are acquired, %d are asked for", took, most)
	}
	if w.f.next-w.f.start > w.locks+6*(longest+4) && w.f.next > before { // holes do not count
		w.t.Fatalf("%d records are in flight, %d may be", w.f.next-w.f.start, w.locks)
	}
	if len(given) == 0 && w.f.fetchOffset() <= offset {
		w.t.Fatalf("nothing is acquired at %d, and the next fetch is at %d", offset, w.f.fetchOffset())
	}
	// What was passed over has no record.
	for o := max(before, w.logStart); o < w.f.next; o++ {
		if w.records[o] == nil {
			if w.isRecord(o) {
				w.t.Fatalf("record %d is passed over", o)
			}
			w.records[o] = &modelRecord{state: Archived, hole: true}
		}
	}
	w.f.visit([]span{{0, w.f.next}}, func(r run, _ int) bool {
		for o := r.first; o <= r.last; o++ {
			if m := w.records[o]; m.state == Available && r.state == Archived {
				if w.isRecord(o) && m.count < w.limit {
					w.t.Fatalf("record %d is archived, delivered %d times", o, m.count)
				}
				m.state, m.hole = Archived, r.hole
			}
		}
		return true
	})
	// So has what the start has left behind.
	for o, m := range w.records {
		if o < w.f.start && m.state == Available && !w.isRecord(o) {
			m.state, m.hole = Archived, true
		}
	}
	return given
}

// owned are the offsets that the model says a member has.
func (w *modelWorld) owned(member string) []int64 {
	var list []int64
	for o := w.f.start; o < w.f.next; o++ {
		if r := w.records[o]; r.state == Acquired && r.owner == member && r.pending == nil {
			list = append(list, o)
		}
	}
	return list
}

// someAnswers draws what a member says: mostly of records that it has.
func (w *modelWorld) someAnswers(member string) []Acknowledgement {
	var list []Acknowledgement
	answer := func() int8 {
		return rapid.SampledFrom([]int8{AckGap, AckAccept, AckAccept, AckAccept, AckRelease, AckReject, AckRenew}).Draw(w.t, "answer")
	}
	if rapid.IntRange(0, 4).Draw(w.t, "nonsense") == 0 {
		first := max(w.f.start-3, 0) + rapid.Int64Range(0, 10).Draw(w.t, "first")
		last := first + rapid.Int64Range(0, 10).Draw(w.t, "length")
		return []Acknowledgement{{first, last, []int8{answer()}}}
	}
	skips := rapid.Bool().Draw(w.t, "skips")
	for _, o := range w.owned(member) {
		if skips && rapid.Bool().Draw(w.t, "skip") {
			continue
		}
		n := len(list)
		switch {
		case n > 0 && list[n-1].Last+1 == o && len(list[n-1].Types) == int(o-list[n-1].First) && rapid.IntRange(0, 3).Draw(w.t, "apart") > 0:
			list[n-1].Last, list[n-1].Types = o, append(list[n-1].Types, answer())
		default:
			list = append(list, Acknowledgement{o, o, []int8{answer()}})
		}
	}
	return list
}

// acknowledge tells the machine what a member says, and holds it to the model.
func (w *modelWorld) acknowledge(member string, list []Acknowledgement) {
	if err := CheckAcknowledgements(list, true); err != nil {
		w.t.Fatal(err)
	}
	want := w.predict(member, list)
	c, err := w.f.acknowledge(answers{
		member: member, list: list, nowMs: w.nowMs, lockMs: w.nowMs + lockMs, deliveryLimit: w.limit, renews: true,
	})
	if nameOf(err) != want {
		w.t.Fatalf("%s says %v: %v, want %s", member, list, err, want)
	}
	if err != nil {
		w.seen.refused++
		return
	}
	for _, a := range list {
		for o := max(a.First, w.f.start); o <= a.Last; o++ {
			r, answer := w.records[o], a.Types[0]
			if len(a.Types) > 1 {
				answer = a.Types[o-a.First]
			}
			if r.hole {
				continue
			}
			if answer == AckRenew {
				r.lockMs = w.nowMs + lockMs
				continue
			}
			r.pending, r.nextCount = c, r.count
			switch {
			case answer == AckAccept:
				r.next = Acknowledged
			case answer == AckRelease && r.count < w.limit:
				r.next = Available
			default:
				r.next = Archived
			}
		}
	}
	w.note(c, member)
}

func (w *modelWorld) predict(member string, list []Acknowledgement) string {
	for _, a := range list {
		switch {
		case a.Last < w.f.start:
		case w.f.start == w.f.next:
			return protocol.ErrInvalidRecordState.Name
		case a.Last >= w.f.next:
			return protocol.ErrInvalidRequest.Name
		}
	}
	for _, a := range list {
		for o := max(a.First, w.f.start); o <= a.Last; o++ {
			if r := w.records[o]; !r.hole && (r.state != Acquired || r.owner != member || r.pending != nil) {
				return protocol.ErrInvalidRecordState.Name
			}
		}
	}
	return "ok"
}

// note remembers a change that is on its way.
func (w *modelWorld) note(c *change, who string) {
	if c != nil {
		w.changes = append(w.changes, pendingChange{c, w.f.start, who})
	}
}

// complete ends a change: it is stored, or it is not.
func (w *modelWorld) complete(at int, stored bool) {
	p := w.changes[at]
	w.changes = append(w.changes[:at:at], w.changes[at+1:]...)
	w.f.complete(p.c, stored)
	for o, r := range w.records {
		if r.pending != p.c {
			continue
		}
		r.pending = nil
		if !stored || r.state != Acquired {
			continue
		}
		if r.next == Acknowledged {
			if who, twice := w.acked[o]; twice {
				w.t.Fatalf("record %d is acknowledged by %s and by %s", o, who, p.who)
			}
			w.acked[o] = p.who
			w.seen.acked++
		}
		r.state, r.count, r.owner = r.next, r.nextCount, ""
	}
	if !stored {
		w.seen.failed++
		return
	}
	w.kept.Start = max(w.kept.Start, p.start)
	w.kept.Batches = combine(w.kept.Start, w.kept.Batches, p.c.batches)
	for _, b := range p.c.batches {
		for o := b.First; o <= b.Last; o++ {
			if r := w.records[o]; r != nil && b.State.terminal() {
				r.stored = true
			}
		}
	}
}

func (w *modelWorld) release(member string) {
	c := w.f.release(member, w.limit)
	for _, r := range w.records {
		if r.state == Acquired && r.owner == member && r.pending == nil {
			r.pending, r.next, r.nextCount = c, Available, r.count-1
		}
	}
	w.note(c, member)
}

func (w *modelWorld) expire() {
	c := w.f.expire(w.nowMs, w.limit)
	for _, r := range w.records {
		if r.state != Acquired || r.pending != nil || r.lockMs > w.nowMs {
			continue
		}
		w.seen.expired++
		if r.state, r.owner = Available, ""; r.count >= w.limit {
			r.state, r.pending = Archived, c
		}
	}
	w.note(c, "")
	if at, any := w.f.nextLock(); any && at <= w.nowMs {
		w.t.Fatalf("a lock of %d is not over at %d", at, w.nowMs)
	}
}

// cut deletes from the log.
func (w *modelWorld) cut() {
	w.logStart = min(w.end, w.logStart+rapid.Int64Range(0, 6).Draw(w.t, "deleted"))
	for len(w.log) > 0 && w.log[0].Last < w.logStart {
		w.log = w.log[1:]
	}
	w.f.trim(w.logStart)
	for o := range w.records {
		if o < w.logStart {
			delete(w.records, o)
		}
	}
}

// restart makes the machine anew of what is stored. What was acknowledged for
// good stays so; what was not is available again.
func (w *modelWorld) restart() {
	w.seen.restarts++
	f := newInflight(w.kept)
	f.trim(w.logStart)
	if f.start > w.f.start {
		w.t.Fatalf("after a restart the start is %d, before it was %d", f.start, w.f.start)
	}
	back := map[int64]*modelRecord{}
	for _, r := range f.runs {
		for o := r.first; o <= r.last; o++ {
			was := w.records[o]
			if was != nil && was.stored != r.state.terminal() && !(was.hole && !r.state.terminal()) {
				w.t.Fatalf("record %d was %+v and came back in state %d", o, *was, r.state)
			}
			back[o] = &modelRecord{state: r.state, count: r.count, stored: r.state.terminal()}
		}
	}
	for o := w.logStart; o < f.start; o++ {
		if r := w.records[o]; r != nil && !(r.state.terminal() && r.pending == nil) {
			w.t.Fatalf("record %d was %+v and lies below the start %d", o, *r, f.start)
		} else if r != nil {
			back[o] = r
		}
	}
	w.f, w.records, w.changes = f, back, nil
}

// check compares the machine with the model, offset by offset.
func (w *modelWorld) check() {
	at := w.f.start
	complete := int32(0)
	for i, r := range w.f.runs {
		if r.first != at || r.last < r.first || i > 0 && w.f.runs[i-1].alike(r) {
			w.t.Fatalf("the runs from %d are %+v", w.f.start, w.f.runs)
		}
		for ; at <= r.last; at++ {
			m := w.records[at]
			if m == nil {
				w.t.Fatalf("record %d is known, in state %d", at, r.state)
			}
			if m.state != r.state || m.count != r.count && !m.hole || m.owner != r.member || m.hole != r.hole || m.pending != r.change ||
				m.pending != nil && m.state == Acquired && (m.next != r.next || m.nextCount != r.nextCount) || m.state == Acquired && m.lockMs != r.lockMs {
				w.t.Fatalf("record %d is %+v, want %+v", at, r, *m)
			}
			if m.count > w.limit || m.state == Available && m.count >= w.limit {
				w.t.Fatalf("record %d was delivered %d times, and is in state %d", at, m.count, m.state)
			}
			if m.state.terminal() || m.pending != nil && m.next.terminal() {
				complete++
			}
		}
	}
	if at != w.f.next {
		w.t.Fatalf("the runs end at %d, next is %d", at, w.f.next)
	}
	if got := w.f.completeCount(); got != complete {
		w.t.Fatalf("%d records are finished, want %d", got, complete)
	}
	for o, m := range w.records {
		if o < w.f.start && (!m.state.terminal() || m.pending != nil) {
			w.t.Fatalf("the start is %d, and record %d is %+v", w.f.start, o, *m)
		}
	}
}

// drain lets one member finish all there is: nothing may be lost.
func (w *modelWorld) drain() {
	for round := 0; w.f.start < w.end; round++ {
		if round > 10_000 {
			w.t.Fatalf("from %d to %d nothing is finished: %+v", w.f.start, w.end, w.f.runs)
		}
		for len(w.changes) > 0 {
			w.complete(0, true)
		}
		w.nowMs += 2 * lockMs
		w.expire()
		for len(w.changes) > 0 {
			w.complete(0, true)
		}
		w.acquire("last", 100, false)
		var list []Acknowledgement
		for _, o := range w.owned("last") {
			list = append(list, Acknowledgement{o, o, []int8{AckAccept}})
		}
		w.acknowledge("last", list)
		w.check()
		if len(w.log) == 0 || w.log[len(w.log)-1].Last < w.f.start {
			break // what is left of the log has no batch
		}
	}
	for len(w.changes) > 0 {
		w.complete(0, true)
	}
	w.check()
	for _, b := range w.log {
		for o := max(b.Base, w.logStart); o <= b.Last && !b.Skip; o++ {
			if m := w.records[o]; m == nil || !m.state.terminal() {
				w.t.Fatalf("record %d is lost", o)
			}
		}
	}
}

// TestRandomRecords: no record is acknowledged by two, none is lost, none is
// delivered more often than it may be, the start moves over finished records
// only, and a restart knows what was stored.
func TestRandomRecords(t *testing.T) {
	var acquired, acked, again, refused, expired, restarts, failed int
	rapid.Check(t, func(t *rapid.T) {
		w := newModelWorld(t)
		member := func() string { return rapid.SampledFrom(modelMembers).Draw(t, "member") }
		acquire := func(*rapid.T) {
			w.acquire(member(), rapid.Int64Range(1, 20).Draw(t, "most"), rapid.Bool().Draw(t, "strict"))
		}
		acknowledge := func(*rapid.T) {
			who := member()
			w.acknowledge(who, w.someAnswers(who))
		}
		complete := func(*rapid.T) {
			if len(w.changes) > 0 {
				w.complete(rapid.IntRange(0, len(w.changes)-1).Draw(t, "change"), rapid.IntRange(0, 5).Draw(t, "fails") > 0)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"":     func(*rapid.T) { w.check() },
			"grow": func(*rapid.T) { w.grow() }, "grow again": func(*rapid.T) { w.grow() },
			"acquire": acquire, "acquire again": acquire, "acknowledge": acknowledge, "acknowledge again": acknowledge,
			"complete": complete, "complete again": complete, "complete once more": complete,
			"release": func(*rapid.T) { w.release(member()) },
			"time": func(*rapid.T) {
				w.nowMs += rapid.Int64Range(1, lockMs).Draw(t, "ms")
				w.expire()
			},
			"cut":     func(*rapid.T) { w.cut() },
			"restart": func(*rapid.T) { w.restart() },
		})
		w.drain()
		acquired, acked, again, refused = acquired+w.seen.acquired, acked+w.seen.acked, again+w.seen.again, refused+w.seen.refused
		expired, restarts, failed = expired+w.seen.expired, restarts+w.seen.restarts, failed+w.seen.failed
	})
	t.Logf("%d records acquired, %d again, %d acknowledged, %d requests refused, %d locks over, %d changes not stored, %d restarts",
		acquired, again, acked, refused, expired, failed, restarts)
	if !testing.Short() && (acked == 0 || again == 0 || refused == 0 || expired == 0 || failed == 0 || restarts == 0) {
		t.Error("the test misses what it is about")
	}
}

func given(list []Batch) string {
	out := ""
	for i, b := range list {
		if i > 0 {
			out += " "
		}
		out += fmt.Sprintf("%d-%d*%d", b.First, b.Last, b.Count)
	}
	return out
}

// take acquires with settings that hinder nothing, but for what change makes of them.
func take(f *inflight, batches []LogBatch, most int64, change ...func(*acquisition)) string {
	a := acquisition{member: "m", offset: f.fetchOffset(), batches: batches, most: most, batchSize: 500, lockMs: 100, deliveryLimit: 5, locks: 2000}
	for _, c := range change {
		c(&a)
	}
	return given(f.acquire(a))
}

func strictly(a *acquisition) { a.strict = true }

func TestWhatIsAcquired(t *testing.T) {
	tens := []LogBatch{{0, 9, false}, {10, 19, false}, {20, 29, false}}
	f := newInflight(State{})
	expect(t, "the end of the batch that reaches the limit", take(f, tens, 12), "0-19*1")
	expect(t, "the next", take(f, tens[2:], 5), "20-29*1")
	expect(t, "nothing is left", take(f, nil, 5), "")

	f = newInflight(State{})
	expect(t, "the limit is strict", take(f, tens, 12, strictly), "0-11*1")
	expect(t, "the next", take(f, tens[1:], 12, strictly), "12-23*1")

	f = newInflight(State{})
	small := func(a *acquisition) { a.batchSize = 15 }
	expect(t, "in runs of the batch size", take(f, tens, 30, small), "0-19*1 20-29*1")

	f = newInflight(State{})
	room := func(a *acquisition) { a.locks = 15 }
	expect(t, "as many as may be in flight", take(f, tens, 30, room), "0-19*1")
	if f.mayAcquire(15) {
		t.Error("there is room for more")
	}
	expect(t, "and no more", take(f, tens[2:], 30, room), "")
	f.complete(f.release("m", 5), true)
	expect(t, "but those again", take(f, tens, 30, room), "0-19*1")

	f = newInflight(State{Start: 5, Batches: []Batch{{7, 8, Acknowledged, 1}, {12, 12, Available, 2}}})
	expect(t, "what was finished is not delivered", take(f, tens, 30), "5-6*1 9-11*1 12-12*3 13-29*1")

	f = newInflight(State{})
	holes := []LogBatch{{0, 4, false}, {5, 5, true}, {8, 9, false}, {10, 10, true}}
	expect(t, "what cannot be delivered is passed over", take(f, holes, 30), "0-4*1 8-9*1")
	if f.next != 11 {
		t.Errorf("the next offset is %d", f.next)
	}
}

// TestDeliveriesAreThrottled: what fails again and again comes in ever smaller
// parts, and at last alone, so that the good records beside a bad one live.
func TestDeliveriesAreThrottled(t *testing.T) {
	log := []LogBatch{{0, 99, false}, {100, 199, false}}
	f := newInflight(State{})
	nowMs := int64(0)
	fail := func() { // the lock of all that is acquired is over
		nowMs += 1000
		if c := f.expire(nowMs, 5); c != nil {
			f.complete(c, true)
		}
	}
	try := func() string {
		return take(f, log, 500, func(a *acquisition) { a.lockMs = nowMs + 10 })
	}
	expect(t, "first", try(), "0-199*1")
	fail()
	expect(t, "second", try(), "0-199*2")
	fail()
	expect(t, "third", try(), "0-199*3")
	fail()
	expect(t, "fourth, in halves", try(), "0-99*4")
	fail()
	expect(t, "fifth, one by one", try(), "0-0*5")
	c, err := f.acknowledge(answers{member: "m", list: []Acknowledgement{{0, 0, []int8{AckRelease}}}, deliveryLimit: 5})
	if err != nil || shown(c.batches) != "[0-0 gone*5]" {
		t.Fatalf("%v, %v", c, err)
	}
	f.complete(c, true)
	if f.start != 1 {
		t.Errorf("the start is %d", f.start)
	}
}

func TestAnswers(t *testing.T) {
	f := newInflight(State{})
	take(f, []LogBatch{{0, 19, false}, {20, 24, true}, {25, 29, false}}, 30)
	say := func(member string, first, last int64, types ...int8) string {
		c, err := f.acknowledge(answers{member: member, list: []Acknowledgement{{first, last, types}}, lockMs: 500, deliveryLimit: 5, renews: true})
		if err != nil {
			return nameOf(err)
		}
		if c == nil {
			return "nothing to store"
		}
		f.complete(c, true)
		return shown(c.batches)
	}
	expect(t, "somebody else's", say("x", 0, 0, AckAccept), "INVALID_RECORD_STATE")
	expect(t, "what was never delivered", say("m", 25, 30, AckAccept), "INVALID_REQUEST")
	expect(t, "one type for each", say("m", 0, 4, AckAccept, AckAccept, AckRelease, AckReject, AckGap), "[0-1 acked*1, 2-2 free*1, 3-4 gone*1]")
	if f.start != 2 {
		t.Errorf("the start is %d", f.start)
	}
	expect(t, "what is finished already", say("m", 0, 1, AckAccept), "nothing to store")
	expect(t, "what is not the member's any more", say("m", 2, 6, AckAccept), "INVALID_RECORD_STATE")
	expect(t, "over a hole", say("m", 19, 25, AckAccept), "[19-19 acked*1, 25-25 acked*1]")
	expect(t, "more time", say("m", 5, 9, AckRenew), "nothing to store")
	if c := f.expire(100, 5); shown(c.batches) != "[10-18 free*1, 26-29 free*1]" {
		t.Errorf("over are the locks of %s", shown(c.batches))
	}
	if at, any := f.nextLock(); !any || at != 500 {
		t.Errorf("the next lock is over at %d", at)
	}
	_, err := f.acknowledge(answers{member: "m", list: []Acknowledgement{{5, 5, []int8{AckRenew}}}, deliveryLimit: 5})
	expect(t, "more time where there is none", nameOf(err), "INVALID_RECORD_STATE")
	if c := f.release("m", 5); shown(c.batches) != "[5-9 free*0]" {
		t.Errorf("released are %s", shown(c.batches))
	}
}

// TestDeliveriesThatDidNotHappen: what is taken back at once counts as before,
// but for what was answered meanwhile and what another member has.
func TestDeliveriesThatDidNotHappen(t *testing.T) {
	log := []LogBatch{{0, 4, false}, {5, 9, false}}
	f := newInflight(State{Batches: []Batch{{0, 4, Available, 3}}})
	a := acquisition{member: "m", batches: log, most: 30, batchSize: 500, lockMs: 100, deliveryLimit: 10, locks: 2000}
	got := f.acquire(a)
	expect(t, "acquired", given(got), "0-4*4 5-9*1")
	f.unacquire("n", got)
	expect(t, "somebody else's", take(f, log, 30), "")
	c, err := f.acknowledge(answers{member: "m", list: []Acknowledgement{{5, 5, []int8{AckAccept}}}, deliveryLimit: 10})
	if err != nil {
		t.Fatal(err)
	}
	f.unacquire("m", got)
	f.complete(c, true)
	a.member, a.offset = "n", f.fetchOffset()
	expect(t, "delivered as if for the first time", given(f.acquire(a)), "0-4*4 6-9*1")
}

func TestCheckAcknowledgements(t *testing.T) {
	for _, c := range []struct {
		name   string
		list   []Acknowledgement
		renews bool
		ok     bool
	}{
		{"nothing", nil, false, true},
		{"one type for all", []Acknowledgement{{0, 9, []int8{AckAccept}}}, false, true},
		{"one for each", []Acknowledgement{{0, 1, []int8{AckAccept, AckGap}}, {5, 5, []int8{AckReject}}}, false, true},
		{"too few", []Acknowledgement{{0, 2, []int8{AckAccept, AckGap}}}, false, false},
		{"none", []Acknowledgement{{0, 2, nil}}, false, false},
		{"backwards", []Acknowledgement{{2, 1, []int8{AckAccept}}}, false, false},
		{"one above the other", []Acknowledgement{{0, 2, []int8{AckAccept}}, {2, 3, []int8{AckAccept}}}, false, false},
		{"out of order", []Acknowledgement{{5, 6, []int8{AckAccept}}, {2, 3, []int8{AckAccept}}}, false, false},
		{"below 0", []Acknowledgement{{-1, 3, []int8{AckAccept}}}, false, false},
		{"a type that is none", []Acknowledgement{{0, 3, []int8{5}}}, true, false},
		{"a type below 0", []Acknowledgement{{0, 3, []int8{-1}}}, true, false},
		{"renewed", []Acknowledgement{{0, 3, []int8{AckRenew}}}, true, true},
		{"renewed where it is not said", []Acknowledgement{{0, 3, []int8{AckRenew}}}, false, false},
	} {
		if err := CheckAcknowledgements(c.list, c.renews); (err == nil) != c.ok || err != nil && !errors.Is(err, protocol.ErrInvalidRequest) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
