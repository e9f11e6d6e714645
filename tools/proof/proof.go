package proof

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"fluxmq/profiles"
	"fluxmq/reports/datasheet"
	"fluxmq/reports/trial"
	"fluxmq/scenarios"
	"fluxmq/tools/bench"
	"fluxmq/tools/runner"
	"fluxmq/tools/runner/hoststats"
)

// Options are one session of the proof.
type Options struct {
	Checkout  runner.Checkout
	Root      string // of the pools
	Scenarios []string
	Only      []string // doses; empty: all
	Budget    time.Duration
	Seed      uint64
	Command   []string
	Progress  runner.Progress
}

// faultTags builds the broker that can be told to misbehave; without FLUXMQ_FAULT it behaves.
const faultTags = "faultinject"

// session is one uninterrupted stretch of running.
type session struct {
	Options
	id       string
	pool     *datasheet.Pool
	revision string
	loaded   []*scenarios.Scenario
	names    []string // of the workloads
	deadline time.Time
	runs     uint64
}

// Run adds to the pool of this class of machine until the budget is spent or
// nothing is lacking. A gate is begun only when it can be expected to end in
// time. The pool is returned also with an error: what is in it is on disk.
func Run(ctx context.Context, o Options) (*datasheet.Pool, error) {
	s := &session{Options: o, id: time.Now().UTC().Format("20060102T150405Z"), deadline: time.Now().Add(o.Budget)}
	if err := s.open(ctx); err != nil {
		return s.pool, err
	}
	for time.Now().Before(s.deadline) {
		w, more := next(s.pool, s.Scenarios, s.names, s.Only)
		if !more {
			o.Progress.Line("proof: nothing is lacking")
			return s.pool, nil
		}
		if err := s.do(ctx, w); err != nil {
			return s.pool, err
		}
	}
	return s.pool, nil
}

// open continues the pool of this class of machine with the binary that it was
// begun with, or makes the session one that begins it.
func (s *session) open(ctx context.Context) error {
	for _, name := range s.Scenarios {
		loaded, err := scenarios.Load(name)
		if err != nil {
			return err
		}
		s.loaded = append(s.loaded, loaded)
		s.names = append(s.names, name+"/"+loaded.Gate.Client)
	}
	host := hoststats.Fingerprint(s.Checkout.Cache())
	pool, err := datasheet.Open(filepath.Join(s.Root, datasheet.ClassOf(host)))
	switch {
	case err == nil:
		s.pool, s.revision = pool, pool.Header.Commit
		s.Progress.Line("proof: adding to %s, broker of commit %.12s", pool.Dir, s.revision)
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case s.Checkout.Commit == "unknown":
		return &runner.ExitError{Code: runner.ExitUsage, Err: errors.New("a pool is begun from a git checkout: later sessions build its commit again")}
	}
	s.revision = s.Checkout.Commit
	return s.begin(ctx)
}

// begin prepares an A/A trial for its header: binary, rates, rules.
func (s *session) begin(ctx context.Context) error {
	b, err := s.prepare(ctx, Doses()[0], s.loaded, nil)
	defer b.Close()
	if err != nil {
		return err
	}
	t := b.Trial
	header := datasheet.Header{CreatedUnixNs: time.Now().UnixNano(), Commit: t.Base.Commit, Host: t.Host, Rules: t.Rules, Broker: t.Base.Broker}
	for i, w := range t.Workloads {
		g := s.loaded[i].Gate
		header.Workloads = append(header.Workloads, datasheet.Workload{Workload: w, PartSeconds: map[string]float64{trial.PartCost: g.CostSeconds, trial.PartSaturation: g.SaturationSeconds}})
	}
	s.pool, err = datasheet.Create(s.Root, header)
	return err
}

// prepare makes a bench of one dose. Rates are the pool's.
func (s *session) prepare(ctx context.Context, d Dose, loaded []*scenarios.Scenario, onBlock func(int, trial.Block) error) (*bench.Bench, error) {
	profile, err := profiles.Load("default")
	if err != nil {
		return nil, err
	}
	s.runs++
	side := bench.SideOptions{Revision: s.revision, Profile: profile, Tags: faultTags}
	o := bench.Options{Kind: trial.KindProve, Checkout: s.Checkout, Rules: bench.DefaultRules(), Seed: s.Seed + s.runs, Command: s.Command, Progress: s.Progress, SkipSample: true, OnBlock: onBlock, Base: side, Head: side}
	o.Base.Label, o.Head.Label = "sound", d.Name
	if d.Fault != "" {
		o.Head.Env = []string{"FLUXMQ_FAULT=" + d.Fault}
	}
	for _, l := range loaded {
		w := bench.WorkloadOptions{Scenario: l}
		if s.pool != nil {
			for _, own := range s.pool.Header.Workloads {
				if own.Scenario.Name == l.Name {
					w.Rate = own.RatePerSecond
				}
			}
		}
		o.Workloads = append(o.Workloads, w)
	}
	return bench.Prepare(ctx, o)
}

// gateReserve is how much of a gate's expected time must be left for it to be begun.
const gateReserve = 1.1

// do runs one piece of work.
func (s *session) do(ctx context.Context, w work) error {
	gate := 0
	if w.gate && !w.dose.Breaks {
		gate = s.gateNumber()
		if left := time.Until(s.deadline); s.pace() > 0 && left < time.Duration(gateReserve*float64(bench.DefaultRules().Looks[0])*float64(s.pace())) {
			// Too late for a gate: its blocks serve the pool.
			gate = 0
			w.gate = false
		}
	}
	name := s.names[w.workload]
	b, err := s.prepare(ctx, w.dose, s.loaded[w.workload:w.workload+1], func(_ int, block trial.Block) error {
		return s.pool.AppendBlock(datasheet.Block{Dose: w.dose.Name, Fault: w.dose.Fault, Workload: name, Session: s.id, Gate: gate, Block: block})
	})
	if b != nil {
		defer b.Close()
	}
	if err != nil {
		return err
	}
	switch {
	case w.dose.Breaks:
		return s.breaks(ctx, b, w)
	case w.gate:
		return s.gate(ctx, b, w, gate)
	}
	return s.blocks(ctx, b, w)
}

// breaks runs blocks until a run ends with exit 6, three at most: a fault that strikes once in a million records may spare one.
func (s *session) breaks(ctx context.Context, b *bench.Bench, w work) error {
	fault := datasheet.Fault{Fault: w.dose.Fault, Workload: s.names[w.workload], Session: s.id}
	for range 3 {
		block, err := b.Block(ctx, 0)
		if errors.Is(err, bench.ErrInterrupted) {
			return &runner.ExitError{Code: runner.ExitInterrupted, Err: err}
		}
		if block == nil {
			return err
		}
		fault.Exit = runner.ExitCode(err)
		for _, r := range block.Runs {
			fault.Expected += r.Expected
			fault.Read += r.Read
			fault.Lost += r.Lost
			fault.Duplicated += r.Duplicated
		}
		if err != nil {
			break
		}
	}
	s.Progress.Line("proof: %s on %s: exit %d, read %d of %d, lost %d, duplicated %d", fault.Fault, fault.Workload, fault.Exit, fault.Read, fault.Expected, fault.Lost, fault.Duplicated)
	return s.pool.AppendFault(fault)
}

// gate runs one whole gate.
func (s *session) gate(ctx context.Context, b *bench.Bench, w work, number int) error {
	started := time.Now()
	v, err := b.Measure(ctx)
	if err != nil {
		return err
	}
	g := datasheet.NewGate(v)
	g.Number, g.Dose, g.Fault, g.Workload, g.Session, g.Seed, g.WallSeconds = number, w.dose.Name, w.dose.Fault, s.names[w.workload], s.id, b.Trial.Seed, time.Since(started).Seconds()
	s.Progress.Line("proof: gate %d, %s on %s: %s at look %d after %.0f s: %s", number, g.Dose, g.Workload, g.Outcome, g.Look, g.WallSeconds, v.Reason)
	return s.pool.AppendGate(g)
}

// stretch is how many blocks of the pool alone are run before the choice is made again.
const stretch = 8

func (s *session) blocks(ctx context.Context, b *bench.Bench, w work) error {
	for range stretch {
		if time.Now().After(s.deadline) {
			return nil
		}
		if _, err := b.Block(ctx, 0); err != nil {
			if errors.Is(err, bench.ErrInterrupted) {
				return &runner.ExitError{Code: runner.ExitInterrupted, Err: err}
			}
			return err
		}
	}
	return nil
}

// gateNumber is one more than any in the pool.
func (s *session) gateNumber() int {
	most := 0
	for _, d := range s.pool.Doses() {
		for _, w := range s.pool.Header.Workloads { // also those that are not run now
			for _, b := range s.pool.Blocks(d, w.Name()) {
				most = max(most, b.Gate)
			}
			for _, g := range s.pool.Gates(d, w.Name()) {
				most = max(most, g.Number)
			}
		}
	}
	return most + 1
}

// pace is the mean wall time of a block of the pool; 0 before the first.
func (s *session) pace() time.Duration {
	var sum, n int64
	for _, d := range s.pool.Doses() {
		for _, name := range s.names {
			for _, b := range s.pool.Blocks(d, name) {
				sum += b.Block.EndUnixNs - b.Block.StartUnixNs
				n++
			}
		}
	}
	if n == 0 {
		return 0
	}
	return time.Duration(sum / n)
}
