package runner

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/scenarios"
	"fluxmq/tools/runner/hoststats"

	"github.com/shirou/gopsutil/v3/cpu"
)

// Options are a run as asked for.
type Options struct {
	Checkout Checkout
	Scenario *scenarios.Scenario
	Form     string // scenarios.FormHonest or FormSeedExact
	Profile  *profiles.Profile
	Targets  []TargetSpec
	Clients  []string // empty: the scenario's
	Rounds   int      // 0: the scenario's, within its time budget

	Overrides      map[string]string // broker settings of the command line
	MeasureSeconds float64           // 0: the scenario's
	WarmUpSeconds  float64           // 0: the scenario's; else the least warm-up
	// KafkaWarmUpSeconds is the least warm-up of arm-runs on Apache Kafka, whose
	// JVM is fresh in each and gets cheaper for minutes.
	KafkaWarmUpSeconds float64
	Rate               *scenarios.Rate // nil: the scenario's
	BrokerBinary       string          // instead of a build
	BrokerTags         string          // build tags
	BrokerEnv          []string        // K=V

	Store      reports.Store
	WorkDir    string // data directories and logs of the run; "": the checkout's cache
	Command    []string
	Progress   Progress
	SkipSample bool // no 3 s sample of steal and foreign CPU (plans, tests)

	// Watch is called in a goroutine of its own when a step's window opens; the step does not end before it returns. Nil: nobody watches.
	Watch func(ctx context.Context, step Step, admin string) error
}

// Step is one planned arm-run.
type Step struct {
	Position int // from 1
	Round    int // from 1
	Client   string
	Target   int // index of Options.Targets
}

// Plan is everything a run will do, before it does anything.
type Plan struct {
	options  Options
	profile  *profiles.Plan
	builds   []build
	steps    []Step
	settings []map[string]string // of each target
	clients  clientPrograms
	broker   string // binary
}

// planOrder is the order of the arm-runs: every round runs each client on each
// target once, and every other round runs in the reverse order, so that drift of the
// machine falls on all alike (A B B A).
func planOrder(clients []string, targets, rounds int) []Step {
	var steps []Step
	for round := 1; round <= rounds; round++ {
		var row []Step
		for _, client := range clients {
			for target := range targets {
				row = append(row, Step{Round: round, Client: client, Target: target})
			}
		}
		if round%2 == 0 {
			slices.Reverse(row)
		}
		for _, step := range row {
			step.Position = len(steps) + 1
			steps = append(steps, step)
		}
	}
	return steps
}

// MakePlan refuses early what cannot run: unknown clients, a profile this machine cannot have, programs that are missing.
func MakePlan(o Options) (*Plan, error) {
	usage := func(format string, args ...any) error { return &ExitError{ExitUsage, fmt.Errorf(format, args...)} }
	if o.Form == scenarios.FormSeedExact && !o.Scenario.HasSeedExact() {
		return nil, usage("scenario %s has no seed-exact form", o.Scenario.Name)
	}
	if len(o.Clients) == 0 {
		o.Clients = o.Scenario.Clients
	}
	for i, client := range o.Clients {
		if !slices.Contains(scenarios.Clients(), client) {
			return nil, usage("unknown client %q; known clients: %s", client, strings.Join(scenarios.Clients(), ", "))
		}
		if slices.Contains(o.Clients[:i], client) {
			return nil, usage("client %s is named twice", client)
		}
	}
	if o.Rounds < 0 || o.MeasureSeconds < 0 || o.WarmUpSeconds < 0 || o.KafkaWarmUpSeconds < 0 {
		return nil, usage("--rounds, --measure-seconds and --warm-up-seconds must not be negative")
	}
	rounds := o.Rounds
	if rounds == 0 {
		rounds = max(o.Scenario.Rounds, 1)
		if o.Form == scenarios.FormSeedExact {
			rounds = 1
		}
	}
	p := &Plan{options: o, steps: planOrder(o.Clients, len(o.Targets), rounds)}
	var err error
	if p.profile, err = o.Profile.Resolve(profileMachine(o.Checkout)); err != nil {
		return nil, &ExitError{ExitPreflight, err}
	}
	for _, step := range p.steps[:min(len(p.steps), len(o.Clients)*len(o.Targets))] {
		if err := p.job(step, "127.0.0.1:1", "plan", 1).Validate(); err != nil {
			return nil, usage("client %s cannot run scenario %s: %w", step.Client, o.Scenario.Name, err)
		}
	}
	for _, spec := range o.Targets {
		p.settings = append(p.settings, p.brokerSettings(spec))
	}
	return p, p.planBuilds()
}

// profileMachine is what profiles may ask for on this machine.
func profileMachine(c Checkout) profiles.Machine {
	m := profiles.Machine{AllowedCPUs: hoststats.AllowedCPUs(), NUMANodes: hoststats.NUMANodes("/")}
	if cpus, err := cpu.Info(); err == nil && len(cpus) > 0 && len(cpus[0].Flags) > 0 {
		m.AMD64Level = profiles.AMD64Level(cpus[0].Flags)
	}
	has := func(program string) bool { _, err := exec.LookPath(program); return err == nil }
	m.Numactl, m.Taskset = has("numactl"), has("taskset")
	pgo := filepath.Join(c.Root, "broker", "cmd", "fluxmq", "default.pgo")
	if files, err := filepath.Glob(pgo); err == nil && len(files) == 1 {
		m.PGOFile = pgo
	}
	return m
}

// brokerSettings are the profile's, then the scenario's, then the command line's; translated for a peer.
func (p *Plan) brokerSettings(spec TargetSpec) map[string]string {
	settings := map[string]string{}
	maps.Copy(settings, p.profile.Broker)
	maps.Copy(settings, p.options.Scenario.Broker)
	maps.Copy(settings, p.options.Overrides)
	switch spec.Kind {
	case reports.TargetKafkaDefault, reports.TargetKafkaTuned:
		// Only what was asked for in words: the profile's log.flush is our broker's default, not a wish about Kafka.
		flush := orElse(p.options.Overrides["log.flush"], p.options.Scenario.Broker["log.flush"])
		return kafkaSettings(settings, spec.Kind == reports.TargetKafkaTuned, flush)
	case reports.TargetAddress:
		return map[string]string{}
	}
	return settings
}

// planBuilds lists what must be compiled, and refuses when its tools are missing.
func (p *Plan) planBuilds() error {
	o := p.options
	p.clients.prefix = p.profile.ClientPrefix
	kafka, ours := false, false
	for _, spec := range o.Targets {
		kafka = kafka || spec.Kind == reports.TargetKafkaDefault || spec.Kind == reports.TargetKafkaTuned
		ours = ours || spec.Kind == reports.TargetFluxMQ
	}
	if ours && o.BrokerBinary != "" {
		p.broker = o.BrokerBinary
	} else if ours {
		b := brokerBuild(o.Checkout, o.Profile, p.profile, o.BrokerTags)
		p.builds, p.broker = append(p.builds, b), b.output
	}
	if slices.ContainsFunc(o.Clients, func(c string) bool { return c != scenarios.ClientJava }) {
		b := loadBuild(o.Checkout)
		p.builds, p.clients.fluxload = append(p.builds, b), b.output
	}
	if slices.Contains(o.Clients, scenarios.ClientJava) {
		b, err := jarBuild(o.Checkout)
		if err != nil {
			return err
		}
		programs := []string{"java"}
		if !b.fresh {
			programs = append(programs, "mvn")
		}
		if err := needPrograms("client java", programs...); err != nil {
			return err
		}
		p.builds, p.clients.jar = append(p.builds, b), b.output
	}
	if kafka {
		return needPrograms("target kafka", "java")
	}
	return nil
}

// job is the work order of one step.
func (p *Plan) job(step Step, bootstrap, runID string, tag uint64) scenarios.Job {
	o := p.options
	job := o.Scenario.Job(scenarios.JobOptions{RunID: runID, RunTag: tag, Client: step.Client, Round: step.Round, Form: o.Form, Bootstrap: bootstrap,
		Topic: fmt.Sprintf("fluxbench-%s-%08x", strings.ReplaceAll(o.Scenario.Name, "_", "-"), uint32(tag))})
	if o.Form != scenarios.FormSeedExact {
		if o.MeasureSeconds > 0 {
			job.MeasureSeconds, job.MeasureRecords = o.MeasureSeconds, 0
		}
		if o.Rate != nil {
			job.RatePerSecond = float64(*o.Rate)
		}
		least := o.WarmUpSeconds
		if kind := o.Targets[step.Target].Kind; kind == reports.TargetKafkaDefault || kind == reports.TargetKafkaTuned {
			least = max(least, o.KafkaWarmUpSeconds)
		}
		if w := &job.WarmUp; least > 0 && w.MaxSeconds > 0 {
			w.MaxSeconds = max(w.MaxSeconds, least)
			w.MinSeconds = max(w.MinSeconds, least)
		}
	}
	return job
}

// overridesRecord is what the command line changed about the scenario.
func (p *Plan) overridesRecord() map[string]string {
	changed := map[string]string{}
	if p.options.MeasureSeconds > 0 {
		changed["measure_seconds"] = fmt.Sprint(p.options.MeasureSeconds)
	}
	if p.options.WarmUpSeconds > 0 {
		changed["warm_up_seconds"] = fmt.Sprint(p.options.WarmUpSeconds)
	}
	if p.options.KafkaWarmUpSeconds > 0 {
		changed["kafka_warm_up_seconds"] = fmt.Sprint(p.options.KafkaWarmUpSeconds)
	}
	if p.options.Rate != nil {
		changed["rate"] = p.options.Rate.String()
	}
	if len(p.options.BrokerEnv) > 0 {
		changed["broker_env"] = strings.Join(p.options.BrokerEnv, " ")
	}
	if p.options.BrokerTags != "" {
		changed["broker_tags"] = p.options.BrokerTags
	}
	return changed
}

// order names the steps of one target for its result.
func (p *Plan) order(target int) []string {
	var names []string
	for _, step := range p.steps {
		if step.Target == target {
			names = append(names, fmt.Sprintf("%d: round %d %s", step.Position, step.Round, step.Client))
		}
	}
	return names
}

// Print writes the plan for a person.
func (p *Plan) Print(w io.Writer) {
	o := p.options
	form := ""
	if o.Form == scenarios.FormSeedExact {
		form = "  [SEED-EXACT: one shot, no warm-up; never compared with honest runs]"
	}
	fmt.Fprintf(w, "scenario  %s%s\n          %s\n", o.Scenario.Name, form, o.Scenario.Question)
	fmt.Fprintf(w, "profile   %s: %s\n", o.Profile.Name, o.Profile.Description)
	for _, note := range p.profile.Notes {
		fmt.Fprintf(w, "          ! %s\n", note)
	}
	for _, b := range p.builds {
		fmt.Fprintf(w, "build     %s\n", b)
	}
	for i, spec := range o.Targets {
		name, argv := spec.Kind, []string{"already running at", spec.Address}
		switch spec.Kind {
		case reports.TargetFluxMQ:
			argv = append(slices.Clone(p.profile.BrokerPrefix), fluxmqArgv(p.broker, "PORT", "PORT", "DIR", p.settings[i])...)
		case reports.TargetKafkaDefault, reports.TargetKafkaTuned:
			argv = []string{"Apache Kafka " + KafkaVersion + ", KRaft, with", joinSettings(p.settings[i])}
		}
		env := append(slices.Clone(p.profile.Env), o.BrokerEnv...)
		if spec.Kind != reports.TargetFluxMQ {
			env = nil
		}
		fmt.Fprintf(w, "target    %s: %s\n", name, strings.Join(append(env, argv...), " "))
	}
	programs := map[string][]string{} // clients by command line: the Go ones share theirs
	for _, client := range o.Clients {
		argv := strings.Join(p.clients.argv(client, "JOB", "OUT"), " ")
		programs[argv] = append(programs[argv], client)
	}
	for _, argv := range slices.Sorted(maps.Keys(programs)) {
		fmt.Fprintf(w, "client    %s: %s\n", strings.Join(programs[argv], ", "), argv)
	}
	for _, step := range p.steps {
		fmt.Fprintf(w, "step %3d  round %d  %-9s on %s\n", step.Position, step.Round, step.Client, o.Targets[step.Target].Kind)
	}
}

func joinSettings(settings map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		parts = append(parts, key+"="+settings[key])
	}
	return strings.Join(parts, " ")
}
