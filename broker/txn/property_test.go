package txn

import (
	"testing"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"pgregory.net/rapid"
)

// world drives one transactional id with the requests of two producers that
// both want it, over a network that loses answers and repeats requests, on a
// machine that crashes. It plays shard, log and partitions, and remembers what
// was promised to whom.
type world struct {
	t      *rapid.T
	tx     *transaction // nil while nothing is known
	high   bool         // begins with epochs that are nearly used up
	nowMs  int64
	nextID int64

	log     []logged
	durable int      // records of log that a crash leaves
	answers []func() // leave when what is in the log now is durable

	outcomes   []*numbered // durable, markers not all written
	partitions map[TopicPartition]*partitionModel
	clients    [2]*client

	// A transaction is numbered when its first partition is added; 0 is none.
	number, numbers int
	owners          map[Producer]int // whom the coordinator told that it is its producer
	decided         map[int]bool     // by number: committed?
	steps           struct{ committed, aborted, fenced, crashed, late int }
}

// logged is one record with the number of the transaction then.
type logged struct {
	record.Record
	number int
}

type numbered struct {
	*outcome
	number int
}

// partitionModel is one partition's log: records and markers with the number
// of their transaction.
type partitionModel struct {
	entries []entry
	epochs  map[int64]int16
}

type entry struct {
	number         int
	marker, commit bool
}

// endRequest is one EndTxn.
type endRequest struct {
	producer Producer
	commit   bool
	version  int16
	number   int // of the transaction that the client means
}

// client is one of the two processes.
type client struct {
	index    int
	version  int16 // transaction version that it knows
	producer Producer
	number   int         // of its open transaction
	busy     bool        // waits for an answer
	unsure   *endRequest // an EndTxn whose answer was lost
	sent     []endRequest
}

var worldPartitions = []TopicPartition{{"t", 0}, {"t", 1}, {"u", 0}}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, nowMs: 1, nextID: 1, high: rapid.Bool().Draw(t, "nearly used up"),
		partitions: map[TopicPartition]*partitionModel{}, owners: map[Producer]int{}, decided: map[int]bool{},
	}
	for _, p := range worldPartitions {
		w.partitions[p] = &partitionModel{epochs: map[int64]int16{}}
	}
	for i := range w.clients {
		version := rapid.SampledFrom([]int16{versionNone, versionEpochBump, versionEpochBump}).Draw(t, "version")
		w.clients[i] = &client{index: i, version: version, producer: noProducer}
	}
	return w
}

func (w *world) nextProducerID() (int64, error) {
	w.nextID++
	return w.nextID - 1, nil
}

// do runs one input as a shard does: records into the log, a decision handed
// over when it is durable.
func (w *world) do(input func(*step)) {
	st := step{nowMs: w.nowMs, nextProducerID: w.nextProducerID}
	was := w.tx.state
	input(&st)
	if was != ongoing && w.tx.state == ongoing {
		w.numbers++
		w.number = w.numbers
	}
	if was != ongoing && st.decided {
		w.t.Fatal("a transaction without partitions waits for markers")
	}
	for _, r := range st.records {
		w.log = append(w.log, logged{r, w.number})
	}
	if st.decided {
		o := &numbered{w.tx.outcome(), w.number}
		w.answers = append(w.answers, func() { w.outcomes = append(w.outcomes, o) })
	}
	if w.tx.state == ongoing && w.tx.nextID != noProducerID {
		w.t.Fatal("an ongoing transaction has a next producer id")
	}
}

// sync makes the log durable and lets the answers go.
func (w *world) sync() {
	w.durable = len(w.log)
	answers := w.answers
	w.answers = nil
	for _, deliver := range answers {
		deliver()
	}
}

// crash loses what was not durable, or a part of it, and all that waits.
func (w *world) crash() {
	w.steps.crashed++
	left := rapid.IntRange(w.durable, len(w.log)).Draw(w.t, "log left")
	w.log, w.durable, w.answers, w.outcomes = w.log[:left], left, nil, nil
	sh := newShard(0, new(settings), &memoryLog{})
	w.number = 0
	for _, r := range w.log {
		if err := sh.replay(r.Key, r.Value); err != nil {
			w.t.Fatal(err)
		}
		w.number = r.number
	}
	if w.tx = sh.transactions["x"]; w.tx != nil && w.tx.preparing() {
		w.outcomes = append(w.outcomes, &numbered{w.tx.outcome(), w.number})
	}
	for _, c := range w.clients {
		c.busy = false
	}
}

// ask carries a client's request out; its answer may be lost.
func (w *world) ask(c *client, request func(*step) (Producer, error), answered func(Producer, error)) {
	p, err := noProducer, error(protocol.ErrInvalidProducerIDMapping)
	if w.tx != nil {
		w.do(func(st *step) { p, err = request(st) })
	}
	c.busy = true
	w.answers = append(w.answers, func() {
		c.busy = false
		answered(p, err)
	})
}

// owns notes that the coordinator told a client what it is: nobody else may
// have been told the same.
func (w *world) owns(c *client, p Producer) {
	if other, told := w.owners[p]; told && other != c.index {
		w.t.Fatalf("producer %s belongs to both clients", p)
	}
	w.owners[p] = c.index
	c.producer = p
}

// lost is what a client does that is told it cannot go on.
func (c *client) lost() { c.producer, c.number, c.unsure = noProducer, 0, nil }

func (w *world) init(c *client) {
	in := initInput{timeoutMs: 1000}
	if c.producer != noProducer && rapid.Bool().Draw(w.t, "names its producer") {
		held := c.producer
		in.expected = &held
	}
	if w.tx == nil {
		id, _ := w.nextProducerID()
		w.tx = newTransaction("x", id, w.nowMs)
		if w.high {
			w.tx.Epoch = maxEpoch - 6
		}
	}
	w.ask(c, func(st *step) (Producer, error) { return w.tx.initProducerID(st, in) }, func(p Producer, err error) {
		switch {
		case err == nil:
			c.lost()
			w.owns(c, p)
		case err != protocol.ErrConcurrentTransactions:
			c.lost()
		}
	})
}

func (w *world) add(c *client) {
	list := []TopicPartition{rapid.SampledFrom(worldPartitions).Draw(w.t, "partition")}
	number := 0
	w.ask(c, func(st *step) (Producer, error) {
		err := w.tx.addPartitions(st, c.producer, list, c.version)
		return noProducer, err
	}, func(_ Producer, err error) {
		switch {
		case err == nil && c.number != 0 && c.number != number:
			w.t.Fatalf("transaction %d of client %d went on as %d", c.number, c.index, number)
		case err == nil:
			c.number = number
		case err != protocol.ErrConcurrentTransactions:
			c.lost()
		}
	})
	number = w.number
}

// produce writes a record if the partition's leader finds that it may.
func (w *world) produce(c *client) {
	if w.tx == nil || c.number == 0 || w.durable != len(w.log) {
		return // a verification is answered when what it saw is durable
	}
	at := rapid.SampledFrom(worldPartitions).Draw(w.t, "partition")
	p := w.partitions[at]
	if c.producer.Epoch < p.epochs[c.producer.ID] {
		return
	}
	if verdicts, err := w.tx.verify(c.producer, []TopicPartition{at}); err != nil || verdicts[0] != nil {
		return
	}
	if c.number != w.number {
		w.t.Fatalf("client %d writes into transaction %d, which is not its %d", c.index, w.number, c.number)
	}
	p.epochs[c.producer.ID] = c.producer.Epoch
	p.entries = append(p.entries, entry{number: w.number})
}

func (w *world) end(c *client) {
	request := endRequest{c.producer, rapid.Bool().Draw(w.t, "commit"), c.version, c.number}
	if c.unsure != nil {
		request = *c.unsure
	} else if w.tx != nil && w.tx.state == ongoing && w.tx.Producer == c.producer {
		request.number = w.number // also when the client was not told that it has begun
	}
	c.sent = append(c.sent, request)
	c.unsure = &request
	w.ask(c, func(st *step) (Producer, error) {
		return w.tx.end(st, request.producer, request.commit, request.version)
	}, func(p Producer, err error) {
		switch {
		case err == nil:
			c.lost()
			w.decide(request.number, request.commit)
			if request.version >= versionEpochBump {
				w.owns(c, p)
			} else {
				c.producer = request.producer
			}
		case err != protocol.ErrConcurrentTransactions:
			c.lost()
		}
	})
}

// transact is a transaction that nothing disturbs, up to the answer to its end.
func (w *world) transact(c *client) {
	if c.producer == noProducer {
		w.init(c)
		w.sync()
	}
	if c.producer == noProducer {
		return
	}
	w.add(c)
	w.sync()
	if c.number == 0 {
		return
	}
	w.produce(c)
	w.end(c)
}

// late repeats an EndTxn that a client once sent: only the transaction that it
// meant may end by it. Clients of the first versions are exposed to that.
func (w *world) late(c *client) {
	if w.tx == nil || c.version < versionEpochBump || len(c.sent) == 0 {
		return
	}
	request := rapid.SampledFrom(c.sent).Draw(w.t, "sent")
	w.steps.late++
	number, was := w.number, w.tx.state
	w.do(func(st *step) {
		if _, err := w.tx.end(st, request.producer, request.commit, request.version); err != nil {
			return
		}
		if was == ongoing && number != request.number {
			w.t.Fatalf("a late request for transaction %d ended %d", request.number, number)
		}
	})
}

// decide notes an outcome that somebody was told, or that a marker says.
func (w *world) decide(number int, commit bool) {
	if number == 0 {
		return
	}
	if before, known := w.decided[number]; known && before != commit {
		w.t.Fatalf("transaction %d was decided twice: committed %v and %v", number, before, commit)
	}
	if _, known := w.decided[number]; !known && commit {
		w.steps.committed++
	} else if !known {
		w.steps.aborted++
	}
	w.decided[number] = commit
}

// writeMarker writes one marker; after the last one the transaction is complete.
func (w *world) writeMarker() {
	if len(w.outcomes) == 0 {
		return
	}
	o := w.outcomes[0]
	if len(o.partitions) == 0 { // a crash came between the two records of an abort of nothing
		w.finish(o)
		return
	}
	at := o.partitions[0]
	o.partitions = o.partitions[1:]
	p := w.partitions[at]
	if o.producer.Epoch < p.epochs[o.producer.ID] {
		w.t.Fatalf("%v has seen epoch %d, the marker of transaction %d says %d", at, p.epochs[o.producer.ID], o.number, o.producer.Epoch)
	}
	p.epochs[o.producer.ID] = o.producer.Epoch
	p.entries = append(p.entries, entry{number: o.number, marker: true, commit: o.commit})
	w.decide(o.number, o.commit)
	if len(o.partitions) == 0 {
		w.finish(o)
	}
}

func (w *world) finish(o *numbered) {
	w.outcomes = w.outcomes[1:]
	if !w.tx.preparing() || w.tx.Producer != o.producer {
		w.t.Fatal("markers were written of a transaction that is over")
	}
	w.do(w.tx.complete)
}

func (w *world) pass(ms int64) {
	w.nowMs += ms
	if w.tx != nil && w.tx.timedOut(w.nowMs) {
		w.steps.fenced++
		w.do(func(st *step) {
			if err := w.tx.fence(st); err != nil {
				w.t.Fatal(err)
			}
		})
	}
}

// settle lets everything end, as time does.
func (w *world) settle() {
	w.sync()
	w.pass(1 << 20)
	w.sync()
	for range 100 {
		w.writeMarker()
		w.sync()
	}
	if len(w.outcomes) > 0 || w.tx != nil && (w.tx.preparing() || w.tx.state == ongoing) {
		w.t.Fatalf("the transaction hangs in %s", w.tx.state)
	}
}

// checkPartitions holds the partitions to what must be in them: every record
// is followed by the marker of its transaction, and by no record of it later.
func (w *world) checkPartitions() {
	for at, p := range w.partitions {
		open, over := map[int]bool{}, map[int]bool{}
		for _, e := range p.entries {
			switch {
			case e.marker:
				delete(open, e.number)
				over[e.number] = true
			case over[e.number]:
				w.t.Fatalf("%v has a record of transaction %d after its marker", at, e.number)
			default:
				open[e.number] = true
			}
		}
		if len(open) > 0 {
			w.t.Fatalf("%v has records whose transactions never end: %v", at, open)
		}
	}
}

// TestTwoProducersOneTransactionalID: whatever two producers with the same
// transactional id send, and whenever the machine crashes, no producer id and
// epoch is given to both, and every transaction is decided once, the same in
// all its partitions.
func TestTwoProducersOneTransactionalID(t *testing.T) {
	var committed, aborted, fenced, crashed, late int
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		some := func(action func(*client), needsProducer bool) func(*rapid.T) {
			return func(*rapid.T) {
				c := rapid.SampledFrom(w.clients[:]).Draw(t, "client")
				if !c.busy && (c.producer != noProducer || !needsProducer) {
					action(c)
				}
			}
		}
		sure := func(action func(*client)) func(*client) {
			return func(c *client) {
				if c.unsure == nil {
					action(c)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"init":         some(w.init, false),
			"add":          some(sure(w.add), true),
			"add more":     some(sure(w.add), true),
			"produce":      some(sure(w.produce), true),
			"produce more": some(sure(w.produce), true),
			"end": some(func(c *client) {
				if c.number != 0 || c.version >= versionEpochBump || c.unsure != nil {
					w.end(c)
				}
			}, true),
			"transact":  some(sure(w.transact), false),
			"late":      some(w.late, false),
			"sync":      func(*rapid.T) { w.sync() },
			"sync more": func(*rapid.T) { w.sync() },
			"marker":    func(*rapid.T) { w.writeMarker() },
			"markers":   func(*rapid.T) { w.writeMarker(); w.writeMarker(); w.writeMarker() },
			"pass":      func(*rapid.T) { w.pass(rapid.SampledFrom([]int64{1, 100, 1001}).Draw(t, "ms")) },
			"crash":     func(*rapid.T) { w.crash() },
		})
		w.settle()
		w.checkPartitions()
		committed, aborted, fenced = committed+w.steps.committed, aborted+w.steps.aborted, fenced+w.steps.fenced
		crashed, late = crashed+w.steps.crashed, late+w.steps.late
	})
	t.Logf("%d committed, %d aborted, %d timed out, %d crashes, %d late requests", committed, aborted, fenced, crashed, late)
	if committed == 0 || aborted == 0 || fenced == 0 || crashed == 0 || late == 0 {
		t.Errorf("nothing was tried: %d committed, %d aborted, %d timed out, %d crashes, %d late requests", committed, aborted, fenced, crashed, late)
	}
}
