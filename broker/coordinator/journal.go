package coordinator

import (
	"errors"
	"log/slog"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// batchBytes: the records of a batch are written when they reach this size.
const batchBytes = 512 << 10

// JournalConfig is what a Journal is made of.
type JournalConfig struct {
	Log    Log
	Logger *slog.Logger
	// Coordinator ("group coordinator") and Partition are for log lines.
	Coordinator string
	Partition   int32
	// Written is told the end of the log after each batch, before the answers
	// leave; nil: nobody.
	Written func(end int64)
	// Failed is called once, when the log has failed: the shard drops what it
	// knows and answers what it holds.
	Failed func()
}

// Journal is how a shard writes to its log: records are gathered, written as
// one batch by Flush, and answers leave after them. When the log cannot be read
// or written it has failed for good. A shard embeds it; one goroutine uses it at a time.
type Journal struct {
	config      JournalConfig
	records     []record.Record // since the last Flush
	recordBytes int
	outbox      []outgoing
	end         int64 // of the log after our last append, or after the replay
	failure     error
}

// outgoing is an answer that leaves when the records are written, and, if
// durable, when they are on stable storage.
type outgoing struct {
	deliver func(failure error) // nil: as decided; else the request failed with it
	durable bool
}

// NewJournal returns an empty journal.
func NewJournal(c JournalConfig) *Journal { return &Journal{config: c} }

// Load replays the log: apply gets each record with its batch. One that it
// returns an error for is skipped and told, one with the error unknown only the
// first time. It reports false when the log cannot be read, and has failed then.
func (j *Journal) Load(unknown error, apply func(record.Batch, record.Record) error) (records, skipped int, ok bool) {
	err := j.config.Log.Replay(func(b record.Batch, r record.Record) error {
		records++
		j.end = b.LastOffset() + 1
		if err := apply(b, r); err != nil {
			skipped++
			if !errors.Is(err, unknown) || skipped == 1 {
				j.config.Logger.Warn("skipped a record of the "+j.config.Coordinator+"'s log",
					"partition", j.config.Partition, "offset", r.Offset, "error", err)
			}
		}
		return nil
	})
	if err != nil {
		j.Fail("load", err)
	}
	return records, skipped, err == nil
}

// Add appends records for the next Flush.
func (j *Journal) Add(records ...record.Record) {
	for _, r := range records {
		j.recordBytes += len(r.Key) + len(r.Value)
	}
	j.records = append(j.records, records...)
}

// Unwritten tells that records wait for a Flush, Full that they are enough for a batch.
func (j *Journal) Unwritten() bool { return len(j.records) > 0 }
func (j *Journal) Full() bool      { return j.recordBytes >= batchBytes }

// Answer implements Outbox: deliver is called by Flush, or after it, when all records so
// far are written, and, if durable, on stable storage. It must not block.
func (j *Journal) Answer(durable bool, deliver func(failure error)) {
	j.outbox = append(j.outbox, outgoing{deliver, durable})
}

// Flush writes the records since the last one as one batch, then lets the answers go.
func (j *Journal) Flush() {
	if len(j.records) > 0 && j.failure == nil {
		if err := j.write(); err != nil {
			j.Fail("append", err)
		}
	}
	out := j.outbox
	j.outbox = nil
	if len(out) == 0 {
		return
	}
	var failure error
	if j.failure != nil {
		failure = protocol.ErrNotCoordinator
	}
	var wait []outgoing
	for _, o := range out {
		if failure == nil && o.durable && j.end > 0 && j.config.Log.MustWait() {
			wait = append(wait, o)
			continue
		}
		o.deliver(failure)
	}
	if len(wait) == 0 {
		return
	}
	j.config.Log.WhenDurable(j.end, func(err error) {
		if err != nil {
			err = protocol.ErrNotCoordinator
		}
		for _, o := range wait {
			o.deliver(err)
		}
	})
}

func (j *Journal) write() error {
	batch, err := record.Builder{ProducerID: -1}.Build(j.records)
	j.drop()
	if err != nil {
		return err
	}
	end, err := j.config.Log.Append(batch)
	if err != nil {
		return err
	}
	j.end = end
	if j.config.Written != nil {
		j.config.Written(end)
	}
	return nil
}

func (j *Journal) drop() { j.records, j.recordBytes = nil, 0 }

// End is the log's end after our last append, or after the replay. Appended
// says that the shard has appended past the journal.
func (j *Journal) End() int64         { return j.end }
func (j *Journal) Appended(end int64) { j.end = end }

// Fail gives the log up: what was promised to its readers cannot be kept any
// more. Every request is refused from now on.
func (j *Journal) Fail(what string, err error) {
	j.failure = err
	j.config.Logger.Error(j.config.Coordinator+" gave a partition up", "partition", j.config.Partition, "operation", what, "error", err)
	j.config.Failed()
	j.drop()
}

// Failure is why the log was given up, nil while it was not.
func (j *Journal) Failure() error { return j.failure }
