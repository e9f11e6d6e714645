package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestTable(t *testing.T) {
	n, s := int64(7), "x"
	table := &table{columns: []column{left("NAME"), right("COUNT"), left("LAST")}}
	table.add("a", &n, &s)
	table.add("longer", (*int64)(nil), (*string)(nil))
	table.add("ünïcode", 12345678, []int32{1, 2})
	table.add("a\x1b[31mb", "", "")
	var out strings.Builder
	if err := table.write(&out); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"NAME        COUNT  LAST\n" +
		"a               7  x\n" +
		"longer          -  -\n" +
		"ünïcode  12345678  1,2\n" +
		"a [31mb         -  -\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// YAML says what JSON says, whatever the strings hold.
func TestYAMLIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", " ", "yes", "null", "~", "1", "1.5", "0x1f", "2026-01-31", "- a", "a: b", "#", "\x00\x7f\u0085\u2028\ufeff", "a\nb\n", "\t", "'", `"`, "<<", "😀", "*a", "&a", "!a", "%",
		}))
		value := map[string]any{
			text.Draw(t, "key"): text.Draw(t, "value"),
			"list":              []any{text.Draw(t, "first"), nil, true, float64(rapid.IntRange(-1<<40, 1<<40).Draw(t, "number"))},
			"none":              []any{}, "map": map[string]any{},
		}
		asJSON, err := marshal(value, "")
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := toYAML(value)
		if err != nil {
			t.Fatalf("%s: %v", asJSON, err)
		}
		var fromJSON, fromYAML any
		if err := json.Unmarshal(asJSON, &fromJSON); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(asYAML, &fromYAML); err != nil {
			t.Fatalf("%s: %v", asYAML, err)
		}
		if !reflect.DeepEqual(fromJSON, floats(fromYAML)) {
			t.Fatalf("JSON %s\nYAML %s", asJSON, asYAML)
		}
	})
}

// floats makes YAML's integers what JSON's are.
func floats(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case []any:
		for n := range v {
			v[n] = floats(v[n])
		}
	case map[string]any:
		for key := range v {
			v[key] = floats(v[key])
		}
	}
	return v
}

func TestRecordFormat(t *testing.T) {
	r := &kgo.Record{
		Topic: "orders", Partition: 3, Offset: 42, Key: nil, Value: []byte("v\x00"), Timestamp: time.UnixMilli(1700000000123),
		Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b"}},
	}
	for format, want := range map[string]string{
		``:               ``,
		`%t/%p/%o`:       "orders/3/42",
		`[%k|%K][%s|%S]`: "[|-1][v\x00|2]",
		`%T %h%%`:        "1700000000123 a=1,b=%",
		`\n\r\t\\\0\x41`: "\n\r\t\\\x00A",
		"plain":          "plain",
		`%%t`:            "%t",
		"ünïcode %t":     "ünïcode orders",
	} {
		f, err := parseFormat(format)
		if err != nil {
			t.Errorf("%q: %v", format, err)
			continue
		}
		if got := string(f.appendTo(nil, r)); got != want {
			t.Errorf("%q: %q, want %q", format, got, want)
		}
	}
	for _, format := range []string{`%`, `%z`, `\`, `\q`, `\x4`, `\xzz`} {
		if _, err := parseFormat(format); exitCode(err) != exitUsage {
			t.Errorf("%q: %v", format, err)
		}
	}
}

func FuzzRecordFormat(f *testing.F) {
	f.Add(`%t\n`)
	f.Fuzz(func(t *testing.T, text string) {
		if format, err := parseFormat(text); err == nil {
			format.appendTo(nil, &kgo.Record{})
		}
	})
}

func TestDelimiters(t *testing.T) {
	for text, want := range map[string]byte{`\n`: '\n', ";": ';', `\0`: 0, `\x1e`: 0x1e, `\\`: '\\', "\n": '\n'} {
		if got, err := delimiterOf(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ab", "ü", `\q`, `\nn`} {
		if _, err := delimiterOf(text); exitCode(err) != exitUsage {
			t.Errorf("%q: %v", text, err)
		}
	}
}
