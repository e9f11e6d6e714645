package record

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Streaming encoders do not know how much will come and claim the window of
// their level: that says nothing about how much there is.
func TestZstdWindowAboveTheLimit(t *testing.T) {
	records := bytes.Repeat([]byte("again "), 10_000)
	for _, window := range []int{1 << 20, 8 << 20, 128 << 20} {
		var frame bytes.Buffer
		w, err := zstd.NewWriter(&frame, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(false))
		if err != nil {
			t.Fatal(err)
		}
		for rest := records; len(rest) > 0; rest = rest[1000:] { // a first write of all would be one segment
			if _, err := w.Write(rest[:1000]); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var header zstd.Header
		if err := header.Decode(frame.Bytes()); err != nil || header.WindowSize != uint64(window) {
			t.Fatalf("the frame's window is %d, want %d: %v", header.WindowSize, window, err)
		}
		if got, err := Decompress(Zstd, frame.Bytes(), len(records)); err != nil || !bytes.Equal(got, records) {
			t.Errorf("a window of %d bytes: %d bytes, %v", window, len(got), err)
		}
		if got, err := Decompress(Zstd, frame.Bytes(), len(records)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a window of %d bytes, one byte too many: %d bytes, %v", window, len(got), err)
		}
	}
}
