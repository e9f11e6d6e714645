package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/scenarios"
	"fluxmq/tools/doctor"
	"fluxmq/tools/runner"
	"fluxmq/tools/runner/hoststats"
)

// SideOptions are one arm as asked for.
type SideOptions struct {
	Label     string // as shown; "": the revision, or the working tree
	Revision  string // "": the working tree
	Profile   *profiles.Profile
	Overrides map[string]string // broker settings of this side
	Env       []string          // K=V for this side's broker
	Client    map[string]string // producer properties of this side
	Tags      string            // build tags
}

// WorkloadOptions are one scenario as asked for.
type WorkloadOptions struct {
	Scenario *scenarios.Scenario
	Client   string  // "": the scenario's gate client
	Rate     float64 // of part cost, records a second; 0: the scenario's, else half of the saturation that a pilot measures
}

// Options are an A/B measurement as asked for.
type Options struct {
	Kind      string // trial.KindCompare, …
	Checkout  runner.Checkout
	Base      SideOptions
	Head      SideOptions
	Workloads []WorkloadOptions
	OwnPGO    bool // each side is built with its own CPU profile instead of the base's
	Rules     trial.Rules
	Seed      uint64
	Dir       string // the trial's folder; "": nothing is kept but what is returned
	WorkDir   string // data directories during runs; "": the checkout's cache
	Command   []string
	Progress  runner.Progress
	// SkipSample leaves out the doctor's 3 s look at steal and foreign CPU (proofs that start many trials).
	SkipSample bool
	// OnBlock is told every block as soon as it is over, also one that failed; an error ends the measurement. Nil: nobody.
	OnBlock func(workload int, block trial.Block) error
}

// DefaultRules are the rules of a gate: two looks, one-sided α of 1 % over
// both. The first look is at 16 blocks because 2^-12 is above its threshold as
// soon as Holm has two metrics. The canary may deviate by 15 %, well
// above its own spread between runs (canary_ns in reports/proof). Steal may be two
// fifths of what a run wanted, because what it does to a metric is adjusted for
// (Metric.CovariateDifference) rather than waited out.
func DefaultRules() trial.Rules {
	return trial.Rules{Looks: []int{16, 24}, Alpha: 0.01, Confidence: 0.95, MaxStealShare: 0.4, MaxForeignShare: 0.03, MaxCanaryDeviate: 0.15, MaxExtraShare: 0.5}
}

// Bench is a measurement made ready: both brokers built, every workload's rate
// known. One goroutine uses it; Close stops nothing but removes what was made.
type Bench struct {
	Trial     *trial.Trial
	options   Options
	work      string
	sources   []*source
	workloads []*workload
	canaries  []float64
	random    *rand.Rand
}

// workload is one scenario with its arms.
type workload struct {
	scenario   *scenarios.Scenario
	loader     *runner.Loader
	arms       map[string]*runner.Arm
	producer   map[string]map[string]string // of each side, over the scenario's
	saturation float64                      // records a second, by the pilot
}

// Prepare builds both sides, checks the machine and runs each workload's pilot.
// Close must be called also when it fails.
func Prepare(ctx context.Context, o Options) (*Bench, error) {
	b := &Bench{options: o, random: rand.New(rand.NewPCG(o.Seed, 0))}
	now := time.Now()
	b.Trial = &trial.Trial{Schema: trial.Schema, ID: fmt.Sprintf("%s-%08x", now.UTC().Format("20060102T150405Z"), uint32(o.Seed)), Kind: o.Kind, StartedUnixNs: now.UnixNano(),
		Command: o.Command, Seed: o.Seed, Rules: o.Rules, Workloads: []trial.Workload{}, Preflight: []reports.Check{}}
	work := o.WorkDir
	if work == "" {
		work = o.Checkout.Cache("run")
	}
	b.work = filepath.Join(work, "trial-"+b.Trial.ID)
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return b, fmt.Errorf("work directory: %w", err)
	}
	if err := b.build(ctx); err != nil {
		return b, err
	}
	b.Trial.Host = hoststats.Fingerprint(b.work)
	if err := b.check(ctx); err != nil {
		return b, err
	}
	for i := range b.workloads {
		if err := b.pilot(ctx, i); err != nil {
			return b, err
		}
	}
	return b, nil
}

// Close removes worktrees and data. It may be called after a cancelled run.
func (b *Bench) Close() {
	for _, s := range b.sources {
		s.close()
	}
	os.RemoveAll(b.work)
}

// build makes the sources and, for every workload, both arms and the client.
func (b *Bench) build(ctx context.Context) error {
	o := b.options
	pgo := ""
	for i, side := range []SideOptions{o.Base, o.Head} {
		if i == 1 && side.Revision == o.Base.Revision {
			b.sources = append(b.sources, &source{checkout: b.sources[0].checkout})
			continue
		}
		s, err := openSource(ctx, o.Checkout, side.Revision)
		if err != nil {
			return err
		}
		b.sources = append(b.sources, s)
	}
	if base := filepath.Join(b.sources[0].checkout.Root, "broker", "cmd", "fluxmq", "default.pgo"); !o.OwnPGO {
		if _, err := os.Stat(base); err == nil {
			pgo = base
		}
	}
	for _, w := range o.Workloads {
		if err := b.addWorkload(ctx, w, pgo); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bench) addWorkload(ctx context.Context, w WorkloadOptions, pgo string) error {
	s := w.Scenario
	client := w.Client
	if client == "" {
		client = s.Gate.Client
	}
	if s.Mode != scenarios.ModeProduce {
		return &runner.ExitError{Code: runner.ExitUsage, Err: fmt.Errorf("scenario %s is of mode %s; only produce can be compared", s.Name, s.Mode)}
	}
	made := &workload{scenario: s, arms: map[string]*runner.Arm{}, producer: map[string]map[string]string{}}
	for i, side := range []SideOptions{b.options.Base, b.options.Head} {
		name, record := trial.Base, &b.Trial.Base
		if i == 1 {
			name, record = trial.Head, &b.Trial.Head
		}
		b.options.Progress.Now("build     %s", cmp.Or(side.Label, "broker "+name))
		arm, err := runner.NewArm(ctx, runner.ArmOptions{Source: b.sources[i].checkout, Profile: side.Profile, PGOFile: pgo, Tags: side.Tags, Scenario: s, Overrides: side.Overrides, Env: side.Env})
		if err != nil {
			return fmt.Errorf("side %s (%s): %w", map[string]string{trial.Base: "base", trial.Head: "head"}[name], cmp.Or(side.Label, cmp.Or(side.Revision, "working tree")), err)
		}
		made.arms[name] = arm
		made.producer[name] = side.Client
		c := b.sources[i].checkout
		*record = trial.Side{Label: cmp.Or(side.Label, cmp.Or(side.Revision, "working tree")), Revision: side.Revision, Commit: c.Commit, Dirty: c.Dirty, Profile: arm.Profile, Broker: arm.Broker,
			Overrides: side.Overrides, Env: side.Env, Client: side.Client}
	}
	var err error
	if made.loader, err = runner.NewLoader(ctx, b.options.Checkout, client, made.arms[trial.Base].Profile.ClientPrefix); err != nil {
		return err
	}
	for name, own := range made.producer {
		job := b.job(made, trial.PartCost, name, 1)
		maps.Copy(job.Producer, own)
		job.Bootstrap, job.Topic, job.RunID, job.RunTag = "127.0.0.1:1", "plan", "plan", 1
		if err := job.Validate(); err != nil {
			return &runner.ExitError{Code: runner.ExitUsage, Err: fmt.Errorf("client %s cannot run scenario %s: %w", client, s.Name, err)}
		}
	}
	metrics, defaults, err := scenarioMetrics(s)
	if err != nil {
		return err
	}
	b.workloads = append(b.workloads, made)
	b.Trial.Workloads = append(b.Trial.Workloads, trial.Workload{
		Scenario: reports.ScenarioRecord{Name: s.Name, Question: s.Question, Form: scenarios.FormHonest, Text: s.Text, SHA256: s.SHA256, Overrides: map[string]string{}}, Client: client,
		RatePerSecond: w.Rate, Durability: made.arms[trial.Base].Target.Durability, Validation: made.arms[trial.Base].Target.Validation, Clients: made.loader.Binary, Metrics: metrics, MarginsDefault: defaults, Blocks: []trial.Block{},
	})
	return nil
}

// scenarioMetrics are the metrics with the scenario's margins.
func scenarioMetrics(s *scenarios.Scenario) (metrics []trial.Metric, defaults bool, err error) {
	metrics = trial.Metrics()
	for name, margin := range s.Gate.Margins {
		i := slices.IndexFunc(metrics, func(m trial.Metric) bool { return m.Name == name })
		if i < 0 {
			var known []string
			for _, m := range metrics {
				known = append(known, m.Name)
			}
			return nil, false, &runner.ExitError{Code: runner.ExitUsage, Err: fmt.Errorf("%s: gate.margins names no metric %q; known: %s", s.Source, name, strings.Join(known, ", "))}
		}
		metrics[i].Margin, metrics[i].Gated = margin, true
	}
	if s.Gate.SaturationSeconds == 0 {
		metrics = slices.DeleteFunc(metrics, func(m trial.Metric) bool { return m.Part == trial.PartSaturation })
	}
	return metrics, len(s.Gate.Margins) == 0, nil
}

// check runs the doctor; a fatal failure ends the measurement with 3.
func (b *Bench) check(ctx context.Context) error {
	options := doctor.Options{DataDir: b.work, Sample: doctor.DefaultSample}
	if b.options.SkipSample {
		options.Sample = 0
	}
	checks, err := doctor.Check(ctx, options)
	if err != nil {
		return err
	}
	b.Trial.Preflight = checks
	if failed := doctor.Failed(checks); len(failed) > 0 {
		return &runner.ExitError{Code: runner.ExitPreflight, Err: fmt.Errorf("preflight failed: %s: required %s, this machine has %s", failed[0].Condition, failed[0].Required, failed[0].Current)}
	}
	return nil
}

// pilotSeconds is the window of the run that finds the saturation; its result is not kept.
const pilotSeconds = 2

// pilot runs the base once as fast as it goes: half of that is the rate of
// part cost where the scenario sets none.
func (b *Bench) pilot(ctx context.Context, i int) error {
	w, record := b.workloads[i], &b.Trial.Workloads[i]
	b.options.Progress.Now("pilot     %s", record.Name())
	job := b.job(w, trial.PartSaturation, trial.Base, 0)
	job.MeasureSeconds = pilotSeconds
	dir := filepath.Join(b.work, "pilot")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	run, err := w.arms[trial.Base].Run(ctx, w.loader, runner.ArmRunOptions{Job: job, Dir: dir})
	if err != nil {
		return fmt.Errorf("pilot of %s on base: %w", record.Name(), err)
	}
	if run.Result.Records <= 0 || run.Result.DeliveredRate <= 0 {
		return fmt.Errorf("pilot of %s on base delivered nothing", record.Name())
	}
	w.saturation = run.Result.DeliveredRate
	record.PilotPerSecond = w.saturation
	if record.RatePerSecond == 0 {
		record.RatePerSecond = float64(w.scenario.Gate.Rate)
	}
	if record.RatePerSecond == 0 {
		record.RatePerSecond = twoDigits(w.saturation / 2)
	}
	b.options.Progress.Line("workload  %s: saturation %.0f msg/s, cost measured at %.0f msg/s", record.Name(), w.saturation, record.RatePerSecond)
	return nil
}

// twoDigits rounds to two significant digits, so that the rate can be given again by hand.
func twoDigits(v float64) float64 {
	if v <= 0 {
		return v
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Round(v/unit) * unit
}

// job is the work order of one part.
func (b *Bench) job(w *workload, part, arm string, round int) scenarios.Job {
	g := w.scenario.Gate
	job := w.scenario.Job(scenarios.JobOptions{RunID: b.Trial.ID, Client: w.loader.Client, Round: max(round, 1)})
	job.MeasureRecords, job.EndToEnd = 0, false
	job.WarmUp = scenarios.WarmUp{MinSeconds: g.WarmUpSeconds, MaxSeconds: 2 * g.WarmUpSeconds, BucketMillis: 50, WindowBuckets: 3, Tolerance: 0.25}
	if part == trial.PartCost {
		job.MeasureSeconds = g.CostSeconds
		for i := range b.workloads {
			if b.workloads[i] == w {
				job.RatePerSecond = b.Trial.Workloads[i].RatePerSecond
			}
		}
	} else {
		job.MeasureSeconds, job.RatePerSecond = g.SaturationSeconds, 0
	}
	maps.Copy(job.Producer, w.producer[arm])
	return job
}

// ErrInterrupted is returned by a measurement that was cancelled; what had been measured is kept.
var ErrInterrupted = errors.New("interrupted; everything that was started is stopped")
