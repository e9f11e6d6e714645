package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fluxmq/broker/compat/differential"
)

func main() {
	results := flag.String("results", "broker/compat/results", "folder of the results")
	page := flag.String("o", "COMPATIBILITY.md", "the page to write")
	tests := flag.String("tests", "", "events of `go test -json` to count first: a file, or - for standard input")
	flag.Parse()
	if err := run(*results, *page, *tests); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(results, page, tests string) error {
	if tests != "" {
		if err := count(results, tests); err != nil {
			return err
		}
	}
	text, err := pageOf(results)
	if err != nil {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}

// count reads test events, shows what the tests print and keeps the counts.
func count(results, tests string) error {
	var events io.Reader = os.Stdin
	if tests != "-" {
		f, err := os.Open(tests)
		if err != nil {
			return err
		}
		defer f.Close()
		events = f
	}
	suites, err := countTests(events, os.Stdout)
	if err != nil {
		return err
	}
	return suites.save(filepath.Join(results, suitesFile))
}

const (
	differentialFile = "differential.json"
	suitesFile       = "suites.json"
)

// pageOf makes the page of what results there are.
func pageOf(results string) ([]byte, error) {
	apis, err := differential.Load(filepath.Join(results, differentialFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	suites, err := loadSuites(filepath.Join(results, suitesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return write(apis, suites), nil
}
