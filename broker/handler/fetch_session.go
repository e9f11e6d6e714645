package handler

import (
	"container/list"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
)

// Limits of fetch sessions.
const (
	// sessionIdle is how long a session must be unused before another client
	// may take its slot, as in Kafka.
	sessionIdle = 2 * time.Minute
	// sessionPartitions bounds the partitions that all sessions remember.
	sessionPartitions = 1_000_000
)

// Epochs of a Fetch request (KIP-227).
const (
	finalEpoch   = -1 // no session; close the one named
	initialEpoch = 0  // a full fetch that wants a session
)

// sessionCache holds the fetch sessions of all connections, bounded by slots.
// Safe for concurrent use.
type sessionCache struct {
	slots int

	mu         sync.Mutex // guards what follows, and every session's lastUsed and element
	byID       map[int32]*fetchSession
	used       *list.List // of *fetchSession, the longest unused first
	partitions int
}

// fetchSession remembers what a client fetches, so that its requests and our
// responses name only what changed (KIP-227).
type fetchSession struct {
	id       int32
	byID     bool // topics are named by id (Fetch v13 on)
	lastUsed time.Time
	element  *list.Element

	mu    sync.Mutex // guards what follows
	epoch int32      // of the next request
	known map[sessionKey]*sessionPartition
	// order is the order of reading. What had records moves to the end, so that
	// a large partition does not starve those behind it.
	order []*sessionPartition
}

// sessionKey names a partition in a session: by name or by id.
type sessionKey struct {
	name      string
	id        partition.TopicID
	partition int32
}

// sessionPartition is what a session remembers of a partition.
type sessionPartition struct {
	key     sessionKey
	name    []byte // key.name for the wire
	topic   string // the name that key.id has or had; "" while nobody knew it
	request protocol.FetchPartition
	// What the client was told last; a change makes the partition appear in
	// the response.
	highWatermark, logStart int64
	told                    bool
}

func newSessionCache(slots int) *sessionCache {
	return &sessionCache{slots: slots, byID: map[int32]*fetchSession{}, used: list.New()}
}

// get finds a session and marks it used, or returns nil.
func (c *sessionCache) get(id int32) *fetchSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byID[id]
	if s != nil {
		s.lastUsed = time.Now()
		c.used.MoveToBack(s.element)
	}
	return s
}

// create makes a session for a full request, or returns nil when no slot is
// free: the client then goes on with full requests.
func (c *sessionCache) create(f *protocol.FetchRequest) *fetchSession {
	now := time.Now()
	s := &fetchSession{byID: f.Version >= 13, lastUsed: now, epoch: 1, known: map[sessionKey]*sessionPartition{}}
	s.update(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.byID) >= c.slots || c.partitions+len(s.order) > sessionPartitions {
		oldest := c.used.Front()
		if oldest == nil || now.Sub(oldest.Value.(*fetchSession).lastUsed) < sessionIdle {
			return nil
		}
		c.drop(oldest.Value.(*fetchSession))
	}
	for s.id == 0 || c.byID[s.id] != nil {
		s.id = rand.Int32N(math.MaxInt32) + 1 // an id, not a secret: the epoch guards against mix-ups
	}
	c.byID[s.id] = s
	s.element = c.used.PushBack(s)
	c.partitions += len(s.order)
	return s
}

// remove ends a session; unknown ids are ignored.
func (c *sessionCache) remove(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.byID[id]; s != nil {
		c.drop(s)
	}
}

// drop forgets a session. The mutex is held.
func (c *sessionCache) drop(s *fetchSession) {
	delete(c.byID, s.id)
	c.used.Remove(s.element)
	s.mu.Lock()
	c.partitions -= len(s.order)
	s.mu.Unlock()
}

// advance checks an incremental request against the session and applies its
// changes. It returns false when nothing is left in the session, which then
// has ended.
func (c *sessionCache) advance(s *fetchSession, f *protocol.FetchRequest) (bool, error) {
	s.mu.Lock()
	if f.SessionEpoch != s.epoch {
		s.mu.Unlock()
		return true, protocol.ErrInvalidFetchSessionEpoch
	}
	if s.byID != (f.Version >= 13) {
		s.mu.Unlock()
		return true, protocol.ErrFetchSessionTopicIDError
	}
	if namesNothing(f) {
		s.mu.Unlock()
		return true, protocol.ErrUnknownServerError
	}
	if s.epoch++; s.epoch < 0 { // wraps to 1: 0 asks for a new session
		s.epoch = 1
	}
	before := len(s.order)
	s.update(f)
	after := len(s.order)
	s.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[s.id] == s {
		c.partitions += after - before
		if after == 0 {
			c.drop(s)
		}
	}
	return after > 0, nil
}

// namesNothing tells whether a request whose topics have ids names one by the id
// that is none: a session cannot remember that, and Kafka fails inside.
func namesNothing(f *protocol.FetchRequest) bool {
	none := partition.TopicID{}
	return f.Version >= 13 && (slices.ContainsFunc(f.Topics, func(t protocol.FetchTopic) bool { return t.ID == none }) ||
		slices.ContainsFunc(f.Forgotten, func(t protocol.ForgottenTopic) bool { return t.ID == none }))
}

// update adds, changes and forgets partitions as a request says. The
// session's mutex is held, or nobody else knows it yet.
func (s *fetchSession) update(f *protocol.FetchRequest) {
	for i := range f.Topics {
		t := &f.Topics[i]
		for _, request := range t.Partitions {
			if known := s.known[sessionKey{string(t.Name), t.ID, request.Partition}]; known != nil {
				known.request = request
				continue
			}
			key := sessionKey{string(t.Name), t.ID, request.Partition}
			added := &sessionPartition{key: key, name: []byte(key.name), request: request}
			s.known[added.key] = added
			s.order = append(s.order, added)
		}
	}
	forgot := false
	for i := range f.Forgotten {
		t := &f.Forgotten[i]
		for _, index := range t.Partitions {
			delete(s.known, sessionKey{string(t.Name), t.ID, index})
			forgot = true
		}
	}
	if !forgot {
		return
	}
	kept := s.order[:0]
	for _, p := range s.order {
		if s.known[p.key] == p {
			kept = append(kept, p)
		}
	}
	clear(s.order[len(kept):])
	s.order = kept
}

// changed decides whether a partition belongs in an incremental response. The
// session's mutex is held.
func (p *sessionPartition) changed(r *protocol.FetchPartitionResponse) bool {
	return !p.told || r.RecordsSize > 0 || r.ErrorCode != 0 || r.HasDivergingEpoch ||
		r.HighWatermark != p.highWatermark || r.LogStartOffset != p.logStart
}

// tell remembers what the client learns. The session's mutex is held.
func (p *sessionPartition) tell(r *protocol.FetchPartitionResponse) {
	// After an error the next response tells the state again.
	p.told = r.ErrorCode == 0
	p.highWatermark, p.logStart = r.HighWatermark, r.LogStartOffset
}
