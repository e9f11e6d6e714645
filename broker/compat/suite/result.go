package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// Result is one run of one suite.
type Result struct {
	Suite    string   `json:"suite"`   // its name, and its file's
	Client   string   `json:"client"`  // as its makers call it
	Version  string   `json:"version"` // of the client that ran, as its registry has it
	Covers   string   `json:"covers"`  // what is tried, in one line
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Skipped  int      `json:"skipped"`
	Seconds  float64  `json:"seconds"`            // of the run; the installation is not in it
	Failures []string `json:"failures,omitempty"` // names of the cases that failed, in their order
}

// fileLimit bounds a result's file, in bytes.
const fileLimit = 1 << 20

// ErrNotAResult is what Save and Load say of a result that cannot be one.
var ErrNotAResult = errors.New("not a result of a suite")

var named = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

// check: a suite without a case has tried nothing, and a failure has a name.
func (r Result) check() error {
	switch {
	case !named.MatchString(r.Suite):
		return fmt.Errorf("%w: the suite's name is %q", ErrNotAResult, r.Suite)
	case r.Client == "" || r.Version == "" || r.Covers == "":
		return fmt.Errorf("%w: %s lacks the client, its version or what is covered", ErrNotAResult, r.Suite)
	case r.Passed < 0 || r.Failed < 0 || r.Skipped < 0 || r.Seconds < 0:
		return fmt.Errorf("%w: %s has a count below 0", ErrNotAResult, r.Suite)
	case r.Passed+r.Failed+r.Skipped == 0:
		return fmt.Errorf("%w: %s has no case", ErrNotAResult, r.Suite)
	case (r.Failed > 0) != (len(r.Failures) > 0):
		return fmt.Errorf("%w: %s has %d failures and names %d", ErrNotAResult, r.Suite, r.Failed, len(r.Failures))
	}
	return nil
}

// Save writes the result to its file in folder, which it makes. The file is
// whole or not there.
func (r Result) Save(folder string) error {
	if err := r.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	path := filepath.Join(folder, r.Suite+".json")
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Load reads every result of a folder, ordered by name. A folder that is not there has none.
func Load(folder string) ([]Result, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json")) // ordered
	if err != nil {
		return nil, err
	}
	var all []Result
	for _, file := range files {
		r, err := load(file)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func load(file string) (Result, error) {
	info, err := os.Stat(file)
	if err != nil {
		return Result{}, err
	}
	if info.Size() > fileLimit {
		return Result{}, fmt.Errorf("%w: %s has %d bytes", ErrNotAResult, file, info.Size())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Result{}, err
	}
	var r Result
	fields := json.NewDecoder(bytes.NewReader(text))
	fields.DisallowUnknownFields()
	if err := fields.Decode(&r); err != nil {
		return Result{}, fmt.Errorf("%s: %w", file, err)
	}
	if err := r.check(); err != nil {
		return Result{}, fmt.Errorf("%s: %w", file, err)
	}
	if r.Suite+".json" != filepath.Base(file) {
		return Result{}, fmt.Errorf("%w: %s is of the suite %s", ErrNotAResult, file, r.Suite)
	}
	return r, nil
}
