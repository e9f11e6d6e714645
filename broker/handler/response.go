package handler

import (
	"context"
	"encoding/binary"
	"os"
	"time"
)

// Response is what a connection writes for one request, or for several in a
// row: Bytes, with Ranges of files between them. The connection owns it and
// reuses it; handlers only append.
type Response struct {
	// Bytes holds whole frames: 4-byte length, response header, body. Where a
	// range belongs, its bytes are missing but counted in the length.
	Bytes []byte
	// Ranges are ordered by At. Each is released once, by Release or by the
	// connection after it was written.
	Ranges []Range
	// Wait is set when the request is not answered yet; then Bytes and Ranges
	// are as they were. It runs once, on the connection's second goroutine, in
	// the order of the requests, and fills out. It returns when the answer is
	// there or soon after ctx ends (client gone, broker stopping).
	Wait func(ctx context.Context, out *Response)
	// Ready, where set, tells whether Wait would return at once, so that the
	// connection can put several responses into one write.
	Ready func() bool
	// Serial says that no later request of the connection may be served
	// before Wait returned: the order of control-plane requests has a meaning.
	Serial bool
	// Mute, when above 0, is for how long the connection is not to be read once
	// it is known, here or when Wait returns (KIP-219). The response leaves all
	// the same.
	Mute time.Duration
	// Close, when set, ends the connection after what was answered before is
	// written: the request cannot be answered.
	Close error
}

// Range is a part of a response that lies in a file (File is not nil), or in
// memory that outlives the call.
type Range struct {
	// At is the index in Response.Bytes before which the range is sent.
	At       int
	File     *os.File
	Position int64
	Size     int64
	Memory   []byte
	// Release gives the file back, once; may be nil.
	Release func()
}

// Release releases every range and forgets them.
func (r *Response) Release() {
	for i := range r.Ranges {
		if release := r.Ranges[i].Release; release != nil {
			release()
		}
		r.Ranges[i] = Range{}
	}
	r.Ranges = r.Ranges[:0]
}

// Reset empties the response for reuse, keeping its memory. Ranges must have
// been released.
func (r *Response) Reset() {
	r.Bytes, r.Ranges = r.Bytes[:0], r.Ranges[:0]
	r.Wait, r.Ready, r.Serial, r.Mute, r.Close = nil, nil, false, 0, nil
}

// lengthSize is the size of the length in front of a frame.
const lengthSize = 4

// begin reserves a frame's length and returns where the frame starts.
func (r *Response) begin() int {
	start := len(r.Bytes)
	r.Bytes = append(r.Bytes, 0, 0, 0, 0)
	return start
}

// end writes the length of the frame that begin started; inRanges is the
// size of its ranges.
func (r *Response) end(start int, inRanges int64) {
	size := int64(len(r.Bytes)-start-lengthSize) + inRanges
	binary.BigEndian.PutUint32(r.Bytes[start:], uint32(size))
}
