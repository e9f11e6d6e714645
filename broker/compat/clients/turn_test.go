package main

import (
	"go/importer"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const turnStandIn = `package fake

type Cluster struct{}

func NewCluster(...Opt) *Cluster { return nil }

func (*Cluster) Close() {}

type Opt int

func NumBrokers(int) Opt { return 0 }

func helper() string { return "ours" }
`

const turnTests = `package fake

import (
	"os"
	"strings"
	"testing"
)

func helper() string { return strings.ToLower("THEIRS") }

const three = 3

type withFault struct{ f Fault }

func (w withFault) use() {}

func indirect(t *testing.T) { withFault{}.use() }

func newOne(t *testing.T) *Cluster { return NewCluster(NumBrokers(1)) }

func TestRuns(t *testing.T) { newOne(t).Close(); t.Log(helper()) }

func TestCallsWhatIsNotThere(t *testing.T) {
	newOne(t).ControlKey(1)
}

func TestUsesAHelperThatCannotBe(t *testing.T) { indirect(t) }

func TestAsksForThree(t *testing.T) { NewCluster(NumBrokers(three)).Close() }

func TestReadsFiles(t *testing.T) { os.Remove("x") }

func TestByHand(t *testing.T) { newOne(t).Close() }

func TestInParts(t *testing.T) { t.Run("a", func(t *testing.T) {}) }

func TestLast(t *testing.T) { newOne(t).Close() }
`

func turnOf(t *testing.T, standIn, tests string, by rules) (turned, error) {
	t.Helper()
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return turn([]string{write("fake.go", standIn)}, []string{write("fake_test.go", tests)}, by,
		func(set *token.FileSet) types.Importer { return importer.ForCompiler(set, "gc", nil) })
}

func TestTurn(t *testing.T) {
	got, err := turnOf(t, turnStandIn, turnTests, rules{brokers: "NumBrokers", packages: map[string]string{"os": "reads files"},
		byHand: map[string]string{"TestByHand": "it is so", "TestInParts/a": "a part"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"TestRuns", "TestInParts", "TestLast"}, got.runs); diff != "" {
		t.Errorf("-want +runs:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{
		"TestCallsWhatIsNotThere":     "newOne(t).ControlKey undefined (type *Cluster has no field or method ControlKey)",
		"TestUsesAHelperThatCannotBe": "undefined: Fault",
		"TestAsksForThree":            "asks for 3 brokers",
		"TestReadsFiles":              "reads files",
		"TestByHand":                  "it is so",
	}, got.left); diff != "" {
		t.Errorf("-want +left out:\n%s", diff)
	}
	text := string(got.files["fake_test.go"])
	before, after := strings.Split(turnTests, "\n"), strings.Split(text, "\n")
	if len(before) != len(after) {
		t.Fatalf("%d lines became %d", len(before), len(after))
	}
	for i, line := range after {
		if line = strings.TrimRight(line, " \t"); line != before[i] && line != "" {
			t.Errorf("line %d is %q, and was %q", i+1, line, before[i])
		}
	}
	for _, gone := range []string{`"os"`, `"strings"`, "THEIRS", "ControlKey", "withFault", "indirect", "TestByHand"} {
		if strings.Contains(text, gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	// What is left compiles with the stand-in: nothing more is taken out of it.
	again, err := turnOf(t, turnStandIn, text, rules{})
	if err != nil || len(again.left) != 0 || len(again.runs) != 3 {
		t.Errorf("the second time: %v left out, %v run, %v", again.left, again.runs, err)
	}
}

func TestTurnRefuses(t *testing.T) {
	for _, c := range []struct {
		name, standIn string
		byHand        map[string]string
		want          string
	}{
		{"a stand-in that does not compile", strings.Replace(turnStandIn, "return 0", "return nothing", 1), nil, "nothing"},
		{"a name that no test has", turnStandIn, map[string]string{"TestGone": "old"}, "TestGone"},
		{"a part of a test that is not there", turnStandIn, map[string]string{"TestGone/a": "old"}, "TestGone/a"},
		{"a name that has another reason", turnStandIn, map[string]string{"TestCallsWhatIsNotThere": "old"}, "ControlKey"},
	} {
		if _, err := turnOf(t, c.standIn, turnTests, rules{byHand: c.byHand}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPartsByHand(t *testing.T) {
	if got, want := partsByHand(map[string]string{"TestA": "", "TestC/d_(e)": "", "TestB/c": ""}), `^TestB$/^c$|^TestC$/^d_\(e\)$`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The overlay puts the files over the stand-in's folder, and its own tests out of sight, but for TestMain.
func TestLay(t *testing.T) {
	over := t.TempDir()
	for _, name := range []string{"main_test.go", "own_test.go", "own.go"} {
		if err := os.WriteFile(filepath.Join(over, name), []byte("package fake\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(t.TempDir(), "laid")
	path, err := turned{files: map[string][]byte{"a_test.go": []byte("package fake\n")}}.lay(folder, over)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Replace":{"` + filepath.Join(over, "a_test.go") + `":"` + filepath.Join(folder, "a_test.go") + `","` + filepath.Join(over, "own_test.go") + `":""}}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
