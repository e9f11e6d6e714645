// Package profiles owns how a scenario is run: how the broker is built, its Go
// runtime settings, what CPUs and memory the processes are bound to, and which
// broker settings come with it. The runner loads a profile, asks Resolve what
// it becomes on this machine, and prints it.
//
// A profile names what it needs. What the machine does not have is either
// refused (*NeedError) or given up loudly (Plan.Notes); never silently.
// The package starts nothing and imports nothing of ours.
package profiles

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var embedded embed.FS

// Profile is one way to build and run the broker and its clients.
type Profile struct {
	Name        string            `yaml:"name"`
	Description string            `yaml:"description"`
	Needs       string            `yaml:"needs"` // in words, for people
	Build       Build             `yaml:"build"`
	Runtime     Runtime           `yaml:"runtime"`
	Bind        Bind              `yaml:"bind"`
	Broker      map[string]string `yaml:"broker"` // broker settings, Kafka's keys; a scenario's own come after them

	Text   string `yaml:"-"` // the file it was read from
	SHA256 string `yaml:"-"`
}

// Build is how the broker is compiled.
type Build struct {
	GOAMD64 string `yaml:"goamd64"` // v1 to v4; empty: the toolchain's default
	PGO     string `yaml:"pgo"`     // off, or required (broker/cmd/fluxmq/default.pgo must be there); empty: off
}

// Runtime is the broker's Go runtime, through its environment. Empty leaves the default.
type Runtime struct {
	GOGC       string `yaml:"gogc"`
	GOMEMLIMIT string `yaml:"gomemlimit"`
	GOMAXPROCS int    `yaml:"gomaxprocs"`
}

// Bind is where processes run.
type Bind struct {
	With string `yaml:"with"` // none, taskset or numactl; empty: none
	// BrokerCPUShare is the share of the CPUs that taskset gives the broker; the clients get the rest.
	BrokerCPUShare float64 `yaml:"broker_cpu_share"`
	// NUMANode is the node that numactl binds CPUs and memory of broker and clients to.
	NUMANode int `yaml:"numa_node"`
}

// ParseError names the place of what is wrong in a profile file. Line is 1-based, 0 when it is about the whole file.
type ParseError struct {
	File string
	Line int
	Text string
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// UnknownError says that no profile has that name, and which there are.
type UnknownError struct {
	Name  string
	Known []string
}

func (e *UnknownError) Error() string {
	text := fmt.Sprintf("unknown profile %q", e.Name)
	if near := nearest(e.Name, e.Known); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return text + "; known profiles: " + strings.Join(e.Known, ", ")
}

// NeedError says what a profile needs that this machine does not have.
type NeedError struct{ Profile, Text string }

func (e *NeedError) Error() string { return fmt.Sprintf("profile %s: %s", e.Profile, e.Text) }

// Names lists the embedded profiles, sorted.
func Names() []string {
	files, _ := fs.Glob(embedded, "*.yaml") // the pattern is well formed
	names := make([]string, 0, len(files))
	for _, file := range files {
		names = append(names, strings.TrimSuffix(file, ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Load reads an embedded profile by name, or a profile file by path (anything with a slash or ending in .yaml).
func Load(nameOrPath string) (*Profile, error) {
	if strings.ContainsRune(nameOrPath, os.PathSeparator) || strings.HasSuffix(nameOrPath, ".yaml") {
		text, err := os.ReadFile(nameOrPath)
		if err != nil {
			return nil, fmt.Errorf("profile file: %w", err)
		}
		return Parse(nameOrPath, text)
	}
	text, err := embedded.ReadFile(nameOrPath + ".yaml")
	if err != nil {
		return nil, &UnknownError{Name: nameOrPath, Known: Names()}
	}
	return Parse("profiles/"+nameOrPath+".yaml", text)
}

// Parse reads one profile; unknown keys and ill-typed or impossible values are *ParseError.
func Parse(file string, text []byte) (*Profile, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &ParseError{File: file, Text: "the file is empty"}
		}
		return nil, &ParseError{File: file, Text: err.Error()}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &ParseError{File: file, Text: "a profile file holds one document"}
	}
	profile := &Profile{}
	if err := fill(file, reflect.ValueOf(profile).Elem(), document.Content[0], ""); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	profile.Text, profile.SHA256 = string(text), hex.EncodeToString(sum[:])
	return profile, profile.check(file)
}

// fill sets the fields of one struct from a YAML mapping, key by key, so that every complaint has its line.
func fill(file string, target reflect.Value, node *yaml.Node, path string) error {
	if node.Kind != yaml.MappingNode {
		return &ParseError{file, node.Line, fmt.Sprintf("%s must be a mapping of keys to values", orDocument(path))}
	}
	fields := map[string]reflect.Value{}
	var known []string
	for i := range target.NumField() {
		key := target.Type().Field(i).Tag.Get("yaml")
		if key != "-" {
			fields[key] = target.Field(i)
			known = append(known, key)
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, ok := fields[key.Value]
		if !ok {
			hint := "; known keys: " + strings.Join(known, ", ")
			if near := nearest(key.Value, known); near != "" {
				hint = fmt.Sprintf(" (did you mean %s?)", near)
			}
			return &ParseError{file, key.Line, fmt.Sprintf("unknown key %q%s", path+key.Value, hint)}
		}
		if seen[key.Value] {
			return &ParseError{file, key.Line, fmt.Sprintf("key %q is there twice", path+key.Value)}
		}
		seen[key.Value] = true
		if err := fillField(file, field, value, path+key.Value); err != nil {
			return err
		}
	}
	return nil
}

func fillField(file string, field reflect.Value, value *yaml.Node, path string) error {
	if field.Kind() == reflect.Struct {
		return fill(file, field, value, path+".")
	}
	if field.Kind() == reflect.Map { // literal Kafka properties: every scalar as it is written
		if value.Kind != yaml.MappingNode {
			return &ParseError{file, value.Line, path + " must be a mapping of Kafka settings"}
		}
		settings := map[string]string{}
		for i := 0; i+1 < len(value.Content); i += 2 {
			if value.Content[i+1].Kind != yaml.ScalarNode {
				return &ParseError{file, value.Content[i+1].Line, fmt.Sprintf("%s.%s must be a single value", path, value.Content[i].Value)}
			}
			settings[value.Content[i].Value] = value.Content[i+1].Value
		}
		field.Set(reflect.ValueOf(settings))
		return nil
	}
	if field.Kind() == reflect.String && value.Kind == yaml.ScalarNode {
		field.SetString(value.Value) // off and v3 stay text
		return nil
	}
	if err := value.Decode(field.Addr().Interface()); err != nil {
		return &ParseError{file, value.Line, fmt.Sprintf("%s must be %s, got %q", path, kindName(field.Kind()), value.Value)}
	}
	return nil
}

func kindName(kind reflect.Kind) string {
	switch kind {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "text"
}

func orDocument(path string) string {
	if path == "" {
		return "the profile"
	}
	return strings.TrimSuffix(path, ".")
}

// check holds the values against what Resolve can do.
func (p *Profile) check(file string) error {
	rules := []struct {
		broken bool
		text   string
	}{
		{p.Name == "", "name is missing"},
		{p.Build.GOAMD64 != "" && !slices.Contains([]string{"v1", "v2", "v3", "v4"}, p.Build.GOAMD64), fmt.Sprintf("build.goamd64 is v1, v2, v3 or v4, got %q", p.Build.GOAMD64)},
		{p.Build.PGO != "" && p.Build.PGO != "off" && p.Build.PGO != "required", fmt.Sprintf("build.pgo is off or required, got %q", p.Build.PGO)},
		{p.Bind.With != "" && !slices.Contains([]string{"none", "taskset", "numactl"}, p.Bind.With), fmt.Sprintf("bind.with is none, taskset or numactl, got %q", p.Bind.With)},
		{p.Bind.With == "taskset" && !(p.Bind.BrokerCPUShare > 0 && p.Bind.BrokerCPUShare < 1), fmt.Sprintf("bind.broker_cpu_share must lie between 0 and 1 with taskset, got %v", p.Bind.BrokerCPUShare)},
		{p.Bind.NUMANode < 0, "bind.numa_node must not be negative"},
		{p.Runtime.GOMAXPROCS < 0, "runtime.gomaxprocs must not be negative"},
	}
	for _, rule := range rules {
		if rule.broken {
			return &ParseError{File: file, Text: rule.text}
		}
	}
	return nil
}

// nearest is the known name at the smallest edit distance, within a third of the name's length (at least 2), else "".
func nearest(name string, known []string) string {
	best, bestDistance := "", max(2, len(name)/3)+1
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// editDistance counts single-byte insertions, deletions and substitutions.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, substitute)
		}
	}
	return row[len(b)]
}
