package kfake

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func fetchOf(id [16]byte, partitions ...int32) *kmsg.FetchRequest {
	request := kmsg.NewPtrFetchRequest()
	request.Version = 13
	topic := kmsg.NewFetchRequestTopic()
	topic.TopicID = id
	for _, index := range partitions {
		one := kmsg.NewFetchRequestTopicPartition()
		one.Partition = index
		topic.Partitions = append(topic.Partitions, one)
	}
	request.Topics = append(request.Topics, topic)
	return request
}

func commitOf(group, topic string) *kmsg.OffsetCommitRequest {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Version, request.Group = 9, group
	of := kmsg.NewOffsetCommitRequestTopic()
	of.Topic = topic
	of.Partitions = append(of.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
	request.Topics = append(request.Topics, of)
	return request
}

func TestFaultsSelect(t *testing.T) {
	id := [16]byte{7}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID = "x"
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"g"}
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Groups = append(offsets.Groups, kmsg.OffsetFetchRequestGroup{Group: "g", Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{3}}}})
	for _, c := range []struct {
		name    string
		fault   Fault
		request kmsg.Request
		want    bool
	}{
		{"everything", Fault{}, end, true},
		{"a key", Fault{Keys: []kmsg.Key{kmsg.Fetch, kmsg.EndTxn}}, end, true},
		{"another key", Fault{Keys: []kmsg.Key{kmsg.Fetch}}, end, false},
		{"another node", Fault{Nodes: []int32{1}}, end, false},
		{"a transactional id", Fault{TxnID: "x"}, end, true},
		{"another transactional id", Fault{TxnID: "y"}, end, false},
		{"a group's topic", Fault{Group: "g", Topic: "t"}, commitOf("g", "t"), true},
		{"another topic of a group", Fault{Group: "g", Topic: "u"}, commitOf("g", "t"), false},
		{"a topic by its id", Fault{Topic: "t", Partitions: []int32{2}}, fetchOf(id, 1, 2), true},
		{"another topic's id", Fault{Topic: "t"}, fetchOf([16]byte{8}, 1), false},
		{"an id", Fault{TopicID: id}, fetchOf(id, 1), true},
		{"a partition that is not asked for", Fault{Partitions: []int32{3}}, fetchOf(id, 1, 2), false},
		{"a group that is looked up", Fault{Group: "g"}, find, true},
		{"a transaction, where a group is looked up", Fault{TxnID: "g"}, find, false},
		{"a partition in a group in a list", Fault{Group: "g", Topic: "t", Partitions: []int32{3}}, offsets, true},
		{"when it is so", Fault{When: func(r kmsg.Request) bool { return r.Key() == end.Key() }}, end, true},
		{"when it is not so", Fault{When: func(kmsg.Request) bool { return false }}, end, false},
		{"the whole, of a response that has no place for it", Fault{TopLevel: true}, commitOf("g", "t"), false},
	} {
		cluster := &Cluster{proxy: &proxy{faults: newFaults(func(string) [16]byte { return id })}}
		h := cluster.Fault(c.fault)
		response, _ := cluster.proxy.faults.try(c.request)
		if got := response != nil; got != c.want || got != (h.Hits() == 1) {
			t.Errorf("%s: selected %t with %d hits, want %t", c.name, got, h.Hits(), c.want)
		}
	}
}

func TestFaultsCount(t *testing.T) {
	cluster := &Cluster{proxy: &proxy{faults: newFaults(nil)}}
	f := cluster.proxy.faults
	seen := cluster.Fault(Fault{Observe: true, Count: -1})
	twice := cluster.Fault(Fault{Err: kerr.RequestTimedOut, Count: 2})
	commit := commitOf("g", "t")
	for i, want := range []bool{true, true, false} {
		response, after := f.try(commit)
		if got := response != nil; got != want || after != want {
			t.Errorf("request %d: answered %t, after its work %t, want %t", i, got, after, want)
		}
	}
	if seen.Hits() != 3 || twice.Hits() != 2 {
		t.Errorf("%d seen, %d answered", seen.Hits(), twice.Hits())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	waited := make(chan error, 1)
	go func() { waited <- seen.Wait(ctx, 4) }() // ends with the fourth request, below
	f.try(commit)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if err := seen.Wait(ended, 9); err == nil {
		t.Error("nine requests were seen")
	}
	seen.Remove()
	if f.want(commit.Key()) {
		t.Error("faults are left")
	}
}

func TestRefusal(t *testing.T) {
	const code = 42
	fetched := refusal(fetchOf([16]byte{7}, 1, 2), code, false).(*kmsg.FetchResponse)
	if fetched.ErrorCode != 0 || len(fetched.Topics) != 1 || fetched.Topics[0].TopicID != [16]byte{7} {
		t.Errorf("fetch: %+v", fetched)
	}
	got := map[int32]int16{}
	for _, p := range fetched.Topics[0].Partitions {
		got[p.Partition] = p.ErrorCode
	}
	if diff := cmp.Diff(map[int32]int16{1: code, 2: code}, got); diff != "" {
		t.Errorf("fetch: -want +got\n%s", diff)
	}
	if r := refusal(fetchOf([16]byte{7}, 1), code, true).(*kmsg.FetchResponse); r.ErrorCode != code || len(r.Topics) != 0 {
		t.Errorf("fetch as a whole: %+v", r)
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Members = append(leave.Members, kmsg.LeaveGroupRequestMember{MemberID: "m"})
	if r := refusal(leave, code, false).(*kmsg.LeaveGroupResponse); r.ErrorCode != code || len(r.Members) != 0 {
		t.Errorf("leaving a group: %+v", r)
	}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"a", "b"}
	if r := refusal(find, code, false).(*kmsg.FindCoordinatorResponse); len(r.Coordinators) != 2 || r.Coordinators[1].Key != "b" || r.Coordinators[1].ErrorCode != code {
		t.Errorf("looking coordinators up: %+v", r)
	}
}
