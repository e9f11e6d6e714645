package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func linesOf(in io.Reader, delimiter byte, maxBytes int) (lines []string, err error) {
	err = eachLine(context.Background(), in, delimiter, maxBytes, func(line []byte) error {
		lines = append(lines, string(line))
		return nil
	})
	return lines, err
}

func TestEachLine(t *testing.T) {
	long := strings.Repeat("x", 200<<10) // longer than the reader's buffer
	for _, c := range []struct {
		why, in string
		want    []string
	}{
		{"nothing", "", nil},
		{"one without an end", "a", []string{"a"}},
		{"the last line's end makes no line", "a\nb\n", []string{"a", "b"}},
		{"empty lines are records", "\n\na\n", []string{"", "", "a"}},
		{"a carriage return stays", "a\r\nb", []string{"a\r", "b"}},
		{"longer than the buffer", long + "\n" + long, []string{long, long}},
	} {
		for name, in := range map[string]io.Reader{"whole": strings.NewReader(c.in), "one byte at a time": iotest.OneByteReader(strings.NewReader(c.in))} {
			if got, err := linesOf(in, '\n', 1<<20); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: %d lines, %v", c.why, name, len(got), err)
			}
		}
	}
	if got, err := linesOf(strings.NewReader("a\x00b"), 0, 10); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("another delimiter: %q, %v", got, err)
	}
	if got, err := linesOf(strings.NewReader("1234\n12345\n"), '\n', 4); err == nil || !slices.Equal(got, []string{"1234"}) {
		t.Errorf("too long: %q, %v", got, err)
	}
	broken := errors.New("broken")
	if got, err := linesOf(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), '\n', 10); !errors.Is(err, broken) || !slices.Equal(got, []string{"a"}) {
		t.Errorf("a read error: %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err := eachLine(ctx, strings.NewReader("a\nb\n"), '\n', 10, func([]byte) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended by its context: %v", err)
	}
}

func FuzzEachLine(f *testing.F) {
	f.Add([]byte("a\nb\n\n"), byte('\n'))
	f.Fuzz(func(t *testing.T, in []byte, delimiter byte) {
		got, err := linesOf(bytes.NewReader(in), delimiter, len(in)+1)
		want := strings.Split(string(in), string([]byte{delimiter}))
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	})
}

func TestLineToRecord(t *testing.T) {
	for _, c := range []struct {
		why, line  string
		o          ProduceOptions
		key, value []byte
	}{
		{"no key", "a:b", ProduceOptions{}, nil, []byte("a:b")},
		{"a key", "a:b:c", ProduceOptions{KeySeparator: ":"}, []byte("a"), []byte("b:c")},
		{"a separator of two bytes", "a::b", ProduceOptions{KeySeparator: "::"}, []byte("a"), []byte("b")},
		{"an empty value stays empty", "a:", ProduceOptions{KeySeparator: ":"}, []byte("a"), []byte{}},
		{"an empty value becomes null", "a:", ProduceOptions{KeySeparator: ":", NullValue: true}, []byte("a"), nil},
		{"an empty key stays empty", ":b", ProduceOptions{KeySeparator: ":"}, []byte{}, []byte("b")},
		{"one key for all", "a", ProduceOptions{Key: []byte("k")}, []byte("k"), []byte("a")},
	} {
		r, err := c.o.record([]byte(c.line))
		if err != nil || !bytes.Equal(r.Key, c.key) || !bytes.Equal(r.Value, c.value) || (r.Key == nil) != (c.key == nil) || (r.Value == nil) != (c.value == nil) {
			t.Errorf("%s: %+v, %v", c.why, r, err)
		}
	}
	if _, err := (&ProduceOptions{KeySeparator: ":"}).record([]byte("no separator")); err == nil {
		t.Error("a line without its key separator is taken")
	}
}

func TestProduceOptionsRefuse(t *testing.T) {
	good := ProduceOptions{Partition: -1, Compression: "none", Acks: -1, MaxRecordBytes: DefaultMaxRecordBytes, DeliveryTimeout: DefaultDeliveryTimeout}
	if _, err := good.Options(); err != nil {
		t.Fatal(err)
	}
	for why, change := range map[string]func(*ProduceOptions){
		"acks": func(o *ProduceOptions) { o.Acks = 2 }, "compression": func(o *ProduceOptions) { o.Compression = "brotli" },
		"partition": func(o *ProduceOptions) { o.Partition = -2 }, "size": func(o *ProduceOptions) { o.MaxRecordBytes = 0 },
		"large": func(o *ProduceOptions) { o.MaxRecordBytes = 1 << 30 }, "timeout": func(o *ProduceOptions) { o.DeliveryTimeout = 0 },
	} {
		bad := good
		change(&bad)
		if _, err := bad.Options(); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", why, err)
		}
	}
}
