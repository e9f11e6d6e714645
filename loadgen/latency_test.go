package loadgen

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// What is recorded comes back from the file, by tag and interval, to three digits.
func TestIntervalLogRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "latency.hlog")
	const start = 1_795_452_688_123_000_000
	log, err := CreateIntervalLog(path, start)
	if err != nil {
		t.Fatal(err)
	}
	produce, other := []*Recorder{NewRecorder(), NewRecorder()}, []*Recorder{NewRecorder()}
	for second := range int64(3) {
		for i := range int64(1000) {
			produce[i%2].Record(1_000_000*(second+1)+i*1000, 1)
		}
		from := start + second*1e9
		if err := log.Write(TagProduce, from, from+1e9, produce); err != nil {
			t.Fatal(err)
		}
		if err := log.Write(TagEndToEnd, from, from+1e9, other); err != nil { // empty: no line
			t.Fatal(err)
		}
	}
	other[0].Record(120e9, 5) // beyond the range: counts as a minute
	if err := log.Write(TagEndToEnd, start+3e9, start+4e9, other); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	totals, err := ReadIntervalLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := totals[TagProduce].TotalCount(); got != 3000 {
		t.Errorf("produce: %d values", got)
	}
	if got := totals[TagEndToEnd]; got.TotalCount() != 5 || math.Abs(float64(got.Max())/60e9-1) > 0.001 {
		t.Errorf("e2e: %d values, max %d", got.TotalCount(), got.Max())
	}
	for _, quantile := range []float64{1, 50, 99.9, 100} {
		want := float64(log.Total(TagProduce).ValueAtQuantile(quantile))
		if got := float64(totals[TagProduce].ValueAtQuantile(quantile)); math.Abs(got-want) > want/1000 {
			t.Errorf("quantile %v: got %v, want %v", quantile, got, want)
		}
	}
	text, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if lines[0] != "#[Histogram log format version 1.3]" || !strings.HasPrefix(lines[1], "#[StartTime: 1795452688.123 ") || len(lines) != 3+4 {
		t.Errorf("got\n%s", text)
	}
	if !strings.HasPrefix(lines[3], "Tag=produce,1795452688.123") {
		t.Errorf("absolute seconds with milliseconds are wanted: %.60s", lines[3])
	}
	if _, err := CreateIntervalLog(path, start); err == nil {
		t.Error("an existing log must not be overwritten")
	}
}

// Nothing is lost or counted twice while one goroutine records and another takes.
func TestRecorderUnderConcurrency(t *testing.T) {
	r, sum := NewRecorder(), hdr.New(latencyLowestNs, latencyHighestNs, latencyDigits)
	const values = 200_000
	var recording sync.WaitGroup
	recording.Add(1)
	go func() {
		defer recording.Done()
		for i := range int64(values) {
			r.Record(1000+i, 1)
		}
	}()
	for range 50 {
		r.takeInto(sum)
	}
	recording.Wait()
	r.takeInto(sum)
	if sum.TotalCount() != values {
		t.Errorf("%d of %d values", sum.TotalCount(), values)
	}
}
