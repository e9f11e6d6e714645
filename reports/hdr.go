package reports

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Tags of a latency log.
const (
	TagProduce  = "produce" // intended send → acknowledged (acks=0: handed to the socket)
	TagEndToEnd = "e2e"     // intended send → received
)

// Histogram limits of the load contract: 1 µs to 60 s in ns, 3 significant digits.
const (
	latencyLowest  = 1_000
	latencyHighest = 60_000_000_000
	latencyDigits  = 3
)

// Latencies are the merged histograms of one or more arm-runs, by tag; values are nanoseconds.
type Latencies map[string]*hdr.Histogram

// ReadLatencyLog merges the intervals of one .hlog whose start lies at or after
// fromUnixNs (0: all of them), by tag.
func ReadLatencyLog(path string, fromUnixNs int64) (Latencies, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	into := Latencies{}
	if err := into.add(file, fromUnixNs); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return into, nil
}

// add reads one interval log.
func (l Latencies) add(r io.Reader, fromUnixNs int64) error {
	return eachInterval(r, fromUnixNs, func(interval *hdr.Histogram) { l.merge(interval.Tag(), interval) })
}

// ReadLatencyIntervals returns the intervals of one .hlog whose start lies at or after fromUnixNs (0: all of them), in the file's order.
func ReadLatencyIntervals(path string, fromUnixNs int64) ([]*hdr.Histogram, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var intervals []*hdr.Histogram
	if err := eachInterval(file, fromUnixNs, func(interval *hdr.Histogram) { intervals = append(intervals, interval) }); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return intervals, nil
}

// eachInterval leaves out intervals that began more than half a second before fromUnixNs:
// the log's own interval boundaries need not fall on the window's start.
func eachInterval(r io.Reader, fromUnixNs int64, take func(*hdr.Histogram)) error {
	reader := hdr.NewHistogramLogReader(r)
	for {
		interval, err := reader.NextIntervalHistogram()
		if err != nil {
			return fmt.Errorf("histogram log: %w", err)
		}
		if interval == nil {
			return nil
		}
		if fromUnixNs > 0 && interval.StartTimeMs()*1e6 < fromUnixNs-5e8 {
			continue
		}
		take(interval)
	}
}

func (l Latencies) merge(tag string, from *hdr.Histogram) {
	into := l[tag]
	if into == nil {
		into = hdr.New(latencyLowest, latencyHighest, latencyDigits)
		l[tag] = into
	}
	into.Merge(from)
}

// Merge adds the histograms of other.
func (l Latencies) Merge(other Latencies) {
	for tag, histogram := range other {
		l.merge(tag, histogram)
	}
}

// Quantiles of one merged histogram, in nanoseconds. Count 0 means nothing was recorded.
type Quantiles struct {
	Count int64
	P50   int64
	P99   int64
	P999  int64
	Max   int64
}

// Quantiles reads the table's quantiles of one tag.
func (l Latencies) Quantiles(tag string) Quantiles {
	histogram := l[tag]
	if histogram == nil || histogram.TotalCount() == 0 {
		return Quantiles{}
	}
	return Quantiles{
		Count: histogram.TotalCount(),
		P50:   histogram.ValueAtPercentile(50),
		P99:   histogram.ValueAtPercentile(99),
		P999:  histogram.ValueAtPercentile(99.9),
		Max:   histogram.Max(),
	}
}

// CurvePoint is one point of a latency-by-percentile curve.
type CurvePoint struct {
	Percentile float64 // 0 to 100
	ValueNs    int64
}

// Curve samples the histogram at percentiles equally spaced in log(1/(1-p)), as far as its count supports.
func (l Latencies) Curve(tag string) []CurvePoint {
	histogram := l[tag]
	if histogram == nil || histogram.TotalCount() == 0 {
		return nil
	}
	var points []CurvePoint
	decades := math.Log10(float64(histogram.TotalCount()))
	const perDecade = 12
	for step := 0; ; step++ {
		x := float64(step) / perDecade
		if x > decades {
			break
		}
		percentile := 100 * (1 - math.Pow(10, -x))
		points = append(points, CurvePoint{percentile, histogram.ValueAtPercentile(percentile)})
	}
	return points
}

// latencyLogs reads the logs of every arm-run of one client from the folder the result lies in.
// A log that is missing is not an error: older rounds may have failed before they wrote one.
func latencyLogs(result *Result, folder, client string) (Latencies, error) {
	merged := Latencies{}
	if folder == "" {
		return merged, nil
	}
	for _, run := range result.ArmRuns {
		if run.Client != client || run.LatencyLog == "" || run.Result == nil {
			continue
		}
		one, err := ReadLatencyLog(filepath.Join(folder, filepath.Base(run.LatencyLog)), run.Result.WindowStartUnixNs)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		merged.Merge(one)
	}
	return merged, nil
}

// Median of values; 0 of none. The slice is not changed.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
