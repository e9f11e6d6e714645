package group

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// taskKind is one of the ways in which a member of a streams group has a task.
type taskKind int

const (
	activeTask  taskKind = iota // it processes records
	standbyTask                 // it keeps a copy of the task's state
	warmupTask                  // it makes a copy of the state, to become active; Kafka 4.3 assigns none
	taskKinds
)

// taskID names a task: the part of a subtopology that processes the partitions
// of one number of its source topics.
type taskID struct {
	subtopology string
	partition   int32
}

func compareTaskIDs(a, b taskID) int {
	return cmp.Or(cmp.Compare(a.subtopology, b.subtopology), cmp.Compare(a.partition, b.partition))
}

// heldTask is a task and, where it is active at a member, the epoch at which it
// was assigned; 0 everywhere else.
type heldTask struct {
	taskID
	epoch int32
}

func compareTasks(a, b heldTask) int { return compareTaskIDs(a.taskID, b.taskID) }

// taskSet is tasks by kind, each list ascending and each task once in it. The
// lists are never changed.
type taskSet [taskKinds][]heldTask

func (s taskSet) empty() bool {
	return !slices.ContainsFunc(s[:], func(list []heldTask) bool { return len(list) > 0 })
}

func (s taskSet) equal(o taskSet) bool {
	for kind := range taskKinds {
		if !slices.Equal(s[kind], o[kind]) {
			return false
		}
	}
	return true
}

// find looks a task up in one of the lists.
func (s taskSet) find(kind taskKind, id taskID) (heldTask, bool) {
	i, found := slices.BinarySearchFunc(s[kind], id, func(t heldTask, id taskID) int { return compareTaskIDs(t.taskID, id) })
	if !found {
		return heldTask{}, false
	}
	return s[kind][i], true
}

// within tells that every task is in another set, too, and in the same way.
func (s taskSet) within(o taskSet) bool {
	for kind, list := range s {
		for _, t := range list {
			if _, in := o.find(taskKind(kind), t.taskID); !in {
				return false
			}
		}
	}
	return true
}

// hasAny tells that one of the tasks is in another set, too, in the same way.
func (s taskSet) hasAny(o taskSet) bool {
	for kind, list := range s {
		for _, t := range list {
			if _, in := o.find(taskKind(kind), t.taskID); in {
				return true
			}
		}
	}
	return false
}

// and is both sets, which have no task in common.
func (s taskSet) and(o taskSet) taskSet {
	for kind := range taskKinds {
		if len(o[kind]) > 0 {
			s[kind] = slices.Concat(s[kind], o[kind])
			slices.SortFunc(s[kind], compareTasks)
		}
	}
	return s
}

// sortedTasks makes a list of one kind of what came in any order.
func sortedTasks(list []heldTask) []heldTask {
	slices.SortFunc(list, compareTasks)
	return slices.CompactFunc(list, func(a, b heldTask) bool { return a.taskID == b.taskID })
}

// tasksOf reads what a member says that it has; nil when it does not say.
func tasksOf(in *kmsg.StreamsGroupHeartbeatRequest) *taskSet {
	lists := [taskKinds][]kmsg.TaskIDs{in.ActiveTasks, in.StandbyTasks, in.WarmupTasks}
	var s taskSet
	for kind, list := range lists {
		if list == nil {
			return nil
		}
		for _, run := range list {
			for _, p := range run.Partitions {
				s[kind] = append(s[kind], heldTask{taskID: taskID{run.SubtopologyID, p}})
			}
		}
		s[kind] = sortedTasks(s[kind])
	}
	return &s
}

// runsOf gathers a list by subtopology, as requests and records do; never nil.
func runsOf(list []heldTask) []kmsg.TaskIDs {
	runs := []kmsg.TaskIDs{}
	for _, t := range list {
		if n := len(runs); n == 0 || runs[n-1].SubtopologyID != t.subtopology {
			runs = append(runs, kmsg.TaskIDs{SubtopologyID: t.subtopology})
		}
		last := &runs[len(runs)-1]
		last.Partitions = append(last.Partitions, t.partition)
	}
	return runs
}

// taskOwners tells in which processes members have a task, assigned or to be
// given up: by kind and task, how many of each process do.
type taskOwners [taskKinds]map[taskID]map[string]int

func newTaskOwners() (o taskOwners) {
	for kind := range o {
		o[kind] = map[taskID]map[string]int{}
	}
	return o
}

// count adds the tasks of a member of a process, or takes them away.
func (o taskOwners) count(process string, tasks taskSet, by int) {
	for kind, list := range tasks {
		for _, t := range list {
			of := o[kind][t.taskID]
			if of == nil {
				of = map[string]int{}
				o[kind][t.taskID] = of
			}
			if of[process] += by; of[process] == 0 {
				delete(of, process)
			}
			if len(of) == 0 {
				delete(o[kind], t.taskID)
			}
		}
	}
}

// frees tells that a member of a process may have a task now: an active one
// that is active nowhere, and that the process has in no other way.
func (o taskOwners) frees(kind taskKind, id taskID, process string) bool {
	if kind == activeTask && len(o[activeTask][id]) > 0 {
		return false
	}
	for other := range taskKinds {
		if o[other][id][process] > 0 {
			return false
		}
	}
	return true
}
