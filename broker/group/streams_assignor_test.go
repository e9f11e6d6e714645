package group

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// partsOf makes subtopologies of so many tasks each; those after the sign are stateful.
func partsOf(text string) (parts []configuredPart) {
	for i, word := range strings.Fields(text) {
		p := configuredPart{subtopology: &subtopology{id: fmt.Sprint(i)}}
		if rest, stateful := strings.CutPrefix(word, "*"); stateful {
			word, p.changelogs = rest, []internalTopic{{name: "c" + p.id}}
		}
		fmt.Sscan(word, &p.tasks)
		parts = append(parts, p)
	}
	return parts
}

// tasksNamed reads "0_0 0_1" into one of the lists.
func tasksNamed(text string) (list []heldTask) {
	for _, word := range strings.Fields(text) {
		subtopology, number, _ := strings.Cut(word, "_")
		id := taskID{subtopology: subtopology}
		fmt.Sscan(number, &id.partition)
		list = append(list, heldTask{taskID: id})
	}
	return sortedTasks(list)
}

// TestStreamsAssignmentExamples: the cases that StickyTaskAssignor is about.
func TestStreamsAssignmentExamples(t *testing.T) {
	member := func(id, process, active, standby string) streamsSpec {
		return streamsSpec{id, process, taskSet{tasksNamed(active), tasksNamed(standby)}}
	}
	for _, c := range []struct {
		name     string
		parts    string
		standbys int
		members  []streamsSpec
		want     []string
	}{
		{"tasks go round the processes", "4", 0, []streamsSpec{member("a", "p", "", ""), member("b", "q", "", "")}, []string{"[0_0, 0_2]", "[0_1, 0_3]"}},
		{"and round the members of one", "4", 0, []streamsSpec{member("a", "p", "", ""), member("b", "p", "", "")}, []string{"[0_0, 0_2]", "[0_1, 0_3]"}},
		{"a process with more members gets more", "4", 0, []streamsSpec{member("a", "p", "", ""), member("b", "p", "", ""), member("c", "q", "", "")}, []string{"[0_0, 0_3]", "[0_2]", "[0_1]"}},
		{"one that comes gets its share, the rest stays", "4", 0, []streamsSpec{member("a", "p", "0_0 0_1 0_2 0_3", ""), member("b", "q", "", "")}, []string{"[0_0, 0_1]", "[0_2, 0_3]"}},
		{"who has a copy of the state takes over", "*2", 1, []streamsSpec{member("b", "q", "", "0_1"), member("c", "r", "0_0", "")}, []string{"[0_1, standby 0_0]", "[0_0, standby 0_1]"}},
		{"copies are in other processes, of stateful tasks only", "*2 2", 1, []streamsSpec{member("a", "p", "", ""), member("b", "q", "", "")},
			[]string{"[0_0, 1_0, standby 0_1]", "[0_1, 1_1, standby 0_0]"}},
		{"where there is no other process there is no copy", "*2", 1, []streamsSpec{member("a", "p", "", ""), member("b", "p", "", "")}, []string{"[0_0]", "[0_1]"}},
		{"as many copies as there are processes for", "*1", 5, []streamsSpec{member("a", "p", "", ""), member("b", "q", "", ""), member("c", "r", "", "")}, []string{"[0_0]", "[standby 0_0]", "[standby 0_0]"}},
		{"fewer tasks than members", "1", 0, []streamsSpec{member("a", "p", "", ""), member("b", "q", "0_0", "")}, []string{"[]", "[0_0]"}},
		{"nothing to assign", "", 1, []streamsSpec{member("a", "p", "0_0", "1_0")}, []string{"[]"}},
	} {
		out := assignStreams(streamsInput{members: c.members, parts: partsOf(c.parts), standbys: c.standbys})
		var got []string
		for _, target := range out {
			got = append(got, shownTasks(target))
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.name, got, c.want)
		}
	}
}

func streamsInputOf(t *rapid.T, former map[string]taskSet) streamsInput {
	in := streamsInput{standbys: rapid.IntRange(0, 3).Draw(t, "standbys")}
	var words []string
	for range rapid.IntRange(0, 4).Draw(t, "subtopologies") {
		word := fmt.Sprint(rapid.IntRange(1, 8).Draw(t, "tasks"))
		if rapid.Bool().Draw(t, "stateful") {
			word = "*" + word
		}
		words = append(words, word)
	}
	in.parts = partsOf(strings.Join(words, " "))
	processes := rapid.IntRange(1, 12).Draw(t, "processes")
	for i := range rapid.IntRange(1, 12).Draw(t, "members") {
		id := fmt.Sprintf("m%02d", i)
		in.members = append(in.members, streamsSpec{id, fmt.Sprintf("p%d", i%processes), former[id]})
	}
	return in
}

// TestStreamsAssignment: every task is active once; copies of the state are of
// stateful tasks, in different processes, as many as asked for and possible;
// members that are alone in their processes are given as much as each other, and
// the same again changes nothing then. Processes with more members are balanced as a whole.
func TestStreamsAssignment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		former := map[string]taskSet{}
		for range 3 {
			in := streamsInputOf(t, former)
			out := assignStreams(in)
			checkStreamsAssignment(t, in, out)
			again := in
			again.members = append([]streamsSpec{}, in.members...)
			for i := range again.members {
				again.members[i].target = out[i]
			}
			for i, target := range assignStreams(again) {
				if got, want := shownTasks(target), shownTasks(out[i]); in.standbys == 0 && alone(in.members) && got != want {
					t.Fatalf("nothing changed, and %s of %s became %s", want, in.members[i].id, got)
				}
			}
			former = map[string]taskSet{}
			for i, m := range in.members {
				former[m.id] = out[i]
			}
		}
	})
}

// alone tells that each member has a process of its own.
func alone(members []streamsSpec) bool {
	processes := map[string]bool{}
	for _, m := range members {
		processes[m.process] = true
	}
	return len(processes) == len(members)
}

func checkStreamsAssignment(t *rapid.T, in streamsInput, out []taskSet) {
	t.Helper()
	active, at := map[taskID]int{}, map[taskID]map[string]int{}
	processes := map[string]bool{}
	least, most := 1<<30, 0
	for i, target := range out {
		process := in.members[i].process
		processes[process] = true
		least, most = min(least, len(target[activeTask])), max(most, len(target[activeTask]))
		if len(target[warmupTask]) > 0 {
			t.Fatalf("%s warms up", in.members[i].id)
		}
		for kind, list := range target {
			for _, task := range list {
				if at[task.taskID] == nil {
					at[task.taskID] = map[string]int{}
				}
				if at[task.taskID][process]++; at[task.taskID][process] > 1 {
					t.Fatalf("%v is twice in process %s", task, process)
				}
				if taskKind(kind) == activeTask {
					active[task.taskID]++
				}
			}
		}
	}
	total := 0
	for _, p := range in.parts {
		for n := range p.tasks {
			id := taskID{p.id, n}
			total++
			want := 1
			if len(p.changelogs) > 0 {
				want = min(1+in.standbys, len(processes))
			}
			if active[id] != 1 || len(at[id]) != want {
				t.Fatalf("%v is active %d times and in %d processes, not %d", id, active[id], len(at[id]), want)
			}
		}
	}
	if total != len(at) {
		t.Fatalf("%d tasks are assigned, there are %d", len(at), total)
	}
	if in.standbys == 0 && alone(in.members) && most-least > 1 {
		t.Fatalf("members of one process each have from %d to %d active tasks", least, most)
	}
}
