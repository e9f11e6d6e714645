package record

import (
	"errors"
	"testing"
)

func TestControlOfRefuses(t *testing.T) {
	control := func(key, value []byte) Batch {
		b, err := Builder{ProducerID: 1, Transactional: true, Control: true}.Build([]Record{{Key: key, Value: value}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		why        string
		key, value []byte
		want       error
		kind       ControlType
		epoch      int32
	}{
		{"as Kafka writes it", []byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 9}, nil, Commit, 9},
		{"fields that a later version adds", []byte{0, 1, 0, 0, 7, 7}, []byte{0, 1, 0, 0, 0, 9, 7}, nil, Abort, 9},
		{"a type of which only the key is known", []byte{0, 0, 0, 5}, nil, nil, 5, -1},
		{"a type that does not exist", []byte{0, 0, 0xff, 0xff}, nil, nil, -1, -1},
		{"no key", nil, []byte{0, 0, 0, 0, 0, 9}, ErrInvalidRecord, 0, -1},
		{"a key cut short", []byte{0, 0, 0}, []byte{0, 0, 0, 0, 0, 9}, ErrInvalidRecord, 0, -1},
		{"a key of a negative version", []byte{0xff, 0xff, 0, 1}, []byte{0, 0, 0, 0, 0, 9}, ErrInvalidRecord, 0, -1},
		{"no value", []byte{0, 0, 0, 1}, nil, ErrInvalidRecord, Commit, -1},
		{"a value cut short", []byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0}, ErrInvalidRecord, Commit, -1},
		{"a value of a negative version", []byte{0, 0, 0, 0}, []byte{0x80, 0, 0, 0, 0, 9}, ErrInvalidRecord, Abort, -1},
	} {
		kind, epoch, err := ControlOf(control(c.key, c.value))
		if !errors.Is(err, c.want) || kind != c.kind || epoch != c.epoch {
			t.Errorf("%s: %v, epoch %d, %v; want %v, %d, %v", c.why, kind, epoch, err, c.kind, c.epoch, c.want)
		}
	}
}

// FuzzControlOf: whatever stands in a log, its control records are read or
// refused.
func FuzzControlOf(f *testing.F) {
	for _, kind := range []ControlType{Abort, Commit} {
		b, err := EndTransaction(kind, 7, 3, 21, 1234)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(b))
		f.Add([]byte(b[:len(b)-3]))
	}
	b, err := LeaderChanged(5, []int32{5, 6}, 99)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(b))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, epoch, err := ControlOf(b)
		if marker := kind == Abort || kind == Commit; epoch != -1 && (err != nil || !marker) {
			t.Fatalf("%v with epoch %d, %v", kind, epoch, err)
		}
	})
}
