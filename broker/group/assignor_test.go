package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// inputOf reads "t:3 u:2 | a t,u < t-0 t-1 | b t | c@instance u": topics with
// their partitions, then members with what they read and what they had.
func inputOf(text string) assignorInput {
	parts := strings.Split(text, "|")
	in := assignorInput{partitions: map[[16]byte]int32{}, alike: true}
	for _, word := range strings.Fields(parts[0]) {
		name, count, _ := strings.Cut(word, ":")
		n, err := strconv.Atoi(count)
		if err != nil {
			panic(err)
		}
		in.partitions[topicNamed(name, 0)] = int32(n)
	}
	for _, part := range parts[1:] {
		reads, had, _ := strings.Cut(part, "<")
		words := append(strings.Fields(reads), "")
		m := memberSpec{id: words[0]}
		if id, instance, is := strings.Cut(words[0], "@"); is {
			m.id, m.instanceID = id, &instance
		}
		for _, name := range strings.Split(words[1], ",") {
			if name != "" {
				m.topics = append(m.topics, topicNamed(name, 0))
			}
		}
		for _, word := range strings.Fields(had) {
			name, index := partitionNamed(word)
			m.target = append(m.target, partitionID{topicNamed(name, 0), index})
		}
		slices.SortFunc(m.topics, compareTopics)
		in.alike = in.alike && (len(in.members) == 0 || slices.Equal(m.topics, in.members[0].topics))
		in.members = append(in.members, m)
	}
	return in
}

func TestAssignors(t *testing.T) {
	for _, c := range []struct {
		name, assignor, in, want string
	}{
		{"the first assignment", "uniform", "t:5 | a t | b t", "a[t-0 t-1 t-2] b[t-3 t-4]"},
		{"more members than partitions", "uniform", "t:1 | a t | b t", "a[t-0] b[]"},
		{"no topics", "uniform", "| a | b", "a[] b[]"},
		{"several topics", "uniform", "t:2 u:2 | a t,u | b t,u", "a[t-0 t-1] b[u-0 u-1]"},
		{"a member comes: the others only give", "uniform", "t:6 | a t < t-0 t-1 t-2 | b t < t-3 t-4 t-5 | c t", "a[t-0 t-1] b[t-3 t-4] c[t-2 t-5]"},
		{"a member went: the others only take", "uniform", "t:6 | a t < t-0 t-1 | c t < t-4 t-5", "a[t-0 t-1 t-2] c[t-3 t-4 t-5]"},
		{"the larger share stays where it is", "uniform", "t:3 | a t < t-0 | b t < t-1 t-2", "a[t-0] b[t-1 t-2]"},
		{"what is gone is not kept", "uniform", "t:2 | a t < t-1 t-5 x-0 | b t", "a[t-1] b[t-0]"},
		{"what two had is one's", "uniform", "t:2 | a t < t-0 t-1 | b t < t-1", "a[t-0] b[t-1]"},
		{"a topic that only one reads", "uniform", "t:2 u:2 | a t,u | b t", "a[u-0 u-1] b[t-0 t-1]"},
		{"not read any more", "uniform", "t:2 u:1 | a u < t-0 u-0 | b t < t-1", "a[u-0] b[t-0 t-1]"},
		{"a chain of readers", "uniform", "t:4 u:1 v:1 | a t,u | b t,v < t-0 t-1 t-2 t-3 | c u,v", "a[t-3 u-0] b[t-0 t-1 t-2] c[v-0]"},
		{"nothing to read", "uniform", "t:2 | a t | b", "a[t-0 t-1] b[]"},

		{"ranges", "range", "t:5 | a t | b t", "a[t-0 t-1 t-2] b[t-3 t-4]"},
		{"co-partitioned", "range", "t:3 u:3 | a t,u | b t,u", "a[t-0 t-1 u-0 u-1] b[t-2 u-2]"},
		{"more members than partitions", "range", "t:1 u:2 | a t,u | b t,u | c t,u", "a[t-0 u-0] b[u-1] c[]"},
		{"different subscriptions", "range", "t:2 u:2 | a t,u | b u", "a[t-0 t-1 u-0] b[u-1]"},
		{"static members first, by instance", "range", "t:3 | a t | b@z t | c@y t", "a[t-2] b[t-1] c[t-0]"},
	} {
		in := inputOf(c.in)
		var got []string
		for i, list := range assignors[c.assignor](in) {
			got = append(got, in.members[i].id+shownPartitions(list))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s, %s: %s\n got %s\nwant %s", c.assignor, c.name, c.in, text, c.want)
		}
	}
}

// drawInput is a group with random subscriptions and a random former target.
func drawInput(t *rapid.T) assignorInput {
	in := assignorInput{partitions: map[[16]byte]int32{}}
	names := []string{"t", "u", "v", "w"}
	for _, name := range names {
		in.partitions[topicNamed(name, 0)] = rapid.Int32Range(1, 7).Draw(t, name)
	}
	in.alike = rapid.Bool().Draw(t, "alike")
	for i := range rapid.IntRange(1, 7).Draw(t, "members") {
		m := memberSpec{id: fresh(i)}
		if rapid.IntRange(0, 3).Draw(t, "static") == 0 {
			instance := fmt.Sprint("i", 10-i)
			m.instanceID = &instance
		}
		for _, name := range names {
			if in.alike && i > 0 {
				m.topics = in.members[0].topics
			} else if rapid.Bool().Draw(t, "reads") {
				m.topics = append(m.topics, topicNamed(name, 0))
			}
		}
		for range rapid.IntRange(0, 6).Draw(t, "had") {
			name := rapid.SampledFrom(append(names, "gone")).Draw(t, "topic")
			m.target = append(m.target, partitionID{topicNamed(name, 0), rapid.Int32Range(0, 8).Draw(t, "partition")})
		}
		slices.SortFunc(m.target, comparePartitions)
		m.target = slices.Compact(m.target)
		in.members = append(in.members, m)
	}
	// Only what somebody reads is there to assign.
	for topic := range in.partitions {
		if !slices.ContainsFunc(in.members, func(m memberSpec) bool { return slices.Contains(m.topics, topic) }) {
			delete(in.partitions, topic)
		}
	}
	return in
}

// TestAssignmentProperties: every partition has one reader that subscribes to
// it, a uniform assignment is even, and one that may stay stays.
func TestAssignmentProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		name := rapid.SampledFrom([]string{"uniform", "range"}).Draw(t, "assignor")
		out := assignors[name](in)
		total := 0
		owner := map[partitionID]int{}
		for i, list := range out {
			if !slices.IsSortedFunc(list, comparePartitions) {
				t.Fatalf("not ascending: %s", shownPartitions(list))
			}
			for _, p := range list {
				if other, taken := owner[p]; taken {
					t.Fatalf("%s is assigned to %d and %d", shownPartition(p), other, i)
				}
				owner[p] = i
				if !slices.Contains(in.members[i].topics, p.topic) || p.index >= in.partitions[p.topic] {
					t.Fatalf("%s is assigned to %d, which does not read it, or does not exist", shownPartition(p), i)
				}
			}
		}
		for _, partitions := range in.partitions {
			total += int(partitions)
		}
		if len(owner) != total {
			t.Fatalf("%d of %d partitions are assigned", len(owner), total)
		}
		if name == "range" {
			return
		}
		for p, i := range owner {
			for j, m := range in.members {
				if slices.Contains(m.topics, p.topic) && len(out[i])-len(out[j]) > 1 {
					t.Fatalf("%d has %s and %d partitions in all, %d could read it and has %d", i, shownPartition(p), len(out[i]), j, len(out[j]))
				}
			}
		}
		for i := range in.members {
			in.members[i].target = out[i]
		}
		for i, list := range assignUniform(in) {
			if !slices.Equal(list, out[i]) {
				t.Fatalf("nothing changed, %d had %s and has %s", i, shownPartitions(out[i]), shownPartitions(list))
			}
		}
	})
}

// TestUniformMovesLittle: members with one subscription only give when one
// comes, and only take when one goes.
func TestUniformMovesLittle(t *testing.T) {
	subset := func(a, b []partitionID) bool {
		return !slices.ContainsFunc(a, func(p partitionID) bool { return !slices.Contains(b, p) })
	}
	rapid.Check(t, func(t *rapid.T) {
		in := assignorInput{alike: true, partitions: map[[16]byte]int32{}}
		for _, name := range []string{"t", "u"} {
			in.partitions[topicNamed(name, 0)] = rapid.Int32Range(1, 20).Draw(t, name)
		}
		topics := [][16]byte{topicNamed("t", 0), topicNamed("u", 0)}
		for i := range rapid.IntRange(1, 9).Draw(t, "members") {
			in.members = append(in.members, memberSpec{id: fresh(i), topics: topics})
		}
		for range rapid.IntRange(1, 10).Draw(t, "changes") {
			before := assignUniform(in)
			for i := range in.members {
				in.members[i].target = before[i]
			}
			at := rapid.IntRange(0, len(in.members)-1).Draw(t, "at")
			comes := rapid.Bool().Draw(t, "comes") || len(in.members) == 1
			if comes {
				in.members = slices.Insert(in.members, at, memberSpec{id: "new", topics: topics})
				before = slices.Insert(before, at, nil)
			} else {
				in.members = slices.Delete(in.members, at, at+1)
				before = slices.Delete(before, at, at+1)
			}
			for i, after := range assignUniform(in) {
				if comes && i != at && !subset(after, before[i]) || !comes && !subset(before[i], after) {
					t.Fatalf("comes %v at %d: %d had %s and has %s", comes, at, i, shownPartitions(before[i]), shownPartitions(after))
				}
			}
		}
	})
}

func BenchmarkUniform(b *testing.B) {
	in := assignorInput{alike: true, partitions: map[[16]byte]int32{topicNamed("t", 0): 10_000}}
	for i := range 1000 {
		in.members = append(in.members, memberSpec{id: fresh(i), topics: [][16]byte{topicNamed("t", 0)}})
	}
	for i, list := range assignUniform(in) {
		in.members[i].target = list
	}
	in.members[7].target = nil // it has just joined
	for b.Loop() {
		assignUniform(in)
	}
}
