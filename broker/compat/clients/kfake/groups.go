package kfake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// GroupInfo is a group at one moment.
type GroupInfo struct {
	Group   string
	State   string // as Kafka's ListGroups has it
	Epoch   int32  // of the group; 0 for a classic one, whose generation no request tells
	Members []GroupMember
	Commits map[string]map[int32]GroupCommit // by topic and partition; a share group has none
}

// GroupCommit is a committed offset.
type GroupCommit struct {
	Offset      int64
	LeaderEpoch int32
	Metadata    string
}

// GroupMember is a member of a group.
type GroupMember struct {
	MemberID         string
	InstanceID       *string
	ClientID         string
	ClientHost       string
	SubscribedTopics []string
	Assignment       map[string][]int32
}

// NumAssigned counts the member's partitions.
func (m *GroupMember) NumAssigned() int {
	n := 0
	for _, partitions := range m.Assignment {
		n += len(partitions)
	}
	return n
}

// NumAssigned counts the partitions of all members.
func (g *GroupInfo) NumAssigned() int {
	n := 0
	for i := range g.Members {
		n += g.Members[i].NumAssigned()
	}
	return n
}

// GroupInfo is nil when there is no such group.
func (c *Cluster) GroupInfo(group string) *GroupInfo {
	ctx, cancel := calling()
	defer cancel()
	g, err := c.group(ctx, group)
	must("group "+group, err)
	return g
}

// WaitGroupStable waits for the group to be stable with so many members; -1 is any number.
func (c *Cluster) WaitGroupStable(ctx context.Context, group string, members int) (*GroupInfo, error) {
	return c.WaitGroupInfo(ctx, group, func(g *GroupInfo) bool {
		return g != nil && g.State == "Stable" && (members < 0 || len(g.Members) == members)
	})
}

// WaitGroupInfo waits for fn to be true of the group, which is nil while there is none.
func (c *Cluster) WaitGroupInfo(ctx context.Context, group string, fn func(*GroupInfo) bool) (*GroupInfo, error) {
	for {
		g, err := c.group(ctx, group)
		if err != nil {
			return g, errors.Join(ctx.Err(), err)
		}
		if fn(g) {
			return g, nil
		}
		select {
		case <-ctx.Done():
			return g, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// SetGroupConfigs sets configs of a group, which need not be there.
func (c *Cluster) SetGroupConfigs(group string, configs map[string]string) {
	ctx, cancel := calling()
	defer cancel()
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	of := kmsg.NewIncrementalAlterConfigsRequestResource()
	of.ResourceType, of.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	for key, value := range configs {
		one := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		one.Name, one.Op, one.Value = key, kmsg.IncrementalAlterConfigOpSet, &value
		of.Configs = append(of.Configs, one)
	}
	request.Resources = append(request.Resources, of)
	reply, err := request.RequestWith(ctx, c.client)
	must("configs of group "+group, err)
	for _, r := range reply.Resources {
		must("configs of group "+group, kerr.ErrorForCode(r.ErrorCode))
	}
}

// group asks ListGroups what the group is, then the request that describes its kind.
func (c *Cluster) group(ctx context.Context, name string) (*GroupInfo, error) {
	listed, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, c.client)
	if err == nil {
		err = kerr.ErrorForCode(listed.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(listed.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return g.Group == name })
	if at < 0 {
		return nil, nil
	}
	g := &GroupInfo{Group: name, State: listed.Groups[at].GroupState}
	switch kind := strings.ToLower(listed.Groups[at].GroupType); kind {
	case "classic":
		err = c.describeClassic(ctx, g)
	case "consumer":
		err = c.describeConsumer(ctx, g)
	case "share":
		err = c.describeShare(ctx, g)
	default:
		err = fmt.Errorf("a group of type %q", kind)
	}
	if errors.Is(err, kerr.GroupIDNotFound) { // it went, or changed its kind, in between
		return nil, nil
	}
	slices.SortFunc(g.Members, func(a, b GroupMember) int { return cmp.Compare(a.MemberID, b.MemberID) })
	return g, err
}

func (c *Cluster) describeClassic(ctx context.Context, g *GroupInfo) error {
	described, err := c.admin.DescribeGroups(ctx, g.Group)
	if err != nil {
		return err
	}
	d := described[g.Group]
	if d.Err != nil {
		return d.Err
	}
	g.State = d.State
	for _, m := range d.Members {
		member := GroupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost, Assignment: map[string][]int32{}}
		if joined, ok := m.Join.AsConsumer(); ok {
			member.SubscribedTopics = joined.Topics
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				member.Assignment[t.Topic] = t.Partitions
			}
		}
		g.Members = append(g.Members, member)
	}
	return c.readCommits(ctx, g)
}

func (c *Cluster) describeConsumer(ctx context.Context, g *GroupInfo) error {
	request := kmsg.NewPtrConsumerGroupDescribeRequest()
	request.Groups = []string{g.Group}
	reply, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return err
	}
	if len(reply.Groups) != 1 {
		return fmt.Errorf("%d groups were described", len(reply.Groups))
	}
	d := reply.Groups[0]
	if err := kerr.ErrorForCode(d.ErrorCode); err != nil {
		return err
	}
	g.State, g.Epoch = d.State, d.Epoch
	for _, m := range d.Members {
		member := GroupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			SubscribedTopics: m.SubscribedTopics, Assignment: map[string][]int32{}}
		for _, t := range m.Assignment.TopicPartitions {
			member.Assignment[t.Topic] = t.Partitions
		}
		g.Members = append(g.Members, member)
	}
	return c.readCommits(ctx, g)
}

func (c *Cluster) describeShare(ctx context.Context, g *GroupInfo) error {
	request := kmsg.NewPtrShareGroupDescribeRequest()
	request.GroupIDs = []string{g.Group}
	reply, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return err
	}
	if len(reply.Groups) != 1 {
		return fmt.Errorf("%d groups were described", len(reply.Groups))
	}
	d := reply.Groups[0]
	if err := kerr.ErrorForCode(d.ErrorCode); err != nil {
		return err
	}
	g.State, g.Epoch = d.GroupState, d.GroupEpoch
	for _, m := range d.Members {
		member := GroupMember{MemberID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost, SubscribedTopics: m.SubscribedTopicNames, Assignment: map[string][]int32{}}
		for _, t := range m.Assignment.TopicPartitions {
			member.Assignment[t.Topic] = t.Partitions
		}
		g.Members = append(g.Members, member)
	}
	return nil
}

func (c *Cluster) readCommits(ctx context.Context, g *GroupInfo) error {
	fetched, err := c.admin.FetchOffsets(ctx, g.Group)
	if err != nil {
		return err
	}
	g.Commits = map[string]map[int32]GroupCommit{}
	fetched.Each(func(o kadm.OffsetResponse) {
		if o.Err != nil {
			err = o.Err
			return
		}
		if g.Commits[o.Topic] == nil {
			g.Commits[o.Topic] = map[int32]GroupCommit{}
		}
		g.Commits[o.Topic][o.Partition] = GroupCommit{Offset: o.At, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata}
	})
	return err
}
