package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/scenarios"
	"fluxmq/tools/doctor"
	"fluxmq/tools/runner"
	"fluxmq/tools/runner/hoststats"
)

// Block runs one block of workload i and adds it to the trial, marked as
// rejected when the machine was disturbed. An error is a run that did not
// hold: the block is in the trial with what is known of it.
func (b *Bench) Block(ctx context.Context, i int) (*trial.Block, error) {
	record := &b.Trial.Workloads[i]
	block := trial.Block{Number: len(record.Blocks) + 1, Order: b.order(), StartUnixNs: time.Now().UnixNano()}
	var failed error
	var canaries []float64
	for position, arm := range strings.Split(block.Order, "") {
		run, err := b.run(ctx, i, block.Number, position+1, arm)
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		block.Runs = append(block.Runs, run)
		canaries = append(canaries, run.Noise.CanaryNs)
		if err != nil {
			failed = fmt.Errorf("%s, block %d, run %d on %s: %w", record.Name(), block.Number, position+1, b.sideName(arm), err)
			break
		}
	}
	block.EndUnixNs = time.Now().UnixNano()
	if failed == nil {
		var detail string
		if block.Rejected, detail = disturbed(block, b.options.Rules, b.canaries); block.Rejected != "" {
			b.options.Progress.Line("%s  block %d: rejected by rule %s (%s); drawn again", record.Name(), block.Number, block.Rejected, detail)
		}
	}
	b.canaries = append(b.canaries, canaries...)
	record.Blocks = append(record.Blocks, block)
	if b.options.OnBlock != nil {
		if err := b.options.OnBlock(i, block); err != nil {
			return nil, err
		}
	}
	return &record.Blocks[len(record.Blocks)-1], failed
}

func (b *Bench) order() string {
	if b.random.Uint64()&1 == 0 {
		return "ABBA"
	}
	return "BAAB"
}

func (b *Bench) sideName(arm string) string {
	if arm == trial.Base {
		return "base (" + b.Trial.Base.Label + ")"
	}
	return "head (" + b.Trial.Head.Label + ")"
}

// run is one arm, once: both parts, with the noise around them.
func (b *Bench) run(ctx context.Context, i, block, position int, arm string) (trial.Run, error) {
	run := trial.Run{Arm: arm, Position: position, StartUnixNs: time.Now().UnixNano(), Values: map[string]float64{}}
	reported := hoststats.ReportedKiB()
	run.Noise = trial.Noise{CanaryNs: canary(), StealShare: -1, ForeignShare: -1, ReportedKiB: -1}
	var failed error
	if run.Noise.FirstTouchNsPerKiB, failed = doctor.FirstTouch(b.work); failed != nil {
		run.Failure, run.Exit = failed.Error(), runner.ExitCode(failed)
		return run, failed
	}
	var parts []*reports.ArmRun
	for _, part := range b.parts(i) {
		result, err := b.part(ctx, i, part, arm, block, &run)
		if result != nil {
			parts = append(parts, result)
		}
		if err != nil {
			failed = fmt.Errorf("part %s: %w", part, err)
			break
		}
	}
	run.Noise.StealShare, run.Noise.ForeignShare = machineNoise(parts)
	if now := hoststats.ReportedKiB(); now >= 0 && reported >= 0 {
		run.Noise.ReportedKiB = float64(now - reported)
	}
	run.EndUnixNs = time.Now().UnixNano()
	if failed != nil {
		run.Failure, run.Exit = failed.Error(), runner.ExitCode(failed)
	}
	return run, failed
}

func (b *Bench) parts(i int) []string {
	if b.workloads[i].scenario.Gate.SaturationSeconds == 0 {
		return []string{trial.PartCost}
	}
	return []string{trial.PartCost, trial.PartSaturation}
}

// part runs one part and reads its metrics.
func (b *Bench) part(ctx context.Context, i int, part, arm string, block int, run *trial.Run) (*reports.ArmRun, error) {
	w := b.workloads[i]
	dir := filepath.Join(b.work, fmt.Sprintf("%s-%d-%d-%s", w.scenario.Name, block, run.Position, part))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	job := b.job(w, part, arm, block)
	beside := startReference()
	result, err := w.arms[arm].Run(ctx, w.loader, armRun(job, dir, nil))
	if failed := beside.end(); err == nil {
		err = failed
	}
	addReference(run, part, result, beside)
	addLedger(run, result)
	if err == nil {
		err = b.read(part, result, run.Values)
	}
	if err == nil && part == trial.PartCost {
		err = b.keepLog(i, block, run, result)
	}
	return result, err
}

// armRun words one arm-run for the runner.
func armRun(job scenarios.Job, dir string, watch func(context.Context, string) error) runner.ArmRunOptions {
	return runner.ArmRunOptions{Job: job, Dir: dir, Watch: watch}
}

func (b *Bench) read(part string, result *reports.ArmRun, values map[string]float64) error {
	if part == trial.PartCost {
		return costValues(result, values)
	}
	return saturationValues(result, values)
}

// keepLog moves the latency log of part cost into the trial's folder.
func (b *Bench) keepLog(i, block int, run *trial.Run, result *reports.ArmRun) error {
	if b.options.Dir == "" || result.LatencyLog == "" {
		return nil
	}
	folder := filepath.Join(b.options.Dir, "latency")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%03d-%d-%s.hlog", strings.ReplaceAll(b.Trial.Workloads[i].Name(), "/", "-"), block, run.Position, run.Arm)
	text, err := os.ReadFile(result.LatencyLog)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
		return err
	}
	run.LatencyLogs = map[string]string{trial.PartCost: filepath.Join("latency", name)}
	return nil
}
