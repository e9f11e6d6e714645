package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Start is where consuming begins.
type Start struct {
	kind startKind
	// value is an offset, how many records before the end, or unix ms.
	value int64
}

type startKind uint8

const (
	atEnd startKind = iota
	atBeginning
	atOffset
	beforeEnd
	atTime
)

// AtEnd and AtBeginning are the two starts that a group may have, too.
var (
	AtEnd       = Start{kind: atEnd}
	AtBeginning = Start{kind: atBeginning}
)

// ParseStart reads beginning (or earliest), end (or latest), an offset, -N for
// N records before the end, or @TIME with unix ms or a date and time.
func ParseStart(text string) (Start, error) {
	switch text {
	case "beginning", "earliest":
		return AtBeginning, nil
	case "end", "latest":
		return AtEnd, nil
	}
	if when, ok := strings.CutPrefix(text, "@"); ok {
		ms, err := ParseOffsetTime(when)
		if err != nil || ms < 0 {
			return Start{}, inputf("%q: after @ goes unix ms or a date and time", text)
		}
		return Start{atTime, int64(ms)}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return Start{}, inputf("%q is no start: use beginning, end, an offset, -N for the last N records, or @TIME", text)
	case n < 0:
		return Start{beforeEnd, -n}, nil
	}
	return Start{atOffset, n}, nil
}

// ConsumeOptions say what is read.
type ConsumeOptions struct {
	// Selections are at least one topic. A group reads whole topics.
	Selections []Selection
	// Group is the consumer group whose offsets are followed and committed; "" for none.
	Group string
	// Start is where partitions begin; in a group those without a committed
	// offset, and then only AtEnd and AtBeginning.
	Start Start
	// MaxRecords ends after so many; 0 is no limit.
	MaxRecords int64
	// ExitAtEnd ends when every partition was read up to the end that it had
	// when it was begun.
	ExitAtEnd bool
	// ReadCommitted hides what open and aborted transactions wrote.
	ReadCommitted bool
	// Flush, where not nil, is called after the records that came together were
	// visited, and before a group commits them.
	Flush func() error
	// Notice, where not nil, takes a sentence that a person should read: a
	// partition whose records went before they were read.
	Notice func(string)
}

func (o *ConsumeOptions) validate() error {
	if len(o.Selections) == 0 {
		return inputf("no topic is named")
	}
	if o.MaxRecords < 0 {
		return inputf("at most %d records", o.MaxRecords)
	}
	if o.Group == "" {
		return nil
	}
	if o.Start != AtEnd && o.Start != AtBeginning {
		return inputf("a group begins at its committed offsets; the start can be beginning or end for partitions without one")
	}
	for _, s := range o.Selections {
		if s.Partitions != nil {
			return inputf("a group reads all partitions of topic %s; name none", s.Topic)
		}
	}
	return nil
}

// flush calls Flush; what err says already comes first.
func (o *ConsumeOptions) flush(err error) error {
	if o.Flush == nil {
		return err
	}
	if flushErr := o.Flush(); flushErr != nil && (err == nil || errors.Is(err, errEnough)) {
		return flushErr
	}
	return err
}

// errEnough ends reading after MaxRecords; it does not leave this package.
var errEnough = errors.New("enough records")

// counted wraps visit so that it counts and ends after MaxRecords.
func (o *ConsumeOptions) counted(done *Produced, visit func(*kgo.Record) error) func(*kgo.Record) error {
	return func(r *kgo.Record) error {
		if err := visit(r); err != nil {
			return err
		}
		done.Records++
		done.Bytes += int64(len(r.Key) + len(r.Value))
		if done.Records == o.MaxRecords {
			return errEnough
		}
		return nil
	}
}

// Consume reads records until ExitAtEnd or MaxRecords says so, ctx ends
// (which is no error), visit returns an error, or the cluster refuses. visit
// gets one record at a time, in order in each partition, on the caller's
// goroutine; the record is its own. Without a group it is at every moment
// exactly one offset that comes next in a partition, so that ExitAtEnd is
// exact even where transaction markers or compaction leave gaps.
func Consume(ctx context.Context, to Options, o ConsumeOptions, visit func(*kgo.Record) error) (Produced, error) {
	var done Produced
	if err := o.validate(); err != nil {
		return done, err
	}
	read := readPartitions
	if o.Group != "" {
		read = readGroup
	}
	err := read(ctx, to, &o, o.counted(&done, visit))
	if errors.Is(err, errEnough) || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return done, err
}

// startsOf are the first offsets to read, in the partitions' order.
func (c *Client) startsOf(ctx context.Context, partitions []TopicPartition, from Start) ([]int64, error) {
	to := Reset{}
	switch from.kind {
	case atEnd:
		to.To = ToLatest
	case atBeginning:
		to.To = ToEarliest
	case atTime:
		to.To, to.Value = ToTime, from.value
	}
	all, err := c.boundsOf(ctx, partitions, to)
	if err != nil {
		return nil, err
	}
	starts := make([]int64, len(partitions))
	for n, b := range all {
		switch from.kind {
		case beforeEnd:
			starts[n] = max(b.start, b.end-from.value)
		case atOffset:
			if from.value < b.start || from.value > b.end {
				return nil, refused(partitions[n].String(), kerr.OffsetOutOfRange, fmt.Sprintf("offset %d is not within %d to %d", from.value, b.start, b.end))
			}
			starts[n] = from.value
		default:
			if starts[n], _, err = to.target(nil, 0, b); err != nil {
				return nil, err
			}
		}
	}
	return starts, nil
}
