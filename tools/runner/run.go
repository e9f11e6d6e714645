package runner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/scenarios"
	"fluxmq/tools/doctor"
	"fluxmq/tools/runner/hoststats"
)

// Outcome is what a run left: one stored result a target.
type Outcome struct {
	Summaries []*reports.Summary
	Dirs      []string
}

// run is the state of one run; one goroutine owns it.
type run struct {
	plan      *Plan
	id        string
	work      string
	preflight []reports.Check
	targets   []*target
	results   []*reports.Result
	bundles   []*reports.Bundle
	gaveUp    map[string]bool // client on target that failed: not run again
	longest   time.Duration   // of an arm-run
}

// Run does what the plan says. It returns the stored results also when the run
// failed, with an *ExitError for the process's exit. Everything it started is
// stopped and every data directory is gone when it returns.
func Run(ctx context.Context, plan *Plan) (*Outcome, error) {
	r := &run{plan: plan, gaveUp: map[string]bool{}}
	started := time.Now()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	defer os.RemoveAll(r.work)
	err := r.steps(ctx, started)
	outcome, storeErr := r.store(err)
	plan.options.Progress.Done()
	if err == nil {
		err = storeErr
	}
	return outcome, err
}

// prepare does preflight, builds and the empty results.
func (r *run) prepare(ctx context.Context) error {
	o := r.plan.options
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	now := time.Now()
	r.id = fmt.Sprintf("%s-%x", now.UTC().Format("20060102T150405Z"), random[:4])
	work := o.WorkDir
	if work == "" {
		work = o.Checkout.Cache("run")
	}
	r.work = filepath.Join(work, r.id)
	if err := os.MkdirAll(r.work, 0o755); err != nil {
		return fmt.Errorf("work directory: %w", err)
	}
	err := r.prepareIn(ctx, now)
	if err != nil {
		os.RemoveAll(r.work)
	}
	return err
}

func (r *run) prepareIn(ctx context.Context, now time.Time) error {
	o := r.plan.options
	for _, b := range r.plan.builds {
		if !b.fresh {
			o.Progress.Line("build     %s", b.role)
		}
		if err := b.run(ctx); err != nil {
			return err
		}
	}
	if err := r.makeTargets(ctx); err != nil {
		return err
	}
	if err := r.check(ctx); err != nil { // after the builds, so that they do not count as foreign CPU
		return err
	}
	host := hoststats.Fingerprint(r.work)
	if r.plan.clients.jar != "" || slices.ContainsFunc(r.targets, func(t *target) bool { return t.record.JVMArgs != nil }) {
		host.JavaVersion = javaVersion(ctx)
	}
	var clients []reports.Binary
	for role, path := range map[string]string{"load-go": r.plan.clients.fluxload, "load-java": r.plan.clients.jar} {
		if path == "" {
			continue
		}
		binary, err := binaryRecord(role, path, nil)
		if err != nil {
			return err
		}
		clients = append(clients, binary)
	}
	slices.SortFunc(clients, func(a, b reports.Binary) int { return strings.Compare(a.Role, b.Role) })
	for i, t := range r.targets {
		result := r.emptyResult(i, now)
		result.Host, result.Target, result.Binaries = host, t.record, append(slices.Clone(t.binaries), clients...)
		if t.record.JVMArgs != nil {
			result.Target.JVM = host.JavaVersion
		}
		bundle, err := o.Store.Create(result)
		if err != nil {
			return err
		}
		r.results, r.bundles = append(r.results, result), append(r.bundles, bundle)
	}
	return nil
}

// check runs the doctor; a fatal failure ends the run with 3.
func (r *run) check(ctx context.Context) error {
	o := r.plan.options
	options := doctor.Options{DataDir: r.work, Sample: doctor.DefaultSample}
	if o.SkipSample {
		options.Sample = 0
	}
	checks, err := doctor.Check(ctx, options)
	if err != nil {
		return err
	}
	r.preflight = checks
	if failed := doctor.Failed(checks); len(failed) > 0 {
		var lines []string
		for _, c := range failed {
			lines = append(lines, fmt.Sprintf("preflight failed: %s: required %s, this machine has %s", c.Condition, c.Required, c.Current))
		}
		return &ExitError{ExitPreflight, errors.New(strings.Join(lines, "\n"))}
	}
	for _, c := range checks {
		if !c.Passed && c.Severity != doctor.Info {
			o.Progress.Line("preflight %s: %s: required %s, is %s", c.Severity, c.Condition, c.Required, c.Current)
		}
	}
	return nil
}

// makeTargets makes every target ready to start brokers.
func (r *run) makeTargets(ctx context.Context) error {
	o := r.plan.options
	for i, spec := range o.Targets {
		var t *target
		switch spec.Kind {
		case reports.TargetFluxMQ:
			t = newFluxMQ(r.plan.broker, fluxmqVersion(ctx, r.plan.broker), r.plan.settings[i])
			t.env = append(slices.Clone(r.plan.profile.Env), o.BrokerEnv...)
			var args []string
			for _, b := range r.plan.builds {
				if b.role == "broker" {
					args = b.record(o.Checkout.Root)
				}
			}
			binary, err := binaryRecord("broker", r.plan.broker, args)
			if err != nil {
				return err
			}
			t.binaries = []reports.Binary{binary}
		case reports.TargetAddress:
			t = newAddress(spec)
		default:
			libs, err := KafkaLibs(ctx, o.Checkout)
			if err != nil {
				return err
			}
			if t, err = newKafka(o.Checkout, libs, spec, r.plan.settings[i]); err != nil {
				return err
			}
			jars, err := filepath.Glob(filepath.Join(libs, "kafka_2.13-*.jar"))
			if err != nil || len(jars) == 0 {
				return fmt.Errorf("no Kafka jar in %s", libs)
			}
			binary, err := binaryRecord("kafka", jars[0], nil)
			if err != nil {
				return err
			}
			t.binaries = []reports.Binary{binary}
		}
		t.prefix = r.plan.profile.BrokerPrefix
		r.targets = append(r.targets, t)
	}
	return nil
}

func (r *run) emptyResult(i int, now time.Time) *reports.Result {
	o, profile := r.plan.options, r.plan.profile
	result := &reports.Result{
		Schema: reports.ResultSchema, ID: r.id, StartedUnixNs: now.UnixNano(), Command: o.Command, Commit: o.Checkout.Commit, Dirty: o.Checkout.Dirty,
		Scenario:  reports.ScenarioRecord{Name: o.Scenario.Name, Question: o.Scenario.Question, Form: o.Form, Text: o.Scenario.Text, SHA256: o.Scenario.SHA256, Overrides: r.plan.overridesRecord()},
		Profile:   profileRecord(o.Profile, profile, o.Checkout.Root),
		Preflight: r.preflight, Clients: o.Clients, Rounds: r.plan.steps[len(r.plan.steps)-1].Round, Order: r.plan.order(i), ArmRuns: []reports.ArmRun{},
	}
	for j, other := range r.targets {
		if j != i {
			result.BesideTargets = append(result.BesideTargets, other.record.Label())
		}
	}
	return result
}

// steps runs the plan. What is returned ends the run early or gives it its exit code.
func (r *run) steps(ctx context.Context, started time.Time) error {
	o := r.plan.options
	var worst error
	roundStart, round := time.Now(), 1
	for _, step := range r.plan.steps {
		if step.Round != round {
			// The budget of a scenario bounds its rounds, unless the command line asked for a number of them.
			last := time.Since(roundStart)
			if budget := o.Scenario.TimeBudgetSeconds; o.Rounds == 0 && budget > 0 && time.Since(started).Seconds()+last.Seconds() > budget {
				o.Progress.Line("time budget of %.0f s: stopping after %d of %d rounds (--rounds overrides)", budget, round, r.plan.steps[len(r.plan.steps)-1].Round)
				break
			}
			round, roundStart = step.Round, time.Now()
		}
		key := fmt.Sprint(step.Target, step.Client)
		if r.gaveUp[key] {
			continue
		}
		arm, err := r.step(ctx, step)
		if arm != nil && ctx.Err() == nil { // an interrupted arm-run says nothing
			result := r.results[step.Target]
			result.ArmRuns = append(result.ArmRuns, *arm)
			r.announce(step, *arm)
		}
		if err != nil {
			r.gaveUp[key] = true
			if ctx.Err() != nil {
				return &ExitError{ExitInterrupted, errors.New("interrupted; everything that was started is stopped")}
			}
			worst = worseOf(worst, err)
			if errors.Is(err, errBrokerDied) {
				return worst
			}
		}
	}
	return worst
}

// worseOf keeps the error that decides the exit code: broken delivery before run errors.
func worseOf(a, b error) error {
	switch {
	case a == nil:
		return b
	case ExitCode(a) != ExitCorrectness && ExitCode(b) == ExitCorrectness:
		return b
	}
	return a
}

func (r *run) announce(step Step, arm reports.ArmRun) {
	where := fmt.Sprintf("step %d/%d  round %d  %-9s on %s", step.Position, len(r.plan.steps), step.Round, step.Client, r.targets[step.Target].record.Label())
	progress := r.plan.options.Progress
	switch {
	case arm.Result == nil || arm.Failure != "":
		progress.Line("%s: FAILED: %s", where, orElse(arm.Failure, "no result"))
	default:
		rate := arm.Result.DeliveredRate
		if rate == 0 {
			rate = arm.Result.ClientRate
		}
		line := fmt.Sprintf("%s: %.0f msg/s delivered, %d read back, lost 0", where, rate, arm.Result.Ledger.Read)
		if cost := reports.CostOf(arm); cost.Known {
			line += fmt.Sprintf(", broker %.0f CPU-ns/msg", cost.CPUNsPerRecord)
		}
		progress.Line("%s", line)
	}
}

// step is one arm-run: broker, client, marks, result, stop.
func (r *run) step(ctx context.Context, step Step) (*reports.ArmRun, error) {
	t := r.targets[step.Target]
	dir := filepath.Join(r.work, fmt.Sprintf("%03d-%s", step.Position, step.Client))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	arm := &reports.ArmRun{Client: step.Client, Round: step.Round, Position: step.Position, StartUnixNs: time.Now().UnixNano(), Job: map[string]any{}, Samples: []reports.HostSample{}}
	r.plan.options.Progress.Now("step %d/%d  round %d  %s: starting %s", step.Position, len(r.plan.steps), step.Round, step.Client, t.record.Label())
	b, err := t.start(ctx, dir)
	if err != nil {
		arm.Failure, arm.Exit, arm.EndUnixNs = err.Error(), ExitRun, time.Now().UnixNano()
		return arm, err
	}
	err = r.load(ctx, step, t, b, dir, arm)
	if b.process != nil && b.process.ended() {
		err = errors.Join(errBrokerDied, err)
	}
	finishBroker(b, arm)
	if trouble := t.stop(b); trouble != "" && err == nil {
		err = errors.New(trouble)
	}
	arm.EndUnixNs = time.Now().UnixNano()
	if err != nil && ctx.Err() == nil {
		arm.Failure = describe(err, b)
		if b.process != nil {
			arm.BrokerLogTail = b.process.tail()
		}
		arm.ClientLogTail = tailOf(filepath.Join(dir, "client.log"))
		err = explain(err, step, arm)
	}
	if err != nil && arm.Exit == 0 {
		arm.Exit = ExitCode(err)
	}
	return arm, err
}

// describe is the one sentence of a failure.
func describe(err error, b *broker) string {
	if errors.Is(err, errBrokerDied) {
		return "the broker died during the run: " + b.process.exitText()
	}
	return err.Error()
}

// explain adds to an error where it happened and the last lines that tell why.
func explain(err error, step Step, arm *reports.ArmRun) error {
	text := fmt.Sprintf("round %d, %s: %s", step.Round, step.Client, arm.Failure)
	code := ExitCode(err)
	if code != ExitCorrectness {
		if arm.BrokerLogTail != "" {
			text += "\n--- the broker's last lines\n" + arm.BrokerLogTail
		}
		if arm.ClientLogTail != "" && !errors.Is(err, errBrokerDied) {
			text += "\n--- the client's last lines\n" + arm.ClientLogTail
		}
	}
	return &ExitError{code, &explained{text, err}}
}

// explained words an error anew and keeps it.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// load runs the client against the broker and fills the arm-run.
func (r *run) load(ctx context.Context, step Step, t *target, b *broker, dir string, arm *reports.ArmRun) error {
	tag, err := runTag()
	if err != nil {
		return err
	}
	at := attempt{clients: r.plan.clients, job: r.plan.job(step, b.address, r.id, tag), broker: b, dir: dir, sample: true, see: func(e event) { r.show(step, e) }}
	if watch := r.plan.options.Watch; watch != nil {
		at.watch = func(ctx context.Context) error { return watch(ctx, step, b.admin) }
	}
	client, followErr, err := at.run(ctx, arm)
	if err != nil {
		return err
	}
	return r.takeResult(step, client, at.job, arm, followErr)
}

// takeResult reads what the client left and words its exit.
func (r *run) takeResult(step Step, client *clientRun, job scenarios.Job, arm *reports.ArmRun, followErr error) error {
	arm.Exit = client.process.exitCode()
	result, err := client.result(job)
	if err == nil {
		arm.Result = result
		if result.LatencyLog != "" {
			name, err := r.bundles[step.Target].AddLatencyLog(filepath.Join(client.outDir, filepath.Base(result.LatencyLog)), step.Round, step.Client)
			if err != nil {
				return err
			}
			arm.LatencyLog = name
		}
	}
	return judgeExit(arm.Exit, client.exitWords(), arm.Result, err, followErr)
}

// judgeExit turns a client's exit and result into the step's error.
func judgeExit(exit int, exitText string, result *reports.ClientResult, resultErr, followErr error) error {
	if result != nil {
		l := result.Ledger
		if l.Lost+l.Duplicated+l.Reordered+l.Corrupt > 0 {
			return &ExitError{ExitCorrectness, fmt.Errorf("lost %d, duplicated %d, reordered %d, corrupt %d", l.Lost, l.Duplicated, l.Reordered, l.Corrupt)}
		}
	}
	switch {
	case exit == ExitCorrectness:
		return &ExitError{ExitCorrectness, errors.New("the client says that records were lost, duplicated, reordered or corrupt")}
	case exit != 0:
		return fmt.Errorf("the client failed: %s", exitText)
	case resultErr != nil:
		return fmt.Errorf("the client left no usable result: %w", resultErr)
	case followErr != nil:
		return followErr
	case !result.Ledger.Proven():
		return fmt.Errorf("delivery is not proven: %s", orElse(result.Ledger.FailureText, "the ledger was not checked"))
	}
	return nil
}

func jobRecord(job scenarios.Job, arm *reports.ArmRun) error {
	text, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &arm.Job)
}

// finishBroker takes the figures that count from the broker's start.
func finishBroker(b *broker, arm *reports.ArmRun) {
	if b.process == nil || b.process.ended() {
		return
	}
	reading, err := hoststats.ReadProcess(b.process.pid())
	if err != nil {
		return // it is ending: the run error says so
	}
	arm.Broker.PeakRSSBytes, arm.Broker.CPUTotalNs = reading.PeakRSSBytes, reading.CPUNs
	arm.Broker.StartToReadyMs, arm.Broker.ReadyRSSBytes = float64(b.startToReady)/1e6, b.readyRSS
}

// show tells a person what the client says.
func (r *run) show(step Step, e event) {
	progress := r.plan.options.Progress
	where := fmt.Sprintf("step %d/%d  round %d  %-9s", step.Position, len(r.plan.steps), step.Round, step.Client)
	switch e.Event {
	case "phase":
		progress.Now("%s  %s", where, e.Phase)
	case "progress":
		progress.Now("%s  %s  %.0f/s  sent %d  acknowledged %d  received %d", where, e.Phase, e.Rate, e.Sent, e.Acknowledged, e.Received)
	case "finding":
		progress.Line("%s  %s: partition %d offset %d, %d records", where, e.Kind, e.Partition, e.Offset, e.Count)
	}
}

// store writes every result. A run of which nothing ended leaves no folder.
func (r *run) store(runErr error) (*Outcome, error) {
	outcome := &Outcome{}
	var errs []error
	for i, result := range r.results {
		result.FinishedUnixNs = time.Now().UnixNano()
		result.Exit = ExitCode(runErr)
		if runErr != nil {
			result.Failure, _, _ = strings.Cut(runErr.Error(), "\n")
		}
		if len(result.ArmRuns) == 0 {
			errs = append(errs, os.Remove(r.bundles[i].Dir))
			continue
		}
		summary, err := r.bundles[i].Finish(result)
		if err != nil {
			errs = append(errs, err)
		}
		if summary == nil {
			continue
		}
		outcome.Summaries, outcome.Dirs = append(outcome.Summaries, summary), append(outcome.Dirs, r.bundles[i].Dir)
	}
	return outcome, errors.Join(errs...)
}

// ParseSettings reads k=v pairs of the command line.
func ParseSettings(pairs []string) (map[string]string, error) {
	settings := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, &ExitError{ExitUsage, fmt.Errorf("a setting is KEY=VALUE, got %q", pair)}
		}
		settings[key] = value
	}
	return settings, nil
}
