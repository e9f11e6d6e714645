package suite

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNoCases is a run in which no test was seen.
var ErrNoCases = errors.New("no test ran")

// lineLimit bounds a line of a runner's output, in bytes.
const lineLimit = 4 << 20

// goTest is a test of one package and how it ended: "" until it does.
type goTest struct {
	pkg, name string
	end       string
	parts     bool // it has tests within
	failure   bool // one of those failed, or did not end
}

// ReadGoTest reads the events of `go test -json` (cmd/test2json) and copies
// what the tests print to words. A test with parts is counted as its parts;
// one that never ended has failed; and so has a package whose failure no test explains.
func ReadGoTest(events io.Reader, words io.Writer) ([]Case, error) {
	var order []*goTest
	index := map[string]*goTest{}
	var broken []string // packages
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, lineLimit)
	for lines.Scan() {
		var e struct{ Action, Package, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			if _, err := fmt.Fprintln(words, lines.Text()); err != nil { // of the build, not of a test
				return nil, err
			}
			continue
		}
		switch {
		case e.Action == "output" || e.Action == "build-output":
			if _, err := io.WriteString(words, e.Output); err != nil {
				return nil, err
			}
		case e.Test == "":
			if e.Action == "fail" {
				broken = append(broken, e.Package)
			}
		case e.Action == "run" || e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
			key := e.Package + " " + e.Test
			t := index[key]
			if t == nil {
				t = &goTest{pkg: e.Package, name: e.Test}
				index[key] = t
				order = append(order, t)
			}
			if e.Action != "run" {
				t.end = e.Action
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return goCases(order, index, broken)
}

// goCases counts tests without parts, and failures that no part explains.
func goCases(order []*goTest, index map[string]*goTest, broken []string) ([]Case, error) {
	failed := map[string]bool{} // packages
	for _, t := range order {
		bad := t.end == "fail" || t.end == ""
		failed[t.pkg] = failed[t.pkg] || bad
		for end := strings.LastIndexByte(t.name, '/'); end > 0; end = strings.LastIndexByte(t.name[:end], '/') {
			if whole := index[t.pkg+" "+t.name[:end]]; whole != nil {
				whole.parts = true
				whole.failure = whole.failure || bad
			}
		}
	}
	var cases []Case
	for _, t := range order {
		c := Case{Name: t.name, Outcome: Passed}
		switch t.end {
		case "fail":
			c.Outcome = Failed
		case "skip":
			c.Outcome = Skipped
		case "":
			c.Outcome, c.Why = Failed, "it did not end"
		}
		if t.parts && (t.failure || c.Outcome != Failed) {
			continue
		}
		cases = append(cases, c)
	}
	for _, pkg := range broken {
		if !failed[pkg] {
			cases = append(cases, Case{Name: pkg, Outcome: Failed, Why: "the package failed, and none of its tests"})
		}
	}
	if len(cases) == 0 {
		return nil, ErrNoCases
	}
	return cases, nil
}
