package scale

import "fmt"

// GroupsVersion is the version of the file's form; LoadGroups refuses others.
const GroupsVersion = 2

// Groups is one run of `make group-scale`.
type Groups struct {
	Version int    `json:"version"`
	Commit  string `json:"commit"` // that was measured, "-dirty" when it was changed
	Cores   int    `json:"cores"`  // that broker and clients shared
	// Settles are the groups of many members, Heartbeats the many groups, in the order in which they ran.
	Settles    []Settle     `json:"settles"`
	Heartbeats []Heartbeats `json:"heartbeats"`
}

// Settle is how long one group took, in seconds, a figure a round: from the
// first client's start, from the first goodbye of those that left at once, and
// from the start of the first that came back.
type Settle struct {
	Protocol   string    `json:"protocol"` // and the assignor
	Settings   []string  `json:"settings"` // those that are not the default ones
	Members    int       `json:"members"`
	Moving     int       `json:"moving"` // how many left and came back
	Partitions int       `json:"partitions"`
	Start      []float64 `json:"start_seconds"`
	Leave      []float64 `json:"leave_seconds"`
	Return     []float64 `json:"return_seconds"`
	Load       float64   `json:"load"` // of the machine before it, as many processes wanted to run in the last minute
}

// Heartbeats is what many groups of one member cost the broker.
type Heartbeats struct {
	Protocol    string   `json:"protocol"`
	Settings    []string `json:"settings"` // those that are not the default ones, but for session timeouts and the initial delay
	Groups      int      `json:"groups"`
	Connections int      `json:"connections"`
	IntervalMs  int64    `json:"interval_ms"`
	JoinSeconds float64  `json:"join_seconds"` // until all groups were formed
	IdlePercent float64  `json:"idle_percent"` // of one core, the broker before it had groups
	Windows     []Window `json:"windows"`
	ResidentMiB int64    `json:"resident_mib"` // the broker's, at the end
}

// Window is one stretch of measuring.
type Window struct {
	Seconds float64 `json:"seconds"`
	Beats   int64   `json:"heartbeats"`
	Percent float64 `json:"percent"` // of one core, user and system, what the idle broker takes not counted
	P50     float64 `json:"p50_ms"`  // of the time from a heartbeat to its answer
	P99     float64 `json:"p99_ms"`
	Load    float64 `json:"load"` // of the machine after it
}

// check: what is shown was measured at least once.
func (r Groups) check() error {
	switch {
	case r.Version != GroupsVersion:
		return fmt.Errorf("%w: its version is %d, not %d", ErrNotAResult, r.Version, GroupsVersion)
	case r.Commit == "" || r.Cores < 1:
		return fmt.Errorf("%w: it lacks the commit or the cores", ErrNotAResult)
	case len(r.Settles)+len(r.Heartbeats) == 0:
		return fmt.Errorf("%w: nothing was measured", ErrNotAResult)
	}
	for _, s := range r.Settles {
		if s.Protocol == "" || s.Members < 1 || s.Partitions < 1 || len(s.Start) == 0 || len(s.Leave) == 0 || len(s.Return) == 0 {
			return fmt.Errorf("%w: a group without a protocol, a member, a partition or a round: %+v", ErrNotAResult, s)
		}
	}
	for _, h := range r.Heartbeats {
		if h.Protocol == "" || h.Groups < 1 || h.Connections < 1 || h.IntervalMs < 1 || len(h.Windows) == 0 {
			return fmt.Errorf("%w: heartbeats without a protocol, a group, a connection, an interval or a window: %+v", ErrNotAResult, h)
		}
	}
	return nil
}

// Save writes the result to a file, in a folder that it makes. The file is whole or not there.
func (r Groups) Save(path string) error { return save(path, r) }

// LoadGroups reads a result; the error of a file that is not there is fs.ErrNotExist.
func LoadGroups(path string) (Groups, error) { return load[Groups](path) }
