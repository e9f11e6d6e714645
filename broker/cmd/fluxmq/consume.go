package main

import (
	"bufio"
	"fmt"

	"fluxmq/broker/client"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumeFlags are those of fluxmq consume.
type consumeFlags struct {
	client.ConsumeOptions
	fromBeginning             bool
	offset, format, isolation string
}

func consumeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "consume TOPIC[:PARTITION,...]...", Short: "Print the records of topics",
		Long: `Print the records of topics, new ones until interrupted, or old ones from where
--from-beginning or --offset says. With --group it reads as a member of that
group, from the committed offsets, and commits what it printed. -o json prints
one JSON document a line, -o yaml one YAML document each.

A format may hold ` + formatHelp + `.`,
		Example: `  fluxmq consume orders
  fluxmq consume orders --from-beginning --exit-eof -f '%p:%o %k=%s\n'
  fluxmq consume orders:0 --offset -10 --max-messages 10 -o json
  fluxmq consume orders --offset @2026-01-31T12:00:00.000
  fluxmq consume orders --group billing --from-beginning`,
	}
	k := connectionFlags(c)
	f := outputFlag(c, "json or yaml instead of --format")
	o := new(consumeFlags)
	p := c.Flags()
	p.BoolVar(&o.fromBeginning, "from-beginning", false, "the same as --offset beginning; in a group for partitions without a committed offset")
	p.StringVar(&o.offset, "offset", "end", "beginning, end, an offset, -N for the last N of each partition, or @TIME")
	p.Int64VarP(&o.MaxRecords, "max-messages", "n", 0, "end after so many records; 0 is no limit")
	p.StringVarP(&o.Group, "group", "g", "", "read as a member of this group")
	p.StringVarP(&o.format, "format", "f", `%s\n`, "how a record is printed")
	p.BoolVarP(&o.ExitAtEnd, "exit-eof", "e", false, "end at the end that each partition has now")
	p.StringVar(&o.isolation, "isolation-level", "read_uncommitted", "read_uncommitted or read_committed")
	completeFlag(c, "offset", fixed("beginning", "end"))
	completeFlag(c, "isolation-level", fixed("read_uncommitted", "read_committed"))
	completeFlag(c, "group", k.groupNames())
	c.Args = arguments(cobra.MinimumNArgs(1))
	c.ValidArgsFunction = k.topicNames()
	c.RunE = func(c *cobra.Command, args []string) error { return consume(c, k, *f, o, args) }
	return c
}

// read completes the options from the flags' texts.
func (o *consumeFlags) read(c *cobra.Command, args []string) (err error) {
	if o.fromBeginning {
		if c.Flags().Changed("offset") {
			return usage(fmt.Errorf("--from-beginning and --offset exclude each other"))
		}
		o.offset = "beginning"
	}
	if o.Start, err = client.ParseStart(o.offset); err != nil {
		return err
	}
	if o.ReadCommitted, err = readCommitted(o.isolation); err != nil {
		return err
	}
	o.Selections, err = client.ParseSelections(args)
	return err
}

func consume(c *cobra.Command, k *connection, f format, o *consumeFlags, args []string) error {
	if err := o.read(c, args); err != nil {
		return err
	}
	printed, err := parseFormat(o.format)
	if err != nil {
		return err
	}
	to, err := k.options(c)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.OutOrStdout())
	o.Flush = out.Flush
	o.Notice = func(sentence string) { c.PrintErrln("warning:", sentence) }
	line := newProgress(c.ErrOrStderr(), !isTerminal(c.OutOrStdout()))
	defer line.done()
	var records, bytes int64
	var buffer []byte
	_, err = client.Consume(c.Context(), to, o.ConsumeOptions, func(r *kgo.Record) error {
		records++
		bytes += int64(len(r.Key) + len(r.Value))
		line.show(records, bytes)
		if f != tableFormat {
			return stream(out, f, documentOf(r))
		}
		buffer = printed.appendTo(buffer[:0], r)
		_, err := out.Write(buffer)
		return err
	})
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	return err
}
