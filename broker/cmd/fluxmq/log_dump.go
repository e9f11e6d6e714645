package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/logdump"

	"github.com/spf13/cobra"
)

func logCommand() *cobra.Command {
	return commandGroup("log", "Look at the files of the log", logDumpCommand())
}

func logDumpCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "dump PATH...", Short: "Print and check segments, indexes and snapshots of partitions",
		Long: `Print and check files of partitions: segments (.log), offset and time indexes,
transaction indexes, producer snapshots and leader epochs, of this broker or of
Apache Kafka. A PATH is a file or a partition's directory. Files are opened for
reading alone, so that a broker may run on them. Lines are those of Kafka's
kafka-dump-log; -o json prints one JSON document a line. What is wrong is
printed as a problem, and ends the command with 1 when all is read.`,
		Example: `  fluxmq log dump data/orders-0
  fluxmq log dump data/orders-0/00000000000000000000.log --records -o json
  fluxmq log dump data/* --verify-only`,
	}
	f := outputFlag(c, "table (Kafka's lines), json or yaml")
	o := logdump.Options{}
	c.Flags().BoolVarP(&o.Records, "records", "r", false, "the records of each batch, with keys, values and headers")
	c.Flags().Int64Var(&o.From, "from-offset", 0, "only batches that hold this offset or later ones")
	c.Flags().Int64Var(&o.To, "to-offset", -1, "only batches that hold this offset or earlier ones; -1 is no bound")
	verifyOnly := c.Flags().Bool("verify-only", false, "print problems alone; records are checked, too")
	c.Args = arguments(cobra.MinimumNArgs(1))
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Records = o.Records || *verifyOnly
		out := bufio.NewWriter(c.OutOrStdout())
		d := dumpPrinter{out: out, format: *f, verifyOnly: *verifyOnly}
		problems, err := logdump.Dump(commitlog.OS{}, args, o, func(e logdump.Entry) error {
			if err := c.Context().Err(); err != nil {
				return err
			}
			return d.print(e)
		})
		if flushErr := out.Flush(); err == nil {
			err = flushErr
		}
		switch {
		case err != nil || problems == 0:
			return err
		case problems == 1:
			return errors.New("one problem was found")
		}
		return fmt.Errorf("%d problems were found", problems)
	}
	return c
}

// dumpPrinter prints the entries of a dump.
type dumpPrinter struct {
	out        io.Writer
	format     format
	verifyOnly bool
	timestamps string // of the batch that records belong to
}

// dumpedRecord is a record of a dump with its bytes as text or base64.
type dumpedRecord struct {
	logdump.Record
	Key         *string          `json:"key"`
	KeyBase64   *string          `json:"keyBase64,omitempty"`
	Value       *string          `json:"value"`
	ValueBase64 *string          `json:"valueBase64,omitempty"`
	Headers     []headerDocument `json:"headers"`
}

func (d *dumpPrinter) print(e logdump.Entry) error {
	if _, is := e.(logdump.Problem); d.verifyOnly && !is {
		return nil
	}
	if d.format != tableFormat {
		if r, ok := e.(logdump.Record); ok {
			return stream(d.out, d.format, dumpedRecordOf(r))
		}
		return stream(d.out, d.format, e)
	}
	_, err := fmt.Fprintln(d.out, d.line(e))
	return err
}

func dumpedRecordOf(r logdump.Record) dumpedRecord {
	d := dumpedRecord{Record: r, Headers: []headerDocument{}}
	d.Key, d.KeyBase64 = textOrBase64(r.Key)
	d.Value, d.ValueBase64 = textOrBase64(r.Value)
	for _, h := range r.Headers {
		d.Headers = append(d.Headers, headerOf(h.Key, h.Value))
	}
	return d
}

// line is the entry as kafka-dump-log prints it.
func (d *dumpPrinter) line(e logdump.Entry) string {
	switch e := e.(type) {
	case logdump.File:
		if e.Contents == "log" {
			return fmt.Sprintf("Dumping %s\nLog starting offset: %d", e.Path, *e.BaseOffset)
		}
		return "Dumping " + e.Path
	case logdump.Batch:
		d.timestamps = e.TimestampType
		horizon := "OptionalLong.empty"
		if e.DeleteHorizonMs != nil {
			horizon = fmt.Sprintf("OptionalLong[%d]", *e.DeleteHorizonMs)
		}
		return fmt.Sprintf("baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
			"partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t",
			e.BaseOffset, e.LastOffset, e.Count, e.BaseSequence, e.LastSequence, e.ProducerID, e.ProducerEpoch, e.PartitionLeaderEpoch,
			e.IsTransactional, e.IsControl, horizon, e.Position, e.TimestampType, e.MaxTimestampMs, e.SizeBytes, e.Magic, e.Compression, e.CRC, e.IsValid)
	case logdump.Record:
		return d.recordLine(e)
	case logdump.IndexEntry:
		return fmt.Sprintf("offset: %d position: %d", e.Offset, e.Position)
	case logdump.TimeIndexEntry:
		return fmt.Sprintf("timestamp: %d offset: %d", e.TimestampMs, e.Offset)
	case logdump.AbortedTransaction:
		return fmt.Sprintf("version: %d producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d",
			e.Version, e.ProducerID, e.FirstOffset, e.LastOffset, e.LastStableOffset)
	case logdump.Producer:
		return fmt.Sprintf("producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %d lastTimestamp: %d "+
			"firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
			e.ProducerID, e.ProducerEpoch, e.CoordinatorEpoch, e.CurrentTxnFirstOffset, e.TimestampMs,
			e.FirstSequence, e.LastSequence, e.LastOffset, e.OffsetDelta, e.TimestampMs)
	case logdump.LeaderEpoch:
		return fmt.Sprintf("leaderEpoch: %d startOffset: %d", e.Epoch, e.StartOffset)
	case logdump.Tail:
		if e.Zeros {
			return fmt.Sprintf("%d preallocated bytes at the end", e.SizeBytes)
		}
		return fmt.Sprintf("Found %d invalid bytes at the end", e.SizeBytes)
	case logdump.Problem:
		at := ""
		if e.Position != nil {
			at = fmt.Sprintf(", position %d", *e.Position)
		}
		return fmt.Sprintf("problem: %s%s: %s", e.Path, at, e.Problem)
	}
	return fmt.Sprintf("%+v", e)
}

func (d *dumpPrinter) recordLine(r logdump.Record) string {
	text := fmt.Sprintf("| offset: %d %s: %d keySize: %d valueSize: %d sequence: %d headerKeys: [%s]",
		r.Offset, d.timestamps, r.TimestampMs, r.KeySize, r.ValueSize, r.Sequence, strings.Join(r.HeaderKeys, ","))
	if r.Control != "" {
		if r.CoordinatorEpoch != nil {
			return fmt.Sprintf("%s endTxnMarker: %s coordinatorEpoch: %d", text, r.Control, *r.CoordinatorEpoch)
		}
		return text + " controlType: " + r.Control
	}
	if r.Key != nil {
		text += " key: " + printable(r.Key)
	}
	if r.Value != nil {
		text += " payload: " + printable(r.Value)
	}
	return text
}

// printable is bytes on one line: as they are where that is harmless, else
// quoted as a Go string.
func printable(b []byte) string {
	quoted := strconv.Quote(string(b))
	if plain := string(b); quoted == `"`+plain+`"` {
		return plain
	}
	return quoted
}
