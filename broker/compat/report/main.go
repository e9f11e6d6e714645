package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fluxmq/broker/compat/differential"
	"fluxmq/broker/compat/scale"
	"fluxmq/broker/compat/suite"
)

func main() {
	results := flag.String("results", "broker/compat/results", "folder of the results")
	page := flag.String("o", "COMPATIBILITY.md", "the page to write")
	flag.Parse()
	if err := run(*results, *page); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(results, page string) error {
	text, err := pageOf(results)
	if err != nil {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}

const (
	differentialFile = "differential.json"
	clientsFolder    = "clients"
	groupsFile       = "group-scale.json"
	compactionFile   = "compaction-scale.json"
)

// pageOf makes the page of what results there are.
func pageOf(results string) ([]byte, error) {
	apis, err := differential.Load(filepath.Join(results, differentialFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	clients, err := suite.Load(filepath.Join(results, clientsFolder))
	if err != nil {
		return nil, err
	}
	groups, err := scale.LoadGroups(filepath.Join(results, groupsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	compaction, err := scale.LoadCompaction(filepath.Join(results, compactionFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return write(apis, clients, groups, compaction), nil
}
