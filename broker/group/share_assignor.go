package group

import (
	"cmp"
	"slices"
)

// shareSpec is what the assignor sees of one member.
type shareSpec struct {
	id     string
	topics [][16]byte    // the subscribed ones that exist, ascending
	target []partitionID // what the member was assigned before, ascending
}

// shareInput is a share group to assign.
type shareInput struct {
	members    []shareSpec // ascending by id, at least one
	partitions map[[16]byte][]int32
	// alike tells that all members subscribe to the same topics.
	alike bool
}

// assignShare computes the target of each member, in the order of the members
// (SimpleAssignor). Of the partitions that the same members may have, each
// member has as many as any other, give or take one, and each partition as many
// members; nobody loses one that it may keep within that. Each list is
// ascending; the same input always gives the same output.
//
// Where the subscriptions differ this holds topic by topic; those who have
// least already come first then.
func assignShare(in shareInput) [][]partitionID {
	out := make([][]partitionID, len(in.members))
	order := make([]int, len(in.members))
	for i := range order {
		order[i] = i
	}
	if in.alike {
		var all []partitionID
		for _, topic := range in.members[0].topics {
			all = append(all, partitionsOf(topic, in.partitions[topic])...)
		}
		shareOut(out, in.members, order, all)
	} else {
		for _, topic := range sortedTopics(in.partitions) {
			readers := slices.DeleteFunc(slices.Clone(order), func(i int) bool {
				_, reads := slices.BinarySearchFunc(in.members[i].topics, topic, compareTopics)
				return !reads
			})
			slices.SortStableFunc(readers, func(a, b int) int { return cmp.Compare(len(out[a]), len(out[b])) })
			shareOut(out, in.members, readers, partitionsOf(topic, in.partitions[topic]))
		}
	}
	for _, list := range out {
		slices.SortFunc(list, comparePartitions)
	}
	return out
}

func partitionsOf(topic [16]byte, indexes []int32) []partitionID {
	list := make([]partitionID, len(indexes))
	for i, index := range indexes {
		list[i] = partitionID{topic, index}
	}
	return list
}

// shareOut adds to out what the named members get of partitions.
func shareOut(out [][]partitionID, members []shareSpec, order []int, partitions []partitionID) {
	switch {
	case len(partitions) == 0 || len(order) == 0:
	case len(order) <= len(partitions):
		shareOutFew(out, members, order, partitions)
	default:
		shareOutMany(out, members, order, partitions)
	}
}

// shareOutFew gives each partition to one member: there are enough for all.
func shareOutFew(out [][]partitionID, members []shareSpec, order []int, partitions []partitionID) {
	least, larger := len(partitions)/len(order), len(partitions)%len(order)
	free := map[partitionID]bool{}
	for _, p := range partitions {
		free[p] = true
	}
	has, share := make([]int, len(order)), make([]int, len(order))
	for n, i := range order {
		share[n] = least
		for _, p := range members[i].target {
			if !free[p] {
				continue
			}
			if has[n] == share[n] {
				if larger == 0 || share[n] > least {
					break
				}
				share[n]++
				larger--
			}
			delete(free, p)
			out[i] = append(out[i], p)
			has[n]++
		}
	}
	left := slices.DeleteFunc(slices.Clone(partitions), func(p partitionID) bool { return !free[p] })
	for n, i := range order {
		if share[n] == least && larger > 0 {
			share[n]++
			larger--
		}
		missing := share[n] - has[n]
		out[i] = append(out[i], left[:missing]...)
		left = left[missing:]
	}
}

// shareOutMany gives each member one partition: some have it with others.
func shareOutMany(out [][]partitionID, members []shareSpec, order []int, partitions []partitionID) {
	least, larger := len(order)/len(partitions), len(order)%len(partitions)
	readers := make(map[partitionID]int, len(partitions)) // of those that have any place
	for _, p := range partitions {
		readers[p] = 0
	}
	var waiting []int
	for _, i := range order {
		kept := slices.IndexFunc(members[i].target, func(p partitionID) bool {
			count, there := readers[p]
			return there && (count < least || count == least && larger > 0)
		})
		if kept < 0 {
			waiting = append(waiting, i)
			continue
		}
		p := members[i].target[kept]
		if readers[p] == least {
			larger--
		}
		readers[p]++
		out[i] = append(out[i], p)
	}
	var places []partitionID
	for _, p := range partitions {
		for range least - readers[p] { // none for one that has more
			places = append(places, p)
		}
	}
	for _, p := range partitions {
		if larger > 0 && readers[p] <= least {
			places = append(places, p)
			larger--
		}
	}
	for n, i := range waiting {
		out[i] = append(out[i], places[n])
	}
}
