package client

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Tasks are the tasks of a member of a streams group (KIP-1071): those that it
// processes, and those whose state it keeps a copy of.
type Tasks struct {
	Active  []SubtopologyTasks `json:"active"`
	Standby []SubtopologyTasks `json:"standby"`
	Warmup  []SubtopologyTasks `json:"warmup"`
}

// SubtopologyTasks are tasks of one subtopology, named by the partitions of its source topics.
type SubtopologyTasks struct {
	Subtopology string  `json:"subtopology"`
	Partitions  []int32 `json:"partitions"`
}

func (c *Client) describeStreams(ctx context.Context, names []string) (groups []Group, refusals []error, err error) {
	coordinators := c.admin.FindGroupCoordinators(ctx, names...)
	for _, name := range names {
		at := coordinators[name]
		if at.Err != nil {
			refusals = append(refusals, refused("group "+name, at.Err, at.ErrMessage))
			continue
		}
		in := kmsg.NewPtrStreamsGroupDescribeRequest()
		in.Groups = []string{name}
		response, err := c.kafka.Broker(int(at.NodeID)).RetriableRequest(ctx, in)
		if err != nil {
			return nil, nil, refused("describing groups", err, "")
		}
		for _, d := range response.(*kmsg.StreamsGroupDescribeResponse).Groups {
			if err := kerr.ErrorForCode(d.ErrorCode); err != nil {
				words := ""
				if d.ErrorMessage != nil {
					words = *d.ErrorMessage
				}
				refusals = append(refusals, refused("group "+d.Group, err, words))
				continue
			}
			g, err := c.streamsGroup(ctx, d, Node{at.NodeID, at.Host, at.Port})
			if err != nil {
				return nil, nil, err
			}
			groups = append(groups, g)
		}
	}
	return groups, refusals, nil
}

// streamsGroup is one described group. Which partitions its members read follows
// from their active tasks and the source topics of their subtopologies.
func (c *Client) streamsGroup(ctx context.Context, d kmsg.StreamsGroupDescribeResponseGroup, coordinator Node) (Group, error) {
	g := Group{
		Group: d.Group, Type: streamsGroup, Protocol: streamsGroup, State: d.State,
		Coordinator: coordinator, Epoch: &d.Epoch, AssignmentEpoch: &d.AssignmentEpoch, Members: []Member{}, Offsets: []GroupOffset{},
	}
	sources := map[string][]string{} // by subtopology
	var topics []string
	if d.Topology != nil {
		for _, s := range d.Topology.Subtopologies {
			names := slices.Clone(s.SourceTopics)
			for _, t := range s.RepartitionSourceTopics {
				names = append(names, t.Topic)
			}
			sources[s.SubtopologyID] = names
			topics = append(topics, names...)
		}
	}
	var found kadm.TopicDetails
	if len(topics) > 0 {
		var err error
		if found, err = c.admin.ListTopicsWithInternal(ctx, topics...); err != nil {
			return g, refused("metadata", err, "")
		}
	}
	read := func(tasks []kmsg.TaskIDs) []TopicPartitions {
		var set kadm.TopicsSet
		for _, run := range tasks {
			for _, topic := range sources[run.SubtopologyID] {
				for _, p := range run.Partitions {
					if _, exists := found[topic].Partitions[p]; exists { // a topic may have fewer than there are tasks
						set.Add(topic, p)
					}
				}
			}
		}
		return assignmentOf(set)
	}
	for _, m := range d.Members {
		g.Members = append(g.Members, Member{
			MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.ClientHost, Epoch: &m.MemberEpoch,
			Assignment: read(m.Assignment.ActiveTasks), Target: read(m.TargetAssignment.ActiveTasks),
			Tasks: &Tasks{tasksOf(m.Assignment.ActiveTasks), tasksOf(m.Assignment.StandbyTasks), tasksOf(m.Assignment.WarmupTasks)},
		})
	}
	return g, nil
}

func tasksOf(runs []kmsg.TaskIDs) []SubtopologyTasks {
	tasks := []SubtopologyTasks{}
	for _, run := range runs {
		tasks = append(tasks, SubtopologyTasks{run.SubtopologyID, run.Partitions})
	}
	return tasks
}
