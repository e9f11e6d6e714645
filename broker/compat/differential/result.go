package differential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ResultVersion is the version of the file's form; Load refuses others.
const ResultVersion = 1

// Result is what the passes found. It is a file between the test that made it
// and the report that shows it.
type Result struct {
	Version int `json:"version"`
	// Kafka is the release compared with.
	Kafka string `json:"kafka"`
	// APIs are those that either broker advertises, by key.
	APIs []Advertised `json:"apis"`
	// Cases are in the order in which they were asked.
	Cases []Case `json:"cases"`
}

// Advertised is one API as ApiVersions lists it; a nil range is not advertised.
type Advertised struct {
	Key   int16  `json:"key"`
	Name  string `json:"name"`
	Ours  *Range `json:"ours"`
	Kafka *Range `json:"kafka"`
}

// Range of versions, both ends included.
type Range struct {
	Min int16 `json:"min"`
	Max int16 `json:"max"`
}

// Verdict of a case.
type Verdict string

const (
	Same      Verdict = "same"
	Permitted Verdict = "allowed"   // it differs, only where allowed.go says so
	Different Verdict = "different" // it differs elsewhere
)

// Case is one request, asked of both brokers.
type Case struct {
	API         string       `json:"api"`
	Key         int16        `json:"key"`
	Version     int16        `json:"version"`
	Name        string       `json:"case"`
	Verdict     Verdict      `json:"verdict"`
	Differences []Difference `json:"differences,omitempty"`
}

// Difference is one place in two replies. Reason is that of allowed.go, empty
// when it is not allowed.
type Difference struct {
	Path   string `json:"path"`
	Ours   string `json:"ours"`
	Kafka  string `json:"kafka"`
	Reason string `json:"reason,omitempty"`
}

// ErrResult is what every error of Load about the file's content wraps.
var ErrResult = errors.New("not a result of the differential test")

// Save writes the result, one case a line, so that two of them can be read side by side.
func (r Result) Save(path string) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"version\":%d,\"kafka\":%q,\"apis\":", r.Version, r.Kafka)
	if err := lines(&out, r.APIs); err != nil {
		return err
	}
	out.WriteString(",\"cases\":")
	if err := lines(&out, r.Cases); err != nil {
		return err
	}
	out.WriteString("}\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// lines writes a JSON array with one element a line.
func lines[T any](out *bytes.Buffer, elements []T) error {
	encoder := json.NewEncoder(out) // ends each element with a line feed
	encoder.SetEscapeHTML(false)
	for n, e := range elements {
		out.WriteByte("[,"[min(n, 1)])
		if err := encoder.Encode(e); err != nil {
			return fmt.Errorf("encoding %+v: %w", e, err)
		}
	}
	if len(elements) == 0 {
		out.WriteByte('[')
	}
	out.WriteByte(']')
	return nil
}

// Load reads what Save wrote. Unknown fields and other versions are refused.
func Load(path string) (Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Result{}, err
	}
	var r Result
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return Result{}, fmt.Errorf("%w: %s: %w", ErrResult, path, err)
	}
	if r.Version != ResultVersion {
		return Result{}, fmt.Errorf("%w: %s has version %d, want %d", ErrResult, path, r.Version, ResultVersion)
	}
	return r, nil
}
