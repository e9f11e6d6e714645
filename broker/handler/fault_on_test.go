//go:build faultinject

package handler

import (
	"context"
	"testing"
	"time"

	"fluxmq/broker/fault"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// startFault makes this process misbehave until the test ends.
func startFault(t *testing.T, spec string) {
	t.Helper()
	if _, err := fault.Start(spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := fault.Start(""); err != nil {
			t.Error(err)
		}
	})
}

// Every client must be able to read the larger response, and in the versions
// that cannot grow it is as it was.
func TestFaultResponsesGrow(t *testing.T) {
	for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks} {
		b := newBench(t, flush)
		// answer is the size and the number of padding bytes of a response.
		answer := func(in kmsg.Request, version int16) (size, padding int) {
			r := b.ask(t, in, version)
			tags := kmsg.Tags{}
			switch r := r.(type) {
			case *kmsg.ProduceResponse:
				tags = r.UnknownTags
				if r.Topics[0].Partitions[0].ErrorCode != 0 {
					t.Fatalf("version %d: %+v", version, r)
				}
			case *kmsg.FetchResponse:
				tags = r.UnknownTags
				if len(r.Topics[0].Partitions[0].RecordBatches) == 0 {
					t.Fatalf("version %d: %+v", version, r)
				}
			}
			tags.Each(func(_ uint32, payload []byte) { padding = len(payload) })
			size = len(b.out.Bytes)
			for _, r := range b.out.Ranges {
				size += int(r.Size)
			}
			return size, padding
		}
		for _, c := range []struct {
			in                   func() kmsg.Request
			from, flexible, last int16
		}{
			{func() kmsg.Request { return produceRequest(b.id, -1, batch(t, 3)) }, 3, 9, 13},
			{func() kmsg.Request { return fetchRequest(b.id, 0) }, 4, 12, 18},
		} {
			for version := c.from; version <= c.last; version++ {
				startFault(t, "")
				size, padding := answer(c.in(), version)
				if padding != 0 {
					t.Fatalf("without fault: %d bytes of padding", padding)
				}
				startFault(t, "response:10%")
				larger, padding := answer(c.in(), version)
				switch {
				case version < c.flexible && (larger != size || padding != 0):
					t.Errorf("%T version %d: %d bytes became %d", c.in(), version, size, larger)
				case version >= c.flexible && (padding < size/10 || larger <= size):
					t.Errorf("%T version %d: %d bytes of padding, %d bytes became %d", c.in(), version, padding, size, larger)
				}
			}
		}
		startFault(t, "response:10%")
		if r := b.ask(t, produceRequest(b.id, 0, batch(t, 1)), 9); r != nil {
			t.Fatalf("acks=0 is answered: %+v", r)
		}
	}
}

func TestFaultStalls(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	startFault(t, "stall:30ms:25%")
	slow := 0
	for range 12 {
		before := time.Now()
		b.ask(t, produceRequest(b.id, 1, batch(t, 1)), 9)
		if time.Since(before) >= 30*time.Millisecond {
			slow++
		}
	}
	if slow < 3 || slow > 6 { // a busy machine may make others slow
		t.Errorf("%d of 12 requests were stalled, want 3", slow)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	startFault(t, "stall:10s:100%")
	in := produceRequest(b.id, 1, batch(t, 1))
	in.SetVersion(9)
	b.out.Reset()
	before := time.Now()
	b.Serve(gone, &Request{Header: protocol.Header{Version: 9}, Body: in.AppendTo(nil)}, &b.out)
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("a client that is gone is waited for: %v", took)
	}
}

// While one Produce request holds the broker, another's is not begun; a Fetch is.
func TestFaultMutex(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	startFault(t, "mutex")
	b.ask(t, produceRequest(b.id, 1, batch(t, 1)), 9)
	faultMutex.Lock()
	b.ask(t, fetchRequest(b.id, 0), 12)
	in := produceRequest(b.id, 1, batch(t, 1))
	in.SetVersion(9)
	served := make(chan struct{})
	go func() { // ends when the mutex is free; awaited below
		defer close(served)
		var out Response
		b.Serve(t.Context(), &Request{Header: protocol.Header{Version: 9}, Body: in.AppendTo(nil)}, &out)
	}()
	select {
	case <-served:
		t.Error("a Produce request was served while another held the broker")
	case <-time.After(20 * time.Millisecond):
	}
	faultMutex.Unlock()
	<-served
	if end := b.Partitions.Find([]byte("t"), 0).Offsets().LogEnd; end != 2 {
		t.Errorf("%d records are stored, want 2", end)
	}
}
