//go:build faultinject

package handler

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math"
	"sync"
	"time"

	"fluxmq/broker/fault"
	"fluxmq/broker/protocol"
)

// faultMutex makes Produce requests of all connections one at a time. It is
// held from the whole frame to the last append, not while a reply waits.
var faultMutex sync.Mutex

// serveFaulty serves a Produce or Fetch request, later, slower or with a
// larger response than need be.
func (h *Handler) serveFaulty(ctx context.Context, r *Request, out *Response) {
	serve := h.fetch
	if r.Key == protocol.KeyProduce {
		serve = h.produce
	}
	f := fault.Active()
	if f == nil {
		serve(r, out)
		return
	}
	if r.Key == protocol.KeyProduce && f.Stall.Hits(1) > 0 {
		select {
		case <-time.After(f.StallFor):
		case <-ctx.Done():
		}
	}
	start := len(out.Bytes)
	if f.Mutex && r.Key == protocol.KeyProduce {
		faultMutex.Lock()
		serve(r, out)
		faultMutex.Unlock()
	} else {
		serve(r, out)
	}
	f.Burn()
	if f.ResponsePercent == 0 {
		return
	}
	key, version := r.Key, r.Version
	wait := out.Wait
	if wait == nil {
		padFaulty(out, start, key, version, f.ResponsePercent)
		return
	}
	out.Wait = func(ctx context.Context, out *Response) {
		start := len(out.Bytes)
		wait(ctx, out)
		padFaulty(out, start, key, version, f.ResponsePercent)
	}
}

// faultTag is a number that no Kafka response has a tagged field of.
const faultTag = 9999

// notPadded says once that some responses cannot grow.
var notPadded sync.Once

// padFaulty adds to the frame at start a tagged field that a client must
// ignore (KIP-482), of at least percent of the frame and at least a byte.
func padFaulty(out *Response, start int, key, version int16, percent float64) {
	if len(out.Bytes) == start {
		return // acks=0, or the connection ends
	}
	if key == protocol.KeyProduce && version < 9 || key == protocol.KeyFetch && version < 12 {
		notPadded.Do(func() {
			slog.Warn("FAULT INJECTION: responses of versions without tagged fields are not made larger", "api", protocol.NameOf(key), "version", version)
		})
		return
	}
	size := binary.BigEndian.Uint32(out.Bytes[start:])
	before := len(out.Bytes)
	b := out.Bytes
	b[before-1]++ // the frame ends with its count of tags, and has none
	b = binary.AppendUvarint(b, faultTag)
	payload := int(max(1, math.Ceil(float64(lengthSize+size)*percent/100)))
	b = binary.AppendUvarint(b, uint64(payload))
	b = append(b, make([]byte, payload)...)
	binary.BigEndian.PutUint32(b[start:], size+uint32(len(b)-before))
	out.Bytes = b
}
