package group

import "fluxmq/broker/invariant"

// reconcileStreams takes a member as far towards a target as what it still has,
// and what others have not given up, allow, and stores where it stands then.
// owned is what it says that it has, nil when it does not say.
func (g *group) reconcileStreams(s *step, m *streamsMember, target taskSet, owned *taskSet) *streamsMember {
	c := g.streams
	if m.reconciledTo(c.targetEpoch) {
		return m
	}
	next := c.advance(m, target, owned)
	if sameTasks(m, next) {
		return m
	}
	g.storeStreamsCurrent(s, next)
	if invariant.Enabled {
		for _, t := range next.assigned[activeTask] {
			if _, kept := m.assigned.find(activeTask, t.taskID); kept {
				continue
			}
			total := 0
			for _, count := range c.owners[activeTask][t.taskID] {
				total += count
			}
			invariant.Check(total == 1, "group %s: task %s_%d is active at %d members", g.id, t.subtopology, t.partition, total)
		}
	}
	if next.state == memberUnrevoked {
		s.set(timerKey{revokeTimer, m.id}, int64(next.rebalanceTimeoutMs))
	} else {
		s.cancel(timerKey{revokeTimer, m.id})
	}
	return next
}

// advance is one step of a member (CurrentAssignmentBuilder of the streams
// groups):
//
//	Stable      → at another epoch than the target, on to it
//	Unrevoked   → on, an epoch further, when it has given up what it was told to
//	Unreleased  → on, with what is free by now
//
// A task is free for a member when it is active nowhere, if it is to be active,
// and the member's process does not have it in another way. What the
// member itself gives up only now is free at its next heartbeat.
func (c *streamsGroup) advance(m *streamsMember, target taskSet, owned *taskSet) *streamsMember {
	epoch := m.epoch
	switch m.state {
	case memberUnrevoked:
		if owned == nil || owned.hasAny(m.revoking) {
			return m
		}
		epoch++
	case memberUnknown:
		epoch = c.targetEpoch
	}
	var keep, revoke, take taskSet
	waits := false
	for kind := range taskKinds {
		for _, t := range m.assigned[kind] {
			if _, stays := target.find(kind, t.taskID); stays {
				keep[kind] = append(keep[kind], t)
			} else {
				revoke[kind] = append(revoke[kind], t)
			}
		}
		for _, t := range target[kind] {
			if _, kept := m.assigned.find(kind, t.taskID); kept {
				continue
			}
			if !c.owners.frees(kind, t.taskID, m.process) {
				waits = true
				continue
			}
			if kind == activeTask {
				t.epoch = c.targetEpoch
			}
			take[kind] = append(take[kind], t)
		}
	}
	next := *m
	next.previousEpoch = m.epoch
	if !revoke.empty() && (owned == nil || owned.hasAny(revoke)) {
		next.epoch, next.state, next.assigned, next.revoking = epoch, memberUnrevoked, keep, revoke
		return &next
	}
	next.epoch, next.assigned, next.revoking = c.targetEpoch, keep.and(take), taskSet{}
	if next.state = memberStable; waits {
		next.state = memberUnreleased
	}
	return &next
}
