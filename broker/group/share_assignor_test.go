package group

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func shareInputOf(t *rapid.T, former map[string][]partitionID) shareInput {
	in := shareInput{partitions: map[[16]byte][]int32{}}
	var topics [][16]byte
	for i := range rapid.IntRange(0, 4).Draw(t, "topics") {
		id := topicNamed(fmt.Sprintf("t%d", i), 0)
		topics = append(topics, id)
		var list []int32
		for p := range rapid.Int32Range(0, 8).Draw(t, "partitions") {
			if rapid.IntRange(0, 5).Draw(t, "missing") > 0 {
				list = append(list, p)
			}
		}
		if len(list) > 0 {
			in.partitions[id] = list
		}
	}
	in.alike = rapid.Bool().Draw(t, "alike")
	for i := range rapid.IntRange(1, 12).Draw(t, "members") {
		id := fmt.Sprintf("m%02d", i)
		mine := topics
		if !in.alike {
			mine = slices.DeleteFunc(slices.Clone(topics), func([16]byte) bool { return rapid.Bool().Draw(t, "unsubscribed") })
		}
		in.members = append(in.members, shareSpec{id, mine, former[id]})
	}
	return in
}

// TestShareAssignment: every partition that somebody may have is somebody's;
// among the same members partitions and members are spread evenly; what was
// assigned stays where evenness allows it.
func TestShareAssignment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		former := map[string][]partitionID{}
		for round := range 3 {
			in := shareInputOf(t, former)
			out := assignShare(in)
			checkShareAssignment(t, in, out)
			again := in
			again.members = slices.Clone(in.members)
			for i := range again.members {
				again.members[i].target = out[i]
			}
			if stays := assignShare(again); in.alike && fmt.Sprint(stays) != fmt.Sprint(out) {
				t.Fatalf("round %d: nothing changed, and %v became %v", round, out, stays)
			}
			former = map[string][]partitionID{}
			for i, m := range in.members {
				former[m.id] = out[i]
			}
		}
	})
}

func checkShareAssignment(t *rapid.T, in shareInput, out [][]partitionID) {
	t.Helper()
	readers := map[partitionID]int{}
	of := map[[16]byte]map[int]int{} // topic → member → partitions of it
	for i, list := range out {
		if !slices.IsSortedFunc(list, comparePartitions) {
			t.Fatalf("%v is not ascending", list)
		}
		for n, p := range list {
			if n > 0 && list[n-1] == p {
				t.Fatalf("member %d has %v twice", i, p)
			}
			if !slices.Contains(in.members[i].topics, p.topic) || !slices.Contains(in.partitions[p.topic], p.index) {
				t.Fatalf("member %d has %v, which it may not", i, p)
			}
			readers[p]++
			if of[p.topic] == nil {
				of[p.topic] = map[int]int{}
			}
			of[p.topic][i]++
		}
	}
	total := 0
	for topic, list := range in.partitions {
		subscribers := 0
		for _, m := range in.members {
			if slices.Contains(m.topics, topic) {
				subscribers++
			}
		}
		least, most := 1<<30, 0
		for _, index := range list {
			count := readers[partitionID{topic, index}]
			least, most = min(least, count), max(most, count)
		}
		if subscribers > 0 && (least == 0 || most > least+1) {
			t.Fatalf("partitions of %x have %d to %d readers", topic, least, most)
		}
		if subscribers > 0 {
			total += len(list)
		}
	}
	if !in.alike || total == 0 {
		return
	}
	least, most := 1<<30, 0
	for _, list := range out {
		least, most = min(least, len(list)), max(most, len(list))
	}
	if most > least+1 || least == 0 && total >= len(in.members) {
		t.Fatalf("members have %d to %d of %d partitions", least, most, total)
	}
}

// TestShareAssignmentMovesLittle: a member that comes takes from those with
// most, one that goes leaves only its own behind.
func TestShareAssignmentMovesLittle(t *testing.T) {
	topic := topicNamed("t", 0)
	in := shareInput{partitions: map[[16]byte][]int32{topic: {0, 1, 2, 3, 4, 5}}, alike: true}
	spec := func(id string, indexes ...int32) shareSpec {
		return shareSpec{id, [][16]byte{topic}, partitionsOf(topic, indexes)}
	}
	for _, c := range []struct {
		name    string
		members []shareSpec
		want    string
	}{
		{"the first", []shareSpec{spec("a")}, "[t-0 t-1 t-2 t-3 t-4 t-5]"},
		{"a second", []shareSpec{spec("a", 0, 1, 2, 3, 4, 5), spec("b")}, "[t-0 t-1 t-2], [t-3 t-4 t-5]"},
		{"a third", []shareSpec{spec("a", 0, 1, 2), spec("b", 3, 4, 5), spec("c")}, "[t-0 t-1], [t-3 t-4], [t-2 t-5]"},
		{"the second goes", []shareSpec{spec("a", 0, 1), spec("c", 2, 5)}, "[t-0 t-1 t-3], [t-2 t-4 t-5]"},
		{"a larger share stays", []shareSpec{spec("a", 0, 1), spec("b", 2, 3), spec("c", 4), spec("d", 5)}, "[t-0 t-1], [t-2 t-3], [t-4], [t-5]"},
		{"more members than partitions", []shareSpec{spec("a", 1), spec("b", 2), spec("c"), spec("d"), spec("e"), spec("f"), spec("g"), spec("h", 1)},
			"[t-1], [t-2], [t-0], [t-3], [t-4], [t-5], [t-0], [t-1]"},
	} {
		in.members = c.members
		got := ""
		for i, list := range assignShare(in) {
			if i > 0 {
				got += ", "
			}
			got += shownPartitions(list)
		}
		expect(t, c.name, got, c.want)
	}
}
