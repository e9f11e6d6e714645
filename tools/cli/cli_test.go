package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/reports"
)

// call runs one command line from the repository's root and returns its exit code and both outputs.
func call(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	t.Chdir(filepath.Join("..", ".."))
	var stdout, stderr bytes.Buffer
	code := Main(append([]string{"fluxbench"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestBadInputGetsItsExitCodeAndAHint(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	badScenario, badProfile := write("s.yaml", "name: x\nthred: 3\n"), write("p.yaml", "name: x\nbiuld: {}\n")
	for _, row := range []struct {
		about string
		args  []string
		code  int
		words string
	}{
		{"an unknown scenario", []string{"run", "megabtch"}, 2, "did you mean megabatch?"},
		{"an unknown profile", []string{"run", "smoke", "--profile", "numma"}, 2, "known profiles: default, native, numa, pgo, pinned"},
		{"an unknown key in a scenario", []string{"run", badScenario}, 2, "s.yaml:2: unknown key \"thred\" (did you mean threads?)"},
		{"an unknown key in a profile", []string{"run", "smoke", "--profile", badProfile}, 2, "p.yaml:2: unknown key \"biuld\" (did you mean build?)"},
		{"a scenario file that is not there", []string{"run", "nosuch.yaml"}, 2, "nosuch.yaml"},
		{"an unknown target", []string{"run", "smoke", "--target", "redpanda"}, 2, "fluxmq, kafka or HOST:PORT"},
		{"an unknown client", []string{"run", "smoke", "--clients", "librdkafka", "-n"}, 2, "known clients"},
		{"an unknown command", []string{"frob"}, 2, `unknown command "frob"`},
		{"an unknown flag", []string{"run", "smoke", "--frob"}, 2, "--frob"},
		{"no scenario", []string{"run"}, 2, "accepts 1 arg"},
		{"a setting without a value", []string{"run", "smoke", "--override", "log.flush"}, 2, "KEY=VALUE"},
		{"a bad rate", []string{"run", "smoke", "--rate", "fast"}, 2, "a rate is max or N/s"},
		{"a broker binary that is not there", []string{"run", "smoke", "--broker-binary", "/nowhere/fluxmq"}, 2, "--broker-binary"},
		{"a result that is none", []string{"report", badScenario}, 2, "not a result"},
		{"an export format nobody reads", []string{"export", "--format", "xml", badScenario}, 2, "benchfmt"},
	} {
		t.Run(row.about, func(t *testing.T) {
			code, _, stderr := call(t, row.args...)
			if code != row.code || !strings.Contains(stderr, row.words) {
				t.Errorf("exit %d, want %d; %q, want %q in it", code, row.code, stderr, row.words)
			}
		})
	}
}

func TestPlanIsPrintedAndNothingIsDone(t *testing.T) {
	out := t.TempDir()
	code, stdout, stderr := call(t, "run", "megabatch", "-n", "--clients", "franz-go,sarama", "--rounds", "2", "--out", out, "--seed-exact")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, want := range []string{"SEED-EXACT", "go build", "--override message.max.bytes=2097152", "step   3  round 2  sarama", "step   4  round 2  franz-go"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if entries, err := os.ReadDir(out); err != nil || len(entries) != 0 {
		t.Errorf("-n left %v, %v", entries, err)
	}
}

func TestListSchemaAndDoctor(t *testing.T) {
	code, stdout, _ := call(t, "list")
	if code != 0 || !strings.Contains(stdout, "megabatch") || !strings.Contains(stdout, "pinned") {
		t.Errorf("list: exit %d\n%s", code, stdout)
	}
	t.Run("schema", func(t *testing.T) {
		code, stdout, _ := call(t, "schema")
		if code != 0 || stdout != string(reports.PublishedSchema) {
			t.Errorf("schema: exit %d, and what is printed is not what is published", code)
		}
	})
	t.Run("doctor", func(t *testing.T) {
		code, stdout, stderr := call(t, "doctor", "--json", "--sample-seconds", "0")
		var checks []reports.Check
		if err := json.Unmarshal([]byte(stdout), &checks); err != nil || len(checks) < 10 || code != 0 && code != 3 {
			t.Errorf("doctor: exit %d, %d checks, %v %s", code, len(checks), err, stderr)
		}
	})
}
