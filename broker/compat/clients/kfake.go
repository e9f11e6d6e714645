package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"fluxmq/broker/compat/suite"
)

const (
	kfakeModule  = "github.com/twmb/franz-go/pkg/kfake"
	kfakeStandIn = "broker/compat/clients/kfake"
)

// kfake is the fake's own tests, bodies unchanged, on our broker: its test
// files are laid over the package that stands in for it, without the tests
// that need what only a fake has, as several brokers. Those are cases too: left out, not passed.
func kfake() client {
	return client{
		name: "kfake", made: "kfake, the fake broker of franz-go", budget: kfakeBudget,
		covers: "the fake's own tests of groups, transactions, share groups, producing, fetching and administration, turned on this broker; skipped are those that need several brokers, a fake's insides or what Kafka does not do",
		install: func(ctx context.Context, w workshop, words io.Writer) (string, error) {
			return kfakeVersion, command{argv: []string{"go", "mod", "download", kfakeModule + "@" + kfakeVersion}, words: words}.run(ctx)
		},
		run: func(ctx context.Context, w workshop, _ string, words io.Writer) ([]suite.Case, error) {
			source, err := moduleFolder(ctx, kfakeModule+"@"+kfakeVersion, words)
			if err != nil {
				return nil, err
			}
			t, err := turnKfake(ctx, source, words)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(words, "%d tests are turned, %d are left out because\n%s", len(t.runs), len(t.left), t.reasons())
			overlay, err := t.lay(filepath.Join(w.cache, "kfake"), kfakeStandIn)
			if err != nil {
				return nil, err
			}
			// The budget ends it before -timeout would: it kills brokers too.
			cases, err := command{argv: goTest(2*kfakeBudget, "-overlay", overlay, "-vet=off", "-parallel", "6", "-skip", partsByHand(kfakeRules.byHand), "./"+kfakeStandIn),
				env: []string{"FLUXMQ_STAND_IN=" + w.broker}, words: words}.read(ctx, suite.ReadGoTest)
			for name, why := range kfakeRules.byHand {
				if strings.Contains(name, "/") {
					t.left[name] = why
				}
			}
			for _, name := range slices.Sorted(maps.Keys(t.left)) {
				fmt.Fprintf(words, "left out: %s: %s\n", name, t.left[name])
				cases = append(cases, suite.Case{Name: name, Outcome: suite.Skipped, Why: t.left[name]})
			}
			return cases, err
		},
	}
}

const kfakeBudget = 6 * time.Minute

// moduleFolder is where the module cache keeps a module that was downloaded.
func moduleFolder(ctx context.Context, module string, words io.Writer) (string, error) {
	var said bytes.Buffer
	if err := (command{argv: []string{"go", "mod", "download", "-json", module}, out: &said, words: words}).run(ctx); err != nil {
		return "", err
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(said.Bytes(), &m); err != nil {
		return "", err
	}
	return m.Dir, nil
}

// turnKfake turns the test files in source. It runs in the repository's root.
func turnKfake(ctx context.Context, source string, words io.Writer) (turned, error) {
	standIn, err := filepath.Glob(filepath.Join(kfakeStandIn, "*.go"))
	if err != nil {
		return turned{}, err
	}
	standIn = slices.DeleteFunc(standIn, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
	tests, err := filepath.Glob(filepath.Join(source, "*_test.go"))
	if err != nil {
		return turned{}, err
	}
	imported := map[string]bool{}
	for _, path := range slices.Concat(standIn, tests) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return turned{}, err
		}
		for _, spec := range file.Imports {
			imported[strings.Trim(spec.Path.Value, `"`)] = true
		}
	}
	var compiled bytes.Buffer
	list := append([]string{"go", "list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}"}, slices.Sorted(maps.Keys(imported))...)
	if err := (command{argv: list, out: &compiled, words: words}).run(ctx); err != nil {
		return turned{}, err
	}
	exports := map[string]string{}
	for line := range strings.Lines(compiled.String()) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	return turn(standIn, tests, kfakeRules, func(set *token.FileSet) types.Importer {
		return importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) {
			file, ok := exports[path]
			if !ok {
				return nil, fmt.Errorf("%s is not compiled", path)
			}
			return os.Open(file)
		})
	})
}

// partsByHand is the -skip of `go test` for the parts of tests that are left out by hand.
func partsByHand(byHand map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(byHand)) {
		if whole, part, isPart := strings.Cut(name, "/"); isPart {
			parts = append(parts, "^"+whole+"$/^"+regexp.QuoteMeta(part)+"$")
		}
	}
	return strings.Join(parts, "|")
}

// lay writes the files into folder, and beside them the overlay that puts them
// over the package at over, whose own tests it hides but for its TestMain.
func (t turned) lay(folder, over string) (string, error) {
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	over, err := filepath.Abs(over)
	if err != nil {
		return "", err
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	own, err := filepath.Glob(filepath.Join(over, "*_test.go"))
	if err != nil {
		return "", err
	}
	for _, path := range own {
		if filepath.Base(path) != "main_test.go" {
			overlay.Replace[path] = ""
		}
	}
	for name, text := range t.files {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(over, name)] = path
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, text, 0o644)
}
