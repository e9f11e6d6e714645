package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Store keeps results under one folder:
//
//	<root>/<scenario>/<commit12>/<UTC>-<target>-<profile>[-n]/
//	    result.json  report.md  report.html  <round>-<client>.hlog
//
// Nothing in it is ever overwritten: a folder belongs to one result, and a
// taken name gets the next free number.
type Store struct{ Root string }

// Bundle is the folder of one result being written. Not safe for concurrent use.
type Bundle struct{ Dir string }

// maxSameName bounds the search for a free folder name.
const maxSameName = 1000

// Create makes the folder of a result.
func (s Store) Create(result *Result) (*Bundle, error) {
	parent := filepath.Join(s.Root, fileName(result.Scenario.Name), fileName(ShortCommit(result.Commit)))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	name := strings.Join([]string{
		time.Unix(0, result.StartedUnixNs).UTC().Format("20060102T150405Z"), fileName(targetName(result.Target)), fileName(result.Profile.Name),
	}, "-")
	if result.Scenario.Form == FormSeedExact {
		name += "-seed-exact"
	}
	for n := 1; n <= maxSameName; n++ {
		dir := filepath.Join(parent, name)
		if n > 1 {
			dir = fmt.Sprintf("%s-%d", dir, n)
		}
		err := os.Mkdir(dir, 0o755) // fails where something is already
		if err == nil {
			return &Bundle{Dir: dir}, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	return nil, fmt.Errorf("store: %d results named %s in %s", maxSameName, name, parent)
}

func targetName(t TargetRecord) string {
	if t.Kind == TargetAddress {
		return t.Address
	}
	return t.Kind
}

var notFileName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// fileName leaves letters, digits, dot, dash and underscore, and no leading dot.
func fileName(text string) string {
	name := strings.TrimLeft(notFileName.ReplaceAllString(text, "_"), ".")
	if name == "" {
		return "_"
	}
	return name
}

// WriteFile writes a new file in the bundle; it fails if the name is taken.
func (b *Bundle) WriteFile(name string, write func(io.Writer) error) (err error) {
	if name != filepath.Base(name) {
		return fmt.Errorf("store: %q is not a plain file name", name)
	}
	file, err := os.OpenFile(filepath.Join(b.Dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}

// AddLatencyLog copies a client's .hlog into the bundle as <round>-<client>.hlog and returns that name.
func (b *Bundle) AddLatencyLog(from string, round int, client string) (string, error) {
	source, err := os.Open(from)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	defer source.Close()
	name := fmt.Sprintf("%02d-%s.hlog", round, fileName(client))
	return name, b.WriteFile(name, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

// Finish writes result.json, report.md and report.html. A result that breaks
// the schema is kept all the same, and the error says so.
func (b *Bundle) Finish(result *Result) (*Summary, error) {
	text, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := b.WriteFile("result.json", func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err }); err != nil {
		return nil, err
	}
	summary, err := Summarize(result, b.Dir)
	if err != nil {
		return nil, err
	}
	if err := b.WriteFile("report.md", summary.WriteMarkdown); err != nil {
		return nil, err
	}
	if err := b.WriteFile("report.html", summary.WriteHTML); err != nil {
		return nil, err
	}
	if err := CheckSchema(text); err != nil {
		return summary, fmt.Errorf("store: %s breaks its schema: %w", filepath.Join(b.Dir, "result.json"), err)
	}
	return summary, nil
}

// SortedKeys of a map.
func SortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
