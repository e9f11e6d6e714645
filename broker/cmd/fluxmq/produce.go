package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"fluxmq/broker/client"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produceFlags are those of fluxmq produce that need to be read first.
type produceFlags struct {
	client.ProduceOptions
	key, acks, delimiter string
	headers              []string
}

func produceCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "produce TOPIC [FILE...]", Short: "Send the lines of stdin or of files as records",
		Long: `Send the lines of stdin or of files as records and wait until all are
acknowledged. With -o json or yaml each acknowledged record is printed.`,
		Example: `  echo hello | fluxmq produce orders
  fluxmq produce orders orders.txt --key-separator : -H source=import --compression zstd
  printf 'k1:\nk2:\n' | fluxmq produce orders --key-separator : --null-value`,
	}
	k := connectionFlags(c)
	f := outputFlag(c, "json or yaml print what was acknowledged")
	o := new(produceFlags)
	p := c.Flags()
	p.Int32VarP(&o.Partition, "partition", "p", -1, "partition of every record; -1 lets the key decide")
	p.StringVarP(&o.KeySeparator, "key-separator", "K", "", "what ends the key in each line; without it records have no key")
	p.StringVarP(&o.key, "key", "k", "", "key of every record")
	p.StringArrayVarP(&o.headers, "header", "H", nil, "a header as key=value; may be repeated")
	p.BoolVarP(&o.NullValue, "null-value", "Z", false, "an empty value is null")
	p.StringVarP(&o.Compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	p.StringVar(&o.acks, "acks", "all", "0, 1 or all")
	p.StringVarP(&o.delimiter, "delimiter", "D", `\n`, `what ends a line: one character or \n \r \t \0 \xHH`)
	p.IntVar(&o.MaxRecordBytes, "max-record-bytes", client.DefaultMaxRecordBytes, "how long a line may be")
	p.DurationVar(&o.DeliveryTimeout, "delivery-timeout", client.DefaultDeliveryTimeout, "how long a record may wait for its acknowledgement")
	p.BoolVar(&o.AutoCreate, "auto-create", false, "let the broker create the topic, where it does so")
	completeFlag(c, "compression", fixed("none", "gzip", "snappy", "lz4", "zstd"))
	completeFlag(c, "acks", fixed("0", "1", "all"))
	c.Args = arguments(cobra.MinimumNArgs(1))
	topics := k.topicNames()
	c.ValidArgsFunction = func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault // files
		}
		return topics(c, args, prefix)
	}
	c.RunE = func(c *cobra.Command, args []string) error { return produce(c, k, *f, o, args) }
	return c
}

// read completes the options from the flags' texts.
func (o *produceFlags) read(c *cobra.Command) error {
	switch o.acks {
	case "0", "1":
		o.Acks = int16(o.acks[0] - '0')
	case "all", "-1":
		o.Acks = -1
	default:
		return usage(fmt.Errorf("--acks %q: there are 0, 1 and all", o.acks))
	}
	if c.Flags().Changed("key") {
		if o.KeySeparator != "" {
			return usage(errors.New("--key and --key-separator exclude each other"))
		}
		o.Key = []byte(o.key)
	}
	for _, text := range o.headers {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return usage(fmt.Errorf("--header %q: write key=value", text))
		}
		o.Headers = append(o.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	var err error
	o.Delimiter, err = delimiterOf(o.delimiter)
	return err
}

// delimiterOf reads one byte or an escape.
func delimiterOf(text string) (byte, error) {
	if len(text) == 1 {
		return text[0], nil
	}
	if escape, ok := strings.CutPrefix(text, `\`); ok {
		if b, size, err := unescapeByte(escape); err == nil && size == len(escape) {
			return b, nil
		}
	}
	return 0, usage(fmt.Errorf(`--delimiter %q: write one character of one byte or \n \r \t \0 \xHH`, text))
}

func produce(c *cobra.Command, k *connection, f format, o *produceFlags, args []string) error {
	if err := o.read(c); err != nil {
		return err
	}
	o.Topic = args[0]
	more, err := o.Options()
	if err != nil {
		return err
	}
	to, err := k.options(c)
	if err != nil {
		return err
	}
	cluster, err := client.Connect(c.Context(), to, more...)
	if err != nil {
		return err
	}
	defer cluster.Close()

	out := bufio.NewWriter(c.OutOrStdout())
	line := newProgress(c.ErrOrStderr(), f == tableFormat && !isTerminal(c.InOrStdin()))
	defer line.done()
	var records, bytes int64
	var printErr error
	o.Delivered = func(r *kgo.Record) {
		records++
		bytes += int64(len(r.Key) + len(r.Value))
		line.show(records, bytes)
		if f != tableFormat && printErr == nil {
			printErr = stream(out, f, documentOf(r))
		}
	}
	err = eachInput(c, args[1:], func(ctx context.Context, in io.Reader) error {
		_, err := cluster.Produce(ctx, in, o.ProduceOptions)
		return err
	})
	return errors.Join(err, printErr, out.Flush())
}

// eachInput reads the files one after the other, or the standard input.
func eachInput(c *cobra.Command, files []string, read func(context.Context, io.Reader) error) error {
	if len(files) == 0 {
		return read(c.Context(), inputOf(c.Context(), c.InOrStdin()))
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return usage(err)
		}
		err = read(c.Context(), inputOf(c.Context(), f))
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}
