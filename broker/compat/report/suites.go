package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suite is one top-level test of broker/compat and how its parts went. A test
// without parts is its own one part.
type suite struct {
	Package string `json:"package"` // below broker/
	Name    string `json:"test"`
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
	Skipped int    `json:"skipped"`
}

// suites are ordered by package and name.
type suites []suite

// event is a line of `go test -json` (cmd/test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// eventLimit bounds a line of events, in bytes.
const eventLimit = 4 << 20

var errNoTests = errors.New("no test events in the input")

// countTests reads events and copies what tests print to words.
func countTests(events io.Reader, words io.Writer) (suites, error) {
	parts := map[suite]map[string]string{} // suite without counts → test → its last action
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, eventLimit)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(words, lines.Text()) // of the build, not of a test
			continue
		}
		if e.Action == "output" || e.Action == "build-output" {
			if _, err := io.WriteString(words, e.Output); err != nil {
				return nil, err
			}
		}
		if e.Test == "" || e.Action != "pass" && e.Action != "fail" && e.Action != "skip" {
			continue
		}
		top, _, _ := strings.Cut(e.Test, "/")
		key := suite{Package: strings.TrimPrefix(e.Package, "fluxmq/broker/"), Name: top}
		if parts[key] == nil {
			parts[key] = map[string]string{}
		}
		parts[key][e.Test] = e.Action
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, errNoTests
	}
	return total(parts), nil
}

// total counts the tests that have no parts of their own.
func total(parts map[suite]map[string]string) suites {
	var all suites
	for s, tests := range parts {
		whole := map[string]bool{} // tests that have parts
		for name := range tests {
			for end := strings.LastIndexByte(name, '/'); end >= 0; end = strings.LastIndexByte(name[:end], '/') {
				whole[name[:end]] = true
			}
		}
		for name, action := range tests {
			switch {
			case whole[name] && action != "fail":
			case whole[name] && slices.ContainsFunc(keysOf(tests), func(part string) bool { return strings.HasPrefix(part, name+"/") && tests[part] == "fail" }):
				// it failed because a part did, which is counted
			case action == "pass":
				s.Passed++
			case action == "fail":
				s.Failed++
			default:
				s.Skipped++
			}
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b suite) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func keysOf(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

func (s suites) save(path string) error {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func loadSuites(path string) (suites, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s suites
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
