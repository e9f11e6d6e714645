package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fluxmq/reports/profilediff"
	"fluxmq/reports/trial"
)

// profileSeconds of CPU profile are taken in a window that is a little longer.
const profileSeconds = 4

// ProfileBlocks runs blocks of part cost alone with CPU profiles of the broker
// and gives the difference by function. They are not added to the trial: the
// profiler costs CPU, and a verdict was reached without them.
func (b *Bench) ProfileBlocks(ctx context.Context, i, blocks int) (*profilediff.Difference, error) {
	record := b.Trial.Workloads[i]
	record.Blocks = nil
	for n := 1; n <= blocks; n++ {
		b.options.Progress.Now("profiles  %s  block %d of %d", record.Name(), n, blocks)
		block := trial.Block{Number: n, Order: b.order()}
		for position, arm := range strings.Split(block.Order, "") {
			run := trial.Run{Arm: arm, Position: position + 1, Values: map[string]float64{}, Profile: filepath.Join("profiles", fmt.Sprintf("%s-%02d-%d-%s.pprof", strings.ReplaceAll(record.Name(), "/", "-"), n, position+1, arm))}
			if err := b.profileRun(ctx, i, n, &run); err != nil {
				return nil, err
			}
			block.Runs = append(block.Runs, run)
		}
		record.Blocks = append(record.Blocks, block)
	}
	b.options.Progress.Done()
	return profilediff.Read(b.options.Dir, record, profilediff.Options{})
}

func (b *Bench) profileRun(ctx context.Context, i, block int, run *trial.Run) error {
	w := b.workloads[i]
	dir := filepath.Join(b.work, fmt.Sprintf("profile-%d-%d", block, run.Position))
	path := filepath.Join(b.options.Dir, run.Profile)
	for _, folder := range []string{dir, filepath.Dir(path)} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	defer os.RemoveAll(dir)
	job := b.job(w, trial.PartCost, run.Arm, block)
	job.MeasureSeconds = profileSeconds + 0.5
	result, err := w.arms[run.Arm].Run(ctx, w.loader, armRun(job, dir, func(ctx context.Context, admin string) error { return takeProfile(ctx, admin, path) }))
	if err != nil {
		return err
	}
	return costValues(result, run.Values)
}

// takeProfile asks the broker's admin port for a CPU profile.
func takeProfile(ctx context.Context, admin, path string) error {
	ctx, cancel := context.WithTimeout(ctx, (profileSeconds+10)*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, profileSeconds), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("CPU profile: %s", response.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, response.Body); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
