package loadgen

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sync"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

const (
	latencyLowestNs  = 1_000
	latencyHighestNs = 60_000_000_000
	latencyDigits    = 3
)

// Tags of the interval log.
const (
	TagProduce  = "produce"
	TagEndToEnd = "e2e"
)

func newHistogram() *hdr.Histogram { return hdr.New(latencyLowestNs, latencyHighestNs, latencyDigits) }

// Recorder is one worker's histogram. Record is called by one goroutine;
// takeInto may be called by another at any time.
type Recorder struct {
	mu     sync.Mutex // guards active
	active *hdr.Histogram
	spare  *hdr.Histogram // owned by takeInto's caller
}

// NewRecorder makes an empty one (about 600 KB).
func NewRecorder() *Recorder { return &Recorder{active: newHistogram(), spare: newHistogram()} }

// Record counts count values of ns nanoseconds; values beyond a minute count as a minute.
func (r *Recorder) Record(ns, count int64) {
	ns = min(max(ns, 0), latencyHighestNs)
	r.mu.Lock()
	_ = r.active.RecordValues(ns, count) // cannot fail: ns is within the bounds
	r.mu.Unlock()
}

// takeInto adds what was recorded since the last call to sum and forgets it.
func (r *Recorder) takeInto(sum *hdr.Histogram) {
	r.mu.Lock()
	r.active, r.spare = r.spare, r.active
	r.mu.Unlock()
	if r.spare.TotalCount() > 0 {
		sum.Merge(r.spare)
		r.spare.Reset()
	}
}

// IntervalLog writes merged histograms as an HdrHistogram interval log that
// Java's HistogramLogReader reads: one line an interval and tag. Not for
// concurrent use.
type IntervalLog struct {
	file   *os.File
	buffer *bufio.Writer
	writer *hdr.HistogramLogWriter
	sum    *hdr.Histogram
	total  map[string]*hdr.Histogram
}

// CreateIntervalLog creates the file (an existing one is an error) and writes its header.
func CreateIntervalLog(path string, startUnixNs int64) (*IntervalLog, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("latency log: %w", err)
	}
	l := newIntervalLog(file, startUnixNs)
	l.file = file
	if err := l.buffer.Flush(); err != nil {
		return nil, fmt.Errorf("latency log: %w", err)
	}
	return l, nil
}

func newIntervalLog(w io.Writer, startUnixNs int64) *IntervalLog {
	buffer := bufio.NewWriter(w)
	// The header is written here, with dots in the times whatever the locale: Java's reader wants them so. Errors stick to the buffer.
	fmt.Fprintf(buffer, "#[Histogram log format version 1.3]\n")
	fmt.Fprintf(buffer, "#[StartTime: %d.%03d (seconds since epoch)]\n", startUnixNs/1e9, startUnixNs/1e6%1e3)
	fmt.Fprintf(buffer, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n")
	return &IntervalLog{buffer: buffer, writer: hdr.NewHistogramLogWriter(buffer), sum: newHistogram(), total: map[string]*hdr.Histogram{}}
}

// Write merges the recorders of one tag into one interval. Empty intervals are left out.
func (l *IntervalLog) Write(tag string, fromUnixNs, toUnixNs int64, recorders []*Recorder) error {
	l.sum.Reset()
	for _, r := range recorders {
		r.takeInto(l.sum)
	}
	if l.sum.TotalCount() == 0 {
		return nil
	}
	if l.total[tag] == nil {
		l.total[tag] = newHistogram()
	}
	l.total[tag].Merge(l.sum)
	l.sum.SetTag(tag)
	l.sum.SetStartTimeMs(fromUnixNs / 1e6)
	l.sum.SetEndTimeMs(toUnixNs / 1e6)
	if err := l.writer.OutputIntervalHistogram(l.sum); err != nil {
		return fmt.Errorf("latency log: %w", err)
	}
	return nil
}

// Total is everything written so far for a tag; nil when nothing was.
func (l *IntervalLog) Total(tag string) *hdr.Histogram { return l.total[tag] }

// Close flushes and closes the file.
func (l *IntervalLog) Close() error {
	err := l.buffer.Flush()
	if l.file != nil {
		if closeErr := l.file.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return fmt.Errorf("latency log: %w", err)
	}
	return nil
}

// ReadIntervalLog merges an interval log by tag.
func ReadIntervalLog(path string) (map[string]*hdr.Histogram, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("latency log: %w", err)
	}
	defer file.Close()
	reader := hdr.NewHistogramLogReader(file)
	totals := map[string]*hdr.Histogram{}
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			return nil, fmt.Errorf("latency log %s: %w", path, err)
		}
		if h == nil {
			return totals, nil
		}
		if totals[h.Tag()] == nil {
			totals[h.Tag()] = newHistogram()
		}
		totals[h.Tag()].Merge(h)
	}
}
