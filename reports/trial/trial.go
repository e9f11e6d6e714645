// Package trial owns the record of an A/B measurement: two builds of the
// broker (or two settings of one build), run in blocks of four arm-runs in the
// order ABBA or BAAB, so that drift of the machine falls on both alike
// (randomised multiple interleaved trials; Abedi and Brecht, ICPE 2017).
// tools/bench writes it, reports/verdict judges it, every view is made from
// it. The package measures and judges nothing.
//
// Words: arm A is the base, arm B the head. A run is one arm, once: a fresh
// broker and a fresh client for each of its parts. A block is four runs. A
// workload is one scenario with one client. Ratios are head over base.
package trial

import (
	"fluxmq/reports"
)

// Schema is the version of the JSON layout. It grows when a field changes its
// meaning or goes away, not when one is added: older layouts are read, newer refused.
const Schema = 1

// Kinds of a trial.
const (
	KindCompare = "compare" // two commits, a fixed number of blocks, intervals
	KindGate    = "gate"    // two commits, two looks, a verdict
	KindProve   = "prove"   // one binary on both sides, a fault in B: the gate's own test
	KindRace    = "race"    // one commit, one setting changed in B
)

// The arms.
const (
	Base = "A"
	Head = "B"
)

// Trial is everything one A/B measurement learned: enough to judge it again
// elsewhere. Times are Unix nanoseconds.
type Trial struct {
	Schema         int                     `json:"schema"`
	ID             string                  `json:"id"`
	Kind           string                  `json:"kind"`
	StartedUnixNs  int64                   `json:"started_unix_ns"`
	FinishedUnixNs int64                   `json:"finished_unix_ns"`
	Command        []string                `json:"command"`
	Seed           uint64                  `json:"seed,string" jsonschema:"of the orders of the blocks and of every resampling"`
	Base           Side                    `json:"base"`
	Head           Side                    `json:"head"`
	Host           reports.HostFingerprint `json:"host"`
	Preflight      []reports.Check         `json:"preflight"`
	Rules          Rules                   `json:"rules"`
	Workloads      []Workload              `json:"workloads"`
	Exit           int                     `json:"exit"`
	Failure        string                  `json:"failure" jsonschema:"why it ended early; empty when it did not"`
}

// Side is what one arm runs.
type Side struct {
	Label     string                `json:"label" jsonschema:"as shown: main, HEAD, GOGC=200"`
	Revision  string                `json:"revision" jsonschema:"as asked for"`
	Commit    string                `json:"commit" jsonschema:"40 hex digits"`
	Dirty     bool                  `json:"dirty" jsonschema:"built from a working tree with uncommitted changes"`
	Profile   reports.ProfileRecord `json:"profile"`
	Broker    reports.Binary        `json:"broker"`
	Overrides map[string]string     `json:"overrides" jsonschema:"broker settings that only this side got"`
	Env       []string              `json:"env" jsonschema:"environment that only this side got, K=V"`
	Client    map[string]string     `json:"client" jsonschema:"producer properties that only this side got"`
}

// Rules are what was decided before the first block ran.
type Rules struct {
	Looks            []int   `json:"looks" jsonschema:"kept blocks of a workload at which it is judged; one entry: no early look"`
	Alpha            float64 `json:"alpha" jsonschema:"one-sided, over all looks, before Holm"`
	Confidence       float64 `json:"confidence" jsonschema:"of the two-sided intervals"`
	MaxStealShare    float64 `json:"max_steal_share" jsonschema:"steal/(steal+busy) of a run above which its block is redrawn"`
	MaxForeignShare  float64 `json:"max_foreign_share" jsonschema:"CPU of processes that are not ours, over all CPU time of a run"`
	MaxCanaryDeviate float64 `json:"max_canary_deviation" jsonschema:"of the fixed loop before a run from the trial's running median, relative"`
	MaxExtraShare    float64 `json:"max_extra_share" jsonschema:"rejected blocks over planned ones at which redrawing ends"`
}

// Workload is one scenario with one client.
type Workload struct {
	Scenario reports.ScenarioRecord `json:"scenario"`
	Client   string                 `json:"client"`
	// RatePerSecond is the fixed offered rate of part cost; PilotPerSecond the saturation that it was derived from, 0: the rate was given.
	RatePerSecond  float64        `json:"rate_per_second"`
	PilotPerSecond float64        `json:"pilot_per_second"`
	Durability     string         `json:"durability"`
	Validation     string         `json:"validation"`
	Clients        reports.Binary `json:"client_binary"`
	Metrics        []Metric       `json:"metrics" jsonschema:"what is judged, with the scenario's margins"`
	MarginsDefault bool           `json:"margins_default" jsonschema:"the scenario names no margins: the defaults hold"`
	Blocks         []Block        `json:"blocks"`
}

// Block is four runs in the order of Order, "ABBA" or "BAAB".
type Block struct {
	Number      int    `json:"number" jsonschema:"from 1, rejected ones included"`
	Order       string `json:"order"`
	StartUnixNs int64  `json:"start_unix_ns"`
	EndUnixNs   int64  `json:"end_unix_ns"`
	Runs        []Run  `json:"runs"`
	// Rejected says by which rule the whole block is left out; empty: it is kept. The rules see noise only, never a measured result.
	Rejected string `json:"rejected"`
}

// Run is one arm, once.
type Run struct {
	Arm         string             `json:"arm"`
	Position    int                `json:"position" jsonschema:"in the block, from 1"`
	StartUnixNs int64              `json:"start_unix_ns"`
	EndUnixNs   int64              `json:"end_unix_ns"`
	Values      map[string]float64 `json:"values" jsonschema:"by metric name; what is not known is absent"`
	Noise       Noise              `json:"noise"`
	// Ledger sums both parts: what was sent and what of it was read back.
	Expected   int64 `json:"expected"`
	Read       int64 `json:"read"`
	Lost       int64 `json:"lost"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`
	Corrupt    int64 `json:"corrupt"`
	// Failure is one sentence when the run is not sound; Exit its exit code (6: correctness).
	Failure string `json:"failure,omitempty"`
	Exit    int    `json:"exit"`
	// LatencyLogs and Profile are file names in the trial's folder, by part.
	LatencyLogs map[string]string `json:"latency_logs,omitempty"`
	Profile     string            `json:"profile,omitempty" jsonschema:"CPU profile of the broker over part cost"`
}

// Noise is what disturbed a run, measured without looking at its result. -1: not known.
type Noise struct {
	StealShare         float64 `json:"steal_share" jsonschema:"steal/(steal+busy) over the run's windows"`
	ForeignShare       float64 `json:"foreign_share" jsonschema:"CPU of others over all CPU time in the run's windows"`
	CanaryNs           float64 `json:"canary_ns" jsonschema:"CPU of the fixed loop before the run"`
	FirstTouchNsPerKiB float64 `json:"first_touch_ns_per_kib" jsonschema:"CPU to write fresh page cache before the run"`
	ReportedKiB        float64 `json:"reported_kib" jsonschema:"memory that the guest gave back to the host during the run (free page reporting)"`
	// ReferenceNs is the mean CPU time of one round of the reference work beside the window, by part; a part whose window it did not see is absent.
	ReferenceNs map[string]float64 `json:"reference_ns,omitempty" jsonschema:"CPU of one round of fixed work done all through the window, by part"`
}

// Sound tells whether a run may be counted.
func (r Run) Sound() bool { return r.Exit == 0 && r.Failure == "" }

// Kept returns the blocks that no rule rejected and whose runs are all sound, in order.
func (w Workload) Kept() []Block {
	var kept []Block
	for _, b := range w.Blocks {
		if b.Rejected == "" && b.Sound() {
			kept = append(kept, b)
		}
	}
	return kept
}

// Sound tells whether all four runs ended well.
func (b Block) Sound() bool {
	for _, r := range b.Runs {
		if !r.Sound() {
			return false
		}
	}
	return len(b.Runs) == 4
}

// Name of a workload in tables: "megabatch/wire".
func (w Workload) Name() string { return w.Scenario.Name + "/" + w.Client }
