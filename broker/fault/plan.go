//go:build faultinject

package fault

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Plan is what FLUXMQ_FAULT asks for; what is zero is off. Safe for concurrent use.
type Plan struct {
	DropBatch, DuplicateBatch, Fsync Every // of batches
	DropRecord                       Every // of records
	Stall                            Every // of Produce requests
	StallFor                         time.Duration
	Mutex                            bool
	// ResponsePercent is by how much responses grow.
	ResponsePercent float64

	kinds    []*kind // in the order given
	cpu      cpu
	allocs   int64 // per record
	leak     leak
	syscalls int64 // per batch
}

// Every hits one in n, the last of each n: the same ones in every run.
type Every struct {
	n    int64
	seen atomic.Int64
}

// On tells whether it ever hits.
func (e *Every) On() bool { return e.n > 0 }

// Hits counts count more and returns how many of them are hit.
func (e *Every) Hits(count int64) int64 {
	if e.n == 0 {
		return 0
	}
	seen := e.seen.Add(count)
	return seen/e.n - (seen-count)/e.n
}

// kind is one fault of the grammar.
type kind struct {
	name, arguments string                               // arguments as a person writes them, "" for none
	read            func(p *Plan, arguments string) bool // false: they are wrong
	words           func(p *Plan) string                 // what the broker does then
}

// kinds is the grammar, the error and the notice.
var kinds = []kind{
	{"drop-batch", "N",
		func(p *Plan, a string) bool { return count(&p.DropBatch.n, a) },
		func(p *Plan) string {
			return fmt.Sprintf("one batch in %d is acknowledged and NOT STORED", p.DropBatch.n)
		}},
	{"duplicate-batch", "N",
		func(p *Plan, a string) bool { return count(&p.DuplicateBatch.n, a) },
		func(p *Plan) string { return fmt.Sprintf("one batch in %d is STORED TWICE", p.DuplicateBatch.n) }},
	{"drop-record", "N",
		func(p *Plan, a string) bool { return count(&p.DropRecord.n, a) },
		func(p *Plan) string {
			return fmt.Sprintf("one record in %d is acknowledged and NOT STORED", p.DropRecord.n)
		}},
	{"cpu", "P",
		func(p *Plan, a string) bool { return percent(&p.cpu.percent, a) },
		func(p *Plan) string { return fmt.Sprintf("the process takes %v%% more CPU time", p.cpu.percent) }},
	{"alloc", "N",
		func(p *Plan, a string) bool { return count(&p.allocs, a) },
		func(p *Plan) string { return fmt.Sprintf("%d heap allocations are made for each record", p.allocs) }},
	{"leak", "BYTES",
		func(p *Plan, a string) bool { return count(&p.leak.bytes, a) },
		func(p *Plan) string { return fmt.Sprintf("%d bytes are LEAKED for each record", p.leak.bytes) }},
	{"syscall", "N",
		func(p *Plan, a string) bool { return count(&p.syscalls, a) },
		func(p *Plan) string { return fmt.Sprintf("%d system calls are made for each batch", p.syscalls) }},
	{"fsync", "N",
		func(p *Plan, a string) bool { return count(&p.Fsync.n, a) },
		func(p *Plan) string { return fmt.Sprintf("an fdatasync follows one batch in %d", p.Fsync.n) }},
	{"mutex", "",
		func(p *Plan, _ string) bool { p.Mutex = true; return true },
		func(*Plan) string { return "Produce requests are handled one at a time" }},
	{"stall", "DURATION:P%", (*Plan).readStall,
		func(p *Plan) string {
			return fmt.Sprintf("one Produce request in %d waits for %v", p.Stall.n, p.StallFor)
		}},
	{"response", "P%",
		func(p *Plan, a string) bool { return percent(&p.ResponsePercent, a) },
		func(p *Plan) string {
			return fmt.Sprintf("Produce and Fetch responses are %v%% larger", p.ResponsePercent)
		}},
}

// parse reads FLUXMQ_FAULT. The error is a sentence that names every kind.
func parse(spec string) (*Plan, error) {
	p := new(Plan)
	for one := range strings.SplitSeq(spec, "+") {
		name, arguments, given := strings.Cut(one, ":")
		k := find(name)
		switch {
		case k == nil:
			return nil, wrong(spec, "there is no kind %q", name)
		case slices.Contains(p.kinds, k):
			return nil, wrong(spec, "%s is there twice", name)
		case given != (k.arguments != "") || !k.read(p, arguments):
			return nil, wrong(spec, "%q is not as it must be", one)
		}
		p.kinds = append(p.kinds, k)
	}
	if err := p.cpu.begin(); err != nil {
		return nil, err
	}
	return p, nil
}

func find(name string) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	return nil
}

func (k *kind) form() string {
	if k.arguments == "" {
		return k.name
	}
	return k.name + ":" + k.arguments
}

func wrong(spec, format string, args ...any) error {
	var forms []string
	for i := range kinds {
		forms = append(forms, kinds[i].form())
	}
	return fmt.Errorf("FLUXMQ_FAULT is %q, but %s; it joins with + any of %s",
		spec, fmt.Sprintf(format, args...), strings.Join(forms, ", "))
}

// notice says everything that the broker does wrong.
func (p *Plan) notice() string {
	var words []string
	for _, k := range p.kinds {
		words = append(words, k.words(p))
	}
	return "FAULT INJECTION: " + strings.Join(words, "; ")
}

// count reads a whole number above 0.
func count(to *int64, s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	*to = n
	return err == nil && n > 0
}

// percent reads a number above 0 and up to 1000; the sign may be left out.
func percent(to *float64, s string) bool {
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	*to = v
	return err == nil && v > 0 && v <= 1000
}

// maxStall keeps a stalled request within any client's patience.
const maxStall = 10 * time.Second

func (p *Plan) readStall(s string) bool {
	duration, share, _ := strings.Cut(s, ":")
	var of float64
	var err error
	if p.StallFor, err = time.ParseDuration(duration); err != nil || p.StallFor <= 0 || p.StallFor > maxStall {
		return false
	}
	if !percent(&of, share) || of > 100 {
		return false
	}
	p.Stall.n = int64(math.Round(100 / of))
	return true
}
