package handler

import (
	"context"
	"testing"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// serving serves one encoded request again and again; the body is restored
// each time, as a produce stamps it.
func serving(b *testing.B, h *bench, in kmsg.Request, version int16) func() {
	in.SetVersion(version)
	body := in.AppendTo(nil)
	request := &Request{Header: protocol.Header{Key: in.Key(), Version: version}, Body: make([]byte, len(body)), Size: len(body), Peer: "/127.0.0.1"}
	ctx := context.Background()
	return func() {
		copy(request.Body, body)
		h.out.Reset()
		h.Serve(ctx, request, &h.out)
		if wait := h.out.Wait; wait != nil {
			h.out.Wait = nil
			wait(ctx, &h.out)
		}
		if h.out.Close != nil {
			b.Fatal(h.out.Close)
		}
		h.out.Release()
	}
}

// BenchmarkProduceRequest is a Produce of two small batches, from its bytes to the page cache.
func BenchmarkProduceRequest(b *testing.B) {
	h := newBench(b, partition.FlushOS)
	serve := serving(b, h, produceRequest(h.id, 1, batch(b, 10), batch(b, 10)), 9)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

// BenchmarkFetchRequest is a Fetch of the last batch of two partitions, from its
// bytes to those of the reply and the ranges to send.
func BenchmarkFetchRequest(b *testing.B) {
	h := newBench(b, partition.FlushOS)
	produce := serving(b, h, produceRequest(h.id, 1, batch(b, 10), batch(b, 10)), 9)
	for range 1000 {
		produce()
	}
	last := h.Partitions.Find([]byte("t"), 0).Offsets().LogEnd - 10
	serve := serving(b, h, fetchRequest(h.id, last, last), 12)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}
