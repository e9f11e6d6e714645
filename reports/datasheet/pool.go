package datasheet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// Schema is the version of the layout of pool.json and of the lines. It grows
// when a field changes its meaning or goes away, not when one is added.
const Schema = 1

// NoDose is the dose of A/A blocks.
const NoDose = "none"

// Header is pool.json: what holds for every block of the pool. Blocks that
// were run under other rules, rates or binaries belong to another pool.
type Header struct {
	Schema        int                     `json:"schema"`
	Class         string                  `json:"class" jsonschema:"of the machine, as ClassOf words it"`
	CreatedUnixNs int64                   `json:"created_unix_ns"`
	Commit        string                  `json:"commit" jsonschema:"40 hex digits"`
	Dirty         bool                    `json:"dirty"`
	Host          reports.HostFingerprint `json:"host"`
	Rules         trial.Rules             `json:"rules"`
	Broker        reports.Binary          `json:"broker" jsonschema:"the one binary of both arms, faults built in"`
	Workloads     []Workload              `json:"workloads"`
}

// Workload is one scenario with one client as it was run for the pool; its blocks are in the pool's files.
type Workload struct {
	trial.Workload
	// PartSeconds is how long each part's measured window was, by part name.
	PartSeconds map[string]float64 `json:"part_seconds"`
}

// Block is one line of a blocks file.
type Block struct {
	Dose     string `json:"dose" jsonschema:"none, cpu-5, …"`
	Fault    string `json:"fault" jsonschema:"as given to the broker of arm B; empty for A/A"`
	Workload string `json:"workload" jsonschema:"scenario/client"`
	Session  string `json:"session"`
	// Gate is the number of the direct gate that the block belongs to; 0: it was run for the pool alone.
	Gate  int         `json:"gate"`
	Block trial.Block `json:"block"`
}

// Gate is one line of gates.jsonl: one full gate run on the machine.
type Gate struct {
	Number      int       `json:"number" jsonschema:"from 1, over the whole pool"`
	Dose        string    `json:"dose"`
	Fault       string    `json:"fault"`
	Workload    string    `json:"workload"`
	Session     string    `json:"session"`
	Seed        uint64    `json:"seed,string"`
	Outcome     string    `json:"outcome" jsonschema:"as reports/verdict words it"`
	Exit        int       `json:"exit"`
	Look        int       `json:"look" jsonschema:"that decided, from 1"`
	Blocks      int       `json:"blocks" jsonschema:"kept"`
	Rejected    int       `json:"rejected" jsonschema:"by the rules of noise"`
	WallSeconds float64   `json:"wall_seconds" jsonschema:"from the first block's start to the verdict"`
	Rows        []GateRow `json:"rows" jsonschema:"the gated metrics"`
	CalledBy    []string  `json:"called_by" jsonschema:"names of the metrics whose row is a regression"`
}

// GateRow is one gated metric of a direct gate. Estimate, Low and High are
// relative worsenings (0.05: 5 % worse), PWorse the one-sided sign-flip p
// before Holm.
type GateRow struct {
	Metric   string  `json:"metric"`
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	PWorse   float64 `json:"p_worse"`
	Outcome  string  `json:"outcome"`
}

// Fault is one line of faults.jsonl: one run against a broker that was told to break the log.
type Fault struct {
	Fault      string `json:"fault" jsonschema:"drop-record, duplicate-batch, …"`
	Workload   string `json:"workload"`
	Session    string `json:"session"`
	Exit       int    `json:"exit"`
	Expected   int64  `json:"expected" jsonschema:"records acknowledged"`
	Read       int64  `json:"read"`
	Lost       int64  `json:"lost"`
	Duplicated int64  `json:"duplicated"`
}

// Pool is the raw data of one class of machine:
//
//	<root>/<class>/
//	    pool.json  blocks-<dose>-<workload>.jsonl  gates.jsonl  faults.jsonl
//	    datasheet.md  datasheet.json
//
// One process writes it at a time. Every append is on disk when it returns, and
// a line torn by a crash is dropped on the next read or append.
type Pool struct {
	Dir    string
	Header Header
	blocks []Block
	gates  []Gate
	faults []Fault
}

// Names of the files of a pool.
const (
	headerFile   = "pool.json"
	gatesFile    = "gates.jsonl"
	faultsFile   = "faults.jsonl"
	blocksPrefix = "blocks-"
	linesSuffix  = ".jsonl"
)

// Create starts the pool of a machine under root, or continues the one that is
// there if it was run the same way: same rules, workloads and broker binary.
// Schema and Class of the header are filled here.
func Create(root string, header Header) (*Pool, error) {
	header.Schema, header.Class = Schema, ClassOf(header.Host)
	dir := filepath.Join(root, header.Class)
	pool, err := Open(dir)
	if err == nil {
		return pool, pool.Header.accepts(header)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	text, err := json.MarshalIndent(header, "", " ")
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	if err := writeWhole(filepath.Join(dir, headerFile), append(text, '\n')); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	return &Pool{Dir: dir, Header: header}, nil
}

// accepts returns an error that names the first thing in which other blocks would differ.
func (h Header) accepts(other Header) error {
	if !reflect.DeepEqual(h.Rules, other.Rules) {
		return fmt.Errorf("pool: its rules are %+v, these are %+v", h.Rules, other.Rules)
	}
	if h.Broker.SHA256 != other.Broker.SHA256 {
		return fmt.Errorf("pool: its broker is %s, this one is %s", h.Broker.SHA256, other.Broker.SHA256)
	}
	for _, w := range other.Workloads {
		at := slices.IndexFunc(h.Workloads, func(own Workload) bool { return own.Name() == w.Name() })
		if at < 0 {
			return fmt.Errorf("pool: it has no workload %s", w.Name())
		}
		own := h.Workloads[at]
		if own.RatePerSecond != w.RatePerSecond || own.Durability != w.Durability || own.Validation != w.Validation ||
			own.Scenario.SHA256 != w.Scenario.SHA256 || !slices.Equal(own.Metrics, w.Metrics) {
			return fmt.Errorf("pool: workload %s was run with another scenario, rate, setting or set of metrics", w.Name())
		}
	}
	return nil
}

// Open reads a pool. The error is fs.ErrNotExist when there is none at dir.
func Open(dir string) (*Pool, error) {
	text, err := os.ReadFile(filepath.Join(dir, headerFile))
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	pool := &Pool{Dir: dir}
	if err := json.Unmarshal(text, &pool.Header); err != nil {
		return nil, fmt.Errorf("pool: %s: %w", headerFile, err)
	}
	if pool.Header.Schema > Schema || pool.Header.Schema < 1 {
		return nil, fmt.Errorf("pool: schema %d, this program reads up to %d", pool.Header.Schema, Schema)
	}
	files, err := filepath.Glob(filepath.Join(dir, blocksPrefix+"*"+linesSuffix))
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	slices.Sort(files)
	for _, file := range files {
		if err := readLines(file, &pool.blocks); err != nil {
			return nil, fmt.Errorf("pool: %w", err)
		}
	}
	if err := readLines(filepath.Join(dir, gatesFile), &pool.gates); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	if err := readLines(filepath.Join(dir, faultsFile), &pool.faults); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	return pool, nil
}

// AppendBlock adds a block, without the file names of logs and profiles, which the pool does not keep.
func (p *Pool) AppendBlock(b Block) error {
	b.Block.Runs = slices.Clone(b.Block.Runs)
	for i := range b.Block.Runs {
		b.Block.Runs[i].LatencyLogs, b.Block.Runs[i].Profile = nil, ""
	}
	name := blocksPrefix + fileName(b.Dose) + "-" + fileName(b.Workload) + linesSuffix
	if err := appendLine(filepath.Join(p.Dir, name), b); err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	p.blocks = append(p.blocks, b)
	return nil
}

// AppendGate adds the outcome of a direct gate; its blocks are added one by one with AppendBlock.
func (p *Pool) AppendGate(g Gate) error {
	if err := appendLine(filepath.Join(p.Dir, gatesFile), g); err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	p.gates = append(p.gates, g)
	return nil
}

// AppendFault adds one run of a correctness fault.
func (p *Pool) AppendFault(f Fault) error {
	if err := appendLine(filepath.Join(p.Dir, faultsFile), f); err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	p.faults = append(p.faults, f)
	return nil
}

// Blocks are those of one dose and workload in the order they were run, rejected and failed ones included.
func (p *Pool) Blocks(dose, workload string) []Block {
	var found []Block
	for _, b := range p.blocks {
		if b.Dose == dose && b.Workload == workload {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b Block) int {
		switch {
		case a.Block.StartUnixNs < b.Block.StartUnixNs:
			return -1
		case a.Block.StartUnixNs > b.Block.StartUnixNs:
			return 1
		}
		return 0
	})
	return found
}

// Gates are the direct gates of one dose and workload in the order they were run.
func (p *Pool) Gates(dose, workload string) []Gate {
	var found []Gate
	for _, g := range p.gates {
		if g.Dose == dose && g.Workload == workload {
			found = append(found, g)
		}
	}
	return found
}

// Faults are all runs of correctness faults in the order they were run.
func (p *Pool) Faults() []Fault { return slices.Clone(p.faults) }

// Doses lists what the pool has blocks or gates of: none first, then by fault and rising strength.
func (p *Pool) Doses() []string {
	var doses []string
	for _, b := range p.blocks {
		doses = append(doses, b.Dose)
	}
	for _, g := range p.gates {
		doses = append(doses, g.Dose)
	}
	slices.SortFunc(doses, compareDoses)
	return slices.Compact(doses)
}

var notFileName = regexp.MustCompile(`[^A-Za-z0-9._]+`)

// fileName leaves letters, digits, dot and underscore; whatever else stands between them becomes one dash.
func fileName(text string) string {
	return strings.Trim(notFileName.ReplaceAllString(text, "-"), "-.")
}
