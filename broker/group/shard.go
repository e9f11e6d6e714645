package group

import (
	"log/slog"
	"sync"
	"time"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shard owns the groups of one partition of __consumer_offsets. Its goroutine
// (loop) serves the queue and the timers; a request that finds the shard idle
// is served by its caller (serveHere), which saves two switches of goroutines.
// What heartbeats cost: broker/compat/results/group-scale.json.
type shard struct {
	*coordinator.Queue[*shard]
	index  int32
	config *settings
	log    Log
	wake   chan struct{} // capacity 1: there are records to write

	// mutex guards the fields below.
	mutex sync.Mutex
	*coordinator.Journal
	serving bool // loop has replayed the partition and not returned

	groups map[string]*group
	// transactions are those that have committed offsets here, or are about to,
	// by producer id.
	transactions map[int64]*openTransaction
	order        int64 // of the last step, see committed

	timers     *timers
	nextExpiry time.Time // of the next look for expired offsets
	alarm      *coordinator.Alarm

	nextTicket ticket
	held       map[ticket]func(reply, bool)
}

func newShard(index int32, c *settings, l Log) *shard {
	s := &shard{
		Queue: coordinator.NewQueue[*shard](c.answerTimeout),
		index: index, config: c, log: l, wake: make(chan struct{}, 1),
		held: map[ticket]func(reply, bool){},
	}
	s.Journal = coordinator.NewJournal(coordinator.JournalConfig{
		Log: l, Logger: c.logger, Coordinator: "group coordinator", Partition: index, Failed: s.giveUp,
	})
	s.clear()
	return s
}

func (s *shard) clear() {
	s.groups, s.transactions, s.timers = map[string]*group{}, map[int64]*openTransaction{}, &timers{}
}

// loop replays the partition, then serves commands and timers until stop closes.
func (s *shard) loop() {
	defer s.Ended()
	s.begin()
	s.Loaded()
	for {
		select {
		case c := <-s.Commands():
			s.mutex.Lock()
			s.Serve(s, s.Journal, c)
			s.Drain(s, s.Journal)
		case <-s.wake:
			s.mutex.Lock()
			s.Drain(s, s.Journal)
		case <-s.alarm.Chan():
			s.mutex.Lock()
			s.alarm.Fired()
		case <-s.Stopping():
			s.mutex.Lock()
			s.Flush() // what serveHere left
			s.serving = false
			s.alarm.Stop()
			s.mutex.Unlock()
			return
		}
		s.fire()
		s.Flush()
		s.arm()
		s.mutex.Unlock()
	}
}

// begin replays the partition.
func (s *shard) begin() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.alarm = coordinator.NewAlarm(s.config.newTimer(time.Hour), s.config.now)
	s.load()
	s.serving = true
	s.arm()
}

// serveHere runs a command in the caller's goroutine, unless the shard is at
// work or a command waits for it: then it reports false. It never waits: timers
// that are due, and what is to be written, are left to loop.
func (s *shard) serveHere(c command) bool {
	if !s.enter() {
		return false
	}
	defer s.mutex.Unlock()
	c.Run(s)
	if s.Unwritten() {
		select {
		case s.wake <- struct{}{}:
		default: // told already
		}
		return true
	}
	s.Flush()
	s.arm()
	return true
}

// enter locks the shard's mutex if nothing is to be waited for: neither the
// shard nor a command that would be overtaken.
func (s *shard) enter() bool {
	if !s.Idle() || !s.mutex.TryLock() {
		return false
	}
	if !s.serving || s.Failure() != nil || !s.Idle() || s.Unwritten() {
		s.mutex.Unlock()
		return false
	}
	return true
}

// load brings the groups back from the log.
func (s *shard) load() {
	began := s.config.now()
	s.nextExpiry = began.Add(s.config.retentionCheck)
	records, skipped, ok := s.Load(errUnknownRecord, func(b record.Batch, r record.Record) error {
		s.order = r.Offset
		return s.replayFrom(b, r)
	})
	if !ok {
		return
	}
	for id, g := range s.groups {
		if g.unused() {
			delete(s.groups, id)
			continue
		}
		s.do(g, g.resume)
	}
	if records > 0 {
		s.config.logger.Info("loaded groups", "partition", s.index, "groups", len(s.groups),
			"records", records, "skipped", skipped, "duration_ms", s.config.now().Sub(began).Milliseconds())
	}
}

// replayFrom applies one stored record of a batch.
func (s *shard) replayFrom(b record.Batch, r record.Record) error {
	switch {
	case b.IsControl():
		return s.replayMarker(b)
	case b.IsTransactional():
		return s.replayTransactional(b, r)
	}
	return s.replay(r.Key, r.Value)
}

// replay applies one stored record of no transaction.
func (s *shard) replay(key, value []byte) error {
	r, err := decodeRecord(key, value)
	if err != nil {
		return err
	}
	g := s.groups[r.group]
	switch {
	case r.offset != nil && r.commit != nil:
		r.commit.order = s.order
		s.groupOf(r.group).setOffset(*r.offset, *r.commit)
	case r.offset != nil:
		if g != nil {
			g.dropOffset(*r.offset)
		}
	case r.metadata != nil:
		s.groupOf(r.group).restore(r.metadata)
	case r.consumer != nil && r.consumer.present:
		s.groupOf(r.group).replayConsumer(r.consumer, -1)
	case r.consumer != nil:
		if g != nil {
			g.replayConsumer(r.consumer, -1)
		}
	case r.share != nil && r.share.present:
		s.groupOf(r.group).replayShare(r.share, -1)
	case r.share != nil:
		if g != nil {
			g.replayShare(r.share, -1)
		}
	case r.streams != nil && r.streams.present:
		s.groupOf(r.group).replayStreams(r.streams, -1)
	case r.streams != nil:
		if g != nil {
			g.replayStreams(r.streams, -1)
		}
	case g != nil && g.consumer == nil && !g.notClassic():
		// A group's tombstone follows those of its offsets; one that has
		// offsets still lost only its generation.
		g.reset(-1)
	}
	return nil
}

// groupOf returns the group, made Empty if it is not there.
func (s *shard) groupOf(id string) *group {
	g := s.groups[id]
	if g == nil {
		g = newGroup(id, &s.config.limits, s.config.now().UnixMilli())
		s.groups[id] = g
	}
	return g
}

// hold keeps a request until the machine answers it.
func (s *shard) hold(answer func(r reply, durable bool)) ticket {
	s.nextTicket++
	s.held[s.nextTicket] = answer
	return s.nextTicket
}

// do feeds one input to a group and carries out what it wants. It reports
// whether records were made, that is, whether an answer must wait for them.
func (s *shard) do(g *group, input func(*step)) (wrote bool) {
	now := s.config.now()
	s.order++
	st := step{nowMs: now.UnixMilli(), order: s.order, topics: s.config.topics(), settings: s.config.settingsOf(g.id)}
	input(&st)
	s.Add(st.records...)
	for _, c := range st.timers {
		s.timers.apply(g, now, c)
	}
	for _, r := range st.replies {
		answer := s.held[r.to]
		delete(s.held, r.to)
		// An assignment is shown only when it would survive a crash.
		answer(r, len(st.records) > 0 || r.sync != nil && r.sync.ErrorCode == 0)
	}
	if len(st.initialize) > 0 {
		s.initialize(g, st.initialize)
	}
	if st.rebalances > 0 {
		s.config.rebalances.Add(int64(st.rebalances))
		s.logRebalance(g)
	}
	if g.state == dead || g.unused() {
		delete(s.groups, g.id)
		s.timers.forget(g)
	}
	return len(st.records) > 0
}

func (s *shard) logRebalance(g *group) {
	if c := g.consumer; c != nil {
		s.config.logger.Info("consumer group began an epoch", "group", g.id, "epoch", c.epoch,
			"assignment_epoch", c.targetEpoch, "members", len(c.members))
		return
	}
	if c := g.share; c != nil {
		s.config.logger.Info("share group began an epoch", "group", g.id, "epoch", c.epoch,
			"assignment_epoch", c.targetEpoch, "members", len(c.members))
		return
	}
	if c := g.streams; c != nil {
		s.config.logger.Info("streams group began an epoch", "group", g.id, "epoch", c.epoch,
			"assignment_epoch", c.targetEpoch, "members", len(c.members))
		return
	}
	s.config.logger.Info("group began a generation", "group", g.id, "generation", g.generation,
		"state", g.state.String(), "members", len(g.members), "leader", g.leader, "protocol", g.protocol)
}

// fire handles all timers that are due.
func (s *shard) fire() {
	now := s.config.now()
	for {
		due, is := s.timers.due(now)
		if !is {
			break
		}
		s.do(due.group, func(st *step) { due.group.expire(st, due.key) })
	}
	if now.Before(s.nextExpiry) || s.Failure() != nil {
		return
	}
	s.nextExpiry = now.Add(s.config.retentionCheck)
	for _, g := range s.groups {
		s.do(g, func(st *step) { s.config.expired.Add(int64(g.expireOffsets(st, s.config.retentionMs))) })
		if s.Full() {
			s.Flush()
		}
	}
}

// arm sets the alarm to the earliest deadline.
func (s *shard) arm() {
	next := s.nextExpiry
	if t, any := s.timers.next(); any && t.Before(next) {
		next = t
	}
	s.alarm.Set(next)
}

// giveUp refuses the requests that are held: the log has failed.
func (s *shard) giveUp() {
	for t, answer := range s.held {
		delete(s.held, t)
		answer(reply{to: t}, false)
	}
	s.clear()
}

// snapshot copies what metrics and the admin view show.
func (s *shard) snapshot() []Snapshot {
	list := make([]Snapshot, 0, len(s.groups))
	for _, g := range s.groups {
		_, speaks := g.typeName()
		one := Snapshot{
			Group: g.id, State: g.stateName(), ProtocolType: speaks,
			Generation: g.generation, Members: len(g.members), Offsets: g.fetch(nil),
		}
		if c := g.consumer; c != nil {
			one.Generation, one.Members = c.epoch, len(c.members)
		}
		if c := g.share; c != nil {
			one.Generation, one.Members = c.epoch, len(c.members)
		}
		if c := g.streams; c != nil {
			one.Generation, one.Members = c.epoch, len(c.members)
		}
		list = append(list, one)
	}
	return list
}

// list is ListGroups for this shard.
func (s *shard) list(wanted func(state, kind string) bool) []kmsg.ListGroupsResponseGroup {
	var list []kmsg.ListGroupsResponseGroup
	for _, g := range s.groups {
		kind, speaks := g.typeName()
		name := g.stateName()
		if !wanted(name, kind) {
			continue
		}
		e := kmsg.NewListGroupsResponseGroup()
		e.Group, e.ProtocolType, e.GroupState, e.GroupType = g.id, speaks, name, kind
		list = append(list, e)
	}
	return list
}

// settings are the coordinator's, shared by its shards; read-only but for the counters.
type settings struct {
	limits
	metadataMax    int
	retentionMs    int64
	retentionCheck time.Duration
	answerTimeout  time.Duration
	topics         func() Topics
	settingsOf     func(group string) groupSettings
	shareJobs      chan shareJob // nil where no states of share partitions are kept
	now            func() time.Time
	newTimer       func(time.Duration) Timer
	newID          func() string
	logger         *slog.Logger
	counters
}
