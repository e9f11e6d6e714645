package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill sets every exported field below v to something random that the wire
// can carry; unknown tags too, now and then.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64) >> (64 - v.Type().Bits()))
	case reflect.String:
		v.SetString(strings.Repeat("é", r.IntN(4)) + fmt.Sprint(r.IntN(1000)))
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			p := reflect.New(v.Type().Elem())
			fill(r, p.Elem())
			v.Set(p)
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.IntN(256)))
		}
	case reflect.Slice:
		n := r.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			if v.Type().Elem().Kind() == reflect.Uint8 {
				v.Index(i).SetUint(uint64(r.IntN(256)))
			} else {
				fill(r, v.Index(i))
			}
		}
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			if r.IntN(4) == 0 {
				tags.Set(uint32(100+r.IntN(1000)), []byte{1, 2, 3})
			}
			return
		}
		if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Version" {
				fill(r, v.Field(i))
			}
		}
	}
}

func randomRequest(r *rand.Rand, key, version int16) kmsg.Request {
	q := kmsg.RequestForKey(key)
	fill(r, reflect.ValueOf(q).Elem())
	q.SetVersion(version)
	return q
}

// Every control-plane request that kmsg writes at any advertised version has
// the shape we expect, decodes to what kmsg decodes, no prefix of it is
// accepted, and bytes behind it are ignored.
func TestDecodeRequestAgainstKmsg(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := 0
	for _, api := range APIs() {
		if api.Key == KeyProduce || api.Key == KeyFetch {
			continue
		}
		for version := api.MinVersion; version <= api.MaxVersion; version++ {
			for range 40 {
				body := randomRequest(r, api.Key, version).AppendTo(nil)
				want := kmsg.RequestForKey(api.Key)
				want.SetVersion(version)
				if err := want.ReadFrom(bytes.Clone(body)); err != nil {
					t.Fatal(err)
				}
				got, err := DecodeRequest(api.Key, version, body)
				if err != nil {
					t.Fatalf("%s v%d: %v\n%x", api.Name, version, err, body)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%s v%d: got %+v, want %+v", api.Name, version, got, want)
				}
				if longer, err := DecodeRequest(api.Key, version, append(bytes.Clone(body), 0, 1, 2)); err != nil || !reflect.DeepEqual(longer, want) {
					t.Fatalf("%s v%d with trailing bytes: %+v, %v", api.Name, version, longer, err)
				}
				for n := range len(body) {
					if _, err := DecodeRequest(api.Key, version, body[:n]); !errors.Is(err, ErrMalformed) {
						t.Fatalf("%s v%d, %d of %d bytes: %v", api.Name, version, n, len(body), err)
					}
				}
				clear(body) // the frame is reused
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%s v%d aliases the body", api.Name, version)
				}
				seen++
			}
		}
	}
	if seen < 1000 {
		t.Fatalf("only %d requests were compared", seen)
	}
}

// What librdkafka 2.16 sends for all topics: the array's length has one byte,
// and the other three of the four that it kept for it come last.
func TestMetadataOfLibrdkafkaForAllTopics(t *testing.T) {
	got, err := DecodeRequest(KeyMetadata, 13, []byte{0, 0, 0, 0, 0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if got := got.(*kmsg.MetadataRequest); got.Topics != nil || got.AllowAutoTopicCreation || got.IncludeTopicAuthorizedOperations {
		t.Fatalf("got %+v", got)
	}
}

func TestDecodedBytesDoNotAliasTheFrame(t *testing.T) {
	join := kmsg.NewJoinGroupRequest()
	join.Version = 7
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("metadata")}}
	body := join.AppendTo(nil)
	got, err := DecodeRequest(KeyJoinGroup, 7, body)
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	if p := got.(*kmsg.JoinGroupRequest).Protocols[0]; p.Name != "range" || string(p.Metadata) != "metadata" {
		t.Fatalf("%q, %q after the frame was reused", p.Name, p.Metadata)
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	for _, c := range []struct {
		name         string
		key, version int16
		body         []byte
		want         error
	}{
		{"a version above", KeyHeartbeat, 5, nil, ErrUnsupportedVersion},
		{"a version below", KeyOffsetCommit, 1, nil, ErrUnsupportedVersion},
		{"an API not served", 4, 0, nil, ErrUnsupportedVersion},
		{"a null group id", KeyHeartbeat, 0, []byte{0xff, 0xff, 0, 0, 0, 0, 0, 0}, ErrMalformed},
		{"two thousand million groups in no bytes", KeyDescribeGroups, 0, []byte{0x7f, 0xff, 0xff, 0xff}, ErrMalformed},
		{"a negative count", KeyDescribeGroups, 0, []byte{0xff, 0xff, 0xff, 0xfe}, ErrMalformed},
		{"more elements than the budget", KeyDescribeGroups, 5, append(append(appendUvarint(nil, maxElements+2), bytes.Repeat([]byte{1}, maxElements+1)...), 0, 0), ErrMalformed},
	} {
		if _, err := DecodeRequest(c.key, c.version, c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	within := append(append(appendUvarint(nil, maxElements+1), bytes.Repeat([]byte{1}, maxElements)...), 0, 0)
	if _, err := DecodeRequest(KeyDescribeGroups, 5, within); err != nil {
		t.Errorf("as many elements as the budget: %v", err)
	}
	if all, err := DecodeRequest(KeyDescribeLogDirs, 1, []byte{0xff, 0xff, 0xff, 0xfe}); err != nil || all.(*kmsg.DescribeLogDirsRequest).Topics != nil {
		t.Errorf("-2 topics, which is null: %+v, %v", all, err)
	}
}

func TestAPIs(t *testing.T) {
	last := int16(-1)
	for _, a := range APIs() {
		if a.Key <= last {
			t.Errorf("%s is out of order", a.Name)
		}
		last = a.Key
		q := kmsg.RequestForKey(a.Key)
		if q == nil || a.MinVersion < 0 || a.MaxVersion < a.MinVersion || a.MaxVersion > q.MaxVersion() {
			t.Errorf("%s advertises %d-%d, kmsg has up to %v", a.Name, a.MinVersion, a.MaxVersion, q)
		}
		// kmsg calls AlterPartitionReassignments by a name of its own.
		if !strings.EqualFold(kmsg.NameForKey(a.Key), a.Name) && a.Key != KeyAlterPartitionReassignments {
			t.Errorf("key %d is %s, kmsg calls it %s", a.Key, a.Name, kmsg.NameForKey(a.Key))
		}
		if !Supported(a.Key, a.MinVersion) || !Supported(a.Key, a.MaxVersion) || Supported(a.Key, a.MaxVersion+1) || Supported(a.Key, a.MinVersion-1) {
			t.Errorf("%s: Supported disagrees with its range", a.Name)
		}
		shaped := requestShapes[a.Key] != nil
		if own := a.Key == KeyProduce || a.Key == KeyFetch; shaped == own {
			t.Errorf("%s must have either a shape or a decoder", a.Name)
		}
	}
	for key, shape := range requestShapes {
		if shape != nil && find(int16(key)) == nil {
			t.Errorf("key %d has a shape but is not advertised", key)
		}
	}
	if Supported(4, 0) || Supported(-1, 0) || Supported(32000, 0) {
		t.Error("an API that is not served is supported")
	}
	APIs()[0].MaxVersion = 99
	if Supported(KeyProduce, 99) {
		t.Error("a caller can change the list")
	}
}

func TestFirstFlexibleAgainstKmsg(t *testing.T) {
	if MaxKey != kmsg.MaxKey {
		t.Fatalf("MaxKey %d, kmsg has %d", MaxKey, kmsg.MaxKey)
	}
	for key := range MaxKey + 1 {
		q := kmsg.RequestForKey(key)
		for version := range q.MaxVersion() + 1 {
			if q.SetVersion(version); q.IsFlexible() != flexible(key, version) {
				t.Errorf("key %d version %d: kmsg says flexible %v", key, version, q.IsFlexible())
			}
		}
	}
}

func TestErrorsAgainstKerr(t *testing.T) {
	for code := int16(-1); code <= 136; code++ {
		if code == 0 {
			continue
		}
		want, ok := kerr.ErrorForCode(code).(*kerr.Error)
		if !ok || want.Code != code {
			t.Fatalf("kerr knows no code %d", code)
		}
		name := want.Message
		if code == 6 {
			name = "NOT_LEADER_OR_FOLLOWER" // its name since Kafka 2.6
		}
		if got := byCode[code]; got == nil || got.Name != name {
			t.Errorf("code %d: got %v, want %s", code, got, name)
		}
	}
}

// byCode is allErrors by number; the test above finds one that is missing.
var byCode = func() map[int16]*Error {
	m := make(map[int16]*Error)
	for _, e := range allErrors {
		m[e.Code] = e
	}
	return m
}()

func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int16
	}{
		{nil, 0},
		{ErrUnknownTopicOrPartition, 3},
		{fmt.Errorf("topic %q: %w", "t", fmt.Errorf("deep: %w", ErrNotCoordinator)), 16},
		{errors.Join(errors.New("other"), ErrInvalidTxnState), 48},
		{errors.New("anything else"), -1},
		{ErrUnknownAPI, 35},
		{ErrMalformed, 42},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) is %d, want %d", c.err, got, c.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { CodeOf(ErrOffsetOutOfRange) }); n != 0 {
		t.Errorf("CodeOf allocates %v times", n)
	}
}

// A header that kmsg's formatter writes is read back, at every key and version.
func TestParseHeaderAgainstKmsg(t *testing.T) {
	for key := range MaxKey + 1 {
		q := kmsg.RequestForKey(key)
		for version := range q.MaxVersion() + 1 {
			if key == KeyControlledShutdown && version == 0 {
				continue
			}
			q.SetVersion(version)
			frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("client")).AppendRequest(nil, q, 77)[4:]
			h, body, err := ParseHeader(frame)
			if err != nil {
				t.Fatalf("key %d version %d: %v", key, version, err)
			}
			if h.Key != key || h.Version != version || h.CorrelationID != 77 || string(h.ClientID) != "client" || (h.HeaderVersion == 2) != q.IsFlexible() {
				t.Fatalf("key %d version %d: %+v", key, version, h)
			}
			if !bytes.Equal(body, q.AppendTo(nil)) {
				t.Fatalf("key %d version %d: body %x", key, version, body)
			}
		}
	}
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrHeartbeatRequest(), 1)[4:]
	if h, _, err := ParseHeader(frame); err != nil || h.ClientID != nil {
		t.Fatalf("a null client id: %q, %v", h.ClientID, err)
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame []byte
		want  error
	}{
		{"nothing", nil, ErrMalformed},
		{"7 bytes", make([]byte, 7), ErrMalformed},
		{"negative version", []byte{0, 3, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff}, ErrMalformed},
		{"client id too long", []byte{0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 'a'}, ErrMalformed},
		{"tags missing", []byte{0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff}, ErrMalformed},
		{"a tag that overruns", []byte{0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 1, 0, 9}, ErrMalformed},
		{"key 95", []byte{0, 95, 0, 0, 0, 0, 0, 5}, ErrUnknownAPI},
		{"negative key", []byte{0xff, 0xff, 0, 0, 0, 0, 0, 5}, ErrUnknownAPI},
	} {
		h, _, err := ParseHeader(c.frame)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.want == ErrUnknownAPI && h.CorrelationID != 5 {
			t.Errorf("%s: correlation id %d, want 5", c.name, h.CorrelationID)
		}
	}
	if h, body, err := ParseHeader([]byte{0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xfe, 'a'}); err != nil || h.ClientID != nil || string(body) != "a" {
		t.Errorf("a client id of length -2, which is null: %+v, %q, %v", h, body, err)
	}
	h, body, err := ParseHeader([]byte{0, 7, 0, 0, 0, 0, 0, 9, 1, 2})
	if err != nil || h.HeaderVersion != 0 || len(body) != 2 {
		t.Errorf("ControlledShutdown v0: %+v, %x, %v", h, body, err)
	}
}

func TestAppendResponse(t *testing.T) {
	api := kmsg.NewPtrApiVersionsResponse()
	api.Version = 4
	frame := AppendResponse([]byte("x"), 9, api)
	if want := append([]byte{'x', 0, 0, 0, byte(len(frame) - 5), 0, 0, 0, 9}, api.AppendTo(nil)...); !bytes.Equal(frame, want) {
		t.Errorf("ApiVersions v4 (no tags in its header): %x, want %x", frame, want)
	}
	beat := kmsg.NewPtrHeartbeatResponse()
	beat.Version = 4
	if frame, want := AppendResponse(nil, 9, beat), append([]byte{0, 0, 0, 12, 0, 0, 0, 9, 0}, beat.AppendTo(nil)...); !bytes.Equal(frame, want) {
		t.Errorf("Heartbeat v4: %x, want %x", frame, want)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte{})
	f.Add(kmsg.NewRequestFormatter(kmsg.FormatterClientID("c")).AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 1)[4:])
	f.Add([]byte{0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 1, 0, 1, 7})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := ParseHeader(frame)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownAPI) {
				t.Fatalf("not a known error: %v", err)
			}
			return
		}
		if len(body)+8 > len(frame) || h.Key < 0 || h.Version < 0 {
			t.Fatalf("%+v with a body of %d from %d bytes", h, len(body), len(frame))
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, a := range APIs() {
		f.Add(a.Key, a.MaxVersion, randomRequest(r, a.Key, a.MaxVersion).AppendTo(nil))
		f.Add(a.Key, a.MinVersion, randomRequest(r, a.Key, a.MinVersion).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		q, err := DecodeRequest(key, version, body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupportedVersion) {
				t.Fatalf("not a known error: %v", err)
			}
			return
		}
		// What was accepted is written again without loss.
		again, err := DecodeRequest(key, version, q.AppendTo(nil))
		if err != nil {
			t.Fatalf("%s v%d: accepted, written, refused: %v\n%+v", NameOf(key), version, err, q)
		}
		if diff := cmp.Diff(q, again, cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Fatalf("%s v%d: %s", NameOf(key), version, diff)
		}
	})
}

func TestUvarint(t *testing.T) {
	for _, v := range []uint32{0, 1, 127, 128, 1 << 14, 1 << 28, math.MaxUint32} {
		r := reader{left: appendUvarint(nil, v)}
		if got := r.uvarint(); got != v || r.end() != nil {
			t.Errorf("%d comes back as %d", v, got)
		}
	}
	for _, bad := range [][]byte{{}, {0x80}, {0xff, 0xff, 0xff, 0xff, 0x10}, {0x80, 0x80, 0x80, 0x80, 0x80, 0}} {
		r := reader{left: bad}
		if r.uvarint(); !r.failed {
			t.Errorf("%x is not a 32-bit uvarint", bad)
		}
	}
}
