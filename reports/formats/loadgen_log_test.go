package formats_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"fluxmq/loadgen"
	"fluxmq/reports"
	"fluxmq/reports/specimen"
)

// TestTheLogThatJavaReadsIsWhatTheLoadClientsWrite holds the resource of
// HistogramLogTest to the Go load clients' writer. Histograms are compared and
// not bytes: how they are deflated is the library's affair.
func TestTheLogThatJavaReadsIsWhatTheLoadClientsWrite(t *testing.T) {
	const resource = "../../java-tests/src/test/resources/loadgen.hlog"
	path := filepath.Join(t.TempDir(), "latency.hlog")
	log, err := loadgen.CreateIntervalLog(path, specimen.Start)
	if err != nil {
		t.Fatal(err)
	}
	const second = int64(1e9)
	for _, interval := range []struct {
		tag         string
		from, count int64
		step        int64
	}{{"produce", 0, 1000, 10_000}, {"produce", second, 1000, 20_000}, {"e2e", second, 500, 30_000}} {
		recorder := loadgen.NewRecorder()
		for i := int64(1); i <= interval.count; i++ {
			recorder.Record(i*interval.step, 1)
		}
		from := specimen.Start + interval.from
		if err := log.Write(interval.tag, from, from+second, []*loadgen.Recorder{recorder}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("rewrite").Value.String() == "true" {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(resource, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := reports.ReadLatencyIntervals(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := reports.ReadLatencyIntervals(resource, 0)
	if err != nil || len(kept) != len(written) || len(kept) != 3 {
		t.Fatalf("%d intervals are kept, %d are written, %v", len(kept), len(written), err)
	}
	for i := range kept {
		if !kept[i].Equals(written[i]) || kept[i].Tag() != written[i].Tag() || kept[i].StartTimeMs() != written[i].StartTimeMs() || kept[i].EndTimeMs() != written[i].EndTimeMs() {
			t.Errorf("interval %d differs", i)
		}
	}
}
