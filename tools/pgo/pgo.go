// Package pgo takes CPU profiles of the broker while scenarios run, refuses
// those of an idle process, and merges the rest into the profile that the
// compiler reads (broker/cmd/fluxmq/default.pgo). It starts nothing itself:
// the runner calls Take when a window opens.
package pgo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// What a profile must show to be used.
const (
	minUtilisation = 0.60 // cores busy on average
	minCPUSeconds  = 10.0 // or that much CPU sampled
	minOurShare    = 0.50 // of the samples in the broker's code or in its system calls
	largestProfile = 64 << 20
)

// Taken is one profile with what it says about itself.
type Taken struct {
	Scenario    string  `json:"scenario"`
	Client      string  `json:"client"`
	Seconds     float64 `json:"seconds"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	Utilisation float64 `json:"utilisation_cores"`
	OurShare    float64 `json:"broker_share"`

	profile *profile.Profile
}

// Sidecar is written beside the profiles: where the merged one comes from.
type Sidecar struct {
	Commit   string  `json:"commit"`
	Dirty    bool    `json:"dirty"`
	TakenAt  string  `json:"taken_at"`
	Machine  string  `json:"machine"`
	Go       string  `json:"go_version"`
	Profiles []Taken `json:"profiles"`
}

// Take fetches a CPU profile of the given length from the broker's admin HTTP and checks it.
func Take(ctx context.Context, admin, scenario, client string, length time.Duration) (*Taken, error) {
	if admin == "" {
		return nil, errors.New("pgo: the target has no admin HTTP")
	}
	seconds := max(1, int(length.Seconds()))
	ctx, cancel := context.WithTimeout(ctx, length+30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, seconds), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("pgo: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, largestProfile))
	if err != nil {
		return nil, fmt.Errorf("pgo: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("pgo: %s answered %s: %.200s", admin, response.Status, body)
	}
	parsed, err := profile.ParseData(body)
	if err != nil {
		return nil, fmt.Errorf("pgo: %w", err)
	}
	taken, err := Examine(parsed)
	if err != nil {
		return nil, fmt.Errorf("pgo: scenario %s, client %s: %w", scenario, client, err)
	}
	taken.Scenario, taken.Client = scenario, client
	return taken, nil
}

// Examine refuses a profile of an idle process, or one that mostly shows something else than the broker.
func Examine(p *profile.Profile) (*Taken, error) {
	cpu := -1
	for i, t := range p.SampleType {
		if t.Type == "cpu" && t.Unit == "nanoseconds" {
			cpu = i
		}
	}
	if cpu < 0 || p.DurationNanos <= 0 {
		return nil, errors.New("not a CPU profile")
	}
	var total, ours int64
	for _, sample := range p.Sample {
		total += sample.Value[cpu]
		if inBroker(sample) {
			ours += sample.Value[cpu]
		}
	}
	t := &Taken{Seconds: float64(p.DurationNanos) / 1e9, CPUSeconds: float64(total) / 1e9, profile: p}
	t.Utilisation = t.CPUSeconds / t.Seconds
	if total > 0 {
		t.OurShare = float64(ours) / float64(total)
	}
	if t.Utilisation < minUtilisation && t.CPUSeconds < minCPUSeconds {
		return nil, fmt.Errorf("the process was idle: %.2f CPU-s in %.1f s; wanted %.0f %% of a core or %.0f CPU-s", t.CPUSeconds, t.Seconds, minUtilisation*100, minCPUSeconds)
	}
	if t.OurShare < minOurShare {
		return nil, fmt.Errorf("only %.0f %% of the samples lie in the broker or its system calls; wanted %.0f %%", t.OurShare*100, minOurShare*100)
	}
	return t, nil
}

// inBroker tells whether any frame of a sample is the broker's, or the innermost is a system call.
func inBroker(sample *profile.Sample) bool {
	for depth, location := range sample.Location {
		for _, line := range location.Line {
			if line.Function == nil {
				continue
			}
			name := line.Function.Name
			if strings.HasPrefix(name, "fluxmq/broker") {
				return true
			}
			if depth == 0 && (strings.HasPrefix(name, "internal/runtime/syscall") || strings.HasPrefix(name, "syscall.")) {
				return true
			}
		}
	}
	return false
}

// Write merges the profiles into target and describes them in sidecar. Both are replaced whole or not at all.
func Write(taken []*Taken, description Sidecar, target, sidecar string) error {
	if len(taken) == 0 {
		return errors.New("pgo: no profile was taken")
	}
	var all []*profile.Profile
	for _, t := range taken {
		all = append(all, t.profile)
		description.Profiles = append(description.Profiles, *t)
	}
	merged, err := profile.Merge(all)
	if err != nil {
		return fmt.Errorf("pgo: merge: %w", err)
	}
	for _, m := range merged.Mapping {
		m.File = filepath.Base(m.File) // where the binary lay is nobody's business
	}
	text, err := json.MarshalIndent(description, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(target, merged.Write); err != nil {
		return err
	}
	return replace(sidecar, func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err })
}

func replace(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".pgo-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone after the rename
	err = errors.Join(write(file), file.Chmod(0o644), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
