package formats

import (
	"io"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"fluxmq/reports"
)

// hgrmTicks are the lines per halving of the distance to 100 %, the usual number.
const hgrmTicks = 5

// nsPerMs scales the values: .hgrm files hold milliseconds by custom.
const nsPerMs = 1e6

// WriteHgrm writes the percentile distribution of one histogram of nanoseconds, in milliseconds.
func WriteHgrm(w io.Writer, histogram *hdr.Histogram) error {
	_, err := histogram.PercentilesPrint(w, hgrmTicks, nsPerMs)
	return err
}

func hgrmTrialFiles(j Judged) ([]File, error) {
	groups, err := trialLatencies(j)
	return hgrmFiles(groups), err
}

func hgrmResultFiles(s Stored) ([]File, error) {
	groups, err := resultLatencies(s)
	return hgrmFiles(groups), err
}

// hgrmFiles makes a file of each group and tag, its intervals merged.
func hgrmFiles(groups []latencyGroup) []File {
	var files []File
	for _, g := range groups {
		merged := merge(g.intervals)
		for _, tag := range reports.SortedKeys(merged) {
			files = append(files, File{g.name + "-" + fileWord(tag) + ".hgrm", func(w io.Writer) error { return WriteHgrm(w, merged[tag]) }})
		}
	}
	return files
}

// merge sums intervals by tag.
func merge(intervals []*hdr.Histogram) reports.Latencies {
	merged := reports.Latencies{}
	for _, interval := range intervals {
		merged.Merge(reports.Latencies{interval.Tag(): interval})
	}
	return merged
}
