package client

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListedGroup is a group as the coordinators list it.
type ListedGroup struct {
	Group    string `json:"group"`
	Type     string `json:"type"`     // classic, consumer, share or streams; "" from a broker that does not tell
	Protocol string `json:"protocol"` // the protocol type: consumer, connect, share, streams; "" for none
	State    string `json:"state"`
	NodeID   int32  `json:"coordinator"`
}

// The types of groups, as ListGroups names them.
const (
	classicGroup  = "classic"
	consumerGroup = "consumer" // KIP-848
	shareGroup    = "share"    // KIP-932
	streamsGroup  = "streams"  // KIP-1071
)

// ListGroups asks every broker for its groups, filtered by state and type
// where such are given, in any case of letters.
func (c *Client) ListGroups(ctx context.Context, states, types []string) ([]ListedGroup, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	return c.listGroups(ctx, states, types)
}

func (c *Client) listGroups(ctx context.Context, states, types []string) ([]ListedGroup, error) {
	request := kmsg.NewPtrListGroupsRequest()
	groups := []ListedGroup{}
	for _, shard := range c.kafka.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return nil, refused("listing groups", shard.Err, "")
		}
		response := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
			return nil, refused("listing groups", err, "")
		}
		for _, g := range response.Groups {
			// The filters are applied here: requests have them since versions 4 and 5 only.
			listed := ListedGroup{Group: g.Group, Type: strings.ToLower(g.GroupType), Protocol: g.ProtocolType, State: g.GroupState, NodeID: shard.Meta.NodeID}
			if matches(states, listed.State) && matches(types, listed.Type) {
				groups = append(groups, listed)
			}
		}
	}
	slices.SortFunc(groups, func(a, b ListedGroup) int { return cmp.Compare(a.Group, b.Group) })
	return groups, nil
}

func matches(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(w, value) })
}

// GroupNames are the names that begin with prefix, for completion.
func (c *Client) GroupNames(ctx context.Context, prefix string) ([]string, error) {
	groups, err := c.ListGroups(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range groups {
		if strings.HasPrefix(g.Group, prefix) {
			names = append(names, g.Group)
		}
	}
	return names, nil
}

// Group is a group with its members and offsets.
type Group struct {
	Group       string `json:"group"`
	Type        string `json:"type"`
	Protocol    string `json:"protocol"`
	State       string `json:"state"`
	Assignor    string `json:"assignor"`
	Coordinator Node   `json:"coordinator"`
	// The epochs are those of KIP-848, 932 and 1071; nil in a classic group.
	Epoch           *int32        `json:"epoch,omitempty"`
	AssignmentEpoch *int32        `json:"assignmentEpoch,omitempty"`
	Members         []Member      `json:"members"`
	Offsets         []GroupOffset `json:"offsets"`
}

// Node is a broker.
type Node struct {
	ID   int32  `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
}

// Member is one member of a group.
type Member struct {
	MemberID   string  `json:"memberId"`
	InstanceID *string `json:"instanceId,omitempty"`
	ClientID   string  `json:"clientId"`
	Host       string  `json:"host"`
	Epoch      *int32  `json:"epoch,omitempty"`
	// Assignment is what the member reads now; Target what it is to read
	// (KIP-848 and streams groups).
	Assignment []TopicPartitions `json:"assignment"`
	Target     []TopicPartitions `json:"target,omitempty"`
	// Tasks are those of a member of a streams group, else nil.
	Tasks *Tasks `json:"tasks,omitempty"`
}

// PartitionCount is how many partitions the member reads.
func (m *Member) PartitionCount() int {
	n := 0
	for _, t := range m.Assignment {
		n += len(t.Partitions)
	}
	return n
}

// TopicPartitions is a topic and partitions of it, sorted.
type TopicPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// GroupOffset is how far a group is in one partition.
type GroupOffset struct {
	TopicPartition
	Committed    *int64  `json:"committed"` // of a share group, where it begins to share; nil for none
	LogEndOffset *int64  `json:"logEndOffset"`
	Lag          *int64  `json:"lag"`
	Metadata     string  `json:"metadata,omitempty"`
	MemberID     *string `json:"memberId"` // who reads it; nil for nobody
	ClientID     *string `json:"clientId"`
	Host         *string `json:"host"`
}

// DescribeGroups describes the named groups (none: all) by name. A group that
// does not exist or cannot be described is refused; the others are returned.
func (c *Client) DescribeGroups(ctx context.Context, names ...string) ([]Group, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	groups, refusals, err := c.describeGroups(ctx, names)
	if err != nil {
		return nil, err
	}
	for n := range groups {
		if err := c.fillOffsets(ctx, &groups[n]); err != nil {
			return nil, err
		}
	}
	return groups, summary("groups", len(groups)+len(refusals), refusals)
}

// describeGroups asks the API of each group's own type.
func (c *Client) describeGroups(ctx context.Context, names []string) (groups []Group, refusals []error, err error) {
	listed, err := c.listGroups(ctx, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	types := map[string]string{}
	byType := map[string][]string{}
	for _, g := range listed {
		types[g.Group] = cmp.Or(g.Type, classicGroup)
		if len(names) == 0 {
			byType[types[g.Group]] = append(byType[types[g.Group]], g.Group)
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		kind := cmp.Or(types[name], classicGroup) // one that is not listed gets that API's refusal
		byType[kind] = append(byType[kind], name)
	}
	groups = []Group{}
	for _, kind := range slices.Sorted(maps.Keys(byType)) {
		described, more, err := c.describeKind(ctx, kind, byType[kind])
		if err != nil {
			return nil, nil, err
		}
		groups, refusals = append(groups, described...), append(refusals, more...)
	}
	for n := range groups {
		for _, g := range listed {
			if g.Group == groups[n].Group && groups[n].Protocol == "" {
				groups[n].Protocol = g.Protocol
			}
		}
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Group, b.Group) })
	return groups, refusals, nil
}

func (c *Client) describeKind(ctx context.Context, kind string, names []string) (groups []Group, refusals []error, err error) {
	switch kind {
	case classicGroup:
		return c.describeClassic(ctx, names)
	case consumerGroup:
		return c.describeConsumer(ctx, names)
	case shareGroup:
		return c.describeShare(ctx, names)
	case streamsGroup:
		return c.describeStreams(ctx, names)
	}
	for _, name := range names {
		refusals = append(refusals, refused("group "+name, kerr.UnsupportedVersion, "groups of type "+kind+" can be listed here, not described"))
	}
	return nil, refusals, nil
}

func (c *Client) describeClassic(ctx context.Context, names []string) (groups []Group, refusals []error, err error) {
	described, err := c.admin.DescribeGroups(ctx, names...)
	if err != nil {
		return nil, nil, refused("describing groups", err, "")
	}
	for _, d := range described.Sorted() {
		if d.Err == nil && d.State == "Dead" {
			d.Err = kerr.GroupIDNotFound // how versions below 6 say it
		}
		if d.Err != nil {
			refusals = append(refusals, refused("group "+d.Group, d.Err, d.ErrMessage))
			continue
		}
		g := Group{
			Group: d.Group, Type: classicGroup, Protocol: d.ProtocolType, State: d.State, Assignor: d.Protocol,
			Coordinator: nodeOf(d.Coordinator), Members: []Member{}, Offsets: []GroupOffset{},
		}
		for _, m := range d.Members {
			member := Member{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.ClientHost, Assignment: []TopicPartitions{}}
			if assigned, ok := m.Assigned.AsConsumer(); ok {
				var set kadm.TopicsSet
				for _, t := range assigned.Topics {
					set.Add(t.Topic, t.Partitions...)
				}
				member.Assignment = assignmentOf(set)
			}
			g.Members = append(g.Members, member)
		}
		groups = append(groups, g)
	}
	return groups, refusals, nil
}

func (c *Client) describeConsumer(ctx context.Context, names []string) (groups []Group, refusals []error, err error) {
	described, err := c.admin.DescribeConsumerGroups(ctx, names...)
	if err != nil {
		return nil, nil, refused("describing groups", err, "")
	}
	for _, d := range described.Sorted() {
		if d.Err != nil {
			refusals = append(refusals, refused("group "+d.Group, d.Err, ""))
			continue
		}
		g := Group{
			Group: d.Group, Type: consumerGroup, Protocol: consumerGroup, State: d.State, Assignor: d.AssignorName,
			Coordinator: nodeOf(d.Coordinator), Epoch: &d.Epoch, AssignmentEpoch: &d.AssignmentEpoch, Members: []Member{}, Offsets: []GroupOffset{},
		}
		for _, m := range d.Members {
			g.Members = append(g.Members, Member{
				MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.ClientHost, Epoch: &m.MemberEpoch,
				Assignment: assignmentOf(m.Assignment), Target: assignmentOf(m.TargetAssignment),
			})
		}
		groups = append(groups, g)
	}
	return groups, refusals, nil
}

func (c *Client) describeShare(ctx context.Context, names []string) (groups []Group, refusals []error, err error) {
	described, err := c.admin.DescribeShareGroups(ctx, names...)
	if err != nil {
		return nil, nil, refused("describing groups", err, "")
	}
	for _, d := range described.Sorted() {
		if d.Err != nil {
			refusals = append(refusals, refused("group "+d.GroupID, d.Err, ""))
			continue
		}
		g := Group{
			Group: d.GroupID, Type: shareGroup, Protocol: shareGroup, State: d.GroupState, Assignor: d.Assignor,
			Coordinator: nodeOf(d.Coordinator), Epoch: &d.GroupEpoch, AssignmentEpoch: &d.AssignmentEpoch, Members: []Member{}, Offsets: []GroupOffset{},
		}
		for _, m := range d.Members {
			g.Members = append(g.Members, Member{
				MemberID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Epoch: &m.MemberEpoch, Assignment: assignmentOf(m.Assignment),
			})
		}
		groups = append(groups, g)
	}
	return groups, refusals, nil
}

func nodeOf(b kadm.BrokerDetail) Node { return Node{b.NodeID, b.Host, b.Port} }

func assignmentOf(set kadm.TopicsSet) []TopicPartitions {
	assignment := []TopicPartitions{}
	for _, t := range set.Sorted() {
		assignment = append(assignment, TopicPartitions{t.Topic, t.Partitions})
	}
	return assignment
}

// fillOffsets adds a row for every partition that is committed or assigned.
func (c *Client) fillOffsets(ctx context.Context, g *Group) error {
	rows := map[TopicPartition]*GroupOffset{}
	row := func(topic string, partition int32) *GroupOffset {
		p := TopicPartition{topic, partition}
		if rows[p] == nil {
			rows[p] = &GroupOffset{TopicPartition: p}
		}
		return rows[p]
	}
	committed, err := c.committed(ctx, g.Group, g.Type)
	if err != nil {
		return err
	}
	for p, at := range committed {
		row(p.Topic, p.Partition).Committed = &at.Offset
		rows[p].Metadata = at.Metadata
	}
	for n := range g.Members {
		m := &g.Members[n]
		for _, t := range m.Assignment {
			for _, partition := range t.Partitions {
				r := row(t.Topic, partition)
				r.MemberID, r.ClientID, r.Host = &m.MemberID, &m.ClientID, &m.Host
			}
		}
	}
	partitions := slices.SortedFunc(maps.Keys(rows), comparePartitions)
	ends, err := c.endsOf(ctx, partitions)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		r := rows[p]
		if end, ok := ends[p]; ok {
			r.LogEndOffset = &end
			if r.Committed != nil {
				lag := end - *r.Committed
				r.Lag = &lag
			}
		}
		g.Offsets = append(g.Offsets, *r)
	}
	return nil
}

// committedOffset is one offset that a group committed.
type committedOffset struct {
	Offset   int64
	Metadata string
}

// committed are the offsets of a group; a share group's are where it begins to share.
func (c *Client) committed(ctx context.Context, group, kind string) (map[TopicPartition]committedOffset, error) {
	offsets := map[TopicPartition]committedOffset{}
	if kind == shareGroup {
		described, err := c.admin.DescribeShareGroupOffsets(ctx, group)
		if err == nil {
			err = described.Error()
		}
		if err != nil {
			return nil, refused("group "+group, err, "")
		}
		for _, o := range described[group].Offsets.Sorted() {
			if o.Err == nil && o.StartOffset >= 0 {
				offsets[TopicPartition{o.Topic, o.Partition}] = committedOffset{Offset: o.StartOffset}
			}
		}
		return offsets, nil
	}
	fetched, err := c.admin.FetchOffsets(ctx, group)
	if err == nil {
		err = fetched.Error()
	}
	if err != nil {
		return nil, refused("group "+group, err, "")
	}
	for _, o := range fetched.Sorted() {
		if o.At >= 0 {
			offsets[TopicPartition{o.Topic, o.Partition}] = committedOffset{o.At, o.Metadata}
		}
	}
	return offsets, nil
}

// endsOf are the end offsets of those partitions that still exist and have a leader.
func (c *Client) endsOf(ctx context.Context, partitions []TopicPartition) (map[TopicPartition]int64, error) {
	ends := map[TopicPartition]int64{}
	if len(partitions) == 0 {
		return ends, nil
	}
	names := map[string]bool{}
	for _, p := range partitions {
		names[p.Topic] = true
	}
	found, err := c.admin.ListTopicsWithInternal(ctx, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		return nil, refused("metadata", err, "")
	}
	led := slices.DeleteFunc(slices.Clone(partitions), func(p TopicPartition) bool {
		detail, ok := found[p.Topic].Partitions[p.Partition]
		return !ok || detail.Leader < 0
	})
	answers, err := c.listOffsets(ctx, Latest, false, led)
	if err != nil {
		return nil, err
	}
	for n, p := range led {
		if answers[n].Err == nil {
			ends[p] = answers[n].Offset
		}
	}
	return ends, nil
}

// GroupResult is what became of one group, or of one partition's offset in it.
type GroupResult struct {
	Group     string `json:"group"`
	Topic     string `json:"topic,omitempty"`
	Partition *int32 `json:"partition,omitempty"`
	Status    string `json:"status"` // deleted or refused
	Error     string `json:"error,omitempty"`
}

// DeleteGroups deletes groups that have no member.
func (c *Client) DeleteGroups(ctx context.Context, names ...string) ([]GroupResult, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	answers, err := c.admin.DeleteGroups(ctx, names...)
	if err != nil {
		return nil, refused("deleting groups", err, "")
	}
	var results []GroupResult
	var refusals []error
	for _, a := range answers.Sorted() {
		r := GroupResult{Group: a.Group, Status: "deleted"}
		if a.Err != nil {
			err := refused("group "+a.Group, a.Err, a.ErrMessage)
			refusals = append(refusals, err)
			r.Status, r.Error = "refused", reason(err)
		}
		results = append(results, r)
	}
	return results, summary("groups", len(names), refusals)
}

// DeleteOffsets deletes the group's committed offsets of the selected
// partitions; a topic without partitions means those that are committed.
func (c *Client) DeleteOffsets(ctx context.Context, group string, selections []Selection) ([]GroupResult, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	committed, err := c.committed(ctx, group, classicGroup)
	if err != nil {
		return nil, err
	}
	var set kadm.TopicsSet
	for _, s := range selections {
		partitions := s.Partitions
		if partitions == nil {
			for p := range committed {
				if p.Topic == s.Topic {
					partitions = append(partitions, p.Partition)
				}
			}
			if partitions == nil {
				return nil, refused("group "+group, kerr.UnknownTopicOrPartition, "it has no committed offset of topic "+s.Topic)
			}
		}
		set.Add(s.Topic, partitions...)
	}
	if len(set) == 0 {
		return nil, inputf("no topic is named")
	}
	answers, err := c.admin.DeleteOffsets(ctx, group, set)
	if err != nil {
		return nil, refused("group "+group, err, "")
	}
	var results []GroupResult
	var refusals []error
	for _, t := range set.Sorted() {
		for _, partition := range t.Partitions {
			r := GroupResult{Group: group, Topic: t.Topic, Partition: &partition, Status: "deleted"}
			answer, answered := answers.Lookup(t.Topic, partition)
			if !answered {
				answer = kerr.UnknownServerError
			}
			if answer != nil {
				err := refused("group "+group+", "+TopicPartition{t.Topic, partition}.String(), answer, "")
				refusals = append(refusals, err)
				r.Status, r.Error = "refused", reason(err)
			}
			results = append(results, r)
		}
	}
	return results, summary("offsets", len(results), refusals)
}
