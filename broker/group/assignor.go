package group

import (
	"bytes"
	"cmp"
	"slices"
)

// memberSpec is what an assignor sees of one member.
type memberSpec struct {
	id         string
	instanceID *string
	// topics are the subscribed ones that exist, ascending.
	topics [][16]byte
	// target is what the member was assigned before, ascending.
	target []partitionID
}

// assignorInput is a group to assign.
type assignorInput struct {
	members []memberSpec // ascending by id, at least one
	// partitions holds the count of partitions of every subscribed topic.
	partitions map[[16]byte]int32
	// alike tells that all members subscribe to the same topics.
	alike bool
}

// assignor computes the target of each member, in the order of the members.
// Each list is ascending; the same input always gives the same output.
type assignor func(assignorInput) [][]partitionID

// assignors are the server-side assignors by name (group.consumer.assignors).
var assignors = map[string]assignor{"uniform": assignUniform, "range": assignRange}

// assignUniform gives every member as many partitions as any other that reads
// the same topics, give or take one, and moves as few as that allows
// (UniformAssignor).
func assignUniform(in assignorInput) [][]partitionID {
	if in.alike {
		return assignAlike(in)
	}
	return assignMixed(in)
}

// assignAlike is the uniform assignment of members with one subscription:
// each keeps what it has up to its share, and what is left over is handed to
// those below theirs, in order.
//
// When the partitions do not divide evenly, the larger shares go to members
// that have that many already. Kafka's UniformHomogeneousAssignmentBuilder
// gives them to the first members it comes to, which moves more.
func assignAlike(in assignorInput) [][]partitionID {
	count := len(in.members)
	total := 0
	for _, partitions := range in.partitions {
		total += int(partitions)
	}
	least, larger := total/count, total%count

	taken := map[partitionID]bool{}
	out := make([][]partitionID, count)
	share := make([]int, count)
	for i, m := range in.members {
		out[i] = kept(m.target, in.partitions, taken)
		share[i] = least
		if larger > 0 && len(out[i]) > least {
			share[i]++
			larger--
		}
	}
	for i := range share {
		if larger > 0 && share[i] == least {
			share[i]++
			larger--
		}
		for _, p := range out[i][min(share[i], len(out[i])):] {
			delete(taken, p)
		}
		out[i] = out[i][:min(share[i], len(out[i]))]
	}
	free := untaken(in.members[0].topics, in.partitions, taken)
	for i := range out {
		if missing := share[i] - len(out[i]); missing > 0 {
			out[i] = append(out[i], free[:missing]...)
			free = free[missing:]
			slices.SortFunc(out[i], comparePartitions)
		}
	}
	return out
}

// kept copies the partitions of a former target that still exist and that
// nobody took yet, and takes them.
func kept(target []partitionID, partitions map[[16]byte]int32, taken map[partitionID]bool) []partitionID {
	out := make([]partitionID, 0, len(target))
	for _, p := range target {
		if p.index < partitions[p.topic] && !taken[p] {
			taken[p] = true
			out = append(out, p)
		}
	}
	return out
}

// untaken lists the partitions of topics that nobody has, ascending when topics are.
func untaken(topics [][16]byte, partitions map[[16]byte]int32, taken map[partitionID]bool) []partitionID {
	var free []partitionID
	for _, topic := range topics {
		for index := range partitions[topic] {
			if p := (partitionID{topic, index}); !taken[p] {
				free = append(free, p)
			}
		}
	}
	return free
}

// assignRange gives each member one range of each of its topics, so that
// topics with equally many partitions are co-partitioned where the
// subscriptions are alike. Static members come first, by their instance ids,
// so that they keep their ranges over a restart (RangeAssignor of Kafka 4).
func assignRange(in assignorInput) [][]partitionID {
	order := make([]int, len(in.members))
	readers := map[[16]byte]int32{}
	for i, m := range in.members {
		order[i] = i
		for _, topic := range m.topics {
			readers[topic]++
		}
	}
	slices.SortFunc(order, func(a, b int) int { return compareRange(in.members[a], in.members[b]) })

	out := make([][]partitionID, len(in.members))
	next := map[[16]byte]int32{} // the first partition not assigned yet
	seen := map[[16]byte]int32{} // readers that had their turn
	for _, i := range order {
		for _, topic := range in.members[i].topics {
			size := in.partitions[topic] / readers[topic]
			if seen[topic] < in.partitions[topic]%readers[topic] {
				size++
			}
			seen[topic]++
			for range size {
				out[i] = append(out[i], partitionID{topic, next[topic]})
				next[topic]++
			}
		}
	}
	return out
}

func compareRange(a, b memberSpec) int {
	switch {
	case a.instanceID != nil && b.instanceID != nil:
		return cmp.Compare(*a.instanceID, *b.instanceID)
	case a.instanceID != nil:
		return -1
	case b.instanceID != nil:
		return 1
	}
	return cmp.Compare(a.id, b.id)
}

func compareTopics(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }
