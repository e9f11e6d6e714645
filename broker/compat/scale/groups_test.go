package scale

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func soundGroups() Groups {
	return Groups{Version: GroupsVersion, Commit: "abc", Cores: 2,
		Settles: []Settle{{Protocol: "classic range", Settings: []string{"a=1"}, Members: 100, Moving: 10, Partitions: 500,
			Start: []float64{2, 1, 4}, Leave: []float64{1}, Return: []float64{3, 4}, Load: 0.5}},
		Heartbeats: []Heartbeats{{Protocol: "classic", Settings: []string{"b=2"}, Groups: 10, Connections: 2, IntervalMs: 3000, JoinSeconds: 1, IdlePercent: 0.2,
			Windows: []Window{{Seconds: 60, Beats: 120, Percent: 4.25, P50: 1.25, P99: 10, Load: 1}, {Seconds: 40, Beats: 80, Percent: 5, P50: 2, P99: 11.5, Load: 2}}, ResidentMiB: 80}}}
}

func TestGroupsAreKeptAsTheyWere(t *testing.T) { testKept(t, soundGroups(), LoadGroups) }

func TestWhatIsNoGroupsIsRefused(t *testing.T) {
	testRefused(t, soundGroups, map[string]func(*Groups){
		"another version":               func(r *Groups) { r.Version++ },
		"no commit":                     func(r *Groups) { r.Commit = "" },
		"no cores":                      func(r *Groups) { r.Cores = 0 },
		"nothing measured":              func(r *Groups) { r.Settles, r.Heartbeats = nil, nil },
		"a group without a round":       func(r *Groups) { r.Settles[0].Return = nil },
		"a group without a member":      func(r *Groups) { r.Settles[0].Members = 0 },
		"heartbeats without a window":   func(r *Groups) { r.Heartbeats[0].Windows = nil },
		"heartbeats without a protocol": func(r *Groups) { r.Heartbeats[0].Protocol = "" },
	})
	path := filepath.Join(t.TempDir(), "r.json")
	for name, text := range map[string]string{"no JSON": "{", "an unknown field": `{"version":2,"commit":"a","cores":1,"surprise":1}`, "too long": strings.Repeat(" ", fileLimit+1)} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadGroups(path); !errors.Is(err, ErrNotAResult) {
			t.Errorf("Load of %s: %v", name, err)
		}
	}
}

func TestSectionOfGroups(t *testing.T) {
	if text := (Groups{}).Section(); text != "" {
		t.Errorf("nothing measured: %q", text)
	}
	text := soundGroups().Section()
	for _, line := range []string{
		"`make group-scale`, at abc, broker and clients on the same 2 cores.",
		"| classic range | `a=1` | 100 ∓ 10 | 500 | 3 | 2.00, 4.00 | 1.00, 1.00 | 3.50, 4.00 | 0.5 |",
		"| classic | `b=2` | 10 | 2 | 3000 ms | 1.0 s | 2 | 4.2, 5.0 | 1.2 / 10.0 ms, 2.0 / 11.5 ms | 0.2 | 80 MiB | 1.0, 2.0 |",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}
