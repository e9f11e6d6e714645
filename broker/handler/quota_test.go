package handler

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stillClock moves when the test says so. One goroutine at a time.
type stillClock struct{ now time.Time }

func (c *stillClock) Now() time.Time          { return c.now }
func (c *stillClock) advance(d time.Duration) { c.now = c.now.Add(d) }

// limited gives a handler quotas with Kafka's windows, for the client "test"
// that asks everything here, and a clock for them.
func limited(h *Handler, limits quota.Limits) *stillClock {
	c := &stillClock{now: time.Unix(1_700_000_000, 0)}
	h.Quotas = quota.New(quota.Options{Samples: 11, Window: time.Second, ControllerSamples: 11, ControllerWindow: time.Second, Now: c.Now})
	h.Quotas.Set(quota.NewTable(map[quota.Entity]quota.Limits{{ClientID: quota.Named("test")}: limits}))
	return c
}

func TestProduceThrottleInEveryVersion(t *testing.T) {
	for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks} {
		b := newBench(t, flush)
		const limit = 10
		clock := limited(b.Handler, quota.Limits{quota.ProducerByteRate: limit})
		for version := int16(1); version <= 13; version++ {
			for _, acks := range []int16{1, -1, 0} {
				clock.advance(time.Hour)
				in := produceRequest(b.id, acks, batch(t, 3))
				in.SetVersion(version)
				want := int32(math.Round(float64(len(in.AppendTo(nil)))/limit*1000)) - 10_000
				response := b.ask(t, in, version)
				if want <= 0 || b.out.Mute != time.Duration(want)*time.Millisecond || b.out.Close != nil {
					t.Fatalf("version %d, acks %d: muted for %v, want %d ms", version, acks, b.out.Mute, want)
				}
				if acks == 0 {
					continue
				}
				if r := response.(*kmsg.ProduceResponse); r.ThrottleMillis != want || r.Topics[0].Partitions[0].ErrorCode != 0 {
					t.Fatalf("version %d, acks %d: %+v, want %d ms", version, acks, r, want)
				}
			}
		}
		clock.advance(time.Hour)
		b.Quotas.Set(nil)
		if r := b.ask(t, produceRequest(b.id, 1, batch(t, 3)), 9).(*kmsg.ProduceResponse); r.ThrottleMillis != 0 || b.out.Mute != 0 {
			t.Errorf("without a quota: %+v", r)
		}
	}
}

// A transaction's first batch in a partition waits for the coordinator, and is
// charged as those that follow are.
func TestTransactionalProduceThrottle(t *testing.T) {
	for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks} {
		b := newBench(t, flush)
		b.VerifyTransaction = (&coordinator{}).verify
		clock := limited(b.Handler, quota.Limits{quota.ProducerByteRate: 1})
		for sequence := range int32(2) {
			clock.advance(time.Hour)
			r := b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 0, sequence))), 12).(*kmsg.ProduceResponse)
			if r.ThrottleMillis <= 0 || b.out.Mute != time.Duration(r.ThrottleMillis)*time.Millisecond || r.Topics[0].Partitions[0].ErrorCode != 0 {
				t.Errorf("batch %d: %+v, muted for %v", sequence, r, b.out.Mute)
			}
		}
	}
}

// Who sends as fast as it may gets its quota, give or take what all windows
// hold, over ten times that long.
func TestProducedBytesFollowTheQuota(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	const limit, whole = 1000, 11 * time.Second
	clock := limited(b.Handler, quota.Limits{quota.ProducerByteRate: limit})
	begin, total, throttled := clock.now, 0, 0
	for n := 0; clock.now.Sub(begin) < 10*whole; n++ {
		in := produceRequest(b.id, 1, batch(t, 1+n%5))
		r := b.ask(t, in, 9).(*kmsg.ProduceResponse)
		total += len(in.AppendTo(nil))
		if r.ThrottleMillis > 0 {
			throttled++
		}
		clock.advance(time.Duration(r.ThrottleMillis)*time.Millisecond + 10*time.Millisecond)
	}
	want, slack := limit*clock.now.Sub(begin).Seconds(), limit*whole.Seconds()+1000
	if got := float64(total); got < want-slack || got > want+slack || throttled < 10 {
		t.Errorf("%v bytes in %v, throttled %d times; the quota is %v", got, clock.now.Sub(begin), throttled, want)
	}
}

func TestFetchThrottle(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	one := len(batch(t, 1))
	for range 100 {
		b.ask(t, produceRequest(b.id, 1, batch(t, 1)), 9)
	}
	limit := 4 * one // 40 batches in the ten windows
	clock := limited(b.Handler, quota.Limits{quota.ConsumerByteRate: float64(limit)})
	full := func(offset int64) *kmsg.FetchResponse {
		in := fetchRequest(b.id, offset)
		in.SessionEpoch = 0
		return b.ask(t, in, 12).(*kmsg.FetchResponse)
	}
	first := full(0)
	read := len(first.Topics[0].Partitions[0].RecordBatches)
	if first.SessionID == 0 || read == 0 || read > 10*limit || read%one != 0 {
		t.Fatalf("session %d, %d bytes of %d allowed", first.SessionID, read, 10*limit)
	}
	next := int64(read / one)
	// The windows are full: nothing more comes, and no session is opened.
	if r := full(next); r.ErrorCode != 0 || r.ThrottleMillis <= 0 || len(r.Topics) != 0 || r.SessionID != 0 || b.out.Mute != time.Duration(r.ThrottleMillis)*time.Millisecond || len(b.sessions.byID) != 1 {
		t.Fatalf("%+v, muted for %v, %d sessions", r, b.out.Mute, len(b.sessions.byID))
	}
	// In a session it is the same; what the request says of partitions is kept.
	in := fetchRequest(b.id, next)
	in.SessionID, in.SessionEpoch = first.SessionID, 1
	if r := b.ask(t, in, 12).(*kmsg.FetchResponse); r.ErrorCode != 0 || r.ThrottleMillis <= 0 || len(r.Topics) != 0 || r.SessionID != first.SessionID {
		t.Fatalf("%+v", r)
	}
	clock.advance(11 * time.Second)
	in = fetchRequest(b.id)
	in.SessionID, in.SessionEpoch, in.Topics = first.SessionID, 2, nil
	r := b.ask(t, in, 12).(*kmsg.FetchResponse)
	if r.ErrorCode != 0 || len(r.Topics) != 1 {
		t.Fatalf("%+v", r)
	}
	more := len(r.Topics[0].Partitions[0].RecordBatches)
	if more == 0 || more > 10*limit {
		t.Fatalf("%d bytes of %d allowed", more, 10*limit)
	}
	if sent := b.Metrics.Totals().BytesOut.Load(); sent != int64(read+more) {
		t.Errorf("%d bytes are counted as sent, want %d", sent, read+more)
	}
	// Nothing to read is no reason to wait.
	clock.advance(time.Hour)
	if r := b.ask(t, fetchRequest(b.id, 100), 12).(*kmsg.FetchResponse); r.ThrottleMillis != 0 || len(r.Topics) != 1 || r.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("%+v", r)
	}
}

// A batch that no quota lets pass is sent to who has had nothing lately, and
// to nobody else.
func TestFetchOfMoreThanTheQuotaGoesOn(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 50)), 9)
	clock := limited(b.Handler, quota.Limits{quota.ConsumerByteRate: 10})
	for version := int16(4); version <= 18; version++ {
		clock.advance(time.Hour)
		r := b.ask(t, fetchRequest(b.id, 0), version).(*kmsg.FetchResponse)
		if r.ThrottleMillis <= 0 || len(r.Topics[0].Partitions[0].RecordBatches) != len(batch(t, 50)) || b.out.Mute != time.Duration(r.ThrottleMillis)*time.Millisecond {
			t.Fatalf("version %d: throttled for %d ms, muted for %v, %d topics", version, r.ThrottleMillis, b.out.Mute, len(r.Topics))
		}
		again := b.ask(t, fetchRequest(b.id, 0), version).(*kmsg.FetchResponse)
		if again.ThrottleMillis <= r.ThrottleMillis || len(again.Topics) != 0 {
			t.Fatalf("version %d, again: throttled for %d ms, %d topics", version, again.ThrottleMillis, len(again.Topics))
		}
	}
}

// Whatever takes time is more than this quota allows; nobody waits for longer
// than a window because of it.
func TestRequestTimeThrottle(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	limited(b.Handler, quota.Limits{quota.RequestPercentage: 1e-9})
	muted := func(name string) {
		t.Helper()
		if b.out.Mute != time.Second {
			t.Errorf("%s: muted for %v", name, b.out.Mute)
		}
	}
	if r := b.ask(t, produceRequest(b.id, 1, batch(t, 1)), 9).(*kmsg.ProduceResponse); r.ThrottleMillis != 1000 || r.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("%+v", r)
	}
	muted("Produce")
	if b.ask(t, produceRequest(b.id, 0, batch(t, 1)), 9); b.out.Mute != 0 {
		t.Errorf("acks=0: muted for %v", b.out.Mute)
	}
	if r := b.ask(t, fetchRequest(b.id, 0), 12).(*kmsg.FetchResponse); r.ThrottleMillis != 1000 || len(r.Topics) != 0 {
		t.Errorf("%+v", r)
	}
	muted("Fetch")
	list := kmsg.NewPtrListOffsetsRequest()
	list.ReplicaID = -1
	if r := b.ask(t, list, 10).(*kmsg.ListOffsetsResponse); r.ThrottleMillis != 1000 {
		t.Errorf("%+v", r)
	}
	muted("ListOffsets")
	for version := int16(0); version <= 4; version++ {
		in := kmsg.NewPtrApiVersionsRequest()
		in.ClientSoftwareName, in.ClientSoftwareVersion = "test", "1.0"
		r := b.ask(t, in, version).(*kmsg.ApiVersionsResponse)
		if len(r.ApiKeys) != len(b.advertisedAPIs()) || (r.ThrottleMillis == 1000) != (version > 0) {
			t.Errorf("version %d: %+v", version, r)
		}
		muted("ApiVersions")
	}
}

// answered asks a control-plane handler as the client "test", and returns what
// Serve would see.
func answered[R kmsg.Response](t *testing.T, h *Handler, version int16, in kmsg.Request) (R, time.Duration) {
	t.Helper()
	in.SetVersion(version)
	r := &Request{Header: protocol.Header{Key: in.Key(), Version: version, ClientID: []byte("test")}}
	answer := controls[in.Key()](h, context.Background(), r, in)
	return answer.Response.(R), answer.Throttle
}

// mutationQuota is a burst of 11 partitions and then one a second.
var mutationQuota = quota.Limits{quota.ControllerMutationRate: 1}

// mutationOutcome is what becomes of three requests for 8, 8 and 1 partitions.
func mutationOutcome(t *testing.T, version, strictFrom int16, codes []int16, throttle time.Duration) {
	t.Helper()
	want, wantThrottle := []int16{0, 0, 0}, 6*time.Second
	if version >= strictFrom {
		want[2], wantThrottle = protocol.ErrThrottlingQuotaExceeded.Code, 5*time.Second
	}
	if fmt.Sprint(codes) != fmt.Sprint(want) || throttle != wantThrottle {
		t.Errorf("got %v and a throttle of %v, want %v and %v", codes, throttle, want, wantThrottle)
	}
}

func TestCreateTopicsWithinTheMutationQuota(t *testing.T) {
	h := topicHandler(t)
	clock := limited(h, mutationQuota)
	versions(t, protocol.KeyCreateTopics, func(t *testing.T, v int16) {
		clock.advance(time.Hour)
		in := kmsg.NewPtrCreateTopicsRequest()
		for n, partitions := range []int32{8, 8, 1} {
			in.Topics = append(in.Topics, kmsg.CreateTopicsRequestTopic{Topic: fmt.Sprintf("c%d-%d", v, n), NumPartitions: partitions, ReplicationFactor: 1})
		}
		r, throttle := answered[*kmsg.CreateTopicsResponse](t, h, v, in)
		var codes []int16
		for n, topic := range r.Topics {
			codes = append(codes, topic.ErrorCode)
			if exists := h.Metadata.Image().Topics[in.Topics[n].Topic] != nil; exists != (topic.ErrorCode == 0) {
				t.Errorf("%s exists: %v, error %d", topic.Topic, exists, topic.ErrorCode)
			}
		}
		mutationOutcome(t, v, 6, codes, throttle)
	})
	// What cannot be done uses no quota; what is only validated does, as in Kafka.
	clock.advance(time.Hour)
	in := kmsg.NewPtrCreateTopicsRequest()
	in.ValidateOnly = true
	in.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "bad name", NumPartitions: 100, ReplicationFactor: 1}, {Topic: "v1", NumPartitions: 12, ReplicationFactor: 1}, {Topic: "v2", NumPartitions: 1, ReplicationFactor: 1}}
	r, throttle := answered[*kmsg.CreateTopicsResponse](t, h, 7, in)
	if r.Topics[0].ErrorCode != protocol.ErrInvalidTopicException.Code || r.Topics[1].ErrorCode != 0 || r.Topics[2].ErrorCode != protocol.ErrThrottlingQuotaExceeded.Code || throttle != time.Second {
		t.Errorf("%+v, %v", r.Topics, throttle)
	}
}

func TestDeleteTopicsWithinTheMutationQuota(t *testing.T) {
	h := topicHandler(t)
	clock := limited(h, mutationQuota)
	if _, err := h.Metadata.EnsureTopic(cluster.NewOffsetsTopic(h.Config)); err != nil {
		t.Fatal(err)
	}
	versions(t, protocol.KeyDeleteTopics, func(t *testing.T, v int16) {
		clock.advance(time.Hour)
		names := []string{cluster.OffsetsTopic, "absent", "d0", "d1", "d2"} // the first two use no quota
		in := kmsg.NewPtrDeleteTopicsRequest()
		for n, name := range names {
			if n > 1 && h.Metadata.Image().Topics[name] == nil {
				create(t, h, name, []int32{8, 8, 1}[n-2])
			}
			if in.TopicNames = append(in.TopicNames, name); v >= 6 {
				in.Topics = append(in.Topics, kmsg.DeleteTopicsRequestTopic{Topic: ref(name)})
			}
		}
		r, throttle := answered[*kmsg.DeleteTopicsResponse](t, h, v, in)
		var codes []int16
		for n, topic := range r.Topics[2:] {
			codes = append(codes, topic.ErrorCode)
			if exists := h.Metadata.Image().Topics[names[n+2]] != nil; exists == (topic.ErrorCode == 0) {
				t.Errorf("%s exists: %v, error %d", names[n+2], exists, topic.ErrorCode)
			}
		}
		mutationOutcome(t, v, 5, codes, throttle)
	})
}

func TestCreatePartitionsWithinTheMutationQuota(t *testing.T) {
	h := topicHandler(t)
	clock := limited(h, mutationQuota)
	versions(t, protocol.KeyCreatePartitions, func(t *testing.T, v int16) {
		clock.advance(time.Hour)
		in := kmsg.NewPtrCreatePartitionsRequest()
		in.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "absent", Count: 5}} // uses no quota
		for n, added := range []int32{8, 8, 1} {
			name := fmt.Sprintf("p%d-%d", v, n)
			create(t, h, name, 1)
			in.Topics = append(in.Topics, kmsg.CreatePartitionsRequestTopic{Topic: name, Count: 1 + added})
		}
		r, throttle := answered[*kmsg.CreatePartitionsResponse](t, h, v, in)
		var codes []int16
		for n, topic := range r.Topics[1:] {
			codes = append(codes, topic.ErrorCode)
			if grown := h.Metadata.Image().Topics[topic.Topic].Partitions == in.Topics[n+1].Count; grown != (topic.ErrorCode == 0) {
				t.Errorf("%s has grown: %v, error %d", topic.Topic, grown, topic.ErrorCode)
			}
		}
		mutationOutcome(t, v, 3, codes, throttle)
	})
}

// Quotas cost a produce no allocation: neither none, nor one that lets
// everything pass, nor one that throttles.
func TestQuotasDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, limit := range map[string]float64{"none": 0, "wide": 1e15, "narrow": 1} {
		b := newBench(t, partition.FlushOS)
		limited(b.Handler, quota.Limits{quota.ProducerByteRate: limit, quota.RequestPercentage: limit})
		in := produceRequest(b.id, 1, batch(t, 50))
		in.SetVersion(9)
		body := in.AppendTo(nil)
		request := &Request{Header: protocol.Header{Version: 9, ClientID: []byte("test")}, Body: make([]byte, len(body)), Size: len(body)}
		serve := func() {
			copy(request.Body, body) // the last one was stamped with its offset
			b.out.Reset()
			b.Serve(context.Background(), request, &b.out)
		}
		for range 100 {
			serve()
		}
		if (b.out.Mute > 0) != (name == "narrow") {
			t.Fatalf("%s: muted for %v", name, b.out.Mute)
		}
		if n := testing.AllocsPerRun(500, serve); n != 0 {
			t.Errorf("%s: %v allocations per request", name, n)
		}
	}
}
