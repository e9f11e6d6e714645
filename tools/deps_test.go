package tools

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows is the law of the harness: what each room may import of ours. A
// scenario run goes one way, tools → scenarios and profiles → load → reports;
// the harness never imports the broker, whose own table is broker/deps_test.go.
var arrows = map[string][]string{
	"scenarios": nil,
	"profiles":  nil,

	"loadgen":              {"reports", "scenarios"},
	"loadgen/franz":        {"loadgen", "scenarios"},
	"loadgen/sarama":       {"loadgen", "scenarios"},
	"loadgen/wire":         {"loadgen", "reports", "scenarios"},
	"loadgen/cmd/fluxload": {"loadgen", "loadgen/franz", "loadgen/sarama", "loadgen/wire", "reports", "scenarios"},

	"reports/inference":   nil,
	"reports/golden":      nil,
	"reports":             {"reports/inference"},
	"reports/trial":       {"reports"},
	"reports/verdict":     {"reports", "reports/inference", "reports/trial"},
	"reports/datasheet":   {"reports", "reports/inference", "reports/trial", "reports/verdict"},
	"reports/formats":     {"reports", "reports/trial", "reports/verdict"},
	"reports/history":     {"reports", "reports/trial", "reports/verdict"},
	"reports/profilediff": {"reports", "reports/inference", "reports/trial"},
	"reports/specimen":    {"reports", "reports/trial", "reports/verdict"},

	"tools/tune":             nil,
	"tools/pgo":              nil,
	"tools/runner/hoststats": {"profiles", "reports"},
	"tools/doctor":           {"reports", "tools/runner/hoststats", "tools/tune"},
	"tools/runner":           {"profiles", "reports", "scenarios", "tools/doctor", "tools/runner/hoststats"},
	"tools/limits":           nil,
	"tools/targets":          {"reports", "tools/limits"},
	"tools/bench":            {"profiles", "reports", "reports/profilediff", "reports/trial", "reports/verdict", "scenarios", "tools/doctor", "tools/runner", "tools/runner/hoststats"},
	"tools/bisect":           {"reports/trial", "reports/verdict"},
	"tools/proof":            {"profiles", "reports/datasheet", "reports/trial", "scenarios", "tools/bench", "tools/runner", "tools/runner/hoststats"},
	"tools/cli": {"profiles", "reports", "reports/datasheet", "reports/formats", "reports/history", "reports/trial", "reports/verdict", "scenarios", "tools/bench", "tools/bisect", "tools/doctor",
		"tools/limits", "tools/pgo", "tools/proof", "tools/runner", "tools/runner/hoststats", "tools/targets", "tools/tune"},
	"tools/fluxbench": {"tools/cli"},
}

// Tests may look further: they build what they test.
func TestRoomsOfTheHarnessImportOnlyWhatTheyMay(t *testing.T) {
	files := 0
	for _, top := range []string{"loadgen", "profiles", "reports", "scenarios", "tools"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(file string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			files++
			return checkImports(t, file)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

func checkImports(t *testing.T, file string) error {
	room, err := filepath.Rel("..", filepath.Dir(file))
	if err != nil {
		return err
	}
	room = filepath.ToSlash(room)
	allowed, known := arrows[room]
	if !known {
		t.Errorf("%s: the room %q is not in the table of tools/deps_test.go", file, room)
		return nil
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if to, ours := strings.CutPrefix(path, "fluxmq/"); ours && !slices.Contains(allowed, to) {
			t.Errorf("%s: %s must not import %s; it may import %v", file, room, to, allowed)
		}
	}
	return nil
}
