package group

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The statuses of a streams group in StreamsGroupHeartbeat.
const (
	statusStaleTopology     int8 = 0 // the member's topology is older than the group's
	statusMissingSources    int8 = 1 // topics that the application reads are not there
	statusWrongPartitions   int8 = 2 // topics have other counts of partitions than they must
	statusMissingInternal   int8 = 3 // topics that belong to the application are not there
	statusShutdown          int8 = 4 // a member asked all to shut down
	statusAssignmentDelayed int8 = 5 // there is no new assignment yet
)

// configuredTopology is a topology with the topics of one moment. It is never
// changed.
type configuredTopology struct {
	parts []configuredPart // ascending by id; nil when the topics cannot be made sense of
	// missing are the internal topics to be created, by name.
	missing []internalTopic
	problem *topicProblem // nil: the topics are as they must be
}

// configuredPart is a subtopology whose counts of partitions are decided.
type configuredPart struct {
	*subtopology
	tasks                    int32 // one for each partition of the source topics
	repartitions, changelogs []internalTopic
}

// topicProblem is why tasks cannot be assigned.
type topicProblem struct {
	status int8
	detail string
}

func (c *configuredTopology) ready() bool { return c != nil && c.problem == nil }

// part finds a subtopology.
func (c *configuredTopology) part(id string) *configuredPart {
	if c == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(c.parts, id, func(p configuredPart, id string) int { return cmp.Compare(p.id, id) })
	if !found {
		return nil
	}
	return &c.parts[i]
}

// describe is the topology as StreamsGroupDescribe shows it when its topics
// are there.
func (c *configuredTopology) describe(epoch int32) *kmsg.StreamsGroupDescribeResponseGroupTopology {
	d := kmsg.NewStreamsGroupDescribeResponseGroupTopology()
	d.Epoch = epoch
	d.Subtopologies = []kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology{}
	for _, p := range c.parts {
		d.Subtopologies = append(d.Subtopologies, describeSubtopology(p.subtopology, p.repartitions, p.changelogs))
	}
	return &d
}

// configuration decides how many partitions the internal topics of a topology
// have (InternalTopicManager).
type configuration struct {
	*topology
	topics  Topics
	decided map[string]int32 // internal topic → partitions
}

// configure holds a topology against the topics that there are. A topology that
// no topics could make work is refused.
func (t *topology) configure(topics Topics) (*configuredTopology, *refusal) {
	c := configuration{topology: t, topics: topics, decided: map[string]int32{}}
	if p := c.missingSources(); p != nil {
		return &configuredTopology{problem: p}, nil
	}
	if no := c.decideRepartitions(); no != nil {
		return nil, no
	}
	if p := c.decideCopartitions(); p != nil {
		return &configuredTopology{problem: p}, nil
	}
	parts, no := c.decideParts()
	if no != nil {
		return nil, no
	}
	missing, p := c.missingInternal(parts)
	if p != nil {
		return &configuredTopology{problem: p}, nil
	}
	done := &configuredTopology{parts: parts, missing: missing}
	if len(missing) > 0 {
		names := make([]string, len(missing))
		for i, t := range missing {
			names[i] = t.name
		}
		done.problem = &topicProblem{statusMissingInternal, "Internal topics are missing: " + someOf(names)}
	}
	return done, nil
}

// someOf names the first three of a list, and how many more there are.
func someOf(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d additional topics", strings.Join(names[:shown], ", "), len(names)-shown)
}

// partitionsOf is how many partitions a topic has, or will have; 0: not known.
func (c *configuration) partitionsOf(name string) int32 {
	if t, exists := c.topics.Named(name); exists {
		return t.Partitions
	}
	return c.decided[name]
}

func (c *configuration) missingSources() *topicProblem {
	var missing []string
	for _, p := range c.parts {
		for _, name := range p.sources {
			if _, exists := c.topics.Named(name); !exists {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &topicProblem{statusMissingSources, "Source topics " + someOf(sortedNames(missing)) + " are missing."}
}

// decideRepartitions decides about the repartition topics: as the application
// says or, where it says nothing, as many as the largest source of the
// subtopologies that write to them has. That may itself be a repartition topic.
func (c *configuration) decideRepartitions() *refusal {
	for _, p := range c.parts {
		for _, r := range p.repartitions {
			if r.partitions != 0 {
				c.decided[r.name] = r.partitions
			}
		}
	}
	for {
		progress, open := false, false
		for i := range c.parts {
			count := c.largestDecided(&c.parts[i])
			for _, sink := range c.parts[i].sinks {
				switch {
				case c.decided[sink] != 0:
				case count == 0:
					open = true
				default:
					c.decided[sink], progress = count, true
				}
			}
		}
		if !open {
			break
		}
		if !progress {
			return refuseTopology("Failed to compute number of partitions for all repartition topics. There may be loops in the topology that cannot be resolved.")
		}
	}
	for _, p := range c.parts {
		for _, r := range p.repartitions {
			if c.decided[r.name] == 0 {
				return refuseTopology("Failed to compute number of partitions for all repartition topics, because a repartition source topic is never used as a sink topic.")
			}
		}
	}
	return nil
}

// largestDecided is the largest count of partitions of a part's sources as far
// as it is decided.
func (c *configuration) largestDecided(p *subtopology) (largest int32) {
	for _, r := range p.repartitions {
		largest = max(largest, c.decided[r.name])
	}
	for _, name := range p.sources {
		largest = max(largest, c.partitionsOf(name))
	}
	return largest
}

// decideCopartitions makes topics that are joined have as many partitions as
// each other: those of topics that are not the application's own, else what it
// says, else the largest.
//
// Kafka 4.3 holds a group of repartition topics to the counts that are given for
// any repartition topic of the application; here those in the group count.
func (c *configuration) decideCopartitions() *topicProblem {
	given := map[string]int32{}
	internal := map[string]bool{}
	for _, p := range c.parts {
		for _, r := range p.repartitions {
			internal[r.name] = true
			if r.partitions != 0 {
				given[r.name] = r.partitions
			}
		}
	}
	for i := range c.parts {
		for _, g := range c.parts[i].copartitions {
			if p := c.decideCopartition(c.parts[i].named(g), internal, given); p != nil {
				return p
			}
		}
	}
	return nil
}

// named are the topics of a copartition group, ascending.
func (p *subtopology) named(g copartition) []string {
	var names []string
	for _, i := range g.sources {
		names = append(names, p.sources[i])
	}
	for _, i := range g.repartitions {
		names = append(names, p.repartitions[i].name)
	}
	return sortedNames(names)
}

func (c *configuration) decideCopartition(names []string, internal map[string]bool, given map[string]int32) *topicProblem {
	external, fixed, flexible := map[string]int32{}, map[string]int32{}, map[string]int32{}
	for _, name := range names {
		switch count := c.partitionsOf(name); {
		case !internal[name]:
			external[name] = count
		case given[name] != 0:
			fixed[name] = count
		default:
			flexible[name] = count
		}
	}
	leading := external
	if len(leading) == 0 {
		leading = fixed
	}
	if len(leading) == 0 {
		leading = flexible
	}
	counts := slices.Sorted(maps.Values(leading))
	if len(counts) == 0 {
		return nil
	}
	count := counts[len(counts)-1]
	if counts[0] != count && (len(external) > 0 || len(fixed) > 0) {
		return &topicProblem{statusWrongPartitions, "Following topics do not have the same number of partitions: [" + shownCounts(leading) + "]"}
	}
	for _, name := range sortedKeys(fixed) {
		if fixed[name] != count {
			return &topicProblem{statusWrongPartitions, fmt.Sprintf(
				"Number of partitions [%d] of repartition topic [%s] doesn't match number of partitions [%d] of the source topic.", fixed[name], name, count)}
		}
	}
	for name := range flexible {
		c.decided[name] = count
	}
	return nil
}

// shownCounts writes counts by topic as Kafka's messages do.
func shownCounts(of map[string]int32) string {
	var shown []string
	for _, name := range sortedKeys(of) {
		shown = append(shown, fmt.Sprintf("%s=%d", name, of[name]))
	}
	return "{" + strings.Join(shown, ", ") + "}"
}

// decideParts decides about changelogs, and how many tasks each part has: as
// many as its largest source has partitions.
func (c *configuration) decideParts() ([]configuredPart, *refusal) {
	var done []configuredPart
	tasks := 0
	for i := range c.parts {
		p := configuredPart{subtopology: &c.parts[i]}
		for _, name := range p.sourceNames() {
			p.tasks = max(p.tasks, c.partitionsOf(name))
		}
		if p.tasks == 0 {
			return nil, refuseTopology("No source topics found for subtopology %s", p.id)
		}
		if tasks += int(p.tasks); tasks > maxStreamsTasks {
			return nil, refuseTopology("The topology has more than %d tasks.", maxStreamsTasks)
		}
		for _, r := range p.subtopology.repartitions {
			if r.partitions == 0 {
				r.partitions = c.decided[r.name]
			}
			p.repartitions = append(p.repartitions, r)
		}
		for _, l := range p.subtopology.changelogs {
			l.partitions = p.tasks
			p.changelogs = append(p.changelogs, l)
		}
		done = append(done, p)
	}
	return done, nil
}

// missingInternal lists the internal topics that are not there. One that is
// there with another count of partitions is a problem.
func (c *configuration) missingInternal(parts []configuredPart) ([]internalTopic, *topicProblem) {
	wanted := map[string]internalTopic{}
	for _, p := range parts {
		for _, list := range [][]internalTopic{p.repartitions, p.changelogs} {
			for _, t := range list {
				wanted[t.name] = t
			}
		}
	}
	var missing []internalTopic
	for _, name := range sortedKeys(wanted) {
		t, exists := c.topics.Named(name)
		switch {
		case !exists:
			missing = append(missing, wanted[name])
		case t.Partitions != wanted[name].partitions:
			return nil, &topicProblem{statusWrongPartitions, fmt.Sprintf(
				"Existing topic %s has different number of partitions: expected %d, found %d", name, wanted[name].partitions, t.Partitions)}
		}
	}
	return missing, nil
}
