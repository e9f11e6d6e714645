package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"fluxmq/reports"
	"fluxmq/scenarios"
)

// Exit codes of a run.
const (
	ExitOK          = 0
	ExitRunError    = 1
	ExitUsage       = 2
	ExitIncorrect   = 6
	ExitInterrupted = 130
)

const (
	latencyFile = "latency.hlog"
	resultFile  = "client-result.json"

	flushLimit  = 180 * time.Second
	createLimit = 60 * time.Second
	tailSeconds = 5
	// recordsLimit bounds a window that ends by a number of records.
	recordsLimit = 20 * time.Minute
)

// Setup is what a load is made from.
type Setup struct {
	Job   scenarios.Job
	Clock *Clock
	Gate  *Gate
	Pool  *Pool
}

// Driver makes one client's load: exactly one of its fields is set.
type Driver struct {
	NewClient NewClient                                        // records, one by one, through a library
	NewLoad   func(ctx context.Context, s Setup) (Load, error) // something of its own
}

// Options are what Run needs beside the job.
type Options struct {
	Dir      string // created when missing; the files of an earlier run in it are an error
	Driver   Driver
	NewAdmin func(bootstrap string) (Admin, error)
	Events   *Events
	Log      io.Writer // words for people
}

// Run does one job from create to verify and leaves client-result.json and
// latency.hlog in the directory. The result is valid when err is nil; whether
// the ledger holds is for ExitCode. A ctx that ends stops it within seconds.
func Run(ctx context.Context, job scenarios.Job, o Options) (reports.ClientResult, error) {
	r := &run{job: job, Options: o, clock: NewClock()}
	if err := r.prepare(); err != nil {
		return reports.ClientResult{}, err
	}
	defer r.close()
	var err error
	if job.Mode == scenarios.ModeConsume {
		err = r.consume(ctx)
	} else {
		err = r.produce(ctx)
	}
	if err == nil {
		err = r.finish()
	}
	return r.result, err
}

// ExitCode is the verdict over a finished run.
func ExitCode(result reports.ClientResult) int {
	l := result.Ledger
	switch {
	case l.Lost+l.Duplicated+l.Reordered+l.Corrupt > 0:
		return ExitIncorrect
	case !l.Proven() || result.DeliveredUnixNs == 0 || result.Acknowledged == 0:
		return ExitRunError
	}
	return ExitOK
}

// run is one job on its way through the phases.
type run struct {
	Options
	job     scenarios.Job
	clock   *Clock
	pool    *Pool
	admin   Admin
	log     *IntervalLog
	sampler *sampler
	result  reports.ClientResult
	starts  []int64 // end offsets before the first send
	ends    []int64 // after the last
}

// prepare makes everything that needs no broker.
func (r *run) prepare() error {
	if (r.Driver.NewClient == nil) == (r.Driver.NewLoad == nil) {
		panic("loadgen: a driver has exactly one of NewClient and NewLoad")
	}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return fmt.Errorf("output directory: %w", err)
	}
	if _, err := os.Stat(filepath.Join(r.Dir, resultFile)); err == nil {
		return fmt.Errorf("%s holds the result of another run; results are never overwritten", r.Dir)
	}
	batchBytes, _ := strconv.Atoi(r.job.Producer["batch.size"]) // absent or wrong: the client's own error
	pool, err := NewPool(r.job.Payload, r.job.Producer["compression.type"], batchBytes)
	if err != nil {
		return err
	}
	r.pool = pool
	fmt.Fprintln(r.Log, pool.Describe())
	if !pool.Reached(r.job.Payload.CompressedRatio) {
		fmt.Fprintf(r.Log, "warning: the wanted ratio %.3f cannot be reached with values of %d bytes\n", r.job.Payload.CompressedRatio, r.job.Payload.ValueBytes)
	}
	if r.log, err = CreateIntervalLog(filepath.Join(r.Dir, latencyFile), r.clock.Now()); err != nil {
		return err
	}
	r.sampler = newSampler(r.clock, r.Events, r.log)
	r.result = reports.ClientResult{
		Schema: 1, RunID: r.job.RunID, Scenario: r.job.Scenario, Form: r.job.Form, Client: r.job.Client, Round: r.job.Round,
		Runtime: runtime.Version(), CompressedRatio: pool.Ratio, RatioSource: "payload pool, " + pool.Codec,
		LatencyLog: latencyFile, ProduceLatencyMeaning: "acknowledged", Unmapped: []string{},
		WarmUp: reports.WarmUpResult{Reason: "none asked", BucketRates: []float64{}},
	}
	if r.job.Producer["acks"] == "0" && r.job.Mode == scenarios.ModeProduce {
		r.result.ProduceLatencyMeaning = "handed to the socket (acks=0)"
	}
	return nil
}

func (r *run) close() {
	_, _ = r.sampler.stop() // its error is taken by finish
	_ = r.log.Close()       // closed and checked by finish already, unless the run failed anyway
	if r.admin != nil {
		r.admin.Close()
	}
}

// enter begins a phase: the event, the result's list, the sampler's intervals.
func (r *run) enter(name string) {
	now := r.clock.Now()
	if n := len(r.result.Phases); n > 0 && r.result.Phases[n-1].EndUnixNs == 0 {
		r.result.Phases[n-1].EndUnixNs = now
	}
	r.Events.phase(name, now)
	if name != phaseDone {
		r.result.Phases = append(r.result.Phases, reports.Phase{Name: name, StartUnixNs: now})
	}
	r.sampler.enter(name, name == phaseMeasure)
}

// create makes the topic and notes where its partitions end.
func (r *run) create(ctx context.Context) error {
	r.enter(phaseCreate)
	ctx, cancel := context.WithTimeout(ctx, createLimit)
	defer cancel()
	admin, err := r.NewAdmin(r.job.Bootstrap)
	if err != nil {
		return err
	}
	r.admin = admin
	if err := admin.CreateTopic(ctx, r.job.Topic, r.job.Partitions, r.job.ReplicationFactor, r.job.TopicConfigs); err != nil {
		return fmt.Errorf("create topic %s: %w", r.job.Topic, err)
	}
	if r.starts, err = admin.EndOffsets(ctx, r.job.Topic, r.job.Partitions); err != nil {
		return fmt.Errorf("end offsets of %s: %w", r.job.Topic, err)
	}
	return nil
}

// describeClient notes what the client made of the job. The mapping is complete once producers and consumers exist.
func (r *run) describeClient(version string, m *Mapping) {
	r.result.ClientVersion, r.result.Effective, r.result.Unmapped = version, m.Effective(), m.Unmapped()
}

// produce is mode produce.
func (r *run) produce(ctx context.Context) error {
	if err := r.create(ctx); err != nil {
		return err
	}
	g := newGate()
	load, client, err := r.newLoad(ctx, g)
	if err != nil {
		return err
	}
	defer load.Close()
	defer func() { r.describeClient(load.Version(), load.Mapping()) }()

	var readers *followers
	read := func() totals { return sumTallies(load.Tallies()) }
	if r.job.EndToEnd {
		if readers, err = r.followWindow(ctx, client, g); err != nil {
			return err
		}
		defer readers.stop()
		read = func() totals {
			t := sumTallies(load.Tallies())
			t.received = readers.received.Load()
			return t
		}
	}
	r.sampler.observe(read, TagProduce, load.Latencies())
	r.sampler.start()

	before, err := r.sendUntilWindowEnds(ctx, load, g)
	if err != nil {
		return err
	}
	r.enter(phaseFlush)
	if err := flush(ctx, load); err != nil {
		return err
	}
	r.result.FlushedUnixNs = r.clock.Now()
	r.noteBatches(load.Batches().Minus(before.batches))
	if err := r.deliver(ctx, load); err != nil {
		return err
	}
	if err := r.noteUsage(before.usage); err != nil {
		return err
	}
	if readers != nil {
		limit, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := readers.finish(limit, r.ends); err != nil {
			fmt.Fprintf(r.Log, "warning: %v\n", err) // the ledger will tell what is missing
		}
	}
	r.noteCounts(load)
	if r.result.PerSecond, err = r.sampler.stop(); err != nil {
		return err
	}
	load.Close()
	return r.verify(ctx, load)
}

// newLoad connects the job's producers; client is nil for a driver with a load of its own.
func (r *run) newLoad(ctx context.Context, g *Gate) (Load, Client, error) {
	if r.Driver.NewLoad != nil {
		load, err := r.Driver.NewLoad(ctx, Setup{Job: r.job, Clock: r.clock, Gate: g, Pool: r.pool})
		return load, nil, err
	}
	client, err := r.Driver.NewClient(r.job)
	if err != nil {
		return nil, nil, err
	}
	load, err := newRecordLoad(ctx, r.job, client, r.clock, g, r.pool, 0, r.job.Threads, r.job.MeasureRecords)
	if err != nil {
		return nil, nil, err
	}
	return load, client, nil
}

// followWindow starts consumers that record the end-to-end latency of the window's records.
func (r *run) followWindow(ctx context.Context, client Client, g *Gate) (*followers, error) {
	groups := split(int(r.job.Partitions), r.job.Threads)
	recorders := make([]*Recorder, len(groups))
	for i := range recorders {
		recorders[i] = NewRecorder()
	}
	r.sampler.alsoLatency(TagEndToEnd, recorders)
	return startFollowers(ctx, client, groups, r.starts, func(group int, _ int32, _ int64, value []byte) {
		h, ok := ReadHeader(value, r.job.Payload.ValueBytes)
		if ok && h.RunTag == r.job.RunTag && g.Measured(h.IntendedUnixNs) && !g.Over(h.IntendedUnixNs) {
			recorders[group].Record(r.clock.Now()-h.IntendedUnixNs, 1)
		}
	})
}

// snapshot is what was used when the window opened.
type snapshot struct {
	usage   processUsage
	batches BatchStats
}

// sendUntilWindowEnds warms up, opens the window and waits for the workers to end.
func (r *run) sendUntilWindowEnds(ctx context.Context, load Load, g *Gate) (before snapshot, err error) {
	limit, cancel := context.WithTimeout(ctx, r.sendLimit())
	defer cancel()
	open := func() error {
		usage, err := readUsage()
		if err != nil {
			return err
		}
		before = snapshot{usage: usage, batches: load.Batches()}
		r.enter(phaseMeasure)
		length := int64(r.job.MeasureSeconds * 1e9)
		if r.job.MeasureRecords > 0 {
			length = 0
		}
		now := r.clock.Now()
		g.open(now, length)
		r.result.WindowStartUnixNs = now
		return nil
	}
	if r.job.WarmUp.MaxSeconds <= 0 {
		if err := open(); err != nil {
			return before, err
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- load.Run(limit) }() // ends with the gate or limit; awaited below
	if r.job.WarmUp.MaxSeconds > 0 {
		err := r.warmUp(limit, load, ended)
		if err == nil {
			err = open()
		}
		if err != nil {
			cancel()
			if !errors.Is(err, errEndedInWarmUp) {
				<-ended
			}
			return before, err
		}
	}
	if err := <-ended; err != nil {
		return before, err
	}
	if limit.Err() != nil && ctx.Err() == nil {
		return before, fmt.Errorf("the window of %d records did not end within %v", r.job.MeasureRecords, recordsLimit)
	}
	return before, ctx.Err()
}

// sendLimit bounds warm-up and window together.
func (r *run) sendLimit() time.Duration {
	window := time.Duration(r.job.MeasureSeconds*float64(time.Second)) + (overrunSeconds+60)*time.Second
	if r.job.MeasureRecords > 0 {
		window = recordsLimit
	}
	return time.Duration(r.job.WarmUp.MaxSeconds*float64(time.Second)) + window
}

var errEndedInWarmUp = errors.New("the producers ended during the warm-up")

// warmUp watches the rate of acknowledgements until it is steady.
func (r *run) warmUp(ctx context.Context, load Load, ended <-chan error) error {
	r.enter(phaseWarmUp)
	detector := NewDetector(r.job.WarmUp)
	started := r.clock.Now()
	last, lastNs := sumTallies(load.Tallies()), started
	ticker := time.NewTicker(time.Duration(r.job.WarmUp.BucketMillis) * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return errors.Join(errEndedInWarmUp, err, ctx.Err())
		case <-ticker.C:
		}
		now, t := r.clock.Now(), sumTallies(load.Tallies())
		detector.Add(float64(t.acknowledged-last.acknowledged) * 1e9 / float64(now-lastNs))
		last, lastNs = t, now
		elapsed := float64(now-started) / 1e9
		if over, steady, reason := detector.Verdict(elapsed); over {
			r.result.WarmUp = reports.WarmUpResult{Steady: steady, Seconds: elapsed, Reason: reason, BucketRates: detector.Rates}
			return nil
		}
	}
}

func flush(ctx context.Context, load Load) error {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	return load.Flush(ctx)
}

// deliver waits until the end offsets have grown by what was sent without
// error; at the deadline it goes on, and the ledger will say what is missing.
func (r *run) deliver(ctx context.Context, load Load) error {
	r.enter(phaseDeliver)
	t := sumTallies(load.Tallies())
	delivered, err := r.awaitGrowth(ctx, r.starts, t.sent-t.failed)
	if err != nil {
		return err
	}
	if delivered {
		r.result.DeliveredUnixNs = r.clock.Now()
		r.Events.delivered(r.result.DeliveredUnixNs)
	} else {
		fmt.Fprintf(r.Log, "the end offsets did not grow by %d within %v s\n", t.sent-t.failed, r.job.DeliverTimeoutSeconds)
	}
	return nil
}

// awaitGrowth polls the end offsets, which land in r.ends.
func (r *run) awaitGrowth(ctx context.Context, from []int64, wanted int64) (bool, error) {
	limit, cancel := context.WithTimeout(ctx, time.Duration(r.job.DeliverTimeoutSeconds*float64(time.Second)))
	defer cancel()
	ticker := time.NewTicker(4 * time.Millisecond)
	defer ticker.Stop()
	for {
		ends, err := r.admin.EndOffsets(limit, r.job.Topic, r.job.Partitions)
		if err != nil && ctx.Err() == nil && limit.Err() == nil {
			return false, fmt.Errorf("end offsets of %s: %w", r.job.Topic, err)
		}
		if err == nil {
			r.ends = ends
			growth := int64(0)
			for p := range ends {
				growth += ends[p] - from[p]
			}
			if growth >= wanted {
				return true, nil
			}
		}
		select {
		case <-ticker.C:
		case <-limit.Done():
			if ctx.Err() == nil && r.ends == nil {
				return false, fmt.Errorf("end offsets of %s: no answer within %v s", r.job.Topic, r.job.DeliverTimeoutSeconds)
			}
			return false, ctx.Err()
		}
	}
}

func (r *run) noteUsage(before processUsage) error {
	now, err := readUsage()
	if err != nil {
		return err
	}
	r.result.CPUUserNs, r.result.CPUSystemNs, r.result.PeakRSS = now.UserNs-before.UserNs, now.SystemNs-before.SystemNs, now.PeakRSSBytes
	return nil
}

// noteBatches prefers what the client measured over what the payload pool promised.
func (r *run) noteBatches(b BatchStats) {
	r.result.Batches = b.Batches
	if b.Source != "" && b.Raw > 0 {
		r.result.CompressedRatio, r.result.RatioSource = b.Compressed/b.Raw, b.Source
	}
}

// noteCounts sums the workers up and computes the rates.
func (r *run) noteCounts(load Load) {
	for _, t := range load.Tallies() {
		r.result.WarmUpRecords += t.sent.Load() - t.measured.Load()
		r.result.Records += t.measured.Load()
		r.result.RawBytes += t.rawBytes.Load()
		r.result.Acknowledged += t.acknowledged.Load()
		r.result.SendErrors += t.failed.Load()
		r.result.LastSendUnixNs = max(r.result.LastSendUnixNs, t.lastSendNs.Load())
		if text := t.firstError.Load(); text != nil && r.result.FirstSendError == "" {
			r.result.FirstSendError = *text
		}
	}
	r.result.ClientRate = rate(r.result.Records, r.result.WindowStartUnixNs, r.result.LastSendUnixNs)
	if r.result.DeliveredUnixNs != 0 {
		r.result.DeliveredRate = rate(r.result.Records, r.result.WindowStartUnixNs, r.result.DeliveredUnixNs)
	}
}

func rate(records, fromNs, toNs int64) float64 {
	if toNs <= fromNs {
		return 0
	}
	return float64(records) * 1e9 / float64(toNs-fromNs)
}

// ranges are the parts of the partitions that this run wrote.
func (r *run) ranges() []PartitionRange {
	out := make([]PartitionRange, len(r.starts))
	for p := range out {
		out[p] = PartitionRange{r.starts[p], r.ends[p]}
	}
	return out
}

// verify reads back and checks.
func (r *run) verify(ctx context.Context, load Load) error {
	r.enter(phaseVerify)
	limit, cancel := context.WithTimeout(ctx, time.Duration(r.job.VerifyTimeoutSeconds*float64(time.Second)))
	defer cancel()
	checked := int(math.Ceil(r.job.VerifyFraction * float64(r.job.Partitions)))
	ledger, err := load.Verify(limit, r.ranges(), checked)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	r.result.Ledger = ledger
	r.Events.findings(ledger.Findings)
	return nil
}

// finish writes the files.
func (r *run) finish() error {
	r.enter(phaseDone)
	if err := r.log.Close(); err != nil {
		return err
	}
	if r.result.Ledger.Findings == nil {
		r.result.Ledger.Findings = []reports.Finding{}
	}
	text, err := json.MarshalIndent(r.result, "", "  ")
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	path := filepath.Join(r.Dir, resultFile)
	if err := os.WriteFile(path+".part", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}
