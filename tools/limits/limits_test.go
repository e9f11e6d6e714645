package limits

import (
	"os"
	"strconv"
	"testing"
)

// TestMain lets the test binary be its own sink process.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "limits-sink" {
		chunk, err := strconv.Atoi(os.Args[3])
		if err == nil {
			err = Sink(os.Args[2], chunk, os.Stdout)
		}
		if err != nil {
			println(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestMeasureCountsEveryByteAndLeavesNoFile(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rows, err := Measure(t.Context(), self, dir, []int{1 << 20, 16 << 10}, 8<<20, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.CPUSecondsPerGB.Median <= 0 || r.GBPerSecond.Min > r.GBPerSecond.Max {
			t.Errorf("chunk %d: %+v", r.ChunkBytes, r)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSinkRefusesAnAbsurdChunk(t *testing.T) {
	for _, chunk := range []int{0, -1, 1 << 30} {
		if err := Sink(t.TempDir(), chunk, os.Stdout); err == nil {
			t.Errorf("chunk %d was accepted", chunk)
		}
	}
}
