package group

import (
	"errors"
	"slices"
	"testing"
)

func TestListsOfPartitions(t *testing.T) {
	list := []int32{0, 1, 2, 3, 7}
	for _, c := range []struct{ more, gone, left, joined []int32 }{
		{nil, nil, []int32{0, 1, 2, 3, 7}, []int32{0, 1, 2, 3, 7}},
		{[]int32{9, 4, 4, 1}, []int32{7, 9, 1, 1}, []int32{0, 2, 3}, []int32{0, 1, 2, 3, 4, 7, 9}},
		{[]int32{5}, []int32{3, 2, 1, 0, 7}, nil, []int32{0, 1, 2, 3, 5, 7}},
	} {
		if left, joined := without(list, c.gone), with(list, c.more); !slices.Equal(left, c.left) || !slices.Equal(joined, c.joined) {
			t.Errorf("without %v: %v, want %v; with %v: %v, want %v", c.gone, left, c.left, c.more, joined, c.joined)
		}
	}
	if !slices.Equal(list, []int32{0, 1, 2, 3, 7}) {
		t.Errorf("the list was changed: %v", list)
	}
}

// TestStatesOfManyPartitions: what a job tells of very many partitions, in any
// order, is noted in one go. One by one it would hold up the shard for long.
func TestStatesOfManyPartitions(t *testing.T) {
	const partitions = 100_000
	g := newGroup("g", &limits{}, 0)
	g.share = newShareGroup()
	s := &step{nowMs: 1}
	var all []SharePartition
	for p := range int32(partitions) {
		all = append(all, SharePartition{Topic: topicNamed("t", 0), Name: "t", Partition: partitions - 1 - p})
	}
	g.beginShare(s, all)
	errs := make([]error, partitions)
	errs[partitions-1] = errors.New("not made") // of partition 0
	g.shareInitialized(s, all, errs)
	states := g.share.states
	if made := states.initialized[topicNamed("t", 0)]; made.name != "t" || len(made.partitions) != partitions-1 || made.partitions[0] != 1 || !slices.IsSorted(made.partitions) {
		t.Errorf("%d states of topic %q are known", len(made.partitions), made.name)
	}
	if len(states.initializing) != 0 || len(g.share.begunMs) != 0 || len(s.records) != 2 {
		t.Errorf("%d topics wait still, and %d records were made", len(states.initializing), len(s.records))
	}
	topics := testTopics{partitions: map[string]int32{"t": partitions}, version: 1}
	g.share.byName["t"] = 1
	if missing := g.share.uninitialized(topics, 2, 30_000); len(missing) != 1 || missing[0].Partition != 0 {
		t.Errorf("%d partitions have no state", len(missing))
	}
}
