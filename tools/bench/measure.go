package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
	"fluxmq/tools/runner"
)

// Measure runs blocks until the trial is decided by its rules: to the last
// look, or to an earlier one at which every metric is decided. Workloads take
// turns, a block each, so that all are as far. The verdict is returned also
// when a run failed; the error then says which.
func (b *Bench) Measure(ctx context.Context) (*verdict.Verdict, error) {
	journal, err := b.journal()
	if err != nil {
		return nil, err
	}
	if journal != nil {
		defer journal.Close()
	}
	v, err := b.looks(ctx, journal)
	b.Trial.FinishedUnixNs = time.Now().UnixNano()
	if v != nil {
		b.Trial.Exit = v.Exit
	}
	if err != nil {
		b.Trial.Exit, b.Trial.Failure = runner.ExitCode(err), err.Error()
	}
	b.options.Progress.Done()
	return v, err
}

func (b *Bench) looks(ctx context.Context, journal *os.File) (*verdict.Verdict, error) {
	rules := b.options.Rules
	for _, look := range rules.Looks {
		for {
			i, more := b.behind(look)
			if !more {
				break
			}
			block, err := b.Block(ctx, i)
			if block != nil && journal != nil {
				if err := trial.AppendBlock(journal, b.Trial.Workloads[i].Name(), *block); err != nil {
					return nil, err
				}
			}
			if errors.Is(err, ErrInterrupted) {
				return nil, &runner.ExitError{Code: runner.ExitInterrupted, Err: err}
			}
			if err != nil {
				return verdict.Judge(b.Trial), &runner.ExitError{Code: runner.ExitCode(err), Err: err}
			}
			b.announce(i, block, look)
			if b.tooDisturbed(i) {
				return verdict.Judge(b.Trial), nil
			}
		}
		if v := verdict.Judge(b.Trial); verdict.Decided(v, b.Trial) {
			return v, nil
		}
	}
	return verdict.Judge(b.Trial), nil
}

// behind finds the workload with the fewest kept blocks below the look.
func (b *Bench) behind(look int) (index int, more bool) {
	fewest := look
	for i, w := range b.Trial.Workloads {
		if kept := len(w.Kept()); kept < fewest {
			fewest, index, more = kept, i, true
		}
	}
	return index, more
}

// tooDisturbed tells that more blocks were rejected than the rules redraw.
func (b *Bench) tooDisturbed(i int) bool {
	w := b.Trial.Workloads[i]
	planned := b.options.Rules.Looks[len(b.options.Rules.Looks)-1]
	return float64(len(w.Blocks)-len(w.Kept())) > b.options.Rules.MaxExtraShare*float64(planned)
}

func (b *Bench) announce(i int, block *trial.Block, look int) {
	w := b.Trial.Workloads[i]
	if block.Rejected != "" {
		return // said by Block
	}
	text := ""
	for _, m := range w.Metrics {
		if m.Name != trial.BrokerCPU && m.Name != trial.Delivered {
			continue
		}
		if d, ok := m.Difference(*block); ok {
			text += fmt.Sprintf("  %s %+.1f %%", m.Label, 100*(m.Ratio(d)-1))
		}
	}
	b.options.Progress.Line("%s  block %d %s (%d of %d)%s", w.Name(), block.Number, block.Order, len(w.Kept()), look, text)
}

// journal is blocks.jsonl in the trial's folder: what was measured survives a kill.
func (b *Bench) journal() (*os.File, error) {
	if b.options.Dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(b.options.Dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(b.options.Dir, "blocks.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}
