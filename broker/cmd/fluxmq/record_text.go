package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordDocument is a record as JSON and YAML show it. Bytes that are no UTF-8
// stand as base64 in the field beside; null is null in both.
type recordDocument struct {
	Topic         string           `json:"topic"`
	Partition     int32            `json:"partition"`
	Offset        int64            `json:"offset"`
	TimestampMs   int64            `json:"timestampMs"`
	TimestampType string           `json:"timestampType"` // CreateTime or LogAppendTime
	Key           *string          `json:"key"`
	KeyBase64     *string          `json:"keyBase64,omitempty"`
	Value         *string          `json:"value"`
	ValueBase64   *string          `json:"valueBase64,omitempty"`
	Headers       []headerDocument `json:"headers"`
}

// headerDocument is one header of a record.
type headerDocument struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	ValueBase64 *string `json:"valueBase64,omitempty"`
}

// documentOf makes the document of a record.
func documentOf(r *kgo.Record) recordDocument {
	d := recordDocument{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, TimestampMs: r.Timestamp.UnixMilli(),
		TimestampType: "CreateTime", Headers: []headerDocument{},
	}
	if r.Attrs.TimestampType() == 1 {
		d.TimestampType = "LogAppendTime"
	}
	d.Key, d.KeyBase64 = textOrBase64(r.Key)
	d.Value, d.ValueBase64 = textOrBase64(r.Value)
	for _, h := range r.Headers {
		d.Headers = append(d.Headers, headerOf(h.Key, h.Value))
	}
	return d
}

func headerOf(key string, value []byte) headerDocument {
	h := headerDocument{Key: key}
	h.Value, h.ValueBase64 = textOrBase64(value)
	return h
}

// textOrBase64 is bytes as text where they are UTF-8, else as base64; a null is neither.
func textOrBase64(b []byte) (text, encoded *string) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	}
	s := base64.StdEncoding.EncodeToString(b)
	return nil, &s
}

// recordFormat writes records as kcat's -f does. It is made once and then
// only read.
type recordFormat []func(dst []byte, r *kgo.Record) []byte

// formatHelp lists what a format may hold.
const formatHelp = `%t topic, %p partition, %o offset, %k key, %s value, %K and %S their sizes (-1: null),
%T timestamp in unix ms, %h headers as k=v,k=v, %% a percent sign, \n \r \t \\ \0 and \xHH`

// parseFormat reads a format.
func parseFormat(text string) (recordFormat, error) {
	var f recordFormat
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			fixed := literal
			f = append(f, func(dst []byte, _ *kgo.Record) []byte { return append(dst, fixed...) })
			literal = nil
		}
	}
	for at := 0; at < len(text); at++ {
		rest := text[at+1:]
		switch c := text[at]; {
		case c == '%' && strings.HasPrefix(rest, "%"):
			literal = append(literal, '%')
			at++
		case c == '%' && rest != "" && verbs[rest[0]] != nil:
			flush()
			f = append(f, verbs[rest[0]])
			at++
		case c == '%':
			return nil, usage(fmt.Errorf("--format: %q is no field; see fluxmq consume --help", text[at:min(at+2, len(text))]))
		case c == '\\':
			b, size, err := unescapeByte(rest)
			if err != nil {
				return nil, err
			}
			literal = append(literal, b)
			at += size
		default:
			literal = append(literal, c)
		}
	}
	flush()
	return f, nil
}

// unescapeByte reads what follows a backslash and says how long it is.
func unescapeByte(rest string) (b byte, size int, err error) {
	simple := map[string]byte{"n": '\n', "r": '\r', "t": '\t', `\`: '\\', "0": 0}
	if len(rest) > 0 {
		if b, ok := simple[rest[:1]]; ok {
			return b, 1, nil
		}
	}
	if len(rest) >= 3 && rest[0] == 'x' {
		if n, err := strconv.ParseUint(rest[1:3], 16, 8); err == nil {
			return byte(n), 3, nil
		}
	}
	return 0, 0, usage(fmt.Errorf(`%q is no escape; there are \n \r \t \\ \0 and \xHH`, `\`+rest[:min(len(rest), 3)]))
}

// verbs are the fields of a format.
var verbs = map[byte]func(dst []byte, r *kgo.Record) []byte{
	't': func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Topic...) },
	'p': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, int64(r.Partition), 10) },
	'o': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, r.Offset, 10) },
	'k': func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Key...) },
	's': func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Value...) },
	'K': func(dst []byte, r *kgo.Record) []byte { return appendSize(dst, r.Key) },
	'S': func(dst []byte, r *kgo.Record) []byte { return appendSize(dst, r.Value) },
	'T': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, r.Timestamp.UnixMilli(), 10) },
	'h': func(dst []byte, r *kgo.Record) []byte {
		for n, h := range r.Headers {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, h.Key...), '='), h.Value...)
		}
		return dst
	},
}

func appendSize(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "-1"...)
	}
	return strconv.AppendInt(dst, int64(len(b)), 10)
}

// appendTo writes a record.
func (f recordFormat) appendTo(dst []byte, r *kgo.Record) []byte {
	for _, field := range f {
		dst = field(dst, r)
	}
	return dst
}
