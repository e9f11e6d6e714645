package suite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sound() Result {
	return Result{Suite: "sarama", Client: "sarama", Version: "v1.61.1", Covers: "groups", Passed: 4, Seconds: 1.5}
}

func TestResultsAreKeptAsTheyWere(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "deep", "clients")
	second := sound()
	second.Suite, second.Failed, second.Failures = "a.b-c", 1, []string{"TestA/part"}
	for _, r := range []Result{sound(), second} {
		if err := r.Save(folder); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Result{second, sound()}, got); diff != "" {
		t.Errorf("-saved, by name +loaded:\n%s", diff)
	}
	if none, err := Load(filepath.Join(folder, "absent")); err != nil || none != nil {
		t.Errorf("a folder that is not there: %v, %v", none, err)
	}
}

func TestWhatIsNoResultIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Result){
		"a name that leaves the folder": func(r *Result) { r.Suite = "../up" },
		"no name":                       func(r *Result) { r.Suite = "" },
		"no client":                     func(r *Result) { r.Client = "" },
		"no version":                    func(r *Result) { r.Version = "" },
		"nothing covered":               func(r *Result) { r.Covers = "" },
		"no case":                       func(r *Result) { r.Passed = 0 },
		"a negative count":              func(r *Result) { r.Skipped = -1 },
		"a failure without a name":      func(r *Result) { r.Failed = 1 },
		"a name without a failure":      func(r *Result) { r.Failures = []string{"x"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := sound()
			change(&r)
			folder := t.TempDir()
			if err := r.Save(folder); !errors.Is(err, ErrNotAResult) {
				t.Errorf("Save: %v", err)
			}
			if files, _ := filepath.Glob(filepath.Join(folder, "*")); len(files) != 0 { // the pattern is well formed
				t.Errorf("it left %v", files)
			}
		})
	}
}

func TestFilesThatHoldNoResultAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"sarama": `{"suite":"other","client":"c","version":"1","covers":"x","passed":1,"failed":0,"skipped":0,"seconds":1}`,
		"spare":  `{"suite":"spare","client":"c","version":"1","covers":"x","passed":1,"failed":0,"skipped":0,"seconds":1,"more":1}`,
		"broken": `{"suite":`,
		"large":  strings.Repeat(" ", fileLimit+1),
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, name+".json"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if got, err := Load(folder); err == nil {
				t.Errorf("loaded %v", got)
			}
		})
	}
}

func TestTally(t *testing.T) {
	r := sound()
	r.Passed = 0
	cases := []Case{{Name: "a", Outcome: Passed}, {Name: "b", Outcome: Skipped}, {Name: "c\nd", Outcome: Failed}, {Name: "e", Outcome: "odd"}}
	for range failureLimit {
		cases = append(cases, Case{Name: strings.Repeat("ü", nameLimit+1), Outcome: Failed})
	}
	r.Tally(cases)
	if r.Passed != 1 || r.Skipped != 1 || r.Failed != 2+failureLimit {
		t.Errorf("counted %+v", r)
	}
	if len(r.Failures) != failureLimit+1 || r.Failures[0] != "c d" || r.Failures[1] != "e" || r.Failures[failureLimit] != "and 2 more" {
		t.Errorf("named %q", r.Failures)
	}
	if got := r.Failures[2]; got != strings.Repeat("ü", nameLimit)+"…" {
		t.Errorf("a long name is %q", got)
	}
	if err := r.check(); err != nil {
		t.Error(err)
	}
}

func TestSection(t *testing.T) {
	if got := Section(nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	failed := sound()
	failed.Suite, failed.Client, failed.Failed, failed.Failures, failed.Seconds = "kcat", "kcat | lib", 2, []string{"a|b", "c"}, 0.2
	want := `
## Clients

Each suite takes its client from the client's own registry, at the version shown, and runs it against this broker.

| suite | client | version | what is tried | passed | failed | skipped | seconds |
|---|---|---|---|--:|--:|--:|--:|
| sarama | sarama | v1.61.1 | groups | 4 | 0 | 0 | 2 |
| kcat | kcat ¦ lib | v1.61.1 | groups | 4 | 2 | 0 | 1 |

### What failed

| suite | cases |
|---|---|
| kcat | a¦b, c |
`
	if diff := cmp.Diff(want, Section([]Result{sound(), failed})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
