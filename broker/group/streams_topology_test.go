package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTopologyBounds: a member cannot tell more than an application could be.
func TestTopologyBounds(t *testing.T) {
	part := func(id string, change func(*kmsg.StreamsGroupHeartbeatRequestTopologySubtopology)) kmsg.StreamsGroupHeartbeatRequestTopologySubtopology {
		p := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		p.SubtopologyID, p.SourceTopics = id, []string{"t"}
		change(&p)
		return p
	}
	unchanged := func(*kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {}
	for _, c := range []struct {
		name  string
		count int // of subtopologies
		each  func(*kmsg.StreamsGroupHeartbeatRequestTopologySubtopology)
		want  string
	}{
		{"as many subtopologies as may be", maxSubtopologies, unchanged, ""},
		{"one more", maxSubtopologies + 1, unchanged, "The topology has 1001 subtopologies; at most 1000 may be."},
		{"as many topics as may be", maxSubtopologies, func(p *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
			p.RepartitionSinkTopics = make([]string, maxTopologyTopics/maxSubtopologies-1)
		}, ""},
		{"more topics", maxSubtopologies, func(p *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
			p.RepartitionSinkTopics = make([]string, maxTopologyTopics/maxSubtopologies)
		}, "The topology names topics more than 10000 times."},
		{"much of little", 1, func(p *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
			p.StateChangelogTopics = []kmsg.TopicInfo{{Topic: "c", Configs: []kmsg.TopicInfoConfig{{Key: "k", Value: strings.Repeat("v", maxTopologyBytes)}}}}
		}, "The topology has 1048611 bytes; at most 1048576 are stored."},
	} {
		in := kmsg.NewStreamsGroupHeartbeatRequestTopology()
		for i := range c.count {
			in.Subtopologies = append(in.Subtopologies, part(fmt.Sprint(i), c.each))
		}
		_, no := readTopology(&in)
		if no == nil && c.want != "" || no != nil && no.message != c.want {
			t.Errorf("%s: %v, want %q", c.name, no, c.want)
		}
	}
	var words []string
	for i := range maxSubtopologies {
		words = append(words, fmt.Sprintf("%d/sources=t", i))
	}
	told, no := readTopology(topologyOf(t, 0, words...))
	if no != nil {
		t.Fatal(no)
	}
	if _, no := told.configure(testTopics{partitions: map[string]int32{"t": maxStreamsTasks / maxSubtopologies}}); no != nil {
		t.Errorf("as many tasks as may be: %v", no)
	}
	if _, no := told.configure(testTopics{partitions: map[string]int32{"t": maxStreamsTasks/maxSubtopologies + 1}}); no == nil || no.message != "The topology has more than 200000 tasks." {
		t.Errorf("more tasks: %v", no)
	}
}

// TestLongestChain: the repartition topics of a chain of subtopologies that
// come in the worst order are decided quickly.
func TestLongestChain(t *testing.T) {
	words := []string{fmt.Sprintf("%04d/sources=t/sinks=r%04d", maxSubtopologies-1, maxSubtopologies-1)}
	for i := range maxSubtopologies - 1 {
		words = append(words, fmt.Sprintf("%04d/repartitions=r%04d/sinks=r%04d", i, i+1, i))
	}
	told, no := readTopology(topologyOf(t, 0, words...))
	if no != nil {
		t.Fatal(no)
	}
	began := time.Now()
	configured, no := told.configure(testTopics{partitions: map[string]int32{"t": 3}})
	if no != nil || len(configured.missing) != maxSubtopologies-1 || configured.parts[0].tasks != 3 {
		t.Errorf("%v: %+v", no, configured)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
