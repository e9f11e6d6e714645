package formats

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// errNoLatency is the error of a trial or result that has no latency log beside it.
var errNoLatency = errors.New("no latency log lies beside it")

// WriteHlog writes an HdrHistogram interval log with absolute times, values in nanoseconds.
func WriteHlog(w io.Writer, intervals []*hdr.Histogram) error {
	log := hdr.NewHistogramLogWriter(w)
	if err := log.OutputLogFormatVersion(); err != nil {
		return err
	}
	if len(intervals) > 0 {
		if err := log.OutputStartTime(intervals[0].StartTimeMs()); err != nil {
			return err
		}
	}
	if err := log.OutputLegend(); err != nil {
		return err
	}
	for _, interval := range intervals {
		if err := log.OutputIntervalHistogram(interval); err != nil {
			return fmt.Errorf("hlog: %w", err)
		}
	}
	return nil
}

// latencyGroup is what one file of hlog or hgrm shows: the intervals of one client, or of one arm of one workload and part.
type latencyGroup struct {
	name      string
	intervals []*hdr.Histogram
}

// trialLatencies groups the logs of the runs that count. The logs of a trial hold the measured window alone.
func trialLatencies(j Judged) ([]latencyGroup, error) {
	var groups []latencyGroup
	for _, w := range j.Trial.Workloads {
		for _, arm := range j.arms() {
			for _, part := range []string{trial.PartCost, trial.PartSaturation} {
				group := latencyGroup{name: fileWord(fmt.Sprintf("%s-%s-%s", w.Name(), part, armName(arm)))}
				for _, r := range runsOf(w, arm) {
					intervals, err := runIntervals(j.Folder, r, part)
					if err != nil {
						return nil, err
					}
					group.intervals = append(group.intervals, intervals...)
				}
				groups = appendGroup(groups, group)
			}
		}
	}
	return groups, enough(groups)
}

// runIntervals reads the log of one part of a run; none when there is no log.
func runIntervals(folder string, r trial.Run, part string) ([]*hdr.Histogram, error) {
	name := r.LatencyLogs[part]
	if folder == "" || name == "" || !filepath.IsLocal(name) {
		return nil, nil
	}
	intervals, err := reports.ReadLatencyIntervals(filepath.Join(folder, name), 0)
	if errors.Is(err, fs.ErrNotExist) { // old logs may have been cleared away
		return nil, nil
	}
	return intervals, err
}

// resultLatencies groups the measured windows of the sound arm-runs by client.
func resultLatencies(s Stored) ([]latencyGroup, error) {
	var groups []latencyGroup
	for _, client := range s.Summary.Result.Clients {
		group := latencyGroup{name: fileWord(client)}
		for _, run := range s.Summary.Result.ArmRuns {
			if run.Client != client || !run.Sound() {
				continue
			}
			intervals, err := armRunIntervals(s.Folder, run)
			if err != nil {
				return nil, err
			}
			group.intervals = append(group.intervals, intervals...)
		}
		groups = appendGroup(groups, group)
	}
	return groups, enough(groups)
}

func armRunIntervals(folder string, run reports.ArmRun) ([]*hdr.Histogram, error) {
	if run.LatencyLog == "" || folder == "" {
		return nil, nil
	}
	intervals, err := reports.ReadLatencyIntervals(filepath.Join(folder, filepath.Base(run.LatencyLog)), run.Result.WindowStartUnixNs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return intervals, err
}

// appendGroup leaves out a group of nothing and sorts the others by time.
func appendGroup(groups []latencyGroup, group latencyGroup) []latencyGroup {
	if len(group.intervals) == 0 {
		return groups
	}
	slices.SortStableFunc(group.intervals, func(a, b *hdr.Histogram) int { return cmp.Compare(a.StartTimeMs(), b.StartTimeMs()) })
	return append(groups, group)
}

func enough(groups []latencyGroup) error {
	if len(groups) == 0 {
		return errNoLatency
	}
	return nil
}

func hlogTrialFiles(j Judged) ([]File, error) {
	groups, err := trialLatencies(j)
	return hlogFiles(groups), err
}

func hlogResultFiles(s Stored) ([]File, error) {
	groups, err := resultLatencies(s)
	return hlogFiles(groups), err
}

func hlogFiles(groups []latencyGroup) []File {
	var files []File
	for _, g := range groups {
		files = append(files, File{g.name + ".hlog", func(w io.Writer) error { return WriteHlog(w, g.intervals) }})
	}
	return files
}
