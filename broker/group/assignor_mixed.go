package group

import (
	"cmp"
	"maps"
	"slices"
)

// maxRounds bounds how often the topics are gone through to even out members
// with different subscriptions. Where the readers of a topic have the same
// subscription, one round is enough; overlapping ones roughly halve what is
// uneven with each (UniformHeterogeneousAssignmentBuilder).
const maxRounds = 16

// nobody owns a partition that is not assigned.
const nobody = -1

// mixed is the uniform assignment of members with different subscriptions.
// Members are named by their index.
type mixed struct {
	assignorInput
	readers map[[16]byte][]int // by topic, ascending
	owners  map[[16]byte][]int // by topic and partition; nobody: not assigned
	sizes   []int              // partitions of each member
	topics  [][16]byte         // the most partitions per reader first
}

// assignMixed keeps what still may be kept, hands the rest to the least loaded
// readers topic by topic, and then moves partitions from the most to the least
// loaded readers of a topic until none is more than one ahead.
func assignMixed(in assignorInput) [][]partitionID {
	m := newMixed(in)
	m.keep()
	for _, topic := range m.topics {
		m.handOut(topic)
	}
	for range maxRounds {
		moved := 0
		for _, topic := range m.topics {
			moved += m.even(topic)
		}
		if moved == 0 {
			break
		}
	}
	return m.result()
}

func newMixed(in assignorInput) *mixed {
	m := &mixed{assignorInput: in, readers: map[[16]byte][]int{}, owners: map[[16]byte][]int{}, sizes: make([]int, len(in.members))}
	for i, member := range in.members {
		for _, topic := range member.topics {
			m.readers[topic] = append(m.readers[topic], i)
		}
	}
	for topic := range m.readers {
		m.owners[topic] = slices.Repeat([]int{nobody}, int(in.partitions[topic]))
	}
	m.topics = slices.SortedFunc(maps.Keys(m.readers), func(a, b [16]byte) int {
		// partitions per reader, without dividing: a/ra > b/rb is a*rb > b*ra
		mine := int64(in.partitions[a]) * int64(len(m.readers[b]))
		other := int64(in.partitions[b]) * int64(len(m.readers[a]))
		return cmp.Or(cmp.Compare(other, mine), cmp.Compare(len(m.readers[a]), len(m.readers[b])), compareTopics(a, b))
	})
	return m
}

func (m *mixed) give(topic [16]byte, partition int32, to int) {
	if from := m.owners[topic][partition]; from != nobody {
		m.sizes[from]--
	}
	m.owners[topic][partition] = to
	m.sizes[to]++
}

// keep leaves members the partitions of topics that they still read.
func (m *mixed) keep() {
	for i, member := range m.members {
		for _, p := range member.target {
			_, reads := slices.BinarySearchFunc(member.topics, p.topic, compareTopics)
			if reads && p.index < m.partitions[p.topic] && m.owners[p.topic][p.index] == nobody {
				m.give(p.topic, p.index, i)
			}
		}
	}
}

// handOut assigns the partitions of a topic that nobody has, each to the
// reader with the fewest.
func (m *mixed) handOut(topic [16]byte) {
	order := slices.Clone(m.readers[topic])
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(m.sizes[a], m.sizes[b]), cmp.Compare(a, b)) })
	// The members before end are level; they are filled in turn, and when all
	// have one more, those that had that many from the beginning join them.
	end, next := 0, 0
	for partition, owner := range m.owners[topic] {
		if owner != nobody {
			continue
		}
		if next == end {
			for end < len(order) && (end == 0 || m.sizes[order[end]] <= m.sizes[order[0]]) {
				end++
			}
			next = 0
		}
		m.give(topic, int32(partition), order[next])
		next++
	}
}

// even moves partitions of a topic from the reader that has the most to the
// one that has the fewest, as long as that makes the two more alike. It
// returns how many it moved.
func (m *mixed) even(topic [16]byte) (moved int) {
	readers := m.readers[topic]
	if len(readers) < 2 {
		return 0
	}
	of := map[int][]int32{}
	for partition, owner := range m.owners[topic] {
		of[owner] = append(of[owner], int32(partition))
	}
	for {
		most, fewest := nobody, readers[0]
		for _, i := range readers {
			if len(of[i]) > 0 && (most == nobody || m.sizes[i] >= m.sizes[most]) {
				most = i
			}
			if m.sizes[i] < m.sizes[fewest] {
				fewest = i
			}
		}
		if most == nobody || m.sizes[most]-m.sizes[fewest] <= 1 {
			return moved
		}
		last := len(of[most]) - 1
		partition := of[most][last]
		of[most] = of[most][:last]
		of[fewest] = append(of[fewest], partition)
		m.give(topic, partition, fewest)
		moved++
	}
}

func (m *mixed) result() [][]partitionID {
	out := make([][]partitionID, len(m.members))
	for _, topic := range slices.SortedFunc(maps.Keys(m.owners), compareTopics) {
		for partition, owner := range m.owners[topic] {
			if owner != nobody {
				out[owner] = append(out[owner], partitionID{topic, int32(partition)})
			}
		}
	}
	return out
}
