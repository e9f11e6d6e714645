package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Store is the committed folder of the points:
//
//	<dir>/reference.json
//	<dir>/<scenario>.<client>.jsonl    one line a point, in the order of measuring
//
// Lines are only ever appended, so that two branches merge line by line. Not safe for concurrent use.
type Store struct{ Dir string }

const pointsSuffix = ".jsonl"

// path of a workload's file: "wire_1k/wire" lies in wire_1k.wire.jsonl.
func (s Store) path(workload string) (string, error) {
	scenario, client, ok := strings.Cut(workload, "/")
	if !ok || scenario == "" || client == "" || strings.ContainsAny(scenario, `./\`) || strings.ContainsAny(client, `./\`) {
		return "", fmt.Errorf("points: %q is no workload (SCENARIO/CLIENT)", workload)
	}
	return filepath.Join(s.Dir, scenario+"."+client+pointsSuffix), nil
}

// Workloads names the workloads that have points.
func (s Store) Workloads() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(s.Dir, "*"+pointsSuffix))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), pointsSuffix)
		if scenario, client, ok := strings.Cut(name, "."); ok {
			names = append(names, scenario+"/"+client)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Points reads a workload's file; a file that is not there has none.
func (s Store) Points(workload string) ([]Point, error) {
	path, err := s.path(workload)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var points []Point
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var p Point
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if p.Kind != KindPoint && p.Kind != KindLink || !isCommit(p.Commit) || !isCommit(p.Reference) {
			return nil, fmt.Errorf("%s:%d: a %q of %q against %q is no point", path, number, p.Kind, p.Commit, p.Reference)
		}
		for metric, r := range p.Metrics {
			if !r.usable() {
				return nil, fmt.Errorf("%s:%d: %s is %v (%v to %v)", path, number, metric, r.Ratio, r.Low, r.High)
			}
		}
		points = append(points, p)
	}
	return points, lines.Err()
}

// Append writes one line behind the others, unless that trial has one already.
func (s Store) Append(workload string, p Point) error {
	path, err := s.path(workload)
	if err != nil {
		return err
	}
	there, err := s.Points(workload)
	if err != nil {
		return err
	}
	for _, old := range there {
		if old.Trial == p.Trial {
			return fmt.Errorf("points: trial %s is in %s already", p.Trial, filepath.Base(path))
		}
	}
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
