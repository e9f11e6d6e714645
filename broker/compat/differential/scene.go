package differential

import (
	"fmt"
	"time"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Peer is a broker that runs.
type Peer struct {
	// Name is for messages: "FluxMQ", "Kafka".
	Name string
	// Address is host:port of its listener.
	Address string
	// DataDir is where it keeps its logs; replies that show it are normalised.
	DataDir string
}

// Pass chooses one version of each API from the range that our broker advertises.
type Pass struct {
	Name   string
	Choose func(Range) int16
}

// The two passes that every run makes.
var (
	Lowest  = Pass{"lowest", func(r Range) int16 { return r.Min }}
	Highest = Pass{"highest", func(r Range) int16 { return r.Max }}
)

// Above asks n versions above the lowest where there is one: with Lowest and
// Above(1), Above(2), … every version of every API is asked.
func Above(n int16) Pass {
	return Pass{fmt.Sprintf("lowest+%d", n), func(r Range) int16 { return min(r.Min+n, r.Max) }}
}

// ranges are versions by API key.
type ranges map[int16]Range

// scene is one broker in one pass, with what the script keeps of it. One goroutine.
type scene struct {
	peer Peer
	pass Pass
	// served is what our broker advertises, on both sides.
	served ranges
	shown  *normaliser

	connections map[string]*connection
	// waiting are requests that were sent and whose reply another step reads, by connection.
	waiting map[string]kmsg.Request

	// What steps keep for later ones, under names of the script's choice.
	texts   map[string]string
	numbers map[string]int64
	// begin is the time that scripts date records by, the same on both sides; Unix milliseconds.
	begin int64
}

func newScene(p Peer, pass Pass, served ranges, begin time.Time) *scene {
	return &scene{peer: p, pass: pass, served: served, shown: newNormaliser(p), connections: map[string]*connection{}, waiting: map[string]kmsg.Request{},
		texts: map[string]string{}, numbers: map[string]int64{}, begin: begin.UnixMilli()}
}

func (s *scene) close() {
	for _, c := range s.connections {
		c.close()
	}
}

// topicID is the id of a topic that a reply has shown; zero for any other.
func (s *scene) topicID(topic string) [16]byte { return s.shown.ids[topic] }

// version of an API in this pass, for a step.
func (s *scene) version(st step, key int16) int16 {
	r := s.served[key]
	if st.version != nil {
		return st.version(r)
	}
	return max(s.pass.Choose(r), st.atLeast)
}

// on is the connection of that name, dialled when first used or after it ended.
func (s *scene) on(name string) (*connection, error) {
	if c := s.connections[name]; c != nil {
		return c, nil
	}
	c, err := connect(s.peer.Address)
	if err != nil {
		return nil, err
	}
	s.connections[name] = c
	return c, nil
}

func (s *scene) hangUp(name string) {
	if c := s.connections[name]; c != nil {
		c.close()
		delete(s.connections, name)
	}
}

const (
	// settleLimit bounds how long a step asks until its condition holds.
	settleLimit = 15 * time.Second
	settlePause = 20 * time.Millisecond
)

// performed is what a step led to on one side.
type performed struct {
	request kmsg.Request
	outcome outcome
	settled bool // its condition held, if it has one
}

// perform does the step's request on this side.
func (s *scene) perform(st step) (performed, error) {
	if st.await {
		request := s.waiting[st.on]
		delete(s.waiting, st.on)
		out := outcome{fate: closed}
		if c := s.connections[st.on]; c != nil && request != nil {
			out = s.received(st, c, request)
		}
		return performed{request, out, true}, nil
	}
	deadline := time.Now().Add(settleLimit)
	for {
		request := st.request(s)
		request.SetVersion(s.version(st, request.Key()))
		out, err := s.exchange(st, request)
		if err != nil {
			return performed{}, fmt.Errorf("%s: %w", s.peer.Name, err)
		}
		settled := st.until == nil || out.reply != nil && st.until(out.reply)
		if settled || time.Now().After(deadline) {
			return performed{request, out, settled}, nil
		}
		<-time.After(settlePause)
	}
}

// exchange sends a request and, unless the step says otherwise, reads its
// reply. The error is that there is no broker; all else is an outcome.
func (s *scene) exchange(st step, request kmsg.Request) (outcome, error) {
	if st.fresh {
		s.hangUp(st.on)
	}
	c, err := s.on(st.on)
	if err != nil {
		return outcome{}, err
	}
	if st.body != nil {
		err = c.sendBody(request, st.body(request.AppendTo(nil)))
	} else {
		err = c.send(request)
	}
	if st.send {
		s.waiting[st.on] = request
	}
	switch {
	case err != nil:
		s.hangUp(st.on)
		return outcome{fate: closed}, nil
	case st.send || st.unanswered:
		return outcome{fate: silent}, nil
	}
	return s.received(st, c, request), nil
}

func (s *scene) received(st step, c *connection, request kmsg.Request) outcome {
	patience := st.patience
	if patience == 0 {
		patience = replyPatience
	}
	out := c.receive(request, patience)
	if out.fate != answered || out.garbled != nil {
		s.hangUp(st.on)
	}
	if out.reply != nil {
		s.shown.learnFrom(out.reply)
		if st.keep != nil {
			st.keep(s, out.reply)
		}
	}
	return out
}

// advertised asks a broker for its APIs.
func advertised(p Peer) (ranges, error) {
	c, err := connect(p.Address)
	if err != nil {
		return nil, err
	}
	defer c.close()
	request := kmsg.NewPtrApiVersionsRequest()
	if err := c.send(request); err != nil {
		return nil, fmt.Errorf("%s: ApiVersions: %w", p.Name, err)
	}
	out := c.receive(request, replyPatience)
	reply, ok := out.reply.(*kmsg.ApiVersionsResponse)
	if !ok {
		return nil, fmt.Errorf("%s did not answer ApiVersions: %s (%v)", p.Name, out.fate, out.garbled)
	}
	all := ranges{}
	for _, api := range reply.ApiKeys {
		all[api.ApiKey] = Range{api.MinVersion, api.MaxVersion}
	}
	return all, nil
}

// nameOf is Kafka's name of an API, or kmsg's when our broker does not serve it.
func nameOf(key int16) string {
	if name := protocol.NameOf(key); name != "" {
		return name
	}
	return kmsg.NameForKey(key)
}
