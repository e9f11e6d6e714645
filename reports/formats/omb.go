package formats

import (
	"fmt"
	"io"
	"math"
	"strconv"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// ombBucketSeconds is the length of OMB's intervals.
const ombBucketSeconds = 10

// ombQuantiles are those of the aggregated maps.
var ombQuantiles = []float64{0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100}

// ombResult is a result of the OpenMessaging Benchmark by key, for what is not known is left out.
//
// Its publish delay is the time from the intended send to the real one, and its
// publish latency begins at the real one. Ours begins at the intended send and
// holds the delay, so the delay is 0 here. Without a consumer, what OMB reads
// of it is 0, as OMB itself writes it.
type ombResult map[string]any

func newOMB(workload, driver string) ombResult {
	return ombResult{"workload": workload, "driver": driver}
}

// latencies sets one stage's arrays, an element for each histogram, and its
// aggregates over all. prefix is publishLatency, publishDelayLatency or endToEndLatency.
func (o ombResult) latencies(prefix string, each []*hdr.Histogram, unit float64) {
	total := hdr.New(1_000, 60_000_000_000, 3)
	arrays := map[string][]float64{}
	for _, h := range each {
		if h == nil {
			h = hdr.New(1_000, 60_000_000_000, 3)
		}
		total.Merge(h)
		for suffix, v := range ombFigures(h, unit) {
			arrays[suffix] = append(arrays[suffix], v)
		}
	}
	aggregated := "aggregated" + string(prefix[0]-'a'+'A') + prefix[1:]
	for suffix, v := range ombFigures(total, unit) {
		o[prefix+suffix] = arrays[suffix]
		o[aggregated+suffix] = v
	}
	quantiles := map[string]float64{}
	if total.TotalCount() > 0 {
		for _, q := range ombQuantiles {
			quantiles[strconv.FormatFloat(q, 'f', -1, 64)] = float64(total.ValueAtPercentile(q)) / unit
		}
	}
	o[aggregated+"Quantiles"] = quantiles
}

func ombFigures(h *hdr.Histogram, unit float64) map[string]float64 {
	figures := map[string]float64{"Avg": 0, "50pct": 0, "75pct": 0, "95pct": 0, "99pct": 0, "999pct": 0, "9999pct": 0, "Max": 0}
	if h.TotalCount() == 0 {
		return figures
	}
	figures["Avg"], figures["Max"] = h.Mean()/unit, float64(h.Max())/unit
	for suffix, q := range map[string]float64{"50pct": 50, "75pct": 75, "95pct": 95, "99pct": 99, "999pct": 99.9, "9999pct": 99.99} {
		figures[suffix] = float64(h.ValueAtPercentile(q)) / unit
	}
	return figures
}

func ombResultFiles(s Stored) ([]File, error) {
	var files []File
	for _, run := range s.Summary.Result.ArmRuns {
		if !run.Sound() {
			continue
		}
		name := fmt.Sprintf("%s-%s-%02d.json", fileWord(s.Summary.Result.Scenario.Name), fileWord(run.Client), run.Round)
		files = append(files, File{name, func(w io.Writer) error { return WriteOMBRun(w, s, run) }})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("omb: no arm-run is sound")
	}
	return files, nil
}

// WriteOMBRun writes one sound arm-run of a stored result.
func WriteOMBRun(w io.Writer, s Stored, run reports.ArmRun) error {
	result := s.Summary.Result
	o := newOMB(result.Scenario.Name, result.Target.Label()+" "+run.Client)
	o.jobFacts(run)
	buckets := ombBuckets(run)
	var publish, errors, consume []float64
	var backlog []int64
	held, total := int64(0), 0.0
	for _, b := range buckets {
		total += b.seconds
	}
	for _, b := range buckets { // when each send error happened is not known: they are spread evenly
		publish = append(publish, float64(b.acknowledged)/b.seconds)
		errors = append(errors, float64(run.Result.SendErrors)/total)
		consume = append(consume, float64(b.received)/b.seconds)
		if b.consuming {
			held = max(0, held+b.acknowledged-b.received)
		}
		backlog = append(backlog, held)
	}
	o["publishRate"], o["publishErrorRate"], o["consumeRate"], o["backlog"] = publish, errors, consume, backlog
	intervals, err := armRunIntervals(s.Folder, run)
	if err != nil {
		return err
	}
	stages := map[string][]*hdr.Histogram{}
	for _, interval := range intervals {
		at := int(float64(interval.StartTimeMs()-run.Result.WindowStartUnixNs/1e6) / 1e3 / ombBucketSeconds)
		at = min(max(at, 0), len(buckets)-1)
		each := stages[interval.Tag()]
		if each == nil {
			each = make([]*hdr.Histogram, len(buckets))
			stages[interval.Tag()] = each
		}
		if each[at] == nil {
			each[at] = hdr.New(1_000, 60_000_000_000, 3)
		}
		each[at].Merge(interval)
	}
	none := make([]*hdr.Histogram, len(buckets))
	if each := stages[reports.TagProduce]; each != nil {
		o.latencies("publishLatency", each, nsPerMs)
		o.latencies("publishDelayLatency", none, 1e3)
	}
	if each := stages[reports.TagEndToEnd]; each != nil {
		o.latencies("endToEndLatency", each, nsPerMs)
	} else if sum(consume) == 0 {
		o.latencies("endToEndLatency", none, nsPerMs)
	}
	return writeJSON(w, o)
}

// jobFacts copies what the job says of the load.
func (o ombResult) jobFacts(run reports.ArmRun) {
	o["topics"] = 1
	for key, from := range map[string]string{"partitions": "partitions", "producersPerTopic": "threads"} {
		if v, ok := run.Job[from].(float64); ok {
			o[key] = int64(v)
		}
	}
	if payload, ok := run.Job["payload"].(map[string]any); ok {
		if v, ok := payload["value_bytes"].(float64); ok {
			o["messageSize"] = int64(v)
		}
	}
}

// ombBucket is one of OMB's intervals.
type ombBucket struct {
	seconds                float64
	acknowledged, received int64
	consuming              bool
}

// ombBuckets sums the measured seconds by ten; a rest under a second joins the one before it.
func ombBuckets(run reports.ArmRun) []ombBucket {
	consuming := false
	for _, s := range run.Result.PerSecond {
		consuming = consuming || s.Received > 0
	}
	buckets := []ombBucket{{consuming: consuming}}
	for _, s := range run.Result.PerSecond {
		if !s.Measured {
			continue
		}
		last := &buckets[len(buckets)-1]
		if last.seconds > ombBucketSeconds-0.5 && s.Seconds >= 0.5 {
			buckets = append(buckets, ombBucket{consuming: consuming})
			last = &buckets[len(buckets)-1]
		}
		last.seconds, last.acknowledged, last.received = last.seconds+s.Seconds, last.acknowledged+s.Acknowledged, last.received+s.Received
	}
	if buckets[0].seconds == 0 { // no second was sampled: the window as a whole
		buckets[0].acknowledged = run.Result.Records
		buckets[0].seconds = math.Max(float64(run.Result.DeliveredUnixNs-run.Result.WindowStartUnixNs)/1e9, 1e-9)
	}
	return buckets
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

func ombTrialFiles(j Judged) ([]File, error) {
	var files []File
	for _, w := range j.Trial.Workloads {
		for _, arm := range j.arms() {
			if len(runsOf(w, arm)) > 0 {
				files = append(files, File{fileWord(w.Name()+"-"+armName(arm)) + ".json", func(out io.Writer) error { return WriteOMBArm(out, j, w, arm) }})
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("omb: no block is kept")
	}
	return files, nil
}

// WriteOMBArm writes one arm of one workload, an element for each run of part
// cost where OMB has one for ten seconds. Its rate is the offered one, at which
// the latencies were taken.
func WriteOMBArm(out io.Writer, j Judged, w trial.Workload, arm string) error {
	o := newOMB(w.Scenario.Name, armName(arm)+" "+reports.ShortCommit(sideOf(j.Trial, arm).Commit)+" "+w.Client)
	runs := runsOf(w, arm)
	var publish []float64
	zeros, backlog := make([]float64, len(runs)), make([]int64, len(runs))
	each := make([]*hdr.Histogram, len(runs))
	logs := 0
	for i, r := range runs {
		rate := w.RatePerSecond
		if rate == 0 {
			rate = r.Values[trial.Delivered]
		}
		publish = append(publish, rate)
		intervals, err := runIntervals(j.Folder, r, trial.PartCost)
		if err != nil {
			return err
		}
		if each[i] = merge(intervals)[reports.TagProduce]; each[i] != nil {
			logs++
		}
	}
	o["publishRate"], o["publishErrorRate"], o["consumeRate"], o["backlog"] = publish, zeros, zeros, backlog
	if logs == len(runs) {
		o.latencies("publishLatency", each, nsPerMs)
	} else {
		o.medianLatencies(runs)
	}
	none := make([]*hdr.Histogram, len(runs))
	o.latencies("publishDelayLatency", none, 1e3)
	o.latencies("endToEndLatency", none, nsPerMs)
	return writeJSON(out, o)
}

// medianLatencies stands in for the histograms: the runs' own quantiles, and the medians of them.
func (o ombResult) medianLatencies(runs []trial.Run) {
	quantiles := map[string]float64{}
	for _, q := range []struct{ metric, suffix, percentile string }{{trial.ProduceP50, "50pct", "50"}, {trial.ProduceP99, "99pct", "99"}, {trial.ProduceP999, "999pct", "99.9"}} {
		var values []float64
		for _, r := range runs {
			if v, ok := r.Values[q.metric]; ok && finite(v) {
				values = append(values, v/nsPerMs)
			}
		}
		if len(values) != len(runs) {
			continue
		}
		o["publishLatency"+q.suffix] = values
		quantiles[q.percentile] = reports.Median(values)
		o["aggregatedPublishLatency"+q.suffix] = quantiles[q.percentile]
	}
	if len(quantiles) > 0 {
		o["aggregatedPublishLatencyQuantiles"] = quantiles
	}
}
