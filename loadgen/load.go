package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"

	"fluxmq/reports"
	"fluxmq/scenarios"
)

// Load is what the phases drive: workers that send while the gate is open,
// and the proof of what they sent. recordLoad sends records through a Client;
// the wire client brings its own, that replays whole requests.
type Load interface {
	// Version names the client library and its version.
	Version() string
	// Mapping says what the job's properties became.
	Mapping() *Mapping
	// Run starts every worker and returns when all ended, with the first error. ctx's end stops them and is no error.
	Run(ctx context.Context) error
	// Flush returns when everything sent is acknowledged or failed.
	Flush(ctx context.Context) error
	// Tallies are live counters, one a worker.
	Tallies() []*Tally
	// Latencies are live recorders of the produce latency.
	Latencies() []*Recorder
	// Batches is what was written so far.
	Batches() BatchStats
	// Verify reads the partitions below checked back and holds them against
	// what was sent. A read back that could not end is in the ledger's FailureText.
	Verify(ctx context.Context, ranges []PartitionRange, checked int) (reports.Ledger, error)
	// Close gives connections back. It may be called twice.
	Close()
}

// recordLoad is the load of a Client: one worker a thread, each with its own producer.
type recordLoad struct {
	job     scenarios.Job
	client  Client
	clock   *Clock
	limited bool // the window ends by a number of records
	// ctx lives as long as the load: records in flight outlast Run, and a
	// client drops a record whose context ended.
	ctx     context.Context
	cancel  context.CancelFunc
	workers []*worker
	once    sync.Once
}

// newRecordLoad connects threads producers, numbered from first.
func newRecordLoad(ctx context.Context, job scenarios.Job, client Client, clock *Clock, g *Gate, pool *Pool, first, threads int, quota int64) (*recordLoad, error) {
	load := &recordLoad{job: job, client: client, clock: clock, limited: quota > 0}
	load.ctx, load.cancel = context.WithCancel(ctx)
	bufferMemory, _ := strconv.ParseInt(job.Producer["buffer.memory"], 10, 64) // absent or wrong: the client's own error
	slots := slotsFor(threads, job.Payload.ValueBytes, bufferMemory)
	client.Mapping().Became("records in flight", "at most %d a producer", slots)
	for i := range threads {
		w := &worker{
			number: uint32(first + i), runTag: job.RunTag, clock: clock, gate: g,
			pacer: NewPacer(job.RatePerSecond, i, threads), quota: Share(quota, i, threads),
			keys: pool.Keys, keyRNG: rand.NewPCG(job.Payload.Seed, uint64(first+i)),
			ledger: &sentLog{}, latency: NewRecorder(),
		}
		w.fillSlots(slots, pool)
		producer, err := client.NewProducer(ctx)
		if err != nil {
			load.Close()
			return nil, fmt.Errorf("producer %d: %w", w.number, err)
		}
		w.producer = producer
		load.workers = append(load.workers, w)
	}
	return load, nil
}

// Share is the part of n that worker i of threads does; every part of a quota above 0 is above 0 unless n is less than threads.
func Share(n int64, i, threads int) int64 {
	part := n / int64(threads)
	if int64(i) < n%int64(threads) {
		part++
	}
	return part
}

// Run implements Load.
func (l *recordLoad) Run(ctx context.Context) error {
	if l.workers[0].pacer.Paced() {
		// Pacing threads sleep in system calls; they must not take processors from the client's goroutines.
		runtime.GOMAXPROCS(runtime.NumCPU() + len(l.workers))
	}
	startNs := l.clock.Now()
	release := context.AfterFunc(ctx, l.cancel)
	defer release()
	var all sync.WaitGroup
	failures := make([]error, len(l.workers))
	for i, w := range l.workers {
		w.startNs = startNs
		if l.limited && w.quota == 0 {
			continue // fewer records than threads
		}
		all.Add(1)
		go func() { // ends with the gate or l.ctx; awaited below
			defer all.Done()
			if failures[i] = w.run(l.ctx); failures[i] != nil {
				l.cancel()
			}
			w.Ended(l.clock.Now())
		}()
	}
	all.Wait()
	return errors.Join(failures...)
}

// Flush implements Load.
func (l *recordLoad) Flush(ctx context.Context) error {
	var all sync.WaitGroup
	failures := make([]error, len(l.workers))
	for i, w := range l.workers {
		all.Add(1)
		go func() { // ends with ctx; awaited below
			defer all.Done()
			failures[i] = w.producer.Flush(ctx)
		}()
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	for _, w := range l.workers {
		if open := w.sent.Load() - w.acknowledged.Load() - w.failed.Load(); open != 0 {
			return fmt.Errorf("flush: producer %d: %d records were neither acknowledged nor failed", w.number, open)
		}
	}
	return nil
}

// Version implements Load.
func (l *recordLoad) Version() string { return l.client.Version() }

// Mapping implements Load.
func (l *recordLoad) Mapping() *Mapping { return l.client.Mapping() }

// Tallies implements Load.
func (l *recordLoad) Tallies() []*Tally {
	var out []*Tally
	for _, w := range l.workers {
		out = append(out, &w.Tally)
	}
	return out
}

// Latencies implements Load.
func (l *recordLoad) Latencies() []*Recorder {
	var out []*Recorder
	for _, w := range l.workers {
		out = append(out, w.latency)
	}
	return out
}

// Batches implements Load.
func (l *recordLoad) Batches() BatchStats { return l.client.Batches() }

// audit makes the read side of the ledger over what was sent until now.
func (l *recordLoad) audit(ranges []PartitionRange, checked int) *audit {
	var sent []*sentLog
	var counts []uint64
	for _, w := range l.workers {
		sent = append(sent, w.ledger)
		counts = append(counts, w.ledger.count.Load())
	}
	return newAudit(l.job.RunTag, l.job.Payload.ValueBytes, sent, counts, ranges, checked)
}

// Verify implements Load.
func (l *recordLoad) Verify(ctx context.Context, ranges []PartitionRange, checked int) (reports.Ledger, error) {
	a := l.audit(ranges, checked)
	failure, err := readBack(ctx, l.client, ranges[:checked], a.observe)
	if err != nil {
		return reports.Ledger{}, err
	}
	ledger := a.finish()
	ledger.FailureText = failure
	return ledger, nil
}

// Close implements Load.
func (l *recordLoad) Close() {
	l.once.Do(func() {
		l.cancel()
		var all sync.WaitGroup
		for _, w := range l.workers {
			all.Add(1)
			go func() { // ends when the client gave up its connections; awaited below
				defer all.Done()
				w.producer.Close()
			}()
		}
		all.Wait()
	})
}
