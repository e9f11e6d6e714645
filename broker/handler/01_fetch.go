package handler

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
)

// fetchCall is one Fetch request being answered. It is pooled.
type fetchCall struct {
	h       *Handler
	request protocol.FetchRequest
	writer  protocol.FetchResponseWriter
	// items are the partitions to read, in order; with a session those of the
	// session, else those of the request.
	items []fetchItem
	seen  seen // of collect

	session   *fetchSession // nil without one
	full      bool          // every partition is in the response
	sessionID int32         // of the response

	correlationID int32
	clientID      []byte
	maxBytes      int64         // of records, in all
	spent         time.Duration // on reading
	size          int64         // bytes of records found
	answerNow     bool          // an error or a diverging epoch does not wait
	waiter        *partition.Waiter
	timer         *time.Timer
	wait          func(ctx context.Context, out *Response) // method value, made once
}

// fetchItem is one partition of a call.
type fetchItem struct {
	// name aliases the frame until detach; id names the topic from v13 on.
	name     []byte
	id       partition.TopicID
	request  protocol.FetchPartition
	found    *partition.Partition
	result   partition.ReadResult
	response protocol.FetchPartitionResponse
	tracked  *sessionPartition
	included bool
	traffic  *metrics.Traffic
}

// newFetchCall takes a call from the pool.
func (h *Handler) newFetchCall() *fetchCall {
	if c, _ := h.fetchCalls.Get().(*fetchCall); c != nil {
		return c
	}
	c := &fetchCall{h: h}
	c.wait = c.waitForRecords
	return c
}

// fetch answers a Fetch request (API key 1): at once when enough is there,
// when something is wrong or when the client does not want to wait; else when
// enough has arrived or the time is over.
func (h *Handler) fetch(r *Request, out *Response) {
	if !protocol.Supported(r.Key, r.Version) {
		out.Close = fmt.Errorf("%w: Fetch version %d is not served", protocol.ErrUnsupportedVersion, r.Version)
		return
	}
	c := h.newFetchCall()
	c.correlationID, c.spent = r.CorrelationID, 0
	c.clientID = append(c.clientID[:0], r.ClientID...) // the frame may be gone when the call is answered
	if err := c.request.Decode(r.Version, r.Body); err != nil {
		c.free()
		out.Close = err
		return
	}
	switch err := c.openSession(); err {
	case nil:
	case protocol.ErrUnknownServerError:
		c.refuseAll(out, err)
		c.free()
		return
	default:
		c.refuse(out, err)
		c.free()
		return
	}
	if c.collect(); !isolationKnown(c.request.IsolationLevel) && c.foundAny() {
		c.refuseAll(out, protocol.ErrUnknownServerError)
		c.free()
		return
	}
	c.maxBytes = min(int64(min(c.request.MaxBytes, h.Config.FetchMaxBytes)), h.Quotas.MostBytes(anonymous, c.clientID))
	c.readAll()
	if c.satisfied() {
		c.respond(out)
		c.free()
		return
	}
	c.detach()
	out.Wait = c.wait
}

// openSession finds, makes or ends the request's fetch session (KIP-227).
func (c *fetchCall) openSession() error {
	f, sessions := &c.request, c.h.sessions
	c.full = true
	switch {
	case f.SessionEpoch == finalEpoch || f.SessionEpoch == initialEpoch:
		if f.SessionID != 0 {
			sessions.remove(f.SessionID)
		}
		if f.SessionEpoch == initialEpoch && f.Version >= 7 { // also of no partition, as in Kafka
			if namesNothing(f) {
				return protocol.ErrUnknownServerError
			}
			c.session = sessions.create(f)
		}
	default:
		s := sessions.get(f.SessionID)
		if s == nil {
			return protocol.ErrFetchSessionIDNotFound
		}
		alive, err := sessions.advance(s, f)
		if err != nil {
			return err
		}
		if alive {
			c.session, c.full = s, false
		}
	}
	if c.session != nil {
		c.sessionID = c.session.id
	}
	return nil
}

// refuse answers with the session's error and no partition. Before v7 there
// is no such field, nor a session.
func (c *fetchCall) refuse(out *Response, err error) {
	c.writer.Begin(out.Bytes, c.request.Version, c.correlationID, 0, protocol.CodeOf(err), 0, 0)
	bytes, _, err := c.writer.End()
	if err != nil {
		out.Close = err
		return
	}
	out.Bytes = bytes
}

// refuseAll answers that the request as a whole failed inside, where Kafka does:
// before version 13 every partition says so too.
func (c *fetchCall) refuseAll(out *Response, err error) {
	topics := c.request.Topics
	if c.request.Version >= 13 {
		topics = nil
	}
	c.writer.Begin(out.Bytes, c.request.Version, c.correlationID, 0, protocol.CodeOf(err), c.request.SessionID, len(topics))
	for i := range topics {
		t := &topics[i]
		c.writer.Topic(t.Name, t.ID, len(t.Partitions))
		for _, request := range t.Partitions {
			item := fetchItem{request: request}
			item.fail(err)
			item.response.Aborted = noneAborted
			c.writer.Partition(&item.response)
		}
	}
	bytes, _, err := c.writer.End()
	if err != nil {
		out.Close = err
		return
	}
	out.Bytes = bytes
}

// noneAborted is told of partitions that were not even looked for, in which
// Kafka's replies have an empty list; those of other errors have none.
var noneAborted = []protocol.AbortedTransaction{}

// isolationKnown: Kafka knows read_uncommitted and read_committed.
func isolationKnown(level int8) bool { return level == 0 || level == readCommitted }

// foundAny tells whether there is anything to read.
func (c *fetchCall) foundAny() bool {
	return slices.ContainsFunc(c.items, func(item fetchItem) bool { return item.found != nil })
}

// collect lists the partitions to read.
func (c *fetchCall) collect() {
	if s := c.session; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.order {
			c.items = append(c.items, fetchItem{name: p.name, id: p.key.id, request: p.request, tracked: p})
			c.find(&c.items[len(c.items)-1])
		}
		return
	}
	for i := range c.request.Topics {
		t := &c.request.Topics[i]
		for _, request := range t.Partitions {
			c.items = append(c.items, fetchItem{name: t.Name, id: t.ID, request: request})
		}
	}
	if len(c.items) > 1 {
		c.mergeRepeated()
	}
	for i := range c.items {
		c.find(&c.items[i])
	}
}

// mergeRepeated leaves of a partition that is asked for several times the
// first place and the last question, as Kafka's map does.
func (c *fetchCall) mergeRepeated() {
	c.seen.reset(len(c.items))
	repeated := false
	topic := uint64(0)
	for i := range c.items {
		item := &c.items[i]
		if i == 0 || !c.sameTopic(&c.items[i-1], item) {
			if topic = topicHash(item.name); c.request.Version >= 13 {
				topic = topicHash(item.id[:])
			}
		}
		repeated = c.seen.add(partitionHash(topic, item.request.Partition)) || repeated
	}
	if !repeated {
		return
	}
	places := map[sessionKey]int{}
	kept := c.items[:0]
	for _, item := range c.items {
		key := sessionKey{string(item.name), item.id, item.request.Partition}
		if place, is := places[key]; is {
			kept[place].request = item.request
			continue
		}
		places[key] = len(kept)
		kept = append(kept, item)
	}
	clear(c.items[len(kept):])
	c.items = kept
}

// zstdFetch is the first Fetch version of clients that read zstd. Those before
// it get nothing of a topic whose compression.type it is (KIP-110); what a producer
// compressed so in another topic they get, as from Kafka.
const zstdFetch = 10

// find looks the item's partition up; where there is none its response is
// the error, found stays nil.
func (c *fetchCall) find(item *fetchItem) {
	err := error(nil)
	if c.request.Version >= 13 {
		name := ""
		item.found, name = c.h.Partitions.FindByID(item.id, item.request.Partition)
		if item.tracked != nil && name != "" {
			item.tracked.topic = name
		}
		if item.found == nil {
			err = c.whyUnknown(item, name)
		}
	} else if item.found = c.h.Partitions.Find(item.name, item.request.Partition); item.found == nil {
		err = protocol.ErrUnknownTopicOrPartition
	}
	if err == nil && c.request.Version < zstdFetch && item.found.StoresZstd() {
		err = protocol.ErrUnsupportedCompressionType
	}
	if err != nil {
		item.found = nil
		item.traffic = &c.h.Metrics.Traffic // of a topic that is not there
		item.traffic.FailedFetch.Add(1)
		item.fail(err)
		item.response.Aborted = noneAborted
	} else {
		item.traffic = &c.h.counters(item.found).Traffic
	}
	item.traffic.FetchRequests.Add(1)
}

// whyUnknown tells why there is no partition of the item's topic id. A session
// keeps the name that the id once had: when the topic is gone it is the
// partition that is unknown, and when another topic has the name, the id is not that
// of its log. (FetchSession.CachedPartition, ReplicaManager.readFromLog.)
func (c *fetchCall) whyUnknown(item *fetchItem, name string) error {
	switch {
	case name != "":
		return protocol.ErrUnknownTopicOrPartition
	case item.tracked == nil || item.tracked.topic == "":
		return protocol.ErrUnknownTopicID
	case c.h.Partitions.Find([]byte(item.tracked.topic), item.request.Partition) == nil:
		return protocol.ErrUnknownTopicOrPartition
	}
	return protocol.ErrInconsistentTopicID
}

// fail makes an error of the item's response.
func (item *fetchItem) fail(err error) {
	item.response = protocol.FetchPartitionResponse{
		Partition: item.request.Partition, ErrorCode: protocol.CodeOf(err),
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReadReplica: -1,
	}
}

// readAll reads every partition, up to the request's and the broker's
// limits. The first batch of the first partition that has one is returned
// whatever its size, so that a client can always go on (KIP-74).
func (c *fetchCall) readAll() {
	c.size, c.answerNow = 0, false
	begin := time.Now()
	defer func() {
		took := time.Since(begin)
		c.spent += took
		c.h.Metrics.Fetch.Observe(took)
	}()
	left := c.maxBytes
	for i := range c.items {
		item := &c.items[i]
		if item.found == nil {
			c.answerNow = true
			continue
		}
		result, err := c.read(item, left)
		if err != nil {
			c.failRead(item, err)
			left = max(left, 0)
			continue
		}
		item.take(result, c.request.IsolationLevel == readCommitted)
		c.size += item.response.RecordsSize
		left = max(left-item.response.RecordsSize, 0)
		c.answerNow = c.answerNow || item.response.HasDivergingEpoch
	}
}

// read reads one partition. left is what the response may still take, in bytes.
func (c *fetchCall) read(item *fetchItem, left int64) (partition.ReadResult, error) {
	epoch := max(item.request.CurrentLeaderEpoch, -1) // of a Fetch any negative one is none
	if c.request.ReplicaID >= 0 {
		return partition.ReadResult{}, notAReplica(item.found, epoch)
	}
	return item.found.Read(partition.ReadOptions{
		Offset:             item.request.FetchOffset,
		MaxBytes:           int(min(int64(item.request.MaxBytes), left)),
		MinOneBatch:        c.size == 0,
		ReadCommitted:      c.request.IsolationLevel == readCommitted,
		CurrentLeaderEpoch: epoch,
		LastFetchedEpoch:   item.request.LastFetchedEpoch,
	})
}

// notAReplica is what a client is told that fetches as a follower: there is no
// replica but this broker's own (Kafka's Partition.followerReplicaOrThrow).
func notAReplica(p *partition.Partition, epoch int32) error {
	if err := p.Offline(); err != nil {
		return err
	}
	if err := checkLeaderEpoch(p, epoch); err != nil {
		return err
	}
	if epoch >= 0 {
		return protocol.ErrUnknownLeaderEpoch
	}
	return protocol.ErrNotLeaderOrFollower
}

// failRead makes an error of the response of a partition that is there. From
// version 16 on it names the leader where the client may have another in mind
// (KIP-951). To version 5 clients do not know KAFKA_STORAGE_ERROR.
func (c *fetchCall) failRead(item *fetchItem, err error) {
	item.fail(err)
	r := &item.response
	if r.ErrorCode == protocol.ErrKafkaStorageError.Code && c.request.Version <= 5 {
		r.ErrorCode = protocol.ErrNotLeaderOrFollower.Code
	}
	if r.ErrorCode == protocol.ErrNotLeaderOrFollower.Code || r.ErrorCode == protocol.ErrFencedLeaderEpoch.Code {
		r.HasLeader = c.request.Version >= 16
		r.Leader = protocol.LeaderIDAndEpoch{LeaderID: c.h.Config.NodeID, LeaderEpoch: item.found.LeaderEpoch()}
	}
	item.traffic.FailedFetch.Add(1)
	c.answerNow = true
}

// take makes the item's response from a read.
func (item *fetchItem) take(result partition.ReadResult, committed bool) {
	item.result = result
	size := result.Size
	if result.File == nil {
		size = int64(len(result.Bytes))
	}
	item.response = protocol.FetchPartitionResponse{
		Partition:            item.request.Partition,
		HighWatermark:        result.Offsets.HighWatermark,
		LastStableOffset:     result.Offsets.LastStable,
		LogStartOffset:       result.Offsets.LogStart,
		PreferredReadReplica: -1,
		RecordsSize:          size,
		DivergingEpoch:       result.DivergingEpoch,
		DivergingEndOffset:   result.DivergingEndOffset,
		HasDivergingEpoch:    result.DivergingEpoch >= 0,
	}
	if committed {
		item.response.Aborted = make([]protocol.AbortedTransaction, len(result.Aborted))
		for i, a := range result.Aborted {
			item.response.Aborted[i] = protocol.AbortedTransaction(a)
		}
	}
}

// satisfied tells whether the call is answered with what was read.
func (c *fetchCall) satisfied() bool {
	return c.answerNow || len(c.items) == 0 || c.request.MaxWaitMs <= 0 || c.size >= min(int64(c.request.MinBytes), c.maxBytes)
}

// detach copies what aliases the frame. Only calls without errors wait, so
// every partition was found and knows its topic's name.
func (c *fetchCall) detach() {
	if c.session != nil {
		return
	}
	for i := range c.items {
		if i > 0 && c.items[i].found.Topic() == string(c.items[i-1].name) {
			c.items[i].name = c.items[i-1].name
			continue
		}
		c.items[i].name = []byte(c.items[i].found.Topic())
	}
}

// release gives back what the reads hold.
func (c *fetchCall) release() {
	for i := range c.items {
		item := &c.items[i]
		if item.result.Release != nil {
			item.result.Release()
		}
		item.result = partition.ReadResult{}
	}
}

// waitForRecords is the long poll: it sleeps until a partition's readable end
// moves, reads again, and answers when there is enough, when the time is over
// or when ctx ends.
func (c *fetchCall) waitForRecords(ctx context.Context, out *Response) {
	if c.waiter == nil {
		c.waiter = partition.NewWaiter()
	}
	if c.timer == nil {
		c.timer = time.NewTimer(time.Duration(c.request.MaxWaitMs) * time.Millisecond)
	} else {
		c.timer.Reset(time.Duration(c.request.MaxWaitMs) * time.Millisecond)
	}
	for i := range c.items {
		c.items[i].found.Watch(c.waiter)
	}
	// What was appended between the first look and Watch woke nobody.
	if c.moved() {
		c.readAgain()
	}
	for over := false; !over && !c.satisfied(); {
		select {
		case <-c.waiter.C:
		case <-c.timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		c.readAgain()
	}
	c.timer.Stop()
	for i := range c.items {
		c.items[i].found.Forget(c.waiter)
	}
	select {
	case <-c.waiter.C: // of an append after the last look; the next call must not see it
	default:
	}
	c.respond(out)
	c.free()
}

// moved tells whether a partition's readable end is no longer what was read.
func (c *fetchCall) moved() bool {
	for i := range c.items {
		now, read := c.items[i].found.Offsets(), c.items[i].result.Offsets
		if now.HighWatermark != read.HighWatermark || now.LastStable != read.LastStable || now.LogStart != read.LogStart {
			return true
		}
	}
	return false
}

func (c *fetchCall) readAgain() {
	c.release()
	c.readAll()
}

// respond writes the response and hands the ranges over to it. A client that
// is over its quota gets none, and asks again later.
func (c *fetchCall) respond(out *Response) {
	c.include()
	start := len(out.Bytes)
	bytes, cuts, err := c.write(out.Bytes, 0)
	if err != nil {
		out.Close = err
		return
	}
	throttle, send := c.h.chargeFetch(c.clientID, int64(binary.BigEndian.Uint32(bytes[start:])), c.spent)
	if out.Mute = throttle; throttle > 0 {
		if !send {
			c.respondEmpty(out)
			return
		}
		if bytes, cuts, err = c.write(out.Bytes, throttle); err != nil { // the same, with the time in it
			out.Close = err
			return
		}
	}
	c.tell()
	out.Bytes = bytes
	cut := 0
	for i := range c.items {
		item := &c.items[i]
		if !item.included || item.response.RecordsSize == 0 {
			continue
		}
		item.traffic.BytesOut.Add(item.response.RecordsSize)
		out.Ranges = append(out.Ranges, Range{
			At: start + cuts[cut].Position, File: item.result.File, Position: item.result.Position, Size: item.result.Size,
			Memory: item.result.Bytes, Release: item.result.Release,
		})
		item.result.Release = nil
		cut++
	}
}

// write appends the response's frame to dst, without its records.
func (c *fetchCall) write(dst []byte, throttle time.Duration) ([]byte, []protocol.Cut, error) {
	c.writer.Begin(dst, c.request.Version, c.correlationID, throttleMs(throttle), 0, c.sessionID, c.countTopics())
	for i := range c.items {
		item := &c.items[i]
		if !item.included {
			continue
		}
		if n := c.topicRun(i); n > 0 {
			c.writer.Topic(item.name, item.id, n)
		}
		c.writer.Partition(&item.response)
	}
	return c.writer.End()
}

// respondEmpty tells for how long the client is silenced and nothing else
// (KIP-219). A session that the request would have opened is not opened: the
// client learns of none, and sends a full request again.
func (c *fetchCall) respondEmpty(out *Response) {
	sessionID := c.sessionID
	if c.full && c.session != nil {
		c.h.sessions.remove(c.session.id)
		sessionID = 0
	}
	c.writer.Begin(out.Bytes, c.request.Version, c.correlationID, throttleMs(out.Mute), 0, sessionID, 0)
	bytes, _, err := c.writer.End()
	if err != nil {
		out.Close = err
		return
	}
	out.Bytes = bytes
}

// include decides what is in the response: everything in a full one, what
// changed in an incremental one.
func (c *fetchCall) include() {
	if s := c.session; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	for i := range c.items {
		item := &c.items[i]
		item.included = item.tracked == nil || c.full || item.tracked.changed(&item.response)
	}
}

// tell remembers in the session what the response says. What had records
// moves to the end of the session's order.
func (c *fetchCall) tell() {
	s := c.session
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rotate := false
	for i := range c.items {
		item := &c.items[i]
		if item.tracked != nil {
			item.tracked.tell(&item.response)
			rotate = rotate || item.response.RecordsSize > 0
		}
	}
	if !rotate || c.full || len(s.order) != len(c.items) {
		return
	}
	// The order is the one read, unless another request changed it meanwhile.
	order := s.order[:0:0]
	for pass := range 2 {
		for i := range c.items {
			if had := c.items[i].response.RecordsSize > 0; had == (pass == 1) {
				order = append(order, c.items[i].tracked)
			}
		}
	}
	for i := range order {
		if s.known[order[i].key] != order[i] {
			return
		}
	}
	s.order = order
}

// sameTopic tells whether two items are of one topic.
func (c *fetchCall) sameTopic(a, b *fetchItem) bool {
	if c.request.Version >= 13 {
		return a.id == b.id
	}
	return string(a.name) == string(b.name)
}

// countTopics counts the runs of included items of one topic.
func (c *fetchCall) countTopics() int {
	n := 0
	var last *fetchItem
	for i := range c.items {
		item := &c.items[i]
		if item.included {
			if last == nil || !c.sameTopic(last, item) {
				n++
			}
			last = item
		}
	}
	return n
}

// topicRun counts the included items of the topic that starts at item i, or
// is 0 when i goes on with a topic.
func (c *fetchCall) topicRun(i int) int {
	for before := i - 1; before >= 0; before-- {
		if c.items[before].included {
			if c.sameTopic(&c.items[before], &c.items[i]) {
				return 0
			}
			break
		}
	}
	n := 0
	for j := i; j < len(c.items); j++ {
		if !c.items[j].included {
			continue
		}
		if !c.sameTopic(&c.items[i], &c.items[j]) {
			break
		}
		n++
	}
	return n
}

// free releases what is still held and gives the call back to the pool.
func (c *fetchCall) free() {
	c.release()
	clear(c.items)
	c.items = c.items[:0]
	c.session, c.sessionID = nil, 0
	c.h.fetchCalls.Put(c)
}
