package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// format is the value of --output.
type format string

const (
	tableFormat format = "table"
	jsonFormat  format = "json"
	yamlFormat  format = "yaml"
)

// String, Set and Type implement pflag.Value, so that a wrong format is a
// wrong flag.
func (f *format) String() string { return string(*f) }

func (f *format) Set(text string) error {
	switch format(text) {
	case tableFormat, jsonFormat, yamlFormat:
		*f = format(text)
		return nil
	}
	return fmt.Errorf("there are table, json and yaml")
}

func (*format) Type() string { return "format" }

// outputFlag adds --output to a command.
func outputFlag(c *cobra.Command, words string) *format {
	f := tableFormat
	c.Flags().VarP(&f, "output", "o", words)
	completeFlag(c, "output", fixed("table", "json", "yaml"))
	return &f
}

// oneDocument describes --output of commands that print one document.
const oneDocument = "table, json or yaml"

// column is a heading; numbers stand to the right.
type column struct {
	name   string
	number bool
}

func left(name string) column  { return column{name: name} }
func right(name string) column { return column{name, true} }

// shown prints what an operation brought and returns its error, or else that
// of printing: rows that were refused are shown, too.
func shown(rows int, err error, print func() error) error {
	if rows == 0 && err != nil {
		return err
	}
	if printErr := print(); err == nil {
		return printErr
	}
	return err
}

// table is what a person reads. A cell that is "" is printed as "-", as
// Kafka's tools do for what there is not.
type table struct {
	columns []column
	rows    [][]string
}

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for n, cell := range cells {
		row[n] = cellText(cell)
	}
	t.rows = append(t.rows, row)
}

// cellText prints what rows are made of; a nil pointer is nothing.
func cellText(cell any) string {
	switch v := cell.(type) {
	case *string:
		if v == nil {
			return ""
		}
		return *v
	case *int64:
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	case *int32:
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	case []int32:
		return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(v), "[]")), ",")
	}
	return fmt.Sprint(cell)
}

// write prints headings and rows, two blanks between the columns and none at
// the end of a line.
func (t *table) write(out io.Writer) error {
	widths := make([]int, len(t.columns))
	lines := [][]string{make([]string, len(t.columns))}
	for n, c := range t.columns {
		lines[0][n] = c.name
	}
	for _, row := range t.rows {
		line := make([]string, len(t.columns))
		for n, cell := range row {
			if line[n] = oneLine(cell); line[n] == "" {
				line[n] = "-"
			}
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for n, cell := range line {
			widths[n] = max(widths[n], utf8.RuneCountInString(cell))
		}
	}
	var all strings.Builder
	for _, cells := range lines {
		var line strings.Builder
		for n, cell := range cells {
			if n > 0 {
				line.WriteString("  ")
			}
			padding := strings.Repeat(" ", widths[n]-utf8.RuneCountInString(cell))
			if t.columns[n].number {
				cell, padding = padding, cell
			}
			line.WriteString(cell + padding)
		}
		all.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(out, all.String())
	return err
}

// oneLine keeps control characters of a cell from breaking the table, or the terminal.
func oneLine(cell string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, cell)
}

// emit prints a value in the format; tables are what a person reads of it,
// a blank line between them.
func emit(out io.Writer, f format, value any, tables ...*table) error {
	switch f {
	case jsonFormat:
		b, err := marshal(value, "  ")
		if err != nil {
			return err
		}
		_, err = out.Write(append(b, '\n'))
		return err
	case yamlFormat:
		b, err := toYAML(value)
		if err != nil {
			return err
		}
		_, err = out.Write(b)
		return err
	}
	for n, t := range tables {
		if n > 0 {
			if _, err := fmt.Fprintln(out); err != nil {
				return err
			}
		}
		if err := t.write(out); err != nil {
			return err
		}
	}
	return nil
}

// stream prints one of many values: JSON Lines, or YAML documents.
func stream(out io.Writer, f format, value any) error {
	if f == yamlFormat {
		b, err := toYAML(value)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "---\n%s", b)
		return err
	}
	b, err := marshal(value, "")
	if err != nil {
		return err
	}
	_, err = out.Write(append(b, '\n'))
	return err
}

// marshal is JSON that keeps <, > and & as they are; no line break at the end.
func marshal(value any, indent string) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// toYAML writes a value with the names and the order of its JSON: JSON is
// YAML in flow style, so that its tree only needs another style.
func toYAML(value any) ([]byte, error) {
	b, err := marshal(value, "")
	if err != nil {
		return nil, err
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(escaped(b), &tree); err != nil {
		return nil, err
	}
	unstyled(&tree)
	var out strings.Builder
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&tree); err != nil {
		return nil, err
	}
	if err := e.Close(); err != nil {
		return nil, err
	}
	return []byte(out.String()), nil
}

// escaped writes the characters that JSON allows in a string and YAML only
// escaped: DEL, the C1 controls, and three of the plane's end.
func escaped(b []byte) []byte {
	var out []byte
	for _, r := range string(b) {
		if r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// unstyled lets the encoder choose: block style, and quotes only where a
// string would be taken for something else. Empty lists and maps stay in flow
// style: block style cannot say them.
func unstyled(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode || len(n.Content) > 0 {
		n.Style = 0
	}
	for _, child := range n.Content {
		unstyled(child)
	}
}
