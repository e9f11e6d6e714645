package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"reflect"
	"runtime"
	"testing"
	"time"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// dial opens a connection whose every wait ends.
func dial(t *testing.T, b *Broker) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", b.Addr(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// requestFrame is a frame of that API with a whole header before body.
func requestFrame(key, version int16, body []byte) []byte {
	b := make([]byte, 4, 32+len(body))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 7)          // correlation id
	b = append(b, 0, 3, 'b', 'a', 'd') // client id
	if r := kmsg.RequestForKey(key); r != nil {
		if r.SetVersion(version); r.IsFlexible() {
			b = append(b, 0) // no tags
		}
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// alive wants a fresh connection to answer ApiVersions.
func alive(t *testing.T, b *Broker, after string) {
	t.Helper()
	c := dial(t, b)
	defer c.Close()
	if _, err := c.Write(requestFrame(protocol.KeyApiVersions, 0, nil)); err != nil {
		t.Fatalf("after %s: %v", after, err)
	}
	var head [10]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatalf("after %s the broker does not answer: %v", after, err)
	}
	if id, code := head[7], binary.BigEndian.Uint16(head[8:]); id != 7 || code != 0 {
		t.Fatalf("after %s: correlation id %d, error %d", after, id, code)
	}
}

// offer sends bytes, ends its side and reads what comes until the broker
// ends the connection too, which it must.
func offer(t *testing.T, b *Broker, name string, input []byte) {
	t.Helper()
	c := dial(t, b)
	defer c.Close()
	if _, err := c.Write(input); err == nil { // the broker may have hung up already
		_ = c.(*net.TCPConn).CloseWrite() // as above
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, io.ErrNoProgress) || isTimeout(err) {
		t.Fatalf("%s (%x…): the connection hangs: %v", name, input[:min(len(input), 40)], err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Whatever comes over a connection, the broker lives, holds little memory
// for it and serves the next connection.
func TestBadInput(t *testing.T) {
	b := run(t, Config{Properties: map[string]string{"auto.create.topics.enable": "false"}})
	createTopic(t, client(t, b), "t", 1, nil)
	alive(t, b, "nothing")

	length := func(n int32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(n)), rest...)
	}
	for name, input := range map[string][]byte{
		"HTTP":             []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"TLS":              {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03},
		"nothing":          {},
		"half a length":    {0, 0},
		"length -1":        length(-1),
		"length 0":         length(0),
		"length 7":         length(7, 0, 3, 0, 0, 0, 0, 0),
		"largest length":   length(math.MaxInt32, 0, 3, 0, 0),
		"half a header":    length(100, 0, 3, 0, 0, 0),
		"half a body":      requestFrame(protocol.KeyMetadata, 1, []byte{0, 0, 0, 9})[:20],
		"API -1":           requestFrame(-1, 0, nil),
		"API 999":          requestFrame(999, 0, nil),
		"LeaderAndIsr":     requestFrame(4, 0, nil),
		"Envelope":         requestFrame(58, 0, nil),
		"ApiVersions 99":   requestFrame(protocol.KeyApiVersions, 99, nil),
		"Metadata 99":      requestFrame(protocol.KeyMetadata, 99, nil),
		"Metadata -1":      requestFrame(protocol.KeyMetadata, -1, nil),
		"client id beyond": length(10, 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff),
	} {
		offer(t, b, name, input)
		alive(t, b, name)
	}

	random := rand.New(rand.NewPCG(3, 5))
	sent := 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, api := range protocol.APIs() {
		for _, version := range []int16{api.MinVersion, api.MaxVersion} {
			for n, body := range badBodies(random) {
				offer(t, b, fmt.Sprintf("%s version %d, body %d", api.Name, version, n), requestFrame(api.Key, version, body))
				sent++
			}
		}
		alive(t, b, api.Name)
	}
	runtime.ReadMemStats(&after)
	if sent < 500 {
		t.Fatalf("only %d requests were sent", sent)
	}
	if grown := (after.TotalAlloc - before.TotalAlloc) / uint64(sent); grown > 1<<20 {
		t.Errorf("a bad request made the broker allocate %d bytes on average", grown)
	}
	// What was there is untouched.
	c := client(t, b)
	createTopic(t, c, "later", 1, nil)
}

// badBodies are bytes that are a request of nothing, or hardly.
func badBodies(random *rand.Rand) [][]byte {
	bodies := [][]byte{nil, {0}, {0xff, 0xff, 0xff, 0xff, 0x0f}, make([]byte, 64)}
	huge := make([]byte, 0, 64) // counts of 2^31-1 wherever one is looked for
	for range 16 {
		huge = append(huge, 0x7f, 0xff, 0xff, 0xff)
	}
	ones := make([]byte, 200) // lengths and counts of 1, or 0 in compact form
	for i := range ones {
		ones[i] = 1
	}
	bodies = append(bodies, huge, ones)
	for range 8 {
		body := make([]byte, random.IntN(300))
		for i := range body {
			body[i] = byte(random.Uint32())
			if random.IntN(2) == 0 {
				body[i] &= 3 // small lengths decode further
			}
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// Requests that decode but whose values make little sense: each is answered,
// and each answer decodes.
func TestOddValues(t *testing.T) {
	b := run(t, Config{Properties: map[string]string{"auto.create.topics.enable": "false", "fluxmq.admin.listener": "127.0.0.1:0"}})
	createTopic(t, client(t, b), "t", 2, nil)
	random := rand.New(rand.NewPCG(11, 13))
	answered := 0
	for _, api := range protocol.APIs() {
		for version := api.MinVersion; version <= api.MaxVersion; version++ {
			for range 10 {
				request := kmsg.RequestForKey(api.Key)
				oddly(random, reflect.ValueOf(request).Elem(), 0)
				request.SetVersion(version)
				if ask(t, b, request) {
					answered++
				}
			}
		}
		alive(t, b, api.Name)
	}
	if answered < 900 {
		t.Errorf("only %d requests were answered", answered)
	}
	createTopic(t, client(t, b), "later", 1, nil)
}

// ask sends a request on a connection of its own, and tells whether it was
// answered soon: some wait, as they may.
func ask(t *testing.T, b *Broker, request kmsg.Request) bool {
	t.Helper()
	c := dial(t, b)
	defer c.Close()
	body := request.AppendTo(nil)
	name := fmt.Sprintf("%s version %d", kmsg.NameForKey(request.Key()), request.GetVersion())
	if _, err := c.Write(requestFrame(request.Key(), request.GetVersion(), body)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	patience, mayWait, mayClose := 10*time.Second, false, false
	switch request.(type) {
	case *kmsg.ProduceRequest, *kmsg.FetchRequest, *kmsg.JoinGroupRequest, *kmsg.SyncGroupRequest:
		patience, mayWait = 50*time.Millisecond, true // acks=0, acks out of range, or a long wait
	case *kmsg.DescribeACLsRequest, *kmsg.CreateACLsRequest, *kmsg.DeleteACLsRequest:
		mayClose = true // an element of kind 0 makes them no request, as in Kafka
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		if mayWait || mayClose && errors.Is(err, io.EOF) {
			return false
		}
		t.Errorf("%s is not answered: %v\n%+v", name, err, request)
		return false
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c, answer); err != nil {
		t.Errorf("%s: the answer is cut: %v", name, err)
		return false
	}
	answer = answer[4:]
	response := request.ResponseKind()
	response.SetVersion(request.GetVersion())
	if response.IsFlexible() && request.Key() != protocol.KeyApiVersions {
		answer = answer[1:] // no tags
	}
	if err := response.ReadFrom(answer); err != nil {
		t.Errorf("%s: the answer does not decode: %v\n%x", name, err, answer)
	}
	return true
}

// oddly fills a kmsg value with what a careless or hostile client may send.
func oddly(random *rand.Rand, v reflect.Value, depth int) {
	names := []string{"", "t", "g", "__consumer_offsets", "not a name!", "..", "\x00\xff", "1", "-1", "0", "9223372036854775807",
		"retention.ms", "max.message.bytes", "cleanup.policy", "compact", "log.retention.ms", "consumer", "range", string(make([]byte, 400))}
	pick := func(largest int64) int64 {
		values := []int64{0, 0, 0, 1, 1, -1, 2, 3, -2, 100, largest, -largest - 1, largest - 1, random.Int64N(1000)}
		return values[random.IntN(len(values))]
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				oddly(random, v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		if random.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			oddly(random, v.Elem(), depth)
		}
	case reflect.Slice:
		if n := random.IntN(4); depth < 12 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				oddly(random, v.Index(i), depth+1)
			}
		}
	case reflect.Array:
		if random.IntN(2) == 0 {
			for i := range v.Len() {
				v.Index(i).SetUint(uint64(random.IntN(256)))
			}
		}
	case reflect.String:
		v.SetString(names[random.IntN(len(names))])
	case reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	case reflect.Int8:
		v.SetInt(pick(math.MaxInt8))
	case reflect.Int16:
		v.SetInt(pick(math.MaxInt16))
	case reflect.Int32:
		v.SetInt(pick(math.MaxInt32))
	case reflect.Int64:
		v.SetInt(pick(math.MaxInt64))
	case reflect.Uint8:
		v.SetUint(uint64(random.IntN(256)))
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(random.IntN(1 << 16)))
	case reflect.Float64:
		v.SetFloat(random.Float64())
	default:
		panic("kmsg has a field of kind " + v.Kind().String())
	}
}
