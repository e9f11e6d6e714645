package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/scenarios"
)

// ArmOptions are one side of an A/B measurement.
type ArmOptions struct {
	Source    Checkout // the tree that the broker is built from
	Profile   *profiles.Profile
	PGOFile   string // what -pgo names on both sides; "": the source's own
	Tags      string // build tags
	Scenario  *scenarios.Scenario
	Overrides map[string]string // broker settings of this side, Kafka's keys
	Env       []string          // K=V of this side
	Binary    string            // a broker to run instead of building one
}

// Arm is one build of our broker under one set of settings, to be started
// afresh for every run. Not safe for concurrent use.
type Arm struct {
	Broker  reports.Binary
	Profile reports.ProfileRecord
	Target  reports.TargetRecord
	target  *target
}

// NewArm builds the broker, unless a binary is given, and makes it ready to start.
func NewArm(ctx context.Context, o ArmOptions) (*Arm, error) {
	machine := profileMachine(o.Source)
	if o.PGOFile != "" {
		machine.PGOFile = o.PGOFile
	}
	plan, err := o.Profile.Resolve(machine)
	if err != nil {
		return nil, &ExitError{ExitPreflight, err}
	}
	path, args := o.Binary, []string(nil)
	if path == "" {
		b := brokerBuild(o.Source, o.Profile, plan, o.Tags)
		if err := b.run(ctx); err != nil {
			return nil, err
		}
		path, args = b.output, b.record(o.Source.Root)
	}
	settings := map[string]string{}
	maps.Copy(settings, plan.Broker)
	maps.Copy(settings, o.Scenario.Broker)
	maps.Copy(settings, o.Overrides)
	arm := &Arm{
		Profile: profileRecord(o.Profile, plan, o.Source.Root),
		target:  newFluxMQ(path, fluxmqVersion(ctx, path), settings),
	}
	arm.target.env, arm.target.prefix = append(slices.Clone(plan.Env), o.Env...), plan.BrokerPrefix
	if arm.Broker, err = binaryRecord("broker", path, args); err != nil {
		return nil, err
	}
	arm.Target = arm.target.record
	return arm, nil
}

// Loader is one load client, the same for both arms.
type Loader struct {
	Client  string
	Binary  reports.Binary
	program clientPrograms
}

// NewLoader builds the load client from the checkout of the harness itself.
func NewLoader(ctx context.Context, c Checkout, client string, prefix []string) (*Loader, error) {
	l := &Loader{Client: client, program: clientPrograms{prefix: prefix}}
	b, role := loadBuild(c), "load-go"
	if client == scenarios.ClientJava {
		var err error
		if b, err = jarBuild(c); err != nil {
			return nil, err
		}
		if err := needPrograms("client java", "java"); err != nil {
			return nil, err
		}
		role = "load-java"
	}
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	l.program.fluxload, l.program.jar = b.output, b.output
	var err error
	l.Binary, err = binaryRecord(role, b.output, b.record(c.Root))
	return l, err
}

// ArmRunOptions say what one arm-run does.
type ArmRunOptions struct {
	Job   scenarios.Job // Bootstrap, Topic and RunTag are filled in
	Dir   string        // an empty folder: data, logs, the client's output
	Watch func(ctx context.Context, admin string) error
}

// Run starts a fresh broker, drives the client once, reads the costs of the
// window and ends both. The arm-run is returned also when it failed; the data
// directory is removed, the client's output is left in Dir.
func (a *Arm) Run(ctx context.Context, l *Loader, o ArmRunOptions) (*reports.ArmRun, error) {
	tag, err := runTag()
	if err != nil {
		return nil, err
	}
	b, err := a.target.start(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(filepath.Join(o.Dir, "data"))
	job := o.Job
	job.Bootstrap, job.RunTag, job.Topic = b.address, tag, fmt.Sprintf("fluxbench-%s-%08x", strings.ReplaceAll(job.Scenario, "_", "-"), uint32(tag))
	run := &reports.ArmRun{Client: job.Client, Round: job.Round, Job: map[string]any{}}
	at := attempt{clients: l.program, job: job, broker: b, dir: o.Dir}
	if o.Watch != nil {
		at.watch = func(ctx context.Context) error { return o.Watch(ctx, b.admin) }
	}
	client, followErr, err := at.run(ctx, run)
	if err == nil {
		err = a.result(client, job, run, followErr)
	}
	if b.process.ended() {
		err = errors.Join(errBrokerDied, err)
	}
	finishBroker(b, run)
	// Not asked to stop: what is proven is read back already, and a clean stop would write everything to the disk.
	b.process.kill()
	if err != nil && ctx.Err() == nil {
		run.Failure, run.BrokerLogTail = describe(err, b), b.process.tail()
		run.ClientLogTail = tailOf(filepath.Join(o.Dir, "client.log"))
	}
	if err != nil {
		run.Exit = ExitCode(err)
	}
	return run, err
}

// result reads what the client left; the latency log stays where the client wrote it.
func (a *Arm) result(client *clientRun, job scenarios.Job, run *reports.ArmRun, followErr error) error {
	result, err := client.result(job)
	if err == nil {
		run.Result = result
		if result.LatencyLog != "" {
			run.LatencyLog = filepath.Join(client.outDir, filepath.Base(result.LatencyLog))
		}
	}
	return judgeExit(client.process.exitCode(), client.exitWords(), run.Result, err, followErr)
}
