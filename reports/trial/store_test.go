package trial

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func example() *Trial {
	return &Trial{
		Schema: Schema, ID: "x", Kind: KindGate, Seed: math.MaxUint64, // more than a JSON number holds exactly
		Rules:     Rules{Looks: []int{12, 24}, Alpha: 0.01},
		Workloads: []Workload{{Client: "wire", Metrics: Metrics(), Blocks: []Block{exampleBlock(1)}}},
	}
}

func exampleBlock(number int) Block {
	return Block{Number: number, Order: "ABBA", Runs: []Run{{Arm: Base, Position: 1, Values: map[string]float64{BrokerCPU: 0.1 + 0.2}}}}
}

func TestTrialComesBackAsItWasWritten(t *testing.T) {
	folder := t.TempDir()
	want := example()
	for range 2 { // the second replaces the first
		if err := want.Write(folder); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{folder, filepath.Join(folder, FileName)} {
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, want the trial alone (%v)", entries, err)
	}
}

func TestFailedWriteLeavesTheOldTrial(t *testing.T) {
	folder := t.TempDir()
	if err := example().Write(folder); err != nil {
		t.Fatal(err)
	}
	broken := example()
	broken.Workloads[0].Blocks[0].Runs[0].Values[BrokerCPU] = math.NaN()
	if err := broken.Write(folder); err == nil {
		t.Error("NaN was written")
	}
	if _, err := Read(folder); err != nil {
		t.Error(err)
	}
	if err := example().Write(filepath.Join(folder, "missing", FileName)); err == nil {
		t.Error("a folder that is not there was written to")
	}
}

func TestLayouts(t *testing.T) {
	for _, row := range []struct {
		text string
		want string // in the error; empty: it is read
		why  string
	}{
		{`{"schema": 1, "id": "x"}`, "", "missing fields are zero"},
		{`{"schema": 1, "idd": "x"}`, "idd", "an unknown field of our own layout"},
		{`{"schema": 7, "id": "x"}`, "schema 7, this program reads up to 1", "both numbers are named"},
		{`{"id": "x"}`, "no schema", "some other JSON"},
		{`[]`, FileName, "not even an object"},
		{`{"schema": 1`, FileName, "torn"},
	} {
		path := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(path, []byte(row.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q: %s", row.text, err, row.want, row.why)
		}
	}
	if _, err := Read(t.TempDir()); err == nil {
		t.Error("a trial out of an empty folder")
	}
}

// Wherever the journal is cut, all whole lines come back, and appending after size goes on as if nothing had happened.
func TestTornJournal(t *testing.T) {
	var journal bytes.Buffer
	var ends []int
	for n := 1; n <= 3; n++ {
		if err := AppendBlock(&journal, "megabatch/wire", exampleBlock(n)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, journal.Len())
	}
	rapid.Check(t, func(t *rapid.T) {
		cut := rapid.IntRange(0, journal.Len()).Draw(t, "cut")
		lines, size, err := ReadBlocks(bytes.NewReader(journal.Bytes()[:cut]))
		whole, end := 0, 0
		for _, e := range ends {
			if e <= cut {
				whole, end = whole+1, e
			}
		}
		if err != nil || len(lines) != whole || size != int64(end) {
			t.Fatalf("cut at %d: %d lines of %d bytes (%v), want %d of %d", cut, len(lines), size, err, whole, end)
		}
		for i, line := range lines {
			if diff := cmp.Diff(BlockLine{"megabatch/wire", exampleBlock(i + 1)}, line); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestBrokenLineIsAnError(t *testing.T) {
	lines, _, err := ReadBlocks(strings.NewReader("{\"workload\":\"a/b\",\"block\":{\"number\":1}}\nnot JSON\n{}\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || len(lines) != 1 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}
