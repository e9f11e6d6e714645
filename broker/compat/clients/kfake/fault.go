package kfake

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fault has requests fail with Err. Every field that is set narrows down which.
// Unlike the fake's, it fails the whole of a request of which it selects a part.
type Fault struct {
	Keys       []kmsg.Key
	Nodes      []int32
	Topic      string
	TopicID    [16]byte
	Partitions []int32
	Group      string
	TxnID      string
	TopLevel   bool // the response's own error, not those of its parts

	Err   *kerr.Error // nil is UNKNOWN_SERVER_ERROR
	Count int         // requests; 0 is one, -1 all until Remove

	When    func(kmsg.Request) bool // nil is always
	Observe bool                    // it counts requests, and they go on
}

// afterWork are errors that a broker also gives after it has done the work: so does a fault with one of them.
var afterWork = map[kmsg.Key][]*kerr.Error{
	kmsg.Produce:         {kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend},
	kmsg.OffsetCommit:    {kerr.RequestTimedOut},
	kmsg.TxnOffsetCommit: {kerr.RequestTimedOut},
	kmsg.CreateTopics:    {kerr.RequestTimedOut},
	kmsg.DeleteTopics:    {kerr.RequestTimedOut},
	kmsg.DeleteRecords:   {kerr.RequestTimedOut},
	kmsg.DeleteGroups:    {kerr.RequestTimedOut},
}

// fault is one that is in place.
type fault struct {
	Fault
	left int // requests, -1 for all
	hits int
}

// faults are a broker's, in the order in which they were added.
type faults struct {
	idOf func(topic string) [16]byte

	mu      sync.Mutex // guards what follows, and every fault's numbers
	all     []*fault
	changed chan struct{} // closed and replaced whenever a fault is hit
}

func newFaults(idOf func(string) [16]byte) *faults {
	return &faults{idOf: idOf, changed: make(chan struct{})}
}

// want tells whether requests of a key have to be looked at.
func (f *faults) want(key int16) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.all, func(one *fault) bool { return one.of(key) })
}

func (one *fault) of(key int16) bool {
	return (len(one.Keys) == 0 || slices.Contains(one.Keys, kmsg.Key(key))) && (len(one.Nodes) == 0 || slices.Contains(one.Nodes, 0))
}

// try returns the response of the first fault that selects the request, nil
// without one; after says that the broker is to do its work all the same.
func (f *faults) try(request kmsg.Request) (response kmsg.Response, after bool) {
	parts := partsOf(request)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range slices.Clone(f.all) {
		if !one.of(request.Key()) || !slices.ContainsFunc(parts, func(p part) bool { return f.selects(one, p) }) || one.When != nil && !one.When(request) {
			continue
		}
		answer := refusal(request, one.Err.Code, one.TopLevel)
		if answer == nil {
			continue // it has no place for the error
		}
		f.hit(one)
		if !one.Observe {
			return answer, slices.Contains(afterWork[kmsg.Key(request.Key())], one.Err)
		}
	}
	return nil, false
}

// hit counts a request and removes a fault that has none left. The mutex is held.
func (f *faults) hit(one *fault) {
	one.hits++
	if one.left > 0 {
		if one.left--; one.left == 0 {
			f.remove(one)
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *faults) remove(one *fault) {
	f.all = slices.DeleteFunc(f.all, func(other *fault) bool { return other == one })
}

// selects tells whether a fault is for that part of a request.
func (f *faults) selects(one *fault, p part) bool {
	none := [16]byte{}
	if one.Topic != "" && p.topic != one.Topic && (p.topic != "" || p.topicID == none || p.topicID != f.idOf(one.Topic)) {
		return false
	}
	return (one.TopicID == none || p.topicID == one.TopicID) &&
		(len(one.Partitions) == 0 || p.isPartition && slices.Contains(one.Partitions, p.partition)) &&
		(one.Group == "" || p.group == one.Group) && (one.TxnID == "" || p.transactionalID == one.TxnID)
}

// FaultHandle is for the faults of one call.
type FaultHandle struct {
	of   *faults
	mine []*fault
}

// Fault puts faults in place.
func (c *Cluster) Fault(all ...Fault) *FaultHandle {
	f := c.proxy.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &FaultHandle{of: f}
	for _, in := range all {
		one := &fault{Fault: in, left: in.Count}
		if one.left == 0 {
			one.left = 1
		}
		if one.Err == nil {
			one.Err = kerr.UnknownServerError
		}
		h.mine = append(h.mine, one)
	}
	f.all = append(f.all, h.mine...)
	return h
}

// Hits counts the requests that the faults have selected.
func (h *FaultHandle) Hits() int {
	n, _ := h.counted()
	return n
}

func (h *FaultHandle) counted() (int, <-chan struct{}) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	n := 0
	for _, one := range h.mine {
		n += one.hits
	}
	return n, h.of.changed
}

// Wait waits until there are n hits, or returns ctx's error.
func (h *FaultHandle) Wait(ctx context.Context, n int) error {
	for {
		hits, changed := h.counted()
		if hits >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Remove takes the faults away.
func (h *FaultHandle) Remove() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	for _, one := range h.mine {
		h.of.remove(one)
	}
}

// part is what a fault can select in a request.
type part struct {
	topic                  string
	topicID                [16]byte
	partition              int32
	isPartition            bool
	group, transactionalID string
}

// partsOf are a request's smallest parts: its partitions, topics or groups, or itself.
func partsOf(request kmsg.Request) []part {
	if find, ok := request.(*kmsg.FindCoordinatorRequest); ok {
		var parts []part
		for _, key := range append(slices.Clone(find.CoordinatorKeys), find.CoordinatorKey) {
			if find.CoordinatorType == transactionCoordinator {
				parts = append(parts, part{transactionalID: key})
			} else {
				parts = append(parts, part{group: key})
			}
		}
		return parts
	}
	return partsWithin(reflect.ValueOf(request).Elem(), part{})
}

func partsWithin(v reflect.Value, p part) (parts []part) {
	for i := range v.NumField() {
		text, isText := textOf(v.Field(i))
		switch name := v.Type().Field(i).Name; {
		case isText && (name == "Group" || name == "GroupID"):
			p.group = text
		case isText && name == "TransactionalID":
			p.transactionalID = text
		case isText && name == "Topic":
			p.topic = text
		case name == "TopicID":
			p.topicID, _ = v.Field(i).Interface().([16]byte)
		case name == "Partition" && v.Field(i).Kind() == reflect.Int32:
			p.partition, p.isPartition = int32(v.Field(i).Int()), true
		}
	}
	for i := range v.NumField() {
		field := v.Field(i)
		if v.Type().Field(i).Name == "ForgottenTopics" || field.Kind() != reflect.Slice {
			continue
		}
		for j := range field.Len() {
			switch at := field.Index(j); {
			case at.Kind() == reflect.Struct:
				parts = append(parts, partsWithin(at, p)...)
			case at.Kind() == reflect.Int32 && v.Type().Field(i).Name == "Partitions":
				one := p
				one.partition, one.isPartition = int32(at.Int()), true
				parts = append(parts, one)
			}
		}
	}
	if parts == nil {
		parts = []part{p}
	}
	return parts
}

// textOf is a string or what a pointer to one points to.
func textOf(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v.String(), v.Kind() == reflect.String
}
