package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed *.yaml
var embedded embed.FS

// Catalog is a set of scenarios: those embedded in the binary, and before
// them those of Dir, when it is set. Its methods may be called concurrently.
type Catalog struct {
	Dir string // a directory of NAME.yaml files that come first; "": none
}

// UnknownError says that no scenario has that name, and which there are.
type UnknownError struct {
	Name  string
	Known []string
}

func (e *UnknownError) Error() string {
	text := fmt.Sprintf("unknown scenario %q", e.Name)
	if near := nearest(e.Name, e.Known); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return text + "; known scenarios: " + strings.Join(e.Known, ", ")
}

// Load reads an embedded scenario by name, or a scenario file by path (anything with a slash or ending in .yaml).
func Load(nameOrPath string) (*Scenario, error) { return Catalog{}.Load(nameOrPath) }

// List reads every embedded scenario, sorted by name.
func List() ([]*Scenario, error) { return Catalog{}.List() }

// Names lists the embedded scenarios, sorted.
func Names() []string {
	names, _ := Catalog{}.Names() // the embedded directory can always be read
	return names
}

// Load reads a scenario by name or by path.
func (c Catalog) Load(nameOrPath string) (*Scenario, error) {
	if strings.ContainsRune(nameOrPath, os.PathSeparator) || strings.HasSuffix(nameOrPath, ".yaml") {
		text, err := os.ReadFile(nameOrPath)
		if err != nil {
			return nil, fmt.Errorf("scenario file: %w", err)
		}
		return Parse(nameOrPath, text)
	}
	file := nameOrPath + ".yaml"
	if c.Dir != "" {
		path := filepath.Join(c.Dir, file)
		text, err := os.ReadFile(path)
		if err == nil {
			return Parse(path, text)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("scenario file: %w", err)
		}
	}
	text, err := embedded.ReadFile(file)
	if err != nil {
		known, listErr := c.Names()
		if listErr != nil {
			return nil, listErr
		}
		return nil, &UnknownError{Name: nameOrPath, Known: known}
	}
	return Parse("scenarios/"+file, text)
}

// Names lists what Load finds by name, sorted.
func (c Catalog) Names() ([]string, error) {
	files, err := fs.Glob(embedded, "*.yaml")
	if err != nil {
		return nil, err
	}
	if c.Dir != "" {
		more, err := filepath.Glob(filepath.Join(c.Dir, "*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("scenario directory %s: %w", c.Dir, err)
		}
		files = append(files, more...)
	}
	names := make([]string, 0, len(files))
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// List reads every scenario, sorted by name; the first that cannot be read ends it.
func (c Catalog) List() ([]*Scenario, error) {
	names, err := c.Names()
	if err != nil {
		return nil, err
	}
	var all []*Scenario
	for _, name := range names {
		s, err := c.Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
