package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ProduceOptions say how lines become records.
type ProduceOptions struct {
	Topic string
	// Partition is where every record goes; -1 lets the key decide, as in the Java client.
	Partition int32
	// KeySeparator ends the key in a line; "" means that lines have no key.
	KeySeparator string
	// Key is the key of every record when KeySeparator is "" and it is not nil.
	Key []byte
	// NullValue makes an empty value a null, a tombstone.
	NullValue bool
	Headers   []kgo.RecordHeader
	// Compression is none, gzip, snappy, lz4 or zstd.
	Compression string
	// Acks is 0, 1, or -1 for all in-sync replicas; only all is idempotent.
	Acks int16
	// AutoCreate lets the broker create the topic, where it does so.
	AutoCreate bool
	// Delimiter ends a line; a carriage return before a line feed stays.
	Delimiter byte
	// MaxRecordBytes bounds one line; a longer one is an error.
	MaxRecordBytes int
	// DeliveryTimeout is how long a record may wait for its acknowledgement.
	DeliveryTimeout time.Duration
	// Delivered, where not nil, is called for each record in the order of
	// acknowledgement, one call at a time.
	Delivered func(*kgo.Record)
}

// DefaultMaxRecordBytes and DefaultDeliveryTimeout are what ProduceOptions
// take when nothing else is wanted: what fits Kafka's default
// max.message.bytes, and its delivery.timeout.ms.
const (
	DefaultMaxRecordBytes  = 1_000_000
	DefaultDeliveryTimeout = 2 * time.Minute
)

const (
	// maxMessageBytes is Kafka's default of max.message.bytes, which bounds a batch.
	maxMessageBytes = 1_048_588
	// batchOverheadBytes is what a batch needs beside one line: its header,
	// lengths, and the record's own headers up to a fair size.
	batchOverheadBytes = maxMessageBytes - DefaultMaxRecordBytes
	largestRecordBytes = 32 << 20
	// bufferedBytes is how much may wait for acknowledgement before reading pauses.
	bufferedBytes = 64 << 20
)

// Options are the franz-go options of a client that produces so.
func (o *ProduceOptions) Options() ([]kgo.Opt, error) {
	if o.MaxRecordBytes <= 0 || o.MaxRecordBytes > largestRecordBytes {
		return nil, inputf("a record of at most %d bytes; choose 1 to %d", o.MaxRecordBytes, largestRecordBytes)
	}
	if o.DeliveryTimeout < time.Second {
		return nil, inputf("a delivery timeout of %s; the least is 1s", o.DeliveryTimeout)
	}
	opts := []kgo.Opt{
		kgo.ProducerBatchMaxBytes(int32(max(maxMessageBytes, o.MaxRecordBytes+batchOverheadBytes))),
		kgo.MaxBufferedBytes(bufferedBytes),
		kgo.RecordDeliveryTimeout(o.DeliveryTimeout),
		// What is not acknowledged when the time is over or at an interrupt is
		// reported as failed, although the broker may have it.
		kgo.AllowIdempotentProduceCancellation(),
	}
	switch o.Acks {
	case -1:
	case 0:
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case 1:
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, inputf("acks %d; there are 0, 1 and all", o.Acks)
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[o.Compression]
	if !ok {
		return nil, inputf("compression %q; there are none, gzip, snappy, lz4 and zstd", o.Compression)
	}
	opts = append(opts, kgo.ProducerBatchCompression(codec))
	if o.Partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	} else if o.Partition < -1 {
		return nil, inputf("partition %d", o.Partition)
	}
	if o.AutoCreate {
		opts = append(opts, kgo.AllowAutoTopicCreation())
	}
	return opts, nil
}

// Produced counts records.
type Produced struct {
	Records int64 `json:"records"` // acknowledged; with acks 0, written
	Bytes   int64 `json:"bytes"`   // of their keys and values
}

// Produce sends every line of in and waits for all acknowledgements. It stops
// reading at the first refusal, at an error of in, and when ctx ends, between
// lines: reads of in should end with ctx too. What was acknowledged until then
// counts. The client must have been connected with o.Options. At most 64 MiB
// wait in memory for at most DeliveryTimeout.
func (c *Client) Produce(ctx context.Context, in io.Reader, o ProduceOptions) (Produced, error) {
	if o.Partition >= 0 {
		if _, err := c.ResolvePartitions(ctx, []Selection{{o.Topic, []int32{o.Partition}}}); err != nil {
			return Produced{}, err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		// mu guards the rest: promises run on a goroutine of the client.
		mu      sync.Mutex
		over    bool // this call has returned; what comes later does not count
		done    Produced
		refusal error
	)
	deliver := func(r *kgo.Record, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case over:
		case err == nil:
			done.Records++
			done.Bytes += int64(len(r.Key) + len(r.Value))
			if o.Delivered != nil {
				o.Delivered(r)
			}
		case refusal == nil:
			refusal = refused("topic "+o.Topic, err, "")
			stop()
		}
	}
	readErr := eachLine(ctx, in, o.Delimiter, o.MaxRecordBytes, func(line []byte) error {
		r, err := o.record(line)
		if err != nil {
			return err
		}
		c.kafka.Produce(ctx, r, deliver)
		return nil
	})
	// What was read is flushed even when reading failed; a refusal or an
	// interrupt ends the records through ctx.
	flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.DeliveryTimeout+time.Second)
	defer cancel()
	flushErr := c.kafka.Flush(flushing)
	mu.Lock()
	defer mu.Unlock()
	over = true
	switch {
	case refusal != nil:
		return done, refusal
	case readErr != nil && !errors.Is(readErr, context.Canceled):
		return done, readErr
	case flushErr != nil || readErr != nil:
		return done, refused("topic "+o.Topic, errors.Join(flushErr, readErr), "")
	}
	return done, nil
}

// record makes the record of a line; it keeps no reference to the line.
func (o *ProduceOptions) record(line []byte) (*kgo.Record, error) {
	r := &kgo.Record{Topic: o.Topic, Partition: max(o.Partition, 0), Key: o.Key, Headers: o.Headers}
	value := line
	if o.KeySeparator != "" {
		key, rest, found := bytes.Cut(line, []byte(o.KeySeparator))
		if !found {
			return nil, fmt.Errorf("line %q has no key separator %q", abbreviated(line), o.KeySeparator)
		}
		r.Key, value = bytes.Clone(key), rest
	}
	if len(value) > 0 || !o.NullValue {
		r.Value = append([]byte{}, value...)
	}
	return r, nil
}

// abbreviated is enough of a line to recognise it.
func abbreviated(line []byte) []byte { return line[:min(len(line), 40)] }

// eachLine visits the delimited lines of in; the last needs no delimiter. The
// line belongs to the reader and is valid during the call. ctx is looked at
// between lines: a read that blocks ends with its file.
func eachLine(ctx context.Context, in io.Reader, delimiter byte, maxBytes int, visit func([]byte) error) error {
	buffered := bufio.NewReaderSize(in, 64<<10)
	var long []byte
	for ctx.Err() == nil {
		part, err := buffered.ReadSlice(delimiter)
		if len(long)+len(part) > maxBytes+1 {
			return fmt.Errorf("a line is longer than %d bytes", maxBytes)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, part...)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading records: %w", err)
		}
		line := part
		if len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		ended := err != nil
		if ended && len(line) == 0 {
			return nil
		}
		if !ended {
			line = line[:len(line)-1]
		}
		if err := visit(line); err != nil || ended {
			return err
		}
		long = long[:0]
	}
	return ctx.Err()
}
