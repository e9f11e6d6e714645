package pgo

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// sampled makes a CPU profile of ten seconds whose samples lie in the named functions, so many CPU-seconds each.
func sampled(seconds map[string]float64) *profile.Profile {
	p := &profile.Profile{
		SampleType:    []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType:    &profile.ValueType{Type: "cpu", Unit: "nanoseconds"},
		Period:        10_000_000,
		DurationNanos: int64(10 * time.Second),
	}
	for name, cpu := range seconds {
		id := uint64(len(p.Function) + 1)
		f := &profile.Function{ID: id, Name: name}
		l := &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{int64(cpu * 100), int64(cpu * 1e9)}})
	}
	return p
}

func TestExamine(t *testing.T) {
	for _, row := range []struct {
		about   string
		profile *profile.Profile
		refused string
	}{
		{"a busy broker", sampled(map[string]float64{"fluxmq/broker/partition.(*Partition).Append": 6, "runtime.mallocgc": 2}), ""},
		{"system calls count as the broker's", sampled(map[string]float64{"internal/runtime/syscall/linux.Syscall6": 7}), ""},
		{"an idle process", sampled(map[string]float64{"fluxmq/broker/node.(*Node).Run": 0.1}), "was idle"},
		{"nothing at all", sampled(nil), "was idle"},
		{"another program's work", sampled(map[string]float64{"main.main": 8, "fluxmq/broker.New": 1}), "only 11 % of the samples"},
		{"not a CPU profile", &profile.Profile{SampleType: []*profile.ValueType{{Type: "alloc_space", Unit: "bytes"}}, DurationNanos: 1}, "not a CPU profile"},
	} {
		_, err := Examine(row.profile)
		if (row.refused == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), row.refused) {
			t.Errorf("%s: %v, want %q", row.about, err, row.refused)
		}
	}
}

func TestTakeMergeAndDescribe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/pprof/profile" || r.URL.Query().Get("seconds") != "3" {
			http.Error(w, "not here", http.StatusNotFound)
			return
		}
		if err := sampled(map[string]float64{"fluxmq/broker/server.serve": 8}).Write(w); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	admin := strings.TrimPrefix(server.URL, "http://")
	one, err := Take(t.Context(), admin, "wire_16k", "wire", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(t.Context(), admin, "x", "wire", 9*time.Second); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a refusal of the admin HTTP: %v", err)
	}
	if _, err := Take(t.Context(), "", "x", "wire", time.Second); err == nil {
		t.Error("a target without admin HTTP has a profile")
	}
	dir := t.TempDir()
	target, sidecar := filepath.Join(dir, "default.pgo"), filepath.Join(dir, "pgo", "default.json")
	if err := Write([]*Taken{one, one}, Sidecar{Commit: "abc"}, target, sidecar); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	merged, err := profile.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(merged.Sample) != 1 || merged.Sample[0].Value[1] != int64(16*time.Second) {
		t.Errorf("merged samples %+v", merged.Sample)
	}
	text, err := os.ReadFile(sidecar)
	if err != nil {
		t.Fatal(err)
	}
	var described Sidecar
	if err := json.Unmarshal(text, &described); err != nil || described.Commit != "abc" || len(described.Profiles) != 2 || described.Profiles[0].Scenario != "wire_16k" {
		t.Errorf("sidecar %s, %v", text, err)
	}
	if err := Write(nil, Sidecar{}, target, sidecar); err == nil {
		t.Error("nothing was merged into a profile")
	}
}
