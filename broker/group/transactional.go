package group

import (
	"context"
	"errors"
	"math"
	"slices"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// Offsets committed in a transaction are pending: written at once, as records
// of the producer's transaction, but not what OffsetFetch shows before the
// transaction's marker says COMMIT. Kafka's OffsetMetadataManager.

// noProducerEpoch stands for the epoch of a producer that has committed nothing yet.
const noProducerEpoch = -1

// TransactionalCommit is one TxnOffsetCommit whose topics the handler has
// found to exist. RetentionMs and Version of Commit mean nothing in it.
type TransactionalCommit struct {
	Commit
	ProducerID    int64
	ProducerEpoch int16
}

// TransactionEnd is the end of a transaction that includes a partition of
// __consumer_offsets.
type TransactionEnd struct {
	ProducerID       int64
	ProducerEpoch    int16
	CoordinatorEpoch int32
	// Version is the transaction version (KIP-890): in version 2 the marker's
	// epoch is above that of the transaction.
	Version int16
	Commit  bool
}

// openTransaction is the transaction of one producer as far as a shard has a
// part in it. It is there from the first request that is about to commit
// offsets to the marker.
type openTransaction struct {
	epoch int16 // of the offsets, noProducerEpoch before the first
	// arriving counts requests between their verification and their end.
	arriving int
	// offsets names what the transaction committed, by group.
	offsets map[string]map[offsetKey]struct{}
}

func newOpenTransaction() *openTransaction {
	return &openTransaction{epoch: noProducerEpoch, offsets: map[string]map[offsetKey]struct{}{}}
}

func (t *openTransaction) note(group string, key offsetKey, epoch int16) {
	if t.offsets[group] == nil {
		t.offsets[group] = map[offsetKey]struct{}{}
	}
	t.offsets[group][key] = struct{}{}
	t.epoch = epoch
}

// CommitTransactional is TxnOffsetCommit: one code for each of in.Offsets,
// which are pending until EndTransaction. verify asks the transaction
// coordinator whether the transaction includes a partition of
// __consumer_offsets (KIP-890), nil says that it does. When the transaction
// ends between verify and the append, nothing is committed and the code is
// INVALID_TXN_STATE: no offset stays pending for ever.
//
// It waits for verify and for the disk.
func (c *Coordinator) CommitTransactional(ctx context.Context, in TransactionalCommit, verify func(ctx context.Context, partition int32) error) []int16 {
	refuse := func(code int16) []int16 { return slices.Repeat([]int16{code}, len(in.Offsets)) }
	if code := checkGroup(in.Group, false); code != 0 {
		return refuse(code)
	}
	s, err := c.shardOf(ctx, in.Group)
	if err != nil {
		return refuse(protocol.CodeOf(err))
	}
	var t *openTransaction // belongs to the shard's goroutine
	// The queue keeps the order, so it is the last command of this request,
	// also when the ones before it were not waited for.
	defer s.depart(context.WithoutCancel(ctx), in.ProducerID, &t)
	code := askShard(ctx, s, protocol.CodeOf, func(s *shard, r *Reply[int16]) {
		t = s.arrive(in.ProducerID)
		r.Give(s, 0, false)
	}).Wait(ctx)
	if code == 0 {
		code = protocol.CodeOf(verify(ctx, s.index))
	}
	if code != 0 {
		return refuse(code)
	}
	return askShard(ctx, s, func(err error) []int16 { return refuse(protocol.CodeOf(err)) }, func(s *shard, r *Reply[[]int16]) {
		codes, err := s.commitTransactional(in, t)
		if err != nil {
			codes = refuse(protocol.CodeOf(err))
		}
		c.settings.commits.Add(int64(len(codes)))
		r.Give(s, codes, err == nil)
	}).Wait(ctx)
}

// arrive notes that a request is about to commit in the producer's transaction.
func (s *shard) arrive(producerID int64) *openTransaction {
	t := s.transactions[producerID]
	if t == nil {
		t = newOpenTransaction()
		s.transactions[producerID] = t
	}
	t.arriving++
	return t
}

// depart ends what arrive began. Where the queue is full for so long that the
// command is not taken, the note stays until the producer's next marker.
func (s *shard) depart(ctx context.Context, producerID int64, t **openTransaction) {
	err := s.Send(ctx, command{
		Run: func(s *shard) {
			if *t == nil || s.transactions[producerID] != *t {
				return
			}
			if (*t).arriving--; (*t).arriving == 0 && len((*t).offsets) == 0 {
				delete(s.transactions, producerID)
			}
		},
		Refuse: func(error) {},
	})
	if err != nil {
		s.config.logger.Warn("a transactional offset commit did not end in time", "partition", s.index, "producer_id", producerID, "error", err)
	}
}

// pendingOffset is one offset of a TransactionalCommit that is taken.
type pendingOffset struct {
	key offsetKey
	committed
}

// commitTransactional appends the offsets in a batch of the transaction that
// was verified while t was there, and makes them pending. The error refuses
// all of them; otherwise there is a code for each.
func (s *shard) commitTransactional(in TransactionalCommit, t *openTransaction) ([]int16, error) {
	g := s.groups[in.Group]
	switch {
	case t == nil || s.transactions[in.ProducerID] != t:
		return nil, protocol.ErrInvalidTxnState // its marker came in between
	case in.ProducerEpoch < t.epoch:
		return nil, protocol.ErrInvalidProducerEpoch
	case g == nil && in.Generation >= 0:
		return nil, protocol.ErrIllegalGeneration
	case g != nil && g.share != nil:
		return nil, protocol.ErrGroupIDNotFound
	}
	var codes []int16
	var pending []pendingOffset
	st := step{nowMs: s.config.now().UnixMilli(), topics: s.config.topics()}
	codes, pending = s.groupOf(in.Group).pendingOffsets(&st, in, s.config.metadataMax)
	err := s.append(func() (int64, error) {
		if len(pending) == 0 {
			return s.End(), nil
		}
		batch, err := record.Builder{
			ProducerID: in.ProducerID, ProducerEpoch: in.ProducerEpoch, Transactional: true, // from sequence 0, as Kafka's
		}.Build(st.records)
		if err != nil {
			return 0, err
		}
		return s.log.Append(batch)
	})
	if g = s.groups[in.Group]; g == nil {
		return nil, protocol.ErrNotCoordinator // the shard has failed
	}
	if err == nil {
		s.order++
		for _, p := range pending {
			p.order = s.order
			g.setUnstable(in.ProducerID, p.key, p.committed)
			t.note(in.Group, p.key, in.ProducerEpoch)
		}
	}
	if g.unused() {
		delete(s.groups, in.Group)
		s.timers.forget(g)
	}
	return codes, err
}

// append writes what waits for the next flush, and then a batch or marker of a
// transaction, so that the log has all in the order in which it was decided. The
// error refuses the request; one that is not the log's refusal ends the shard.
func (s *shard) append(one func() (end int64, err error)) error {
	s.Flush()
	if s.Failure() != nil {
		return protocol.ErrNotCoordinator
	}
	end, err := one()
	switch {
	case err == nil:
		s.Appended(end)
		return nil
	case errors.Is(err, protocol.ErrInvalidProducerEpoch), errors.Is(err, protocol.ErrInvalidTxnState),
		errors.Is(err, protocol.ErrTransactionCoordinatorFenced), errors.Is(err, protocol.ErrInvalidRequest):
		return err
	}
	s.Fail("append", err)
	return protocol.ErrNotCoordinator
}

// pendingOffsets is what of a commit is taken, with a code for each offset and
// records for those that are; the codes are all the same when the group
// refuses the request. Nothing is changed.
func (g *group) pendingOffsets(s *step, in TransactionalCommit, metadataMax int) ([]int16, []pendingOffset) {
	codes := make([]int16, len(in.Offsets))
	if code := g.mayCommitTransactional(in.Commit); code != 0 {
		for i := range codes {
			codes[i] = code
		}
		return codes, nil
	}
	var pending []pendingOffset
	for i, o := range in.Offsets {
		if code := g.mayCommitOffset(s, in.Commit, o); code != 0 {
			codes[i] = illegalIfStale(code)
			continue
		}
		if tooLong(o.Metadata, metadataMax) {
			codes[i] = protocol.ErrOffsetMetadataTooLarge.Code
			continue
		}
		c := committed{
			offset: o.Offset, leaderEpoch: o.LeaderEpoch, metadata: o.Metadata,
			commitMs: s.nowMs, expireMs: -1, topicID: o.TopicID,
		}
		pending = append(pending, pendingOffset{offsetKey{o.Topic, o.Partition}, c})
		s.records = append(s.records, offsetRecord(g.id, o.Topic, o.Partition, c))
	}
	return codes, pending
}

// mayCommitTransactional tells whether the sender may commit now. A producer
// that names no member may always: clients before KIP-447 name none.
func (g *group) mayCommitTransactional(in Commit) int16 {
	switch {
	case g.state == dead:
		return protocol.ErrCoordinatorNotAvailable.Code
	case g.consumer != nil:
		return g.consumer.mayCommitTransactional(in)
	case g.streams != nil:
		return illegalIfStale(g.streams.mayCommit(in, true))
	case in.Generation < 0 && (g.state == empty || in.MemberID == "" && in.InstanceID == nil):
		return 0
	}
	if _, code := g.validate(in.MemberID, in.InstanceID); code != 0 {
		return code
	}
	if in.Generation != g.generation {
		return protocol.ErrIllegalGeneration.Code
	}
	return 0
}

// mayCommitTransactional is mayCommitTransactional of a consumer group.
func (c *consumerGroup) mayCommitTransactional(in Commit) int16 {
	if in.Generation < 0 && in.MemberID == "" && in.InstanceID == nil {
		return 0
	}
	in.Version = memberEpochVersion // OffsetCommit's; every TxnOffsetCommit that names a member is new enough
	return illegalIfStale(c.mayCommit(in))
}

// illegalIfStale is what a producer is told instead of STALE_MEMBER_EPOCH, which
// only consumers know; so does Kafka.
func illegalIfStale(code int16) int16 {
	if code == protocol.ErrStaleMemberEpoch.Code {
		return protocol.ErrIllegalGeneration.Code
	}
	return code
}

func (g *group) setUnstable(producerID int64, key offsetKey, c committed) {
	if g.unstable[key] == nil {
		g.unstable[key] = map[int64]committed{}
	}
	g.unstable[key][producerID] = c
}

// isUnstable tells whether an open transaction has committed an offset for a partition.
func (g *group) isUnstable(key offsetKey) bool { return len(g.unstable[key]) > 0 }

// hideUnstable takes the offsets that may change with the end of a transaction
// out of an answer.
func (g *group) hideUnstable(offsets []FetchedOffset) {
	for i := range offsets {
		o := &offsets[i]
		if g.isUnstable(offsetKey{o.Topic, o.Partition}) {
			o.Offset, o.LeaderEpoch, o.Metadata = -1, -1, ""
			o.ErrorCode = protocol.ErrUnstableOffsetCommit.Code
		}
	}
}

// settle ends one pending offset. Of two commits the later one stays, in a
// transaction or not: by the order of the log, which compaction keeps.
func (g *group) settle(producerID int64, key offsetKey, commit bool) {
	c, found := g.unstable[key][producerID]
	if !found {
		return // deleted since
	}
	if delete(g.unstable[key], producerID); len(g.unstable[key]) == 0 {
		delete(g.unstable, key)
	}
	if commit && (!g.has(key) || g.offsets[key.topic][key.partition].order < c.order) {
		g.setOffset(key, c)
	}
}

// EndTransaction writes the marker of a transaction into a partition of
// __consumer_offsets and makes the offsets committed in it visible, or drops
// them. Nobody else writes markers there. The reply comes when the marker is
// durable; the marker may be written again. INVALID_PRODUCER_EPOCH and
// TRANSACTION_COORDINATOR_FENCED: it is the marker of an earlier transaction, or
// of a former coordinator.
func (c *Coordinator) EndTransaction(ctx context.Context, partition int32, in TransactionEnd) *Reply[error] {
	if !c.enabled {
		return coordinator.Answered[error](protocol.ErrCoordinatorNotAvailable)
	}
	s, err := c.shards.At(partition)
	if err == nil {
		err = s.AwaitLoaded(ctx)
	}
	if err != nil {
		return coordinator.Answered(err)
	}
	return askShard(ctx, s, func(err error) error { return err }, func(s *shard, r *Reply[error]) {
		err := s.endTransaction(in)
		r.Give(s, err, err == nil)
	})
}

func (s *shard) endTransaction(end TransactionEnd) error {
	if t := s.transactions[end.ProducerID]; t != nil && t.outlives(end) {
		return protocol.ErrInvalidProducerEpoch
	}
	if err := s.append(func() (int64, error) { return s.log.AppendMarker(end) }); err != nil {
		return err
	}
	s.settle(end.ProducerID, end.Commit)
	return nil
}

// outlives tells that end is not the end of t but of an earlier transaction.
// In version 2 every transaction ends in an epoch of its own (KIP-1228), which
// the last one of a producer id cannot have.
func (t *openTransaction) outlives(end TransactionEnd) bool {
	if end.Version >= 2 && end.ProducerEpoch < math.MaxInt16 {
		return end.ProducerEpoch <= t.epoch
	}
	return end.ProducerEpoch < t.epoch
}

// settle ends all pending offsets of a producer.
func (s *shard) settle(producerID int64, commit bool) {
	t := s.transactions[producerID]
	if t == nil {
		return
	}
	delete(s.transactions, producerID)
	for id, keys := range t.offsets {
		g := s.groups[id]
		if g == nil {
			continue // deleted since
		}
		for key := range keys {
			g.settle(producerID, key, commit)
		}
		if g.unused() {
			delete(s.groups, id)
			s.timers.forget(g)
		}
	}
}

// replayTransactional applies one stored record of a transaction.
func (s *shard) replayTransactional(b record.Batch, r record.Record) error {
	d, err := decodeRecord(r.Key, r.Value)
	if err != nil {
		return err
	}
	if d.offset == nil || d.commit == nil {
		return s.replay(r.Key, r.Value) // nothing else is ever part of a transaction
	}
	d.commit.order = s.order
	s.groupOf(d.group).setUnstable(b.ProducerID(), *d.offset, *d.commit)
	t := s.transactions[b.ProducerID()]
	if t == nil {
		t = newOpenTransaction()
		s.transactions[b.ProducerID()] = t
	}
	t.note(d.group, *d.offset, b.ProducerEpoch())
	return nil
}

// replayMarker applies the marker of a transaction; other control batches say
// nothing of groups.
func (s *shard) replayMarker(b record.Batch) error {
	kind, _, err := record.ControlOf(b)
	if err != nil {
		return err
	}
	if kind == record.Commit || kind == record.Abort {
		s.settle(b.ProducerID(), kind == record.Commit)
	}
	return nil
}
