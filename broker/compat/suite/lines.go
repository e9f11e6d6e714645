package suite

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// ReadLines reads what a script of ours prints, one JSON object a case
// ({"case", "outcome", "why"}), and copies every other line to words.
// Reading ends at the script's end; whether that was a good one is its exit code's.
func ReadLines(script io.Reader, words io.Writer) ([]Case, error) {
	var cases []Case
	lines := bufio.NewScanner(script)
	lines.Buffer(nil, lineLimit)
	for lines.Scan() {
		var c Case
		isCase := bytes.HasPrefix(lines.Bytes(), []byte("{")) && json.Unmarshal(lines.Bytes(), &c) == nil && c.Name != ""
		text := lines.Text()
		if isCase {
			text = fmt.Sprintf("%s: %s %s", c.Name, c.Outcome, c.Why)
			cases = append(cases, c)
		}
		if _, err := fmt.Fprintln(words, text); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, ErrNoCases
	}
	return cases, nil
}
