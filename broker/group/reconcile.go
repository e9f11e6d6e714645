package group

import "fluxmq/broker/invariant"

// reconcile takes a member as far towards its target as what it still owns,
// and what others have not given up, allow, and stores where it stands then.
// changed tells that its subscription is another one since this request.
func (g *group) reconcile(s *step, m *consumerMember, changed bool, owned reported) *consumerMember {
	c := g.consumer
	if !changed && m.reconciledTo(c.targetEpoch) {
		return m
	}
	next := c.advance(m, changed, owned, s.topics)
	if sameAssignment(m, next) {
		return m
	}
	if invariant.Enabled {
		for _, h := range next.assigned {
			owner := c.owners[h.partitionID]
			invariant.Check(owner == "" || owner == m.id, "group %s: partition %d is assigned to %s, %s has it", g.id, h.index, m.id, owner)
		}
	}
	g.storeCurrent(s, next)
	if next.state == memberUnrevoked && next.classic == nil { // classic ones have a time to join and one to sync instead
		s.set(timerKey{revokeTimer, m.id}, int64(next.rebalanceTimeoutMs))
	} else {
		s.cancel(timerKey{revokeTimer, m.id})
	}
	return next
}

// advance is one step of a member (CurrentAssignmentBuilder):
//
//	Stable      → at another epoch than the target, on to it
//	Unrevoked   → on when it has given up what it was told to
//	Unreleased  → on, with what is free by now
//
// A member that stays where it is still loses at once the topics that it does
// not subscribe to any more.
func (c *consumerGroup) advance(m *consumerMember, changed bool, owned reported, topics Topics) *consumerMember {
	var stay bool
	switch m.state {
	case memberStable:
		stay = m.epoch == c.targetEpoch
	case memberUnrevoked:
		stay = owned.ownsAny(m.revoking)
	}
	switch {
	case !stay:
		return c.towardsTarget(m, owned, topics)
	case changed:
		return c.withoutUnsubscribed(m, owned, topics)
	}
	return m
}

// subscribedIDs are the topics that a member subscribes to, as a set.
func (c *consumerGroup) subscribedIDs(m *consumerMember, topics Topics) map[[16]byte]bool {
	ids := map[[16]byte]bool{}
	for _, id := range c.topicsOf(m, topics) {
		ids[id] = true
	}
	return ids
}

// towardsTarget gives up what is not in the target and, if nothing of that is
// still owned, takes what is in it and free.
func (c *consumerGroup) towardsTarget(m *consumerMember, owned reported, topics Topics) *consumerMember {
	subscribed := c.subscribedIDs(m, topics)
	target := c.target[m.id]
	var keep, revoke, take []held
	for _, h := range m.assigned {
		if subscribed[h.topic] && has(target, h.partitionID) {
			keep = append(keep, h)
		} else {
			revoke = append(revoke, h)
		}
	}
	waits := false
	for _, p := range target {
		if _, kept := findHeld(keep, p); kept || !subscribed[p.topic] {
			continue
		}
		// What the member itself is giving up is free for it.
		if owner := c.owners[p]; owner != "" && owner != m.id {
			waits = true
			continue
		}
		take = append(take, held{p, c.targetEpoch})
	}
	next := *m
	next.previousEpoch = m.epoch
	if owned.ownsAny(revoke) {
		next.state, next.assigned, next.revoking = memberUnrevoked, keep, revoke
		return &next
	}
	next.epoch, next.assigned, next.revoking = c.targetEpoch, mergeHeld(keep, take), nil
	if next.state = memberStable; waits {
		next.state = memberUnreleased
	}
	return &next
}

// withoutUnsubscribed takes the topics from a member that it does not
// subscribe to any more.
func (c *consumerGroup) withoutUnsubscribed(m *consumerMember, owned reported, topics Topics) *consumerMember {
	subscribed := c.subscribedIDs(m, topics)
	var keep, drop []held
	for _, h := range m.assigned {
		if subscribed[h.topic] {
			keep = append(keep, h)
		} else {
			drop = append(drop, h)
		}
	}
	if len(drop) == 0 {
		return m
	}
	next := *m
	next.previousEpoch, next.assigned = m.epoch, keep
	if revoking := mergeHeld(m.revoking, drop); owned.ownsAny(revoking) {
		next.state, next.revoking = memberUnrevoked, revoking
	}
	return &next
}
