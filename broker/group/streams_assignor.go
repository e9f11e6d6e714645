package group

import (
	"cmp"
	"container/heap"
	"slices"
)

// streamsSpec is what the assignor sees of one member of a streams group.
type streamsSpec struct {
	id, process string
	target      taskSet // what it was assigned before
}

// streamsInput is a streams group to assign.
type streamsInput struct {
	members []streamsSpec    // ascending by id, at least one
	parts   []configuredPart // ascending by id
	// standbys is how many copies of a task's state are kept besides that of the
	// active one (streams.num.standby.replicas).
	standbys int
}

// streamsProcess is one process of the application while it is assigned to. It
// may have several members (threads): a task lies in a process once only.
type streamsProcess struct {
	members []*streamsLoad
	tasks   map[taskID]bool
	order   int // among the processes; the lower one is the first to get a task
}

// streamsLoad is one member while it is assigned to.
type streamsLoad struct {
	process  *streamsProcess
	assigned taskSet
	count    int
}

// load is how many tasks each member of the process has, on average.
func (p *streamsProcess) load() float64 { return float64(len(p.tasks)) / float64(len(p.members)) }

// least is the member with the fewest tasks.
func (p *streamsProcess) least() *streamsLoad {
	return slices.MinFunc(p.members, func(a, b *streamsLoad) int { return cmp.Compare(a.count, b.count) })
}

// streamsShare is how many tasks a member may have before others get more: what
// is left divided by those that are not full, anew whenever one is full.
type streamsShare struct{ tasks, members, each int }

func newStreamsShare(tasks, members int) streamsShare {
	s := streamsShare{tasks: tasks, members: members}
	s.divide()
	return s
}

func (s *streamsShare) divide() {
	if s.each = 0; s.members > 0 {
		s.each = (s.tasks + s.members - 1) / s.members
	}
}

// got takes note that a member has that many tasks now.
func (s *streamsShare) got(count int) {
	if count == s.each {
		s.members--
		s.tasks -= count
		s.divide()
	}
}

// streamsAssignment is an assignment on its way.
type streamsAssignment struct {
	loads         []*streamsLoad // in the order of the members
	processes     []*streamsProcess
	active, total streamsShare
	wasActive     map[taskID]*streamsLoad
	wasStandby    map[taskID][]*streamsLoad
}

// assignStreams computes the target of each member, in the order of the
// members: tasks stay where they are, or where there is a copy of their state, as
// far as all members get their share; the rest goes to the processes with the
// least to do (StickyTaskAssignor). The same input always gives the same output.
func assignStreams(in streamsInput) []taskSet {
	a := newStreamsAssignment(in)
	var active, stateful []taskID
	for _, p := range in.parts {
		for n := range p.tasks {
			id := taskID{p.id, n}
			active = append(active, id)
			if len(p.changelogs) > 0 {
				stateful = append(stateful, id)
			}
		}
	}
	a.assignActive(active)
	if in.standbys > 0 {
		a.assignStandbys(stateful, in.standbys)
	}
	targets := make([]taskSet, len(a.loads))
	for i, m := range a.loads {
		targets[i] = m.assigned
		for kind := range targets[i] {
			targets[i][kind] = sortedTasks(targets[i][kind])
		}
	}
	return targets
}

func newStreamsAssignment(in streamsInput) *streamsAssignment {
	a := &streamsAssignment{wasActive: map[taskID]*streamsLoad{}, wasStandby: map[taskID][]*streamsLoad{}}
	byID := map[string]*streamsProcess{}
	for _, m := range in.members {
		p := byID[m.process]
		if p == nil {
			p = &streamsProcess{tasks: map[taskID]bool{}, order: len(a.processes)}
			byID[m.process] = p
			a.processes = append(a.processes, p)
		}
		l := &streamsLoad{process: p}
		p.members = append(p.members, l)
		a.loads = append(a.loads, l)
		for _, t := range m.target[activeTask] {
			a.wasActive[t.taskID] = l
		}
		for _, t := range m.target[standbyTask] {
			a.wasStandby[t.taskID] = append(a.wasStandby[t.taskID], l)
		}
	}
	active, copies := 0, 0
	for _, p := range in.parts {
		active += int(p.tasks)
		if len(p.changelogs) > 0 {
			copies += int(p.tasks) * in.standbys
		}
	}
	a.active = newStreamsShare(active, len(a.loads))
	a.total = newStreamsShare(active+copies, len(a.loads))
	return a
}

// give assigns a task to a member.
func (a *streamsAssignment) give(m *streamsLoad, kind taskKind, id taskID) {
	m.assigned[kind] = append(m.assigned[kind], heldTask{taskID: id})
	m.process.tasks[id] = true
	m.count++
	if kind == activeTask {
		a.active.got(m.count)
	}
	a.total.got(m.count)
}

// byPartition orders tasks so that those of one partition of all subtopologies
// are together: in that order they were spread, see bySubtopology.
func byPartition(a, b taskID) int {
	return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.subtopology, b.subtopology))
}

func (a *streamsAssignment) assignActive(tasks []taskID) {
	slices.SortFunc(tasks, byPartition)
	tasks = slices.DeleteFunc(tasks, func(id taskID) bool {
		m := a.wasActive[id]
		if m == nil || m.count >= a.active.each {
			return false
		}
		a.give(m, activeTask, id)
		return true
	})
	tasks = slices.DeleteFunc(tasks, func(id taskID) bool {
		m := a.leastOf(a.wasStandby[id], id)
		if m == nil || m.count >= a.active.each {
			return false
		}
		a.give(m, activeTask, id)
		return true
	})
	slices.SortFunc(tasks, compareTaskIDs)
	queue := newProcessQueue(a.processes)
	for _, id := range tasks {
		p := queue[0]
		a.give(p.least(), activeTask, id)
		heap.Fix(&queue, 0)
	}
}

// leastOf is the member with the least to do among those whose process does
// not have a task; nil when there is none.
func (a *streamsAssignment) leastOf(members []*streamsLoad, id taskID) *streamsLoad {
	var best *streamsLoad
	for _, m := range members {
		if m.process.tasks[id] {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(m.process.load(), best.process.load()), cmp.Compare(m.count, best.count)) < 0 {
			best = m
		}
	}
	return best
}

// assignStandbys keeps copies of the state of tasks in other processes than
// the active one's, as many as there are processes for.
func (a *streamsAssignment) assignStandbys(tasks []taskID, standbys int) {
	// The last first: those are on the members that were full last.
	slices.SortFunc(tasks, func(x, y taskID) int { return byPartition(y, x) })
	type open struct {
		taskID
		copies int
	}
	var left []open
	for _, id := range tasks {
		copies := standbys
		for ; copies > 0; copies-- {
			m := a.wasActive[id]
			if m == nil || m.process.tasks[id] || m.count >= a.total.each {
				m = a.leastOf(a.wasStandby[id], id)
			}
			if m == nil || m.count >= a.total.each {
				break
			}
			a.give(m, standbyTask, id)
		}
		if copies > 0 {
			left = append(left, open{id, copies})
		}
	}
	slices.SortFunc(left, func(x, y open) int { return compareTaskIDs(y.taskID, x.taskID) })
	queue := newProcessQueue(a.processes)
	for _, o := range left {
		for range o.copies {
			if !a.giveStandby(&queue, o.taskID) {
				break
			}
		}
	}
}

// giveStandby gives a copy of a task to the process with the least to do that
// does not have the task, and reports whether there is one.
func (a *streamsAssignment) giveStandby(queue *processQueue, id taskID) (given bool) {
	var passed []*streamsProcess
	for len(*queue) > 0 && !given {
		p := heap.Pop(queue).(*streamsProcess)
		passed = append(passed, p)
		if !p.tasks[id] {
			a.give(p.least(), standbyTask, id)
			given = true
		}
	}
	for _, p := range passed {
		heap.Push(queue, p)
	}
	return given
}

// processQueue is a heap, the process with the least to do first.
type processQueue []*streamsProcess

func newProcessQueue(processes []*streamsProcess) processQueue {
	q := slices.Clone(processQueue(processes))
	heap.Init(&q)
	return q
}

func (q processQueue) Len() int { return len(q) }
func (q processQueue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].load(), q[j].load()), cmp.Compare(q[i].order, q[j].order)) < 0
}
func (q processQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *processQueue) Push(x any)   { *q = append(*q, x.(*streamsProcess)) }
func (q *processQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
