package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// RefusedError says why a trial makes no point.
type RefusedError struct{ Trial, Reason string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("trial %s makes no point: %s", e.Trial, e.Reason)
}

// Addition is a point and the workload that it belongs to.
type Addition struct {
	Workload string
	Point    Point
}

// Add makes the points of a compare trial, one a workload. The base must be
// the pinned reference; a trial of the pinned reference against the one that
// it replaced makes links. Anything that is not a fair measurement of a clean
// commit is refused with a *RefusedError. It writes nothing: Store.Append does.
func Add(t *trial.Trial, v *verdict.Verdict, reference *Reference, head Commit) ([]Addition, error) {
	kind, reason := admissible(t, v, reference)
	if reason != "" {
		return nil, &RefusedError{t.ID, reason}
	}
	if head.SHA != t.Head.Commit {
		return nil, fmt.Errorf("points: the trial's head is %.12s, not %.12s", t.Head.Commit, head.SHA)
	}
	var additions []Addition
	for _, w := range t.Workloads {
		p := Point{
			Kind: kind, Commit: head.SHA, CommittedAt: head.CommittedAt.UTC(), Subject: head.Subject,
			Reference: t.Base.Commit, ReferenceSHA256: t.Base.Broker.SHA256, ScenarioSHA256: w.Scenario.SHA256,
			Host: HostClass(t.Host), MeasuredAt: time.Unix(0, t.StartedUnixNs).UTC().Truncate(time.Second),
			Trial: t.ID, Blocks: len(w.Kept()), Metrics: map[string]Ratio{},
		}
		for _, row := range v.Rows {
			r := Ratio{Ratio: row.Ratio, Low: row.Low, High: row.High, Blocks: row.Blocks}
			if row.Workload == w.Name() && row.Blocks > 0 && r.usable() {
				p.Metrics[row.Metric.Name] = r
			}
		}
		if len(p.Metrics) == 0 {
			return nil, &RefusedError{t.ID, fmt.Sprintf("no metric of %s has a ratio with a finite interval; measure more blocks", w.Name())}
		}
		additions = append(additions, Addition{w.Name(), p})
	}
	if len(additions) == 0 {
		return nil, &RefusedError{t.ID, "it holds no workload"}
	}
	return additions, nil
}

// admissible tells what kind of point a trial makes, or why none.
func admissible(t *trial.Trial, v *verdict.Verdict, reference *Reference) (kind, reason string) {
	kind = KindPoint
	switch {
	case t.Failure != "":
		return "", "it failed: " + t.Failure
	case v.Outcome == verdict.Correctness:
		return "", "records were lost, duplicated, reordered or corrupt"
	case v.Outcome == verdict.Invalid:
		return "", "its environment was invalid: " + v.Reason
	case !slices.Contains([]int{0, 4, 5}, t.Exit): // a regression and an inconclusive one are points like any other
		return "", fmt.Sprintf("it ended with exit code %d", t.Exit)
	case t.Kind != trial.KindCompare:
		return "", fmt.Sprintf("it is a %s: only a compare has a number of blocks that its results did not choose", t.Kind)
	case t.Head.Dirty:
		return "", "its head was built from a working tree with uncommitted changes"
	case t.Base.Dirty:
		return "", "its base was built from a working tree with uncommitted changes"
	case !isCommit(t.Head.Commit) || !isCommit(t.Base.Commit):
		return "", "it does not know the commits of both sides"
	case changed(t.Base) || changed(t.Head):
		return "", "a side had settings of its own: the ratio is not the commit's alone"
	case t.Base.Profile.Name != t.Head.Profile.Name:
		return "", fmt.Sprintf("the sides were built under different profiles: %s and %s", t.Base.Profile.Name, t.Head.Profile.Name)
	}
	if t.Base.Commit == reference.SHA {
		return kind, ""
	}
	if len(reference.Replaced) > 0 && t.Base.Commit == reference.Replaced[0].SHA && t.Head.Commit == reference.SHA {
		return KindLink, ""
	}
	return "", fmt.Sprintf("its base is %.12s, the pinned reference is %.12s", t.Base.Commit, reference.SHA)
}

func changed(s trial.Side) bool { return len(s.Overrides)+len(s.Env)+len(s.Client) > 0 }

// HostClass names a kind of machine without naming the machine: two that share it may still differ.
func HostClass(h reports.HostFingerprint) string {
	parts := []string{fmt.Sprintf("%d × %s", h.CPUs, h.CPUModel)}
	if h.Virtualization != "" {
		parts = append(parts, h.Virtualization)
	}
	return strings.Join(append(parts, h.GoVersion), ", ")
}
