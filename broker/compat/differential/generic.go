package differential

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// malformedPatience is how long a reply to bytes that are no request may take;
// some are answered with nothing and stay open (Produce with acks=0).
const malformedPatience = 2 * time.Second

// bodies are what every API gets for a body, each on a connection of its own.
// Some happen to be a request: it is then carried out on both sides.
var bodies = []struct {
	name string
	body func(whole []byte) []byte
}{
	{"no body", func([]byte) []byte { return nil }},
	{"a body without its last byte", func(b []byte) []byte { return b[:max(len(b)-1, 0)] }},
	{"a body with a byte too many", func(b []byte) []byte { return append(b, 0) }},
	{"half a body", func(b []byte) []byte { return b[:len(b)/2] }},
	{"nothing but -1: nulls where none may be", func([]byte) []byte { return bytes.Repeat([]byte{0xff}, 64) }},
	{"nothing but -2: negative sizes", func([]byte) []byte { return bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xfe}, 16) }},
	{"nothing but 0: empty names", func([]byte) []byte { return make([]byte, 64) }},
	{"nothing but 2^31-1: counts of what is not there", func([]byte) []byte { return bytes.Repeat([]byte{0x7f, 0xff, 0xff, 0xff}, 16) }},
}

// generic are the cases of every API that our broker serves: a request for
// nothing, a version out of the range, and bodies that are not what they say.
func generic(served ranges, pass Pass) script {
	s := script{name: "generic"}
	for _, key := range slices.Sorted(maps.Keys(served)) {
		if kmsg.RequestForKey(key) == nil {
			continue // kmsg does not know it
		}
		ask := func(*scene) kmsg.Request { return blank(key) }
		s.steps = append(s.steps, step{name: "a request for nothing", request: ask, on: "generic", fresh: true})
		if pass.Name == Lowest.Name {
			s.steps = append(s.steps, step{name: "a version below the lowest", request: ask, on: "generic", fresh: true, patience: malformedPatience,
				version: func(r Range) int16 { return r.Min - 1 }})
		}
		if pass.Name == Highest.Name {
			s.steps = append(s.steps, step{name: "a version above the highest", request: ask, on: "generic", fresh: true, patience: malformedPatience,
				version: func(r Range) int16 { return r.Max + 1 }})
		}
		for _, b := range bodies {
			s.steps = append(s.steps, step{name: b.name, request: ask, body: b.body, on: "generic", fresh: true, patience: malformedPatience})
		}
	}
	return s
}

// blank is a request for nothing that asks for a reply.
func blank(key int16) kmsg.Request {
	switch r := kmsg.RequestForKey(key).(type) {
	case *kmsg.ProduceRequest:
		r.Acks = 1
		return r
	case *kmsg.ApiVersionsRequest:
		r.ClientSoftwareName, r.ClientSoftwareVersion = "differential", "1.0"
		return r
	default:
		return r
	}
}
