package profilediff

import (
	"errors"
	"strings"

	"github.com/google/pprof/profile"
)

// RuntimeGroup is the line that stands for Go's runtime when it is grouped.
const RuntimeGroup = "runtime.* (scheduler, memory, garbage collection)"

// share of one profile's CPU: in the function itself, and in it or below it.
type share struct{ flat, cumulative float64 }

// attribute splits a CPU profile by function. Functions that the compiler
// inlined count as themselves, under pprof's names, so that a call which is
// inlined in one build only is no difference. ok is false for a profile
// without samples.
func attribute(p *profile.Profile, groupRuntime bool) (shares map[string]share, ok bool, err error) {
	cpu := -1
	for i, t := range p.SampleType {
		if t.Type == "cpu" && t.Unit == "nanoseconds" {
			cpu = i
		}
	}
	if cpu < 0 {
		return nil, false, errors.New("not a CPU profile")
	}
	shares = map[string]share{}
	var total float64
	for _, sample := range p.Sample {
		value := float64(sample.Value[cpu])
		total += value
		seen := map[string]bool{} // a recursive function counts once a sample
		for depth, name := range frames(sample, groupRuntime) {
			s := shares[name]
			if depth == 0 {
				s.flat += value
			}
			if !seen[name] {
				seen[name] = true
				s.cumulative += value
			}
			shares[name] = s
		}
	}
	if total <= 0 {
		return nil, false, nil
	}
	for name, s := range shares {
		shares[name] = share{s.flat / total, s.cumulative / total}
	}
	return shares, true, nil
}

// frames are a sample's functions, the innermost first. With the runtime
// grouped, the runtime's frames at the root (goexit, mcall) go away where
// something else was called from them, so that the group's cumulative share
// is what the program made the runtime do.
func frames(sample *profile.Sample, groupRuntime bool) []string {
	var names []string
	for _, location := range sample.Location {
		if len(location.Line) == 0 {
			names = append(names, "(unknown)")
		}
		for _, line := range location.Line {
			name := "(unknown)"
			if line.Function != nil {
				name = line.Function.Name
			}
			if groupRuntime && ofRuntime(name) {
				name = RuntimeGroup
			}
			names = append(names, name)
		}
	}
	for len(names) > 1 && names[len(names)-1] == RuntimeGroup {
		names = names[:len(names)-1]
	}
	return names
}

// ofRuntime tells whether a function is the runtime's own work; system calls are the program's.
func ofRuntime(name string) bool {
	if strings.HasPrefix(name, "internal/runtime/syscall") || strings.HasPrefix(name, "runtime/internal/syscall") {
		return false
	}
	for _, prefix := range []string{"runtime.", "runtime/", "internal/runtime/"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
