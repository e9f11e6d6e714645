package group

import (
	"bytes"
	"cmp"
	"slices"
)

// partitionID names a partition by its topic's id, as KIP-848 does: a topic
// that is made anew under its old name is another one.
type partitionID struct {
	topic [16]byte
	index int32
}

// held is a partition that a member has, with the member epoch at which it
// got it: commits of an older epoch are for somebody else's reading (KIP-1251).
type held struct {
	partitionID
	epoch int32
}

func comparePartitions(a, b partitionID) int {
	return cmp.Or(bytes.Compare(a.topic[:], b.topic[:]), cmp.Compare(a.index, b.index))
}

func compareHeld(a, b held) int { return comparePartitions(a.partitionID, b.partitionID) }

// findHeld looks a partition up in a sorted list.
func findHeld(list []held, p partitionID) (held, bool) {
	at, found := slices.BinarySearchFunc(list, p, func(h held, p partitionID) int { return comparePartitions(h.partitionID, p) })
	if !found {
		return held{}, false
	}
	return list[at], true
}

// has tells whether a sorted list holds a partition.
func has(list []partitionID, p partitionID) bool {
	_, found := slices.BinarySearchFunc(list, p, comparePartitions)
	return found
}

// mergeHeld is the sorted union of two lists that share no partition.
func mergeHeld(a, b []held) []held {
	merged := slices.Concat(a, b)
	slices.SortFunc(merged, compareHeld)
	return merged
}

// topicRun is one topic of a sorted list with its partitions there.
type topicRun struct {
	topic      [16]byte
	partitions []int32
}

// byTopic cuts a sorted list of partitions into topics.
func byTopic[P any](list []P, id func(P) partitionID) []topicRun {
	var runs []topicRun
	for _, e := range list {
		p := id(e)
		if len(runs) == 0 || runs[len(runs)-1].topic != p.topic {
			runs = append(runs, topicRun{topic: p.topic})
		}
		last := &runs[len(runs)-1]
		last.partitions = append(last.partitions, p.index)
	}
	return runs
}

func ofHeld(h held) partitionID             { return h.partitionID }
func ofPartition(p partitionID) partitionID { return p }

// reported is what a member says that it owns, in any order. nil means that it
// did not say, and may still own all that it had.
type reported []partitionID

// ownsAny tells whether the member may still own one of a sorted list.
func (r reported) ownsAny(list []held) bool {
	if r == nil {
		return len(list) > 0
	}
	return slices.ContainsFunc(r, func(p partitionID) bool {
		_, found := findHeld(list, p)
		return found
	})
}

// within tells whether all that the member owns is in a sorted list; a member
// that did not say is not.
func (r reported) within(list []held) bool {
	if r == nil {
		return false
	}
	return !slices.ContainsFunc(r, func(p partitionID) bool {
		_, found := findHeld(list, p)
		return !found
	})
}
