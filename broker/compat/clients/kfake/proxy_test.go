package kfake

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What the client's encoder writes is read as it was, flexible or not, and cut short it is an error and no panic.
func TestReadHeader(t *testing.T) {
	for _, version := range []int16{8, 9} { // OffsetCommit is flexible from 8 on
		for _, clientID := range []string{"", "me"} {
			request := commitOf("g", "t")
			request.Version = version - 1
			frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, request, 5)
			h, err := readHeader(frame)
			if err != nil {
				t.Fatal(err)
			}
			if h.key != request.Key() || h.version != request.Version || h.correlation != 5 || !bytes.Equal(h.body, request.AppendTo(nil)) {
				t.Errorf("version %d of %q: %+v", request.Version, clientID, h)
			}
			for n := 4; n < len(frame)-len(h.body); n++ {
				if _, err := readHeader(frame[:n]); err == nil {
					t.Errorf("%d bytes of a header are enough", n)
				}
			}
		}
	}
}

func TestReadFrame(t *testing.T) {
	whole := []byte{0, 0, 0, 3, 1, 2, 3}
	if got, err := readFrame(bytes.NewReader(append(whole, 9))); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range [][]byte{{}, {0, 0}, whole[:6], {0x7f, 0xff, 0xff, 0xff, 1}} {
		if _, err := readFrame(bytes.NewReader(bad)); err == nil {
			t.Errorf("%v is a frame", bad)
		}
	}
}
