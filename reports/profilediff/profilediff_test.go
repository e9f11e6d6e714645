package profilediff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// stack is a call stack, the innermost first; names in one location were inlined into its last.
type stack struct {
	locations [][]string
	samples   int64
}

// cpuProfile makes a profile of 10 ms samples.
func cpuProfile(stacks []stack) *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7, DurationNanos: 5e9,
	}
	functions := map[string]*profile.Function{}
	for _, s := range stacks {
		sample := &profile.Sample{Value: []int64{s.samples, s.samples * 1e7}}
		for _, names := range s.locations {
			location := &profile.Location{ID: uint64(len(p.Location) + 1)}
			for _, name := range names {
				if functions[name] == nil {
					functions[name] = &profile.Function{ID: uint64(len(p.Function) + 1), Name: name}
					p.Function = append(p.Function, functions[name])
				}
				location.Line = append(location.Line, profile.Line{Function: functions[name]})
			}
			p.Location = append(p.Location, location)
			sample.Location = append(sample.Location, location)
		}
		p.Sample = append(p.Sample, sample)
	}
	return p
}

func TestSharesCountInliningRecursionAndTheRuntime(t *testing.T) {
	p := cpuProfile([]stack{
		{[][]string{{"crc", "append"}, {"handle"}, {"runtime.goexit"}}, 50}, // crc was inlined into append
		{[][]string{{"walk"}, {"walk"}, {"handle"}, {"runtime.goexit"}}, 20},
		{[][]string{{"runtime.memmove"}, {"handle"}, {"runtime.goexit"}}, 20},
		{[][]string{{"internal/runtime/syscall.Syscall6"}, {"handle"}, {"runtime.goexit"}}, 6},
		{[][]string{{"runtime.futex"}, {"runtime.mcall"}}, 4},
	})
	for _, row := range []struct {
		grouped          bool
		name             string
		flat, cumulative float64
	}{
		{false, "crc", 0.5, 0.5}, {false, "append", 0, 0.5}, {false, "walk", 0.2, 0.2}, {false, "handle", 0, 0.96},
		{false, "runtime.goexit", 0, 0.96}, {false, "runtime.memmove", 0.2, 0.2},
		{true, RuntimeGroup, 0.24, 0.24}, {true, "handle", 0, 0.96}, {true, "internal/runtime/syscall.Syscall6", 0.06, 0.06},
	} {
		shares, ok, err := attribute(p, row.grouped)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if got := shares[row.name]; math.Abs(got.flat-row.flat) > 1e-9 || math.Abs(got.cumulative-row.cumulative) > 1e-9 {
			t.Errorf("grouped %v: %s is %+v, want %v flat, %v cumulative", row.grouped, row.name, got, row.flat, row.cumulative)
		}
	}
}

// planted makes a workload whose head spends 36 ns a message more, all of it in
// crc, and its profiles by name; their sampling noise is that of some 430 samples each.
func planted(seed uint64, blocks int) (map[string]*profile.Profile, trial.Workload) {
	profiles := map[string]*profile.Profile{}
	random := rand.New(rand.NewPCG(seed, 0))
	w := trial.Workload{Scenario: reports.ScenarioRecord{Name: "wire_1k"}, Client: "wire"}
	names := []string{"crc", "runtime.memmove", "internal/runtime/syscall.Syscall6"}
	weights := []float64{60, 90, 250}
	for i := range 40 {
		names, weights = append(names, fmt.Sprintf("fluxmq/broker/handler.part%d", i)), append(weights, 5)
	}
	for number := 1; number <= blocks; number++ {
		b := trial.Block{Number: number, Order: "ABBA"}
		for position, arm := range []string{trial.Base, trial.Head, trial.Head, trial.Base} {
			var stacks []stack
			total := 0.0
			for i, weight := range weights {
				if i == 0 && arm == trial.Head {
					weight += 36
				}
				total += weight
				count := max(0, math.Round(weight*0.67+random.NormFloat64()*math.Sqrt(weight*0.67)))
				stacks = append(stacks, stack{[][]string{{names[i]}, {"fluxmq/broker/handler.produce"}, {"runtime.goexit"}}, int64(count)})
			}
			name := fmt.Sprintf("%d-%d.pprof", number, position+1)
			profiles[name] = cpuProfile(stacks)
			cost := total * (1 + 0.01*random.NormFloat64())
			b.Runs = append(b.Runs, trial.Run{Arm: arm, Position: position + 1, Profile: name, Values: map[string]float64{trial.BrokerCPU: cost}})
		}
		w.Blocks = append(w.Blocks, b)
	}
	return profiles, w
}

// compare compares planted profiles.
func compare(t *testing.T, profiles map[string]*profile.Profile, w trial.Workload, o Options) *Difference {
	t.Helper()
	d, err := Compare(w, o, func(name string) (*profile.Profile, error) { return profiles[name], nil })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPlantedFunctionRanksFirst(t *testing.T) {
	first, inside := 0, 0
	for seed := range uint64(20) {
		profiles, w := planted(seed, 12)
		d := compare(t, profiles, w, Options{GroupRuntime: seed%2 == 1})
		if top := d.Functions[0]; top.Name == "crc" && top.Flat.Grew() {
			first++
			if *top.Flat.Low <= 36 && *top.Flat.High >= 36 {
				inside++
			}
		}
		if len(d.Functions) != DefaultTop || d.Blocks != 12 || d.Seen < 40 {
			t.Fatalf("%d of %d functions over %d blocks", len(d.Functions), d.Seen, d.Blocks)
		}
	}
	if first < 19 || inside < 17 {
		t.Errorf("of 20 seeds crc came first for %d, and its interval held the planted 36 for %d", first, inside)
	}
}

func TestCumulativeRankingFindsTheCaller(t *testing.T) {
	profiles, w := planted(1, 12)
	d := compare(t, profiles, w, Options{GroupRuntime: true, ByCumulative: true, Top: 2})
	names := []string{d.Functions[0].Name, d.Functions[1].Name}
	if strings.Join(names, " ") != "crc fluxmq/broker/handler.produce" && strings.Join(names, " ") != "fluxmq/broker/handler.produce crc" {
		t.Errorf("%v, want crc and what calls it", names)
	}
}

func TestBlocksWithoutProfilesAreLeftOut(t *testing.T) {
	profiles, w := planted(2, 8)
	w.Blocks[3].Runs[2].Profile = ""
	w.Blocks[4].Rejected = "steal"
	if d := compare(t, profiles, w, Options{}); d.Blocks != 6 || d.Skipped != 1 {
		t.Errorf("%+v", d)
	}
	for i := range w.Blocks {
		w.Blocks[i].Runs[0].Profile = ""
	}
	if _, err := Compare(w, Options{}, nil); !errors.Is(err, ErrNoProfiles) {
		t.Error(err)
	}
}

func TestProfilesAreReadFromTheTrialsFolderOnly(t *testing.T) {
	profiles, w := planted(2, 1)
	dir := t.TempDir()
	for name, p := range profiles {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.Write(file), file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := Read(dir, w, Options{}); err != nil || d.Blocks != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	for name, words := range map[string]string{"../secret": "outside", "nowhere.pprof": "no such file"} {
		w.Blocks[0].Runs[0].Profile = name
		if _, err := Read(dir, w, Options{}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFewBlocksHaveNoInterval(t *testing.T) {
	profiles, w := planted(3, 2)
	d := compare(t, profiles, w, Options{})
	if d.Functions[0].Name != "crc" || d.Functions[0].Flat.Low != nil || d.Functions[0].Flat.Grew() {
		t.Fatalf("%+v", d)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
	profiles, w = planted(3, 4)
	if d = compare(t, profiles, w, Options{}); d.Functions[0].Name != "crc" || !d.Functions[0].Flat.Grew() || d.Confidence != 0.875 {
		t.Errorf("four blocks: %+v", d)
	}
}

func TestEveryViewShowsTheTable(t *testing.T) {
	profiles, w := planted(4, 12)
	d := compare(t, profiles, w, Options{GroupRuntime: true})
	d.Functions[1].Name = "fluxmq/broker.(*T[...]).<script>"
	var terminal, markdown bytes.Buffer
	if err := errors.Join(d.WriteTerminal(&terminal), d.WriteMarkdown(&markdown)); err != nil {
		t.Fatal(err)
	}
	fragment, err := d.HTML()
	if err != nil || strings.Contains(string(fragment), "<script>") {
		t.Fatalf("%v\n%s", err, fragment)
	}
	for about, text := range map[string]string{"terminal": terminal.String(), "markdown": markdown.String(), "html": string(fragment)} {
		for _, want := range []string{"crc", "▲", "12 blocks", "by chance"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", about, want, text)
			}
		}
	}
}
