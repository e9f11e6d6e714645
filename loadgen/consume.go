package loadgen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"fluxmq/reports"
	"fluxmq/scenarios"
)

// consume is mode consume: fill the topic, read it again and again from start
// to end, then measure end-to-end latency at its end.
func (r *run) consume(ctx context.Context) error {
	if r.Driver.NewClient == nil {
		return fmt.Errorf("client %s cannot consume", r.job.Client)
	}
	if err := r.create(ctx); err != nil {
		return err
	}
	filled := r.job
	filled.RatePerSecond = 0
	filled.Producer = maps.Clone(r.job.Producer)
	if filled.Producer == nil {
		filled.Producer = map[string]string{}
	}
	filled.Producer["acks"] = "all"
	client, err := r.Driver.NewClient(filled)
	if err != nil {
		return err
	}
	defer func() { r.describeClient(client.Version(), client.Mapping()) }()

	load, err := r.fill(ctx, client, filled)
	if err != nil {
		return err
	}
	defer load.Close()

	// The tail's producer is one more in the same ledger; it sends at most so many records.
	tailGate := newGate()
	tail, err := newRecordLoad(ctx, r.job, client, r.clock, tailGate, r.pool, r.job.Threads, 1, 0)
	if err != nil {
		return err
	}
	defer tail.Close()
	both := &recordLoad{job: r.job, workers: append(append([]*worker{}, load.workers...), tail.workers...)}
	checked := int(math.Ceil(r.job.VerifyFraction * float64(r.job.Partitions)))
	a := both.audit(r.ranges(), checked)
	last := len(a.counts) - 1
	a.counts[last] = uint64(math.Ceil(r.job.RatePerSecond*(tailSeconds+1))) + 1
	a.readAt[last] = make([]uint32, a.counts[last])

	failure, err := r.passes(ctx, client, a)
	if err != nil {
		return err
	}
	if failure == "" {
		if err := r.tail(ctx, client, tail, tailGate, a); err != nil {
			return err
		}
	}
	r.enter(phaseVerify) // the first pass has read everything already; here it is judged
	a.counts[last] = tail.workers[0].ledger.count.Load()
	r.noteFill(load, tail)
	r.result.Ledger = a.finish()
	r.result.Ledger.FailureText = failure
	r.Events.findings(r.result.Ledger.Findings)
	return nil
}

// fill writes fill_records, acknowledged by all replicas.
func (r *run) fill(ctx context.Context, client Client, job scenarios.Job) (*recordLoad, error) {
	g := newGate()
	load, err := newRecordLoad(ctx, job, client, r.clock, g, r.pool, 0, job.Threads, job.FillRecords)
	if err != nil {
		return nil, err
	}
	r.enter(phaseFill)
	r.sampler.observe(func() totals { return sumTallies(load.Tallies()) }, "fill", nil)
	r.sampler.start()
	limit, cancel := context.WithTimeout(ctx, recordsLimit)
	defer cancel()
	g.open(r.clock.Now(), 0)
	err = load.Run(limit)
	if err == nil {
		err = limit.Err()
	}
	if err == nil {
		err = flush(ctx, load)
	}
	delivered := false
	if err == nil {
		t := sumTallies(load.Tallies())
		if delivered, err = r.awaitGrowth(ctx, r.starts, t.sent-t.failed); err == nil && !delivered {
			fmt.Fprintf(r.Log, "the end offsets did not grow by %d within %v s\n", t.sent-t.failed, r.job.DeliverTimeoutSeconds)
		}
	}
	if err != nil {
		load.Close()
		return nil, fmt.Errorf("fill: %w", err)
	}
	return load, nil
}

// passes reads the topic with `threads` consumers until measure_seconds have
// passed, each ending its pass. The first pass feeds the ledger.
func (r *run) passes(ctx context.Context, client Client, a *audit) (failure string, err error) {
	groups := split(int(r.job.Partitions), r.job.Threads)
	readers := make([]*partitionReader, len(groups))
	for i := range groups {
		consumer, err := client.NewConsumer(ctx)
		if err != nil {
			return "", fmt.Errorf("consumer %d: %w", i, err)
		}
		defer consumer.Close()
		readers[i] = &partitionReader{consumer: consumer}
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration((r.job.MeasureSeconds+r.job.VerifyTimeoutSeconds)*float64(time.Second)))
	defer cancel()
	before, err := readUsage()
	if err != nil {
		return "", err
	}
	r.enter(phaseMeasure)
	r.sampler.observe(func() totals {
		var t totals
		for _, reader := range readers {
			t.received += reader.received.Load()
		}
		return t
	}, "fill", nil)
	start := r.clock.Now()
	end := start + int64(r.job.MeasureSeconds*1e9)
	var all sync.WaitGroup
	failures, errs := make([]string, len(groups)), make([]error, len(groups))
	for i, group := range groups {
		all.Add(1)
		go func() { // ends a pass after the window's end, or with limit; awaited below
			defer all.Done()
			see := a.observe
			checkedOnly := func(p int32, offset int64, value []byte) {
				if int(p) < a.checked {
					see(p, offset, value)
				}
			}
			for pass := 0; failures[i] == "" && errs[i] == nil && (pass == 0 || r.clock.Now() < end); pass++ {
				if pass > 0 {
					checkedOnly = func(int32, int64, []byte) {}
				}
				failures[i], errs[i] = readers[i].pass(limit, group, r.ranges(), checkedOnly)
			}
		}()
	}
	all.Wait()
	now := r.clock.Now()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	for _, text := range failures {
		if text != "" && failure == "" {
			failure = text
		}
	}
	for _, reader := range readers {
		r.result.Records += reader.received.Load()
		r.result.RawBytes += reader.rawBytes.Load()
	}
	r.result.WindowStartUnixNs, r.result.LastSendUnixNs, r.result.FlushedUnixNs = start, now, now
	r.result.ClientRate = rate(r.result.Records, start, now)
	if failure == "" {
		r.result.DeliveredUnixNs, r.result.DeliveredRate = now, r.result.ClientRate
		r.Events.delivered(now)
	}
	return failure, errors.Join(append(errs, r.noteUsage(before))...)
}

// tail lets one producer send at the job's rate for five seconds while
// consumers wait at the end of the log.
func (r *run) tail(ctx context.Context, client Client, load *recordLoad, g *Gate, a *audit) error {
	r.enter(phaseTail)
	from := r.ends
	groups := split(int(r.job.Partitions), r.job.Threads)
	recorders := make([]*Recorder, len(groups))
	for i := range recorders {
		recorders[i] = NewRecorder()
	}
	readers, err := startFollowers(ctx, client, groups, from, func(group int, p int32, offset int64, value []byte) {
		h, ok := ReadHeader(value, r.job.Payload.ValueBytes)
		if ok && h.RunTag == r.job.RunTag {
			recorders[group].Record(r.clock.Now()-h.IntendedUnixNs, 1)
		}
		if int(p) < a.checked {
			a.observe(p, offset, value)
		}
	})
	if err != nil {
		return err
	}
	defer readers.stop()
	r.sampler.observe(func() totals {
		t := sumTallies(load.Tallies())
		t.received = readers.received.Load()
		return t
	}, TagProduce, load.Latencies())
	r.sampler.alsoLatency(TagEndToEnd, recorders)
	g.open(r.clock.Now(), tailSeconds*1e9)
	if err := load.Run(ctx); err != nil {
		return fmt.Errorf("tail: %w", err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := flush(ctx, load); err != nil {
		return fmt.Errorf("tail: %w", err)
	}
	t := sumTallies(load.Tallies())
	if _, err := r.awaitGrowth(ctx, from, t.sent-t.failed); err != nil {
		return fmt.Errorf("tail: %w", err)
	}
	limit, cancel := context.WithTimeout(ctx, idleLimit)
	defer cancel()
	if err := readers.finish(limit, r.ends); err != nil {
		fmt.Fprintf(r.Log, "warning: %v\n", err) // the ledger will tell what is missing
	}
	for p, end := range r.ends {
		a.partitions[p].End, a.partitions[p].ledger.EndOffset = end, end
	}
	r.result.TailRecords = readers.received.Load()
	var stopErr error
	if r.result.PerSecond, stopErr = r.sampler.stop(); stopErr != nil {
		return stopErr
	}
	return nil
}

// noteFill counts acknowledgements of fill and tail.
func (r *run) noteFill(loads ...*recordLoad) {
	for _, load := range loads {
		for _, t := range load.Tallies() {
			r.result.Acknowledged += t.acknowledged.Load()
			r.result.SendErrors += t.failed.Load()
			if text := t.firstError.Load(); text != nil && r.result.FirstSendError == "" {
				r.result.FirstSendError = *text
			}
		}
	}
	if r.result.PerSecond == nil {
		r.result.PerSecond = []reports.Second{}
	}
}
