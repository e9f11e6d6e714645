package client

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// scripted is a broker that answers each API with what a test says. It is for
// answers that need a cluster of another kind: groups of types that a test
// cannot make quickly, brokers that lack an API.
type scripted struct {
	t       *testing.T
	addr    string
	answers map[int16]func(kmsg.Request) kmsg.Response

	// mu guards seen.
	mu   sync.Mutex
	seen []kmsg.Request
}

// newScripted starts a scripted broker that ends with the test. Metadata with
// the topics given (one partition each) and coordinators are answered by itself.
func newScripted(t *testing.T, topics []string, answers map[int16]func(kmsg.Request) kmsg.Response) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{t: t, addr: listener.Addr().String(), answers: map[int16]func(kmsg.Request) kmsg.Response{}}
	s.answers[18] = s.apiVersions
	s.answers[3] = func(r kmsg.Request) kmsg.Response { return s.metadata(r.(*kmsg.MetadataRequest), topics) }
	s.answers[10] = s.coordinator
	for key, answer := range answers {
		s.answers[key] = answer
	}
	var serving sync.WaitGroup
	// Ends when the listener is closed; waited for by the clean-up.
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// Ends when the client closes its end; waited for by the clean-up.
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // it was accepted from to the end
		serving.Wait()
	})
	return s
}

func (s *scripted) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
		correlation := frame[4:8]
		body := frame[10+max(0, int(int16(binary.BigEndian.Uint16(frame[8:])))):] // after the client id
		request := kmsg.RequestForKey(key)
		request.SetVersion(version)
		if request.IsFlexible() {
			body = body[1:] // no tags
		}
		answer := s.answers[key]
		if err := request.ReadFrom(body); err != nil || answer == nil {
			s.t.Errorf("request %d version %d: no answer, %v", key, version, err)
			return
		}
		s.mu.Lock()
		s.seen = append(s.seen, request)
		s.mu.Unlock()
		response := answer(request)
		response.SetVersion(version)
		out := append(make([]byte, 4), correlation...)
		if response.IsFlexible() && key != 18 {
			out = append(out, 0)
		}
		out = response.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// last is the last request of a key.
func (s *scripted) last(key int16) kmsg.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.seen) - 1; n >= 0; n-- {
		if s.seen[n].Key() == key {
			return s.seen[n]
		}
	}
	s.t.Fatalf("no request %d", key)
	return nil
}

func (s *scripted) apiVersions(r kmsg.Request) kmsg.Response {
	response := r.ResponseKind().(*kmsg.ApiVersionsResponse)
	// franz-go takes a list without Produce for none at all.
	for _, key := range append(slices.Collect(maps.Keys(s.answers)), 0) {
		served := kmsg.NewApiVersionsResponseApiKey()
		served.ApiKey, served.MaxVersion = key, kmsg.RequestForKey(key).MaxVersion()
		response.ApiKeys = append(response.ApiKeys, served)
	}
	return response
}

// topicID is an id made of a topic's name.
func topicID(topic string) (id [16]byte) {
	copy(id[:], topic)
	return id
}

func (s *scripted) metadata(r *kmsg.MetadataRequest, topics []string) kmsg.Response {
	response := r.ResponseKind().(*kmsg.MetadataResponse)
	host, port, _ := net.SplitHostPort(s.addr)
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host = 1, host
	number, _ := strconv.Atoi(port)
	broker.Port = int32(number)
	response.Brokers, response.ControllerID = append(response.Brokers, broker), 1
	if r.Topics != nil && len(r.Topics) == 0 {
		return response
	}
	for _, name := range topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.TopicID = &name, topicID(name)
		partition := kmsg.NewMetadataResponseTopicPartition()
		partition.Leader, partition.Replicas, partition.ISR = 1, []int32{1}, []int32{1}
		topic.Partitions = append(topic.Partitions, partition)
		response.Topics = append(response.Topics, topic)
	}
	return response
}

func (s *scripted) coordinator(r kmsg.Request) kmsg.Response {
	request := r.(*kmsg.FindCoordinatorRequest)
	response := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
	host, port, _ := net.SplitHostPort(s.addr)
	number, _ := strconv.Atoi(port)
	for _, key := range request.CoordinatorKeys {
		found := kmsg.NewFindCoordinatorResponseCoordinator()
		found.Key, found.NodeID, found.Host, found.Port = key, 1, host, int32(number)
		response.Coordinators = append(response.Coordinators, found)
	}
	return response
}

func (s *scripted) connect() *Client {
	s.t.Helper()
	c, err := Connect(s.t.Context(), Options{Bootstrap: s.addr})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// listing answers ListGroups with groups of a type each.
func listing(groups map[string]string) func(kmsg.Request) kmsg.Response {
	return func(r kmsg.Request) kmsg.Response {
		response := r.ResponseKind().(*kmsg.ListGroupsResponse)
		for name, kind := range groups {
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.GroupType, g.ProtocolType, g.GroupState = name, kind, "consumer", "Stable"
			response.Groups = append(response.Groups, g)
		}
		return response
	}
}

// endsAt answers ListOffsets with one offset for all.
func endsAt(offset int64) func(kmsg.Request) kmsg.Response {
	return func(r kmsg.Request) kmsg.Response {
		response := r.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range r.(*kmsg.ListOffsetsRequest).Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewListOffsetsResponseTopicPartition()
				partition.Partition, partition.Offset = p.Partition, offset
				topic.Partitions = append(topic.Partitions, partition)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	}
}

// fetchedAt is an OffsetFetch in which the group asked for has committed partition 0 of orders.
func fetchedAt(offset int64) func(kmsg.Request) kmsg.Response {
	return func(r kmsg.Request) kmsg.Response {
		response := r.ResponseKind().(*kmsg.OffsetFetchResponse)
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group = r.(*kmsg.OffsetFetchRequest).Groups[0].Group
		topic := kmsg.NewOffsetFetchResponseGroupTopic()
		topic.Topic, topic.TopicID = "orders", topicID("orders")
		partition := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		partition.Offset, partition.LeaderEpoch = offset, -1
		topic.Partitions = append(topic.Partitions, partition)
		g.Topics = append(g.Topics, topic)
		response.Groups = append(response.Groups, g)
		return response
	}
}

// A group of the KIP-848 protocol is described by its own API, with epochs and targets.
func TestDescribeConsumerProtocolGroup(t *testing.T) {
	s := newScripted(t, []string{"orders"}, map[int16]func(kmsg.Request) kmsg.Response{
		16: listing(map[string]string{"next": "consumer"}),
		2:  endsAt(100),
		69: func(r kmsg.Request) kmsg.Response {
			response := r.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
			g := kmsg.NewConsumerGroupDescribeResponseGroup()
			g.Group, g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName = "next", "Stable", 5, 4, "uniform"
			m := kmsg.NewConsumerGroupDescribeResponseGroupMember()
			m.MemberID, m.ClientID, m.ClientHost, m.MemberEpoch = "m-1", "c", "/h", 4
			assigned := kmsg.NewAssignmentTopicPartition()
			assigned.Topic, assigned.TopicID, assigned.Partitions = "orders", topicID("orders"), []int32{0}
			m.Assignment.TopicPartitions = append(m.Assignment.TopicPartitions, assigned)
			m.TargetAssignment.TopicPartitions = append(m.TargetAssignment.TopicPartitions, assigned)
			g.Members = append(g.Members, m)
			response.Groups = append(response.Groups, g)
			return response
		},
		9: fetchedAt(90),
	})
	groups, err := s.connect().DescribeGroups(t.Context())
	if err != nil || len(groups) != 1 {
		t.Fatalf("%+v, %v", groups, err)
	}
	g := groups[0]
	if g.Type != "consumer" || g.Assignor != "uniform" || *g.Epoch != 5 || *g.AssignmentEpoch != 4 || len(g.Members) != 1 {
		t.Errorf("%+v", g)
	}
	if m := g.Members[0]; *m.Epoch != 4 || m.PartitionCount() != 1 || len(m.Target) != 1 {
		t.Errorf("%+v", m)
	}
	if len(g.Offsets) != 1 || *g.Offsets[0].Committed != 90 || *g.Offsets[0].Lag != 10 || *g.Offsets[0].MemberID != "m-1" {
		t.Errorf("%+v", g.Offsets)
	}
}

// A share group shows where it begins to share instead of committed offsets.
func TestDescribeShareGroup(t *testing.T) {
	s := newScripted(t, []string{"orders"}, map[int16]func(kmsg.Request) kmsg.Response{
		16: listing(map[string]string{"shared": "share", "flow": "unheard-of"}),
		2:  endsAt(100),
		77: func(r kmsg.Request) kmsg.Response {
			response := r.ResponseKind().(*kmsg.ShareGroupDescribeResponse)
			g := kmsg.NewShareGroupDescribeResponseGroup()
			g.GroupID, g.GroupState, g.GroupEpoch, g.Assignor = "shared", "Empty", 3, "simple"
			response.Groups = append(response.Groups, g)
			return response
		},
		90: func(r kmsg.Request) kmsg.Response {
			response := r.ResponseKind().(*kmsg.DescribeShareGroupOffsetsResponse)
			g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
			g.GroupID = "shared"
			topic := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
			topic.Topic, topic.TopicID = "orders", topicID("orders")
			partition := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
			partition.StartOffset = 40
			topic.Partitions = append(topic.Partitions, partition)
			g.Topics = append(g.Topics, topic)
			response.Groups = append(response.Groups, g)
			return response
		},
	})
	c := s.connect()
	groups, err := c.DescribeGroups(t.Context(), "shared", "flow")
	if err == nil || err.Error() != "1 of 2 groups refused, the first: group flow: UNSUPPORTED_VERSION: groups of type unheard-of can be listed here, not described" {
		t.Errorf("a group of a type that is not known here: %v", err)
	}
	if len(groups) != 1 || groups[0].Type != "share" || len(groups[0].Offsets) != 1 || *groups[0].Offsets[0].Committed != 40 || *groups[0].Offsets[0].Lag != 60 {
		t.Errorf("%+v", groups)
	}
	if _, err := c.ResetOffsets(t.Context(), []string{"shared"}, ResetScope{AllTopics: true}, Reset{To: ToEarliest}, true); err == nil {
		t.Error("a share group's offsets are reset")
	}
}

// A streams group shows which partitions its members read, by their tasks.
func TestDescribeStreamsGroup(t *testing.T) {
	s := newScripted(t, []string{"orders"}, map[int16]func(kmsg.Request) kmsg.Response{
		16: listing(map[string]string{"flow": "streams", "gone": "streams"}),
		2:  endsAt(100),
		89: func(r kmsg.Request) kmsg.Response {
			response := r.ResponseKind().(*kmsg.StreamsGroupDescribeResponse)
			g := kmsg.NewStreamsGroupDescribeResponseGroup()
			g.Group = r.(*kmsg.StreamsGroupDescribeRequest).Groups[0]
			if g.Group != "flow" {
				g.ErrorCode = kerr.GroupIDNotFound.Code
				g.ErrorMessage = kmsg.StringPtr("Group gone not found.")
				response.Groups = append(response.Groups, g)
				return response
			}
			g.State, g.Epoch, g.AssignmentEpoch = "Stable", 4, 4
			g.Topology = &kmsg.StreamsGroupDescribeResponseGroupTopology{Subtopologies: []kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology{{SubtopologyID: "0", SourceTopics: []string{"orders"}}}}
			m := kmsg.NewStreamsGroupDescribeResponseGroupMember()
			m.MemberID, m.MemberEpoch, m.ClientID = "m-1", 4, "app"
			m.Assignment.ActiveTasks = []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: []int32{0, 1}}} // of a larger topic, too
			m.Assignment.StandbyTasks = []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: []int32{2}}}
			m.TargetAssignment = m.Assignment
			g.Members = append(g.Members, m)
			response.Groups = append(response.Groups, g)
			return response
		},
		9: fetchedAt(90),
	})
	groups, err := s.connect().DescribeGroups(t.Context())
	if err == nil || err.Error() != "1 of 2 groups refused, the first: group gone: GROUP_ID_NOT_FOUND: Group gone not found" {
		t.Errorf("a group that is gone: %v", err)
	}
	if len(groups) != 1 || groups[0].Type != "streams" || groups[0].State != "Stable" || *groups[0].Epoch != 4 || len(groups[0].Members) != 1 {
		t.Fatalf("%+v", groups)
	}
	m := groups[0].Members[0]
	if m.PartitionCount() != 1 || len(m.Target) != 1 || len(m.Tasks.Active) != 1 || len(m.Tasks.Active[0].Partitions) != 2 || m.Tasks.Standby[0].Partitions[0] != 2 {
		t.Errorf("%+v", m)
	}
	if o := groups[0].Offsets; len(o) != 1 || *o[0].Committed != 90 || *o[0].Lag != 10 || *o[0].MemberID != "m-1" {
		t.Errorf("%+v", o)
	}
}

// Settings of groups and client metrics are asked for by their own types.
func TestConfigsOfGroups(t *testing.T) {
	s := newScripted(t, nil, map[int16]func(kmsg.Request) kmsg.Response{
		32: func(r kmsg.Request) kmsg.Response {
			response := r.ResponseKind().(*kmsg.DescribeConfigsResponse)
			for _, asked := range r.(*kmsg.DescribeConfigsRequest).Resources {
				resource := kmsg.NewDescribeConfigsResponseResource()
				resource.ResourceType, resource.ResourceName = asked.ResourceType, asked.ResourceName
				for key, source := range map[string]kmsg.ConfigSource{"consumer.session.timeout.ms": kmsg.ConfigSourceGroupConfig, "consumer.heartbeat.interval.ms": kmsg.ConfigSourceDefaultConfig} {
					value, config := "45000", kmsg.NewDescribeConfigsResponseResourceConfig()
					config.Name, config.Value, config.Source = key, &value, source
					resource.Configs = append(resource.Configs, config)
				}
				response.Resources = append(response.Resources, resource)
			}
			return response
		},
		44: func(r kmsg.Request) kmsg.Response {
			response := r.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
			for _, asked := range r.(*kmsg.IncrementalAlterConfigsRequest).Resources {
				resource := kmsg.NewIncrementalAlterConfigsResponseResource()
				resource.ResourceType, resource.ResourceName = asked.ResourceType, asked.ResourceName
				response.Resources = append(response.Resources, resource)
			}
			return response
		},
		74: func(r kmsg.Request) kmsg.Response {
			response := r.ResponseKind().(*kmsg.ListConfigResourcesResponse)
			for _, kind := range []int8{32, 2} {
				resource := kmsg.NewListConfigResourcesResponseConfigResource()
				resource.Name, resource.Type = "billing", kind
				response.ConfigResources = append(response.ConfigResources, resource)
			}
			return response
		},
	})
	c := s.connect()
	billing := Entity{GroupEntity, "billing"}
	listed, err := c.ListEntities(t.Context(), GroupEntity)
	if err != nil || len(listed) != 1 || listed[0].Entity != billing || len(listed[0].Altered) != 1 || listed[0].Altered["consumer.session.timeout.ms"] != "45000" {
		t.Errorf("%+v, %v", listed, err)
	}
	configs, err := c.DescribeConfigs(t.Context(), billing, false)
	if err != nil || len(configs) != 2 || configs[0].Key != "consumer.heartbeat.interval.ms" || configs[0].IsAltered() || !configs[1].IsAltered() {
		t.Errorf("%+v, %v", configs, err)
	}
	results, err := c.AlterConfigs(t.Context(), billing, map[string]string{"a": "1"}, []string{"b"}, false)
	if err != nil || len(results) != 2 || results[0].Status != "set" || results[1].Status != "deleted" {
		t.Errorf("%+v, %v", results, err)
	}
	sent := s.last(44).(*kmsg.IncrementalAlterConfigsRequest).Resources[0]
	if sent.ResourceType != kmsg.ConfigResourceTypeGroupConfig || sent.ResourceName != "billing" || len(sent.Configs) != 2 || sent.Configs[1].Op != kmsg.IncrementalAlterConfigOpDelete {
		t.Errorf("sent %+v", sent)
	}
}

// A broker that lacks an API is named as the reason, in Kafka's words.
func TestBrokerWithoutAnAPI(t *testing.T) {
	c := newScripted(t, nil, nil).connect()
	for what, call := range map[string]func(context.Context) error{
		"groups":             func(ctx context.Context) error { _, err := c.ListGroups(ctx, nil, nil); return err },
		"settings of groups": func(ctx context.Context) error { _, err := c.ListEntities(ctx, GroupEntity); return err },
		"topics": func(ctx context.Context) error {
			_, err := c.CreateTopics(ctx, NewTopic{Partitions: 1, Replication: 1}, "t")
			return err
		},
	} {
		var refusal *Error
		if err := call(t.Context()); !errors.As(err, &refusal) || len(refusal.Reason()) < 20 || refusal.Reason()[:20] != "UNSUPPORTED_VERSION:" {
			t.Errorf("%s: %v", what, err)
		}
	}
}
