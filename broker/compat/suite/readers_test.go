package suite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadGoTest(t *testing.T) {
	for _, c := range []struct {
		name, events, words string
		want                []Case
	}{
		{"parts count, their whole does not", `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA/one","Output":"said\n"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"skip","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`, "said\n", []Case{{Name: "TestA/one", Outcome: Passed}, {Name: "TestA/two", Outcome: Skipped}, {Name: "TestB", Outcome: Passed}}},
		{"a failure is counted once, where it is", `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/b"}
{"Action":"fail","Package":"p","Test":"TestA/b/c"}
{"Action":"fail","Package":"p","Test":"TestA/b"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`, "", []Case{{Name: "TestA/b/c", Outcome: Failed}}},
		{"a whole that fails beside sound parts", `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/b"}
{"Action":"fail","Package":"p","Test":"TestA"}
`, "", []Case{{Name: "TestA", Outcome: Failed}, {Name: "TestA/b", Outcome: Passed}}},
		{"a test that never ended", `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/hangs"}
{"Action":"fail","Package":"p"}
`, "", []Case{{Name: "TestA/hangs", Outcome: Failed, Why: "it did not end"}}},
		{"a build that fails", `# p
{"Action":"build-output","ImportPath":"p","Output":"p.go:1: no\n"}
{"Action":"build-fail","ImportPath":"p"}
{"Action":"fail","Package":"p"}
`, "# p\np.go:1: no\n", []Case{{Name: "p", Outcome: Failed, Why: "the package failed, and none of its tests"}}},
		{"the same name in two packages", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"q","Test":"TestA"}
{"Action":"fail","Package":"q"}
`, "", []Case{{Name: "TestA", Outcome: Passed}, {Name: "TestA", Outcome: Failed}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var words strings.Builder
			got, err := ReadGoTest(strings.NewReader(c.events), &words)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if words.String() != c.words {
				t.Errorf("the words are %q, want %q", words.String(), c.words)
			}
		})
	}
	if _, err := ReadGoTest(strings.NewReader(`{"Action":"pass","Package":"p"}`), &strings.Builder{}); !errors.Is(err, ErrNoCases) {
		t.Errorf("no tests: %v", err)
	}
}

func TestReadSurefire(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadSurefire(folder); !errors.Is(err, ErrNoCases) {
		t.Errorf("an empty folder: %v", err)
	}
	write("TEST-fluxmq.compat.AdminTest.xml", `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="fluxmq.compat.AdminTest" tests="4" errors="1" skipped="1" failures="1">
  <properties><property name="a" value="b"/></properties>
  <testcase name="sound" classname="fluxmq.compat.AdminTest" time="0.1"/>
  <testcase name="wrong" classname="fluxmq.compat.AdminTest"><failure message="expected: &lt;1&gt;" type="x">trace</failure></testcase>
  <testcase name="thrown" classname="fluxmq.compat.AdminTest"><error message="boom"/></testcase>
  <testcase name="left" classname="fluxmq.compat.AdminTest"><skipped message="no broker"/></testcase>
</testsuite>`)
	write("TEST-fluxmq.compat.Broken.xml", `<testsuite><testcase name="" classname="fluxmq.compat.Broken"><error/></testcase></testsuite>`)
	write("other.xml", `not read`)
	got, err := ReadSurefire(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := []Case{{Name: "AdminTest.sound", Outcome: Passed}, {Name: "AdminTest.wrong", Outcome: Failed, Why: "expected: <1>"}, {Name: "AdminTest.thrown", Outcome: Failed, Why: "boom"},
		{Name: "AdminTest.left", Outcome: Skipped, Why: "no broker"}, {Name: "Broken", Outcome: Failed}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	write("TEST-torn.xml", `<testsuite><testcase`)
	if _, err := ReadSurefire(folder); err == nil {
		t.Error("a torn report is no error")
	}
}

func TestReadLines(t *testing.T) {
	var words strings.Builder
	got, err := ReadLines(strings.NewReader(`starting
{"case": "groups", "outcome": "passed", "why": ""}
{"no": "case"}
{"case": "transactions", "outcome": "failed", "why": "late"}
`), &words)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Case{{Name: "groups", Outcome: Passed}, {Name: "transactions", Outcome: Failed, Why: "late"}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if want := "starting\ngroups: passed \n{\"no\": \"case\"}\ntransactions: failed late\n"; words.String() != want {
		t.Errorf("the words are %q", words.String())
	}
	if _, err := ReadLines(strings.NewReader("nothing\n"), &words); !errors.Is(err, ErrNoCases) {
		t.Errorf("no cases: %v", err)
	}
}
