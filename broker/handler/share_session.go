package handler

import (
	"context"
	"slices"
	"sync"

	"fluxmq/broker/protocol"
	"fluxmq/broker/share"
)

// shareSessionPartitions bounds the partitions that all share sessions remember.
const shareSessionPartitions = 1_000_000

// sharePlace is a partition as share requests name it.
type sharePlace struct {
	topic     [16]byte
	partition int32
}

func (p sharePlace) key(group string) share.Key {
	return share.Key{Group: group, Topic: p.topic, Partition: p.partition}
}

// shareMember names the member of a share group whose session it is.
type shareMember struct{ group, member string }

// shareSession remembers what a member fetches (KIP-932), so that its requests
// and our responses name only what changed. It belongs to one connection, and
// with it goes what the member has acquired.
type shareSession struct {
	of         shareMember
	connection uint64

	// Guarded by the cache's mutex:
	epoch int32        // of the next request
	order []sharePlace // in the order of the requests that named them
	told  map[sharePlace]bool
}

// shareSessions holds the share sessions of all connections, bounded by
// group.share.max.share.sessions. Safe for concurrent use.
type shareSessions struct {
	slots int

	mu           sync.Mutex // guards what follows, and the sessions
	byMember     map[shareMember]*shareSession
	byConnection map[uint64]map[*shareSession]struct{}
	partitions   int
}

func newShareSessions(slots int) *shareSessions {
	return &shareSessions{slots: slots, byMember: map[shareMember]*shareSession{}, byConnection: map[uint64]map[*shareSession]struct{}{}}
}

// create makes the session of a member, in place of the one that it had.
func (c *shareSessions) create(of shareMember, connection uint64, places []sharePlace) (*shareSession, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.byMember[of]; old != nil {
		c.drop(old)
	}
	if len(c.byMember) >= c.slots || c.partitions+len(places) > shareSessionPartitions {
		return nil, protocol.ErrShareSessionLimitReached
	}
	s := &shareSession{of: of, connection: connection, epoch: 1, told: map[sharePlace]bool{}}
	c.byMember[of] = s
	if c.byConnection[connection] == nil {
		c.byConnection[connection] = map[*shareSession]struct{}{}
	}
	c.byConnection[connection][s] = struct{}{}
	c.add(s, places)
	return s, nil
}

// add lets a session remember partitions. The mutex is held.
func (c *shareSessions) add(s *shareSession, places []sharePlace) {
	for _, place := range places {
		if _, known := s.told[place]; !known {
			s.told[place] = false
			s.order = append(s.order, place)
			c.partitions++
		}
	}
}

// drop forgets a session. The mutex is held.
func (c *shareSessions) drop(s *shareSession) {
	delete(c.byMember, s.of)
	if delete(c.byConnection[s.connection], s); len(c.byConnection[s.connection]) == 0 {
		delete(c.byConnection, s.connection)
	}
	c.partitions -= len(s.order)
}

// advance finds the session of a member and checks a request's epoch against
// it; the next request has the next one.
func (c *shareSessions) advance(of shareMember, epoch int32) (*shareSession, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byMember[of]
	if s == nil {
		return nil, protocol.ErrShareSessionNotFound
	}
	if s.epoch != epoch {
		return nil, protocol.ErrInvalidShareSessionEpoch
	}
	if s.epoch++; s.epoch < 0 { // wraps to 1: 0 asks for a new session
		s.epoch = 1
	}
	return s, nil
}

// update adds partitions to a session, and then forgets others.
func (c *shareSessions) update(s *shareSession, added, forgotten []sharePlace) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byMember[s.of] != s {
		return protocol.ErrShareSessionNotFound
	}
	if c.partitions+len(added) > shareSessionPartitions {
		return protocol.ErrShareSessionLimitReached
	}
	c.add(s, added)
	for _, place := range forgotten {
		if _, known := s.told[place]; known {
			delete(s.told, place)
			c.partitions--
		}
	}
	if len(forgotten) > 0 {
		s.order = slices.DeleteFunc(s.order, func(place sharePlace) bool {
			_, known := s.told[place]
			return !known
		})
	}
	return nil
}

// close ends the session of a member and returns its partitions.
func (c *shareSessions) close(of shareMember) ([]sharePlace, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byMember[of]
	if s == nil {
		return nil, protocol.ErrShareSessionNotFound
	}
	c.drop(s)
	return s.order, nil
}

// places are the partitions of a session, beginning at another one with each
// request, so that none is always the last to be fetched.
func (c *shareSessions) places(s *shareSession) []sharePlace {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(s.order) == 0 {
		return nil
	}
	first := int(s.epoch-1) % len(s.order)
	return slices.Concat(s.order[first:], s.order[:first])
}

// tell notes that a response names a partition, and reports whether an earlier
// one did.
func (c *shareSessions) tell(s *shareSession, place sharePlace) (before bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := s.told[place]
	if known {
		s.told[place] = true
	}
	return before
}

// closeConnection ends the sessions of a connection and returns them.
func (c *shareSessions) closeConnection(connection uint64) []*shareSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ended []*shareSession
	for s := range c.byConnection[connection] {
		ended = append(ended, s)
	}
	for _, s := range ended {
		c.drop(s)
	}
	return ended
}

// clear ends all sessions.
func (c *shareSessions) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byMember)
	clear(c.byConnection)
	c.partitions = 0
}

// releaseShared takes back what members have acquired: others may have it at
// once. It waits until that is stored, but not for ever.
func (h *Handler) releaseShared(ctx context.Context, of shareMember, places []sharePlace) {
	h.releaseSessions(ctx, &shareSession{of: of, order: places})
}

// releaseSessions is releaseShared for all partitions of several members, which
// share the wait.
func (h *Handler) releaseSessions(ctx context.Context, ended ...*shareSession) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.Config.ShareWriteTimeout)
	defer cancel()
	var finish []func(context.Context) error
	for _, s := range ended {
		for _, place := range s.order {
			if p := h.Shares.Find(place.key(s.of.group)); p != nil {
				finish = append(finish, p.StartRelease(ctx, s.of.member))
			}
		}
	}
	for _, f := range finish {
		_ = f(ctx) // what is not released is when its lock is over
	}
}

// EndShareSessions ends every share session. What members have acquired goes
// with the share partitions, which whoever calls this drops.
func (h *Handler) EndShareSessions() { h.shareSessions.clear() }

// ConnectionClosed ends the share sessions of a connection that is closed. The
// server calls it, with Request.Connection.
func (h *Handler) ConnectionClosed(connection uint64) {
	if ended := h.shareSessions.closeConnection(connection); len(ended) > 0 {
		h.releaseSessions(context.Background(), ended...)
	}
}
