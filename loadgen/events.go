package loadgen

import (
	"encoding/json"
	"io"
	"sync"

	"fluxmq/reports"
)

// Phase names.
const (
	phaseCreate  = "create"
	phaseFill    = "fill"
	phaseWarmUp  = "warm-up"
	phaseMeasure = "measure"
	phaseFlush   = "flush"
	phaseDeliver = "deliver"
	phaseVerify  = "verify"
	phaseTail    = "tail"
	phaseDone    = "done"
)

const maxFindingEvents = 20

// Events writes one JSON object a line, for the runner. It may be used
// concurrently. A reader that went away is no reason to stop: write errors are dropped.
type Events struct {
	mu  sync.Mutex // guards out
	out io.Writer
}

// NewEvents writes to out; nil writes nothing.
func NewEvents(out io.Writer) *Events { return &Events{out: out} }

func (e *Events) write(event any) {
	if e.out == nil {
		return
	}
	line, err := json.Marshal(event)
	if err != nil {
		panic("events: " + err.Error()) // only plain structs come here
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _ = e.out.Write(append(line, '\n')) // see above
}

type phaseEvent struct {
	Event  string `json:"event"`
	Phase  string `json:"phase"`
	UnixNs int64  `json:"unix_ns"`
}

type progressEvent struct {
	Event        string  `json:"event"`
	UnixNs       int64   `json:"unix_ns"`
	Phase        string  `json:"phase"`
	Sent         int64   `json:"sent"`
	Acknowledged int64   `json:"acknowledged"`
	Received     int64   `json:"received"`
	Rate         float64 `json:"rate_per_second"`
}

type deliveredEvent struct {
	Event  string `json:"event"`
	UnixNs int64  `json:"unix_ns"`
}

type findingEvent struct {
	Event     string `json:"event"`
	Kind      string `json:"kind"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Count     int64  `json:"count"`
}

type doneEvent struct {
	Event string `json:"event"`
	Exit  int    `json:"exit"`
}

func (e *Events) phase(name string, unixNs int64) { e.write(phaseEvent{"phase", name, unixNs}) }

func (e *Events) delivered(unixNs int64) { e.write(deliveredEvent{"delivered", unixNs}) }

func (e *Events) findings(list []reports.Finding) {
	for _, f := range list[:min(len(list), maxFindingEvents)] {
		e.write(findingEvent{"finding", f.Kind, f.Partition, f.Offset, f.Count})
	}
}

// Done writes the last line.
func (e *Events) Done(exit int) { e.write(doneEvent{"done", exit}) }
