package handler

import (
	"bytes"
	"context"
	"testing"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestConsumerHeartbeatThatOnlyKeeps: the short way answers what the general one
// does, byte for byte, and leaves all else to it.
func TestConsumerHeartbeatThatOnlyKeeps(t *testing.T) {
	b := newGroupBroker(t)
	b.prepare()
	from := group.Client{ID: "client", Host: "/127.0.0.1"}
	everyGroupVersion(68, func(v int16) {
		id := "kept-" + string('0'+rune(v))
		joined := b.consumer(id, v)
		keeps := func() *kmsg.ConsumerGroupHeartbeatRequest {
			in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			in.SetVersion(v)
			in.Group, in.MemberID, in.MemberEpoch = id, *joined.MemberID, joined.MemberEpoch
			return in
		}
		for name, c := range map[string]struct {
			change func(*kmsg.ConsumerGroupHeartbeatRequest)
			served bool
		}{
			"nothing new":      {func(*kmsg.ConsumerGroupHeartbeatRequest) {}, true},
			"another epoch":    {func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.MemberEpoch++ }, false},
			"another member":   {func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.MemberID = "nobody" }, false},
			"another instance": {func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.InstanceID = kmsg.StringPtr("i") }, false},
			"no such group":    {func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.Group = "nowhere" }, false},
			"what it owns":     {func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{} }, false},
			"its topics":       {func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.SubscribedTopicNames = []string{"t"} }, false},
		} {
			in := keeps()
			c.change(in)
			if _, served := b.Groups.ConsumerHeartbeatNow(from, in); served != c.served {
				t.Errorf("version %d, %s: served at once: %v, want %v", v, name, served, c.served)
			}
			r := &Request{Header: protocol.Header{Key: in.Key(), Version: v, CorrelationID: 7, ClientID: []byte("client")}, Body: in.AppendTo(nil), Peer: "/127.0.0.1"}
			var got, want Response
			b.Serve(context.Background(), r, &got)
			b.serveControl(context.Background(), r, &want)
			if !bytes.Equal(got.Bytes, want.Bytes) || len(want.Bytes) == 0 {
				t.Errorf("version %d, %s: % x, want % x", v, name, got.Bytes, want.Bytes)
			}
		}
		if _, served := b.Groups.ConsumerHeartbeatNow(group.Client{ID: "other", Host: "/127.0.0.1"}, keeps()); served {
			t.Errorf("version %d: another client's heartbeat changes the member and was served at once", v)
		}
	})
}

// TestConsumerHeartbeatAllocations: as TestHeartbeatAllocations, for consumer groups.
func TestConsumerHeartbeatAllocations(t *testing.T) {
	b := newGroupBroker(t)
	b.prepare()
	joined := b.consumer("g", 1)
	in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	in.SetVersion(1)
	in.Group, in.MemberID, in.MemberEpoch = "g", *joined.MemberID, joined.MemberEpoch
	r := &Request{Header: protocol.Header{Key: in.Key(), Version: 1, ClientID: []byte("client")}, Body: in.AppendTo(nil), Peer: "/127.0.0.1"}
	var out Response
	if n := testing.AllocsPerRun(500, func() {
		b.Serve(context.Background(), r, &out)
		out.Bytes = out.Bytes[:0]
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
