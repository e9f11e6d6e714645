package group

import (
	"fmt"
	"strings"
	"testing"
)

// TestConfigureTopology: what is decided about the topics of an application,
// and what is said where they are not as they must be.
func TestConfigureTopology(t *testing.T) {
	for _, c := range []struct {
		name   string
		topics map[string]int32
		words  []string
		want   string
	}{
		{"a task for each partition of the source", map[string]int32{"t": 3}, []string{"0/sources=t"}, "0: 3 tasks"},
		{"of the largest source, where they differ and are not joined", map[string]int32{"t": 3, "u": 5}, []string{"0/sources=t,u"}, "0: 5 tasks"},
		{"a changelog has a partition for each task", map[string]int32{"t": 3, "c": 3}, []string{"0/sources=t/changelogs=c"}, "0: 3 tasks c:3"},
		{"internal topics that are not there are to be made", map[string]int32{"t": 3}, []string{"0/sources=t/changelogs=c/sinks=r", "1/repartitions=r/changelogs=d"},
			"0: 3 tasks c:3; 1: 3 tasks r:3 d:3; missing c d r; 3 Internal topics are missing: c, d, r"},
		{"more than three are counted", map[string]int32{"t": 1}, []string{"0/sources=t/changelogs=a,b,c,d,e"},
			"0: 1 tasks a:1 b:1 c:1 d:1 e:1; missing a b c d e; 3 Internal topics are missing: a, b, c and 2 additional topics"},
		{"a repartition topic through another", map[string]int32{"t": 3}, []string{"2/sources=t/sinks=r", "1/repartitions=r/sinks=s", "0/repartitions=s"},
			"0: 3 tasks s:3; 1: 3 tasks r:3; 2: 3 tasks; missing r s; 3 Internal topics are missing: r, s"},
		{"a repartition topic as large as the application says", map[string]int32{"t": 3}, []string{"0/sources=t/sinks=r", "1/repartitions=r:7/changelogs=c"},
			"0: 3 tasks; 1: 7 tasks r:7 c:7; missing c r; 3 Internal topics are missing: c, r"},
		{"joined with a topic of others it is as large as that", map[string]int32{"t": 3, "u": 4}, []string{"0/sources=t/sinks=r", "1/sources=u/repartitions=r/together=u+r"},
			"0: 3 tasks; 1: 4 tasks r:4; missing r; 3 Internal topics are missing: r"},
		{"joined repartition topics are as large as the largest", map[string]int32{"t": 3, "u": 4}, []string{"0/sources=t/sinks=r", "1/sources=u/sinks=s", "2/repartitions=r,s/together=r+s"},
			"0: 3 tasks; 1: 4 tasks; 2: 4 tasks r:4 s:4; missing r s; 3 Internal topics are missing: r, s"},
		{"or as the application says of one of them", map[string]int32{"t": 3, "u": 4}, []string{"0/sources=t/sinks=r", "1/sources=u/sinks=s", "2/repartitions=r,s:2/together=r+s"},
			"0: 3 tasks; 1: 4 tasks; 2: 2 tasks r:2 s:2; missing r s; 3 Internal topics are missing: r, s"},
		{"what it says of others does not count", map[string]int32{"t": 3}, []string{"0/sources=t/sinks=r,s,x", "1/repartitions=r,s/together=r+s", "2/repartitions=x:9"},
			"0: 3 tasks; 1: 3 tasks r:3 s:3; 2: 9 tasks x:9; missing r s x; 3 Internal topics are missing: r, s, x"},
		{"sources that are not there", map[string]int32{"t": 3}, []string{"0/sources=t,w", "1/sources=u,v,x"}, "1 Source topics u, v, w and 1 additional topics are missing."},
		{"joined sources of different sizes", map[string]int32{"t": 3, "u": 4}, []string{"0/sources=t,u/together=t+u"},
			"2 Following topics do not have the same number of partitions: [{t=3, u=4}]"},
		{"joined repartition topics with different sizes given", map[string]int32{"t": 3}, []string{"0/sources=t/sinks=r,s", "1/repartitions=r:2,s:4/together=r+s"},
			"2 Following topics do not have the same number of partitions: [{r=2, s=4}]"},
		{"a size given and a topic of others with another", map[string]int32{"t": 3}, []string{"0/sources=t/repartitions=r:2/sinks=r/together=t+r"},
			"2 Number of partitions [2] of repartition topic [r] doesn't match number of partitions [3] of the source topic."},
		{"a changelog that is there and too small", map[string]int32{"t": 3, "c": 2}, []string{"0/sources=t/changelogs=c"},
			"2 Existing topic c has different number of partitions: expected 3, found 2"},
		{"no source at all", nil, []string{"0/changelogs=c"}, "STREAMS_INVALID_TOPOLOGY No source topics found for subtopology 0"},
		{"no subtopology at all", nil, nil, ""},
		{"a loop", nil, []string{"0/repartitions=s/sinks=r", "1/repartitions=r/sinks=s"},
			"STREAMS_INVALID_TOPOLOGY Failed to compute number of partitions for all repartition topics. There may be loops in the topology that cannot be resolved."},
		{"a loop that something comes into", map[string]int32{"t": 3, "r": 3, "s": 3}, []string{"0/sources=t/repartitions=s/sinks=r", "1/repartitions=r/sinks=s"}, "0: 3 tasks s:3; 1: 3 tasks r:3"},
		{"a repartition topic that nothing writes to", map[string]int32{"t": 3}, []string{"0/sources=t/repartitions=r"},
			"STREAMS_INVALID_TOPOLOGY Failed to compute number of partitions for all repartition topics, because a repartition source topic is never used as a sink topic."},
	} {
		told, no := readTopology(topologyOf(t, 0, c.words...))
		if no != nil {
			t.Errorf("%s: %v", c.name, no)
			continue
		}
		configured, no := told.configure(testTopics{partitions: c.topics})
		if got := shownConfigured(configured, no); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func shownConfigured(c *configuredTopology, no *refusal) string {
	if no != nil {
		return codeName(no.code) + " " + no.message
	}
	var out []string
	for _, p := range c.parts {
		one := fmt.Sprintf("%s: %d tasks", p.id, p.tasks)
		for _, list := range [][]internalTopic{p.repartitions, p.changelogs} {
			for _, topic := range list {
				one += fmt.Sprintf(" %s:%d", topic.name, topic.partitions)
			}
		}
		out = append(out, one)
	}
	if len(c.missing) > 0 {
		one := "missing"
		for _, topic := range c.missing {
			one += " " + topic.name
		}
		out = append(out, one)
	}
	if c.problem != nil {
		out = append(out, fmt.Sprintf("%d %s", c.problem.status, c.problem.detail))
	}
	return strings.Join(out, "; ")
}
