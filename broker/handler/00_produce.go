package handler

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// produceCall is one Produce request being answered. It is pooled: in steady
// state a produce allocates nothing.
type produceCall struct {
	pool    *sync.Pool
	request protocol.ProduceRequest
	// results has one entry per partition, in the request's order.
	results []protocol.ProducePartitionResponse
	writer  protocol.ProduceResponseWriter
	seen    seen          // of irregular
	clock   time.Time     // when the last partition was done
	spent   time.Duration // on all partitions
	failed  error         // of acks=0: the first partition's that failed
	refused int           // records that the results name, over all partitions
	durable []durableWait // what must be on stable storage before the reply leaves

	throttle time.Duration // that the reply tells

	// Of a transactional request: its producer, and an entry per partition in
	// the request's order. Empty otherwise.
	producerID    int64
	producerEpoch int16
	verifications []verification

	// Of a call that waits, which outlives its frame:
	version       int16
	correlationID int32
	timeout       time.Duration
	topics        []producedTopic
	names         []byte // behind topics
	// left counts durable entries without an outcome, plus one until wait
	// reads them. Who brings it to 0 owns the call.
	left  atomic.Int32
	done  chan struct{} // capacity 1: signalled when left falls to 1
	timer *time.Timer
	wait  func(ctx context.Context, out *Response) // method values, made once
	ready func() bool
}

// producedTopic is a topic of a waiting call.
type producedTopic struct {
	name       int // end in names
	id         partition.TopicID
	partitions int
}

// durableWait is one partition that a call waits for.
type durableWait struct {
	call      *produceCall
	partition *partition.Partition
	result    int // index in results
	end       int64
	state     atomic.Int32 // durablePending, durableDone or durableFailed
	err       error        // written before state becomes durableFailed
	report    func(error)  // method value, made once
}

// flushTimeout bounds the wait of a request that gives it no time. Kafka asks no
// time of the leader itself, and there is no other replica: such a request
// succeeds there at once. 30 s is the request timeout of Kafka's clients.
const flushTimeout = 30 * time.Second

const (
	durablePending = iota
	durableDone
	durableFailed
)

// newProduceCall takes a call from the pool.
func (h *Handler) newProduceCall() *produceCall {
	if c, _ := h.produceCalls.Get().(*produceCall); c != nil {
		return c
	}
	c := &produceCall{pool: &h.produceCalls, done: make(chan struct{}, 1)}
	c.wait, c.ready = c.waitDurable, c.isReady
	return c
}

// produce answers a Produce request (API key 0).
func (h *Handler) produce(r *Request, out *Response) {
	if !protocol.Supported(r.Key, r.Version) {
		out.Close = fmt.Errorf("%w: Produce version %d is not served", protocol.ErrUnsupportedVersion, r.Version)
		return
	}
	c := h.newProduceCall()
	if err := c.request.Decode(r.Version, r.Body); err != nil {
		c.free()
		out.Close = err
		return
	}
	if c.irregular() {
		r.Body = mergeProduced(&c.request) // the frame is done with
		if err := c.request.Decode(r.Version, r.Body); err != nil {
			c.free()
			out.Close = err
			return
		}
	}
	if c.request.TransactionalID != nil && h.mustVerify(c) {
		h.produceVerified(c, r, out)
		return
	}
	h.appendAll(c)
	c.throttle = h.chargeProduce(c, r)
	out.Mute = c.throttle
	switch {
	case c.request.Acks == 0:
		// There is no reply to carry an error: Kafka closes the connection,
		// and the client asks for metadata again.
		out.Close = c.failed
		c.free()
	case len(c.durable) > 0:
		c.keep(r)
		out.Wait, out.Ready = c.wait, c.ready
		c.watch()
	default:
		out.Bytes = c.encode(out.Bytes, r)
		c.free()
	}
}

// appendAll writes every partition's batch and fills results and durable.
func (h *Handler) appendAll(c *produceCall) {
	refused := refuseProduce(&c.request)
	begin := time.Now()
	c.clock = begin
	for t := c.request.Topics(); t.Next(); {
		for t.NextPartition() {
			c.results = append(c.results, protocol.ProducePartitionResponse{
				Partition: t.Partition(), BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1,
			})
			result := &c.results[len(c.results)-1]
			p, err := h.findProduced(&t)
			traffic := &h.Metrics.Traffic // of a topic that is not there
			if err == nil {
				traffic = &h.counters(p).Traffic
				var sent []byte
				if sent, err = checkProduced(&c.request, t.Records()); err == nil {
					if err = refused; err == nil {
						err = h.appendOne(c, p, traffic, sent, result)
					}
				}
			}
			traffic.ProduceRequests.Add(1)
			if err != nil {
				traffic.FailedProduce.Add(1)
				failProduced(result, err)
				c.nameRefused(result, err)
				if c.failed == nil && c.request.Acks == 0 {
					c.failed = fmt.Errorf("%w: partition %d of %q: %w", errUnanswerable, t.Partition(), h.producedTopic(&t), err)
				}
			}
		}
	}
	c.spent = c.clock.Sub(begin)
}

// failProduced turns a partition's result into an error; what is wrapped
// around Kafka's error is told to the client.
func failProduced(result *protocol.ProducePartitionResponse, err error) {
	*result = protocol.ProducePartitionResponse{
		Partition: result.Partition, ErrorCode: protocol.CodeOf(err), BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1,
	}
	if refused, is := err.(logRefusal); is {
		err = refused.error
		if !knownRefusals[result.ErrorCode] {
			result.LogStartOffset = refused.logStart
		}
	}
	if _, bare := err.(*protocol.Error); !bare {
		result.ErrorMessage = err.Error()
	}
}

// logRefusal is an error of a partition's log, which starts at logStart.
type logRefusal struct {
	error
	logStart int64
}

func (r logRefusal) Unwrap() error { return r.error }

// knownRefusals are the codes of a log with which a reply does not tell where
// the log starts: those that Kafka's ReplicaManager expects.
var knownRefusals = map[int16]bool{
	protocol.ErrCorruptMessage.Code: true, protocol.ErrMessageTooLarge.Code: true, protocol.ErrRecordListTooLarge.Code: true,
	protocol.ErrKafkaStorageError.Code: true, protocol.ErrNotLeaderOrFollower.Code: true,
	protocol.ErrUnknownTopicOrPartition.Code: true, protocol.ErrUnknownTopicID.Code: true,
}

// maxRefused bounds how many records one reply names, over all partitions: a
// record of a few bytes, compressed with many like it, takes a sentence.
const maxRefused = record.MaxRefused

// nameRefused tells the client which records its batch was refused for
// (KIP-467).
func (c *produceCall) nameRefused(result *protocol.ProducePartitionResponse, err error) {
	var refused *record.RefusedError
	if !errors.As(err, &refused) {
		return
	}
	for _, r := range refused.Records[:min(len(refused.Records), maxRefused-c.refused)] {
		result.RecordErrors = append(result.RecordErrors, protocol.RecordError{BatchIndex: r.Index, Message: r.Reason})
	}
	c.refused += len(result.RecordErrors)
}

// refuseProduce is what is wrong with a request as a whole.
func refuseProduce(p *protocol.ProduceRequest) error {
	if p.Acks < -1 || p.Acks > 1 {
		return protocol.ErrInvalidRequiredAcks
	}
	return nil
}

// appendOne writes one partition's batch or message set, which checkProduced has let pass.
func (h *Handler) appendOne(c *produceCall, p *partition.Partition, traffic *metrics.Traffic, sent []byte, result *protocol.ProducePartitionResponse) error {
	options := partition.AppendOptions{Acks: c.request.Acks, CurrentLeaderEpoch: -1}
	if len(c.verifications) > 0 {
		v := &c.verifications[len(c.results)-1]
		if v.err != nil {
			return v.err
		}
		options.Guard = v.guard
	}
	appended, err := p.Append(sent, options)
	if err != nil {
		return logRefusal{err, p.Offsets().LogStart}
	}
	before := c.clock
	c.clock = time.Now()
	h.Metrics.Append.Observe(c.clock.Sub(before))
	result.BaseOffset = appended.BaseOffset
	result.LogAppendTimeMs = appended.LogAppendTime
	result.LogStartOffset = appended.LogStartOffset
	if !appended.Duplicate {
		traffic.RecordsIn.Add(int64(appended.Records))
		traffic.BytesIn.Add(int64(len(sent)))
		if appended.Converted {
			traffic.Conversions.Add(int64(appended.Records))
		}
	}
	if c.request.Acks != 0 && p.MustWait(c.request.Acks) {
		c.addDurable(p, len(c.results)-1, appended.LastOffset+1)
	}
	return nil
}

// findProduced finds the current partition, by name or id.
func (h *Handler) findProduced(t *protocol.ProduceTopics) (*partition.Partition, error) {
	if t.ByID() {
		p, name := h.Partitions.FindByID(t.TopicID(), t.Partition())
		switch {
		case p == nil && name == "":
			return nil, protocol.ErrUnknownTopicID
		case p == nil:
			return nil, protocol.ErrUnknownTopicOrPartition
		case isInternal([]byte(name)):
			return nil, protocol.ErrInvalidTopicException
		}
		return p, nil
	}
	if isInternal(t.Topic()) {
		return nil, protocol.ErrInvalidTopicException
	}
	p := h.Partitions.Find(t.Topic(), t.Partition())
	if p == nil {
		return nil, protocol.ErrUnknownTopicOrPartition
	}
	return p, nil
}

// producedTopic is the current topic's name for a person, "" of an unknown id.
func (h *Handler) producedTopic(t *protocol.ProduceTopics) string {
	if !t.ByID() {
		return string(t.Topic())
	}
	name, _ := h.Partitions.TopicName(t.TopicID()) // unknown: ""
	return name
}

// isInternal tells whether a topic is the broker's own: clients may read it,
// not write it.
func isInternal(topic []byte) bool {
	return string(topic) == "__consumer_offsets" || string(topic) == "__transaction_state" || string(topic) == "__share_group_state"
}

// Sizes and offsets in bytes that checkProduced reads before a batch is known
// to be whole. They hold for the old message formats, too.
const (
	batchOverhead = 12 // base offset and batch length
	magicOffset   = 16
	// leastLength is of the smallest message of format 0: what its length counts.
	leastLength = 14
)

// The fixed refusals of checkProduced.
var (
	errNoBatch     = fmt.Errorf("%w: a Produce request must have exactly one record batch per partition, got none", protocol.ErrInvalidRecord)
	errManyBatches = fmt.Errorf("%w: a Produce request must have exactly one record batch per partition, got more", protocol.ErrInvalidRecord)
	errMagic       = fmt.Errorf("%w: record batches must have magic 2", protocol.ErrInvalidRecord)
	errNoCodec     = fmt.Errorf("%w: a codec that is none", protocol.ErrUnknownServerError) // Kafka fails inside, before it looks at the log
	errZstdVersion = fmt.Errorf("%w: zstd needs Produce version 7", protocol.ErrUnsupportedCompressionType)
)

// checkProduced checks what Kafka checks of a request's records before the
// log sees them (ProduceRequest.validateRecords): exactly one batch of magic 2,
// which it returns; what is behind it and no batch is ignored. In an old version it
// may be a message set, as Kafka 3 took it, which is returned whole: what is
// cut of it would be records that the client takes for written. The batch or the
// set itself is validated by the partition.
//
// Of a batch that does not even frame Kafka fails the request as a whole; here it is
// its partition's error.
func checkProduced(request *protocol.ProduceRequest, records []byte) ([]byte, error) {
	if request.Version < protocol.ProduceBatchesOnly && record.IsMessageSet(records) {
		return records, nil
	}
	size, err := firstBatch(records)
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, errNoBatch
	case records[magicOffset] != record.Magic:
		return nil, errMagic
	case size < record.HeaderSize:
		return nil, fmt.Errorf("%w: a record batch of %d bytes", protocol.ErrCorruptMessage, size)
	}
	b := record.Batch(records[:size:size])
	if codec := b.Codec(); request.Version < 7 && codec >= record.Zstd {
		if codec > record.Zstd {
			return nil, errNoCodec
		}
		return nil, errZstdVersion
	}
	switch second, err := firstBatch(records[size:]); {
	case err != nil:
		return nil, err
	case second > 0:
		return nil, errManyBatches
	}
	if b.IsTransactional() && request.TransactionalID == nil {
		// CVE-2018-17196: the bit without a transactional id in the request.
		return nil, protocol.ErrTransactionalIDAuthorizationFailed
	}
	return b, nil
}

// firstBatch is the size of the batch or old message that b begins with, 0
// when b does not hold it whole (Kafka's ByteBufferLogInputStream).
func firstBatch(b []byte) (int, error) {
	if len(b) < batchOverhead {
		return 0, nil
	}
	length := int32(binary.BigEndian.Uint32(b[batchOverhead-4:]))
	if length < leastLength {
		return 0, fmt.Errorf("%w: a record batch that says it has %d bytes", protocol.ErrCorruptMessage, length)
	}
	if len(b) <= magicOffset {
		return 0, nil
	}
	if magic := int8(b[magicOffset]); magic < 0 || magic > record.Magic {
		return 0, fmt.Errorf("%w: a record batch of magic %d", protocol.ErrCorruptMessage, magic)
	}
	if int64(length)+batchOverhead > int64(len(b)) {
		return 0, nil
	}
	return int(length) + batchOverhead, nil
}

// errUnanswerable closes a connection whose acks=0 request failed.
var errUnanswerable = errors.New("a Produce request with acks=0 failed")

// encode appends the response to a call that has its frame still.
func (c *produceCall) encode(dst []byte, r *Request) []byte {
	c.writer.Begin(dst, r.Version, r.CorrelationID, c.request.TopicCount)
	i := 0
	for t := c.request.Topics(); t.Next(); {
		c.writer.Topic(t.Topic(), t.TopicID(), t.PartitionCount())
		for t.NextPartition() {
			c.writer.Partition(&c.results[i])
			i++
		}
	}
	return c.writer.End(throttleMs(c.throttle))
}

// addDurable notes that the reply waits for a partition.
func (c *produceCall) addDurable(p *partition.Partition, result int, end int64) {
	if len(c.durable) == cap(c.durable) {
		// Entries are pointed to by their report: they must not move, so a call
		// that grows starts anew with the entries it has (none is watched yet).
		grown := make([]durableWait, len(c.durable), max(4, 2*cap(c.durable)))
		for i := range c.durable {
			old := &c.durable[i]
			grown[i].set(c, old.partition, old.result, old.end)
		}
		c.durable = grown
	}
	c.durable = c.durable[:len(c.durable)+1]
	c.durable[len(c.durable)-1].set(c, p, result, end)
}

func (d *durableWait) set(c *produceCall, p *partition.Partition, result int, end int64) {
	d.call, d.partition, d.result, d.end, d.err = c, p, result, end, nil
	d.state.Store(durablePending)
	if d.report == nil {
		d.report = d.outcome
	}
}

// keep copies what the reply needs out of the frame.
func (c *produceCall) keep(r *Request) {
	c.version, c.correlationID = r.Version, r.CorrelationID
	if c.timeout = time.Duration(c.request.TimeoutMs) * time.Millisecond; c.timeout <= 0 {
		c.timeout = flushTimeout
	}
	for t := c.request.Topics(); t.Next(); {
		c.names = append(c.names, t.Topic()...)
		c.topics = append(c.topics, producedTopic{name: len(c.names), id: t.TopicID(), partitions: t.PartitionCount()})
	}
}

// watch asks every partition to report when its part is durable.
func (c *produceCall) watch() {
	c.left.Store(int32(len(c.durable)) + 1)
	for i := range c.durable {
		d := &c.durable[i]
		d.partition.WhenDurable(d.end, d.report)
	}
}

// outcome is called once per entry, by the partition; it must not block.
func (d *durableWait) outcome(err error) {
	if err != nil {
		d.err = err
		d.state.Store(durableFailed)
	} else {
		d.state.Store(durableDone)
	}
	c := d.call
	switch c.left.Add(-1) {
	case 1:
		select {
		case c.done <- struct{}{}:
		default: // full already, which wakes the waiter as well
		}
	case 0:
		c.free() // the reply left without this partition: it timed out
	}
}

// isReady tells whether waitDurable would return at once.
func (c *produceCall) isReady() bool { return c.left.Load() == 1 }

// waitDurable waits until every partition reported or the request's timeout
// has passed, and writes the reply. It does not end with ctx: what was written
// will be durable soon, and a stopping broker still tells so.
func (c *produceCall) waitDurable(_ context.Context, out *Response) {
	if c.left.Load() > 1 {
		if c.timer == nil {
			c.timer = time.NewTimer(c.timeout)
		} else {
			c.timer.Reset(c.timeout)
		}
		c.awaitReports()
		c.timer.Stop()
	}
	for i := range c.durable {
		d := &c.durable[i]
		switch d.state.Load() {
		case durablePending:
			failProduced(&c.results[d.result], protocol.ErrRequestTimedOut)
		case durableFailed:
			failProduced(&c.results[d.result], d.err)
		}
	}
	out.Bytes = c.encodeKept(out.Bytes)
	if c.left.Add(-1) == 0 {
		c.free()
	}
}

// awaitReports returns when every partition reported or the timer fired. A
// signal may be left from the call's last use, so it only says: look again.
func (c *produceCall) awaitReports() {
	for c.left.Load() > 1 {
		select {
		case <-c.done:
		case <-c.timer.C:
			return
		}
	}
}

// encodeKept appends the response to a call whose frame is gone.
func (c *produceCall) encodeKept(dst []byte) []byte {
	c.writer.Begin(dst, c.version, c.correlationID, len(c.topics))
	name, i := 0, 0
	for _, t := range c.topics {
		c.writer.Topic(c.names[name:t.name], t.id, t.partitions)
		name = t.name
		for range t.partitions {
			c.writer.Partition(&c.results[i])
			i++
		}
	}
	return c.writer.End(throttleMs(c.throttle))
}

// free gives the call back to the pool. Nothing may use it any more.
func (c *produceCall) free() {
	c.request, c.failed, c.refused = protocol.ProduceRequest{}, nil, 0
	for i := range c.durable {
		c.durable[i].partition, c.durable[i].err = nil, nil
	}
	c.results, c.durable, c.topics, c.names = c.results[:0], c.durable[:0], c.topics[:0], c.names[:0]
	clear(c.verifications)
	c.verifications = c.verifications[:0]
	c.pool.Put(c)
}
