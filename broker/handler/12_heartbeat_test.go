package handler

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// serveHeartbeat serves a Heartbeat as a connection does and returns its code.
func (b *groupBroker) serveHeartbeat(version int16, in *kmsg.HeartbeatRequest) int16 {
	b.t.Helper()
	in.SetVersion(version)
	r := &Request{Header: protocol.Header{Key: in.Key(), Version: version, CorrelationID: 7, ClientID: []byte("client")}, Body: in.AppendTo(nil), Peer: "/127.0.0.1"}
	var out Response
	b.Serve(context.Background(), r, &out)
	for i := range r.Body {
		r.Body[i] = 0xff // the frame is used again
	}
	if out.Close != nil || out.Wait != nil {
		b.t.Fatalf("version %d: not answered: %v", version, out.Close)
	}
	response := kmsg.NewPtrHeartbeatResponse()
	response.SetVersion(version)
	header := protocol.AppendResponseHeader(nil, in.Key(), version, 7)
	body, whole := bytes.CutPrefix(out.Bytes[4:], header)
	if err := response.ReadFrom(body); err != nil || !whole {
		b.t.Fatalf("version %d: % x does not read back: %v", version, out.Bytes, err)
	}
	return response.ErrorCode
}

func TestHeartbeatIsServedInEveryVersion(t *testing.T) {
	b := newGroupBroker(t)
	b.prepare()
	everyGroupVersion(12, func(v int16) {
		id := fmt.Sprint("heartbeat-", v)
		member, generation := b.member(id, 9, 5)
		in := kmsg.NewPtrHeartbeatRequest()
		in.Group, in.MemberID, in.Generation = id, member, generation
		b.expect(id, b.serveHeartbeat(v, in), nil)
		in.Generation++
		b.expect("another generation", b.serveHeartbeat(v, in), kerr.IllegalGeneration)
		in.Generation--
		b.expect("as before", b.serveHeartbeat(v, in), nil)
		in.MemberID = "nobody"
		b.expect("nobody", b.serveHeartbeat(v, in), kerr.UnknownMemberID)
		in.Group = "no group"
		b.expect("no group", b.serveHeartbeat(v, in), kerr.UnknownMemberID)
		in.Group = ""
		b.expect("no id", b.serveHeartbeat(v, in), kerr.InvalidGroupID)
	})
}

// TestHeartbeatOfAConsumerGroup: a classic member there is served by the general path.
func TestHeartbeatOfAConsumerGroup(t *testing.T) {
	b := newGroupBroker(t)
	b.prepare()
	b.consumer("g", 1)
	in := kmsg.NewPtrHeartbeatRequest()
	in.Group, in.MemberID = "g", "nobody"
	if code, served := b.Groups.HeartbeatNow(in); served {
		t.Errorf("HeartbeatNow answered %d for a consumer group", code)
	}
	b.expect("nobody", b.serveHeartbeat(4, in), kerr.UnknownMemberID)
}

func TestHeartbeatThatDoesNotDecode(t *testing.T) {
	b := newGroupBroker(t)
	for _, v := range []int16{0, 4, 99} {
		var out Response
		b.Serve(context.Background(), &Request{Header: protocol.Header{Key: protocol.KeyHeartbeat, Version: v}, Body: []byte{0x7f}}, &out)
		if out.Close == nil || len(out.Bytes) > 0 {
			t.Errorf("version %d: %v, % x", v, out.Close, out.Bytes)
		}
	}
}

// TestHeartbeatAllocations: what thousands of idle members send leaves nothing to collect.
func TestHeartbeatAllocations(t *testing.T) {
	b := newGroupBroker(t)
	b.prepare()
	member, generation := b.member("g", 9, 5)
	in := kmsg.NewPtrHeartbeatRequest()
	in.Group, in.MemberID, in.Generation = "g", member, generation
	in.SetVersion(4)
	r := &Request{Header: protocol.Header{Key: in.Key(), Version: 4, ClientID: []byte("client")}, Body: in.AppendTo(nil), Peer: "/127.0.0.1"}
	var out Response
	if n := testing.AllocsPerRun(500, func() {
		b.Serve(context.Background(), r, &out)
		out.Bytes = out.Bytes[:0]
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
