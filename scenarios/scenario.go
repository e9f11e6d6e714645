// Package scenarios owns what is run: the workloads, as YAML files that are
// embedded in the binary, and the Job that one load client gets for one
// arm-run of one of them. The runner, fluxload and people call it. It never
// starts anything and imports nothing of ours.
package scenarios

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Forms of a scenario.
const (
	FormHonest    = "honest"
	FormSeedExact = "seed-exact"
)

// Modes of a scenario.
const (
	ModeProduce = "produce"
	ModeConsume = "consume"
)

// Names of the load clients.
const (
	ClientJava   = "java"
	ClientFranz  = "franz-go"
	ClientSarama = "sarama"
	ClientWire   = "wire"
)

// Clients lists every load client.
func Clients() []string { return []string{ClientJava, ClientFranz, ClientSarama, ClientWire} }

// RecordOverheadBytes is the header that every record value starts with
// (docs/load-contract.md, "Record value").
const RecordOverheadBytes = 36

// Properties are literal Kafka configuration properties. In YAML every scalar
// is taken as it is written: 16384, true and lz4 all become text.
type Properties map[string]string

// Scenario is one workload. Its zero values are filled by Load; units are in
// the keys' names.
type Scenario struct {
	Name     string   `yaml:"name" json:"name"`
	Question string   `yaml:"question" json:"question"` // the question that a run of it answers
	Mode     string   `yaml:"mode" json:"mode"`         // produce (default) | consume
	Clients  []string `yaml:"clients" json:"clients"`   // load clients, in order
	Threads  int      `yaml:"threads" json:"threads"`   // producers (mode consume: consumers), each its own client instance

	Partitions        int        `yaml:"partitions" json:"partitions"`
	ReplicationFactor int        `yaml:"replication_factor" json:"replication_factor"` // -1 (default): the broker's default
	TopicConfigs      Properties `yaml:"topic_configs" json:"topic_configs"`

	Producer Properties `yaml:"producer" json:"producer"`
	Consumer Properties `yaml:"consumer" json:"consumer"`
	// Broker holds overrides of broker settings (Kafka's keys) that the workload needs.
	Broker Properties `yaml:"broker" json:"broker"`

	Payload ScenarioPayload `yaml:"payload" json:"payload"`

	// Rate is "max" (closed loop) or "N/s" over all threads (open loop). Mode consume: the rate of the tail part.
	Rate Rate `yaml:"rate" json:"rate"`

	WarmUp  ScenarioWarmUp `yaml:"warm_up" json:"warm_up"`
	Measure Measure        `yaml:"measure" json:"measure"`
	// FillRecords: mode consume writes that many records before it reads.
	FillRecords int  `yaml:"fill_records" json:"fill_records"`
	EndToEnd    bool `yaml:"end_to_end" json:"end_to_end"` // consume while producing and record end-to-end latency
	Rounds      int  `yaml:"rounds" json:"rounds"`

	Verify Verify `yaml:"verify" json:"verify"`
	// SeedExact is the seed's own form: that many records, one shot, no warm-up. Absent: the scenario has none.
	SeedExact *SeedExact `yaml:"seed_exact" json:"seed_exact"`
	// Gate is how builds are compared under the scenario. Absent: the defaults of its fields.
	Gate Gate `yaml:"gate" json:"gate"`
	// TimeBudgetSeconds bounds one whole run of all clients and rounds; the runner plans within it.
	TimeBudgetSeconds float64 `yaml:"time_budget_seconds" json:"time_budget_seconds"`

	// Text is the YAML it was loaded from and Source where that lies; SHA256 is the text's hash.
	Text   string `yaml:"-" json:"-"`
	Source string `yaml:"-" json:"-"`
	SHA256 string `yaml:"-" json:"-"`
}

// ScenarioPayload describes records. See Payload for the meaning of the fields.
type ScenarioPayload struct {
	ValueBytes      int     `yaml:"value_bytes" json:"value_bytes"`
	KeySpread       int     `yaml:"key_spread" json:"key_spread"`
	CompressedRatio float64 `yaml:"compressed_ratio" json:"compressed_ratio"`
	Seed            uint64  `yaml:"seed" json:"seed"`
}

// ScenarioWarmUp describes the discarded traffic before the window. See WarmUp.
type ScenarioWarmUp struct {
	MinSeconds float64 `yaml:"min_seconds" json:"min_seconds"`
	MaxSeconds float64 `yaml:"max_seconds" json:"max_seconds"`
	// JavaMaxSeconds replaces MaxSeconds for the Java client, whose code is compiled while it warms up. 0: MaxSeconds.
	JavaMaxSeconds float64 `yaml:"java_max_seconds" json:"java_max_seconds"`
	BucketMillis   int     `yaml:"bucket_millis" json:"bucket_millis"`
	WindowBuckets  int     `yaml:"window_buckets" json:"window_buckets"`
	Tolerance      float64 `yaml:"tolerance" json:"tolerance"`
}

// Measure is the measured window: so many seconds, or so many records over all threads.
type Measure struct {
	Seconds float64 `yaml:"seconds" json:"seconds"`
	Records int     `yaml:"records" json:"records"`
}

// Verify bounds the proof of delivery.
type Verify struct {
	Fraction              float64 `yaml:"fraction" json:"fraction"` // of the partitions, lowest first; 1 is all
	DeliverTimeoutSeconds float64 `yaml:"deliver_timeout_seconds" json:"deliver_timeout_seconds"`
	TimeoutSeconds        float64 `yaml:"timeout_seconds" json:"timeout_seconds"`
}

// SeedExact is the seed's form of a scenario.
type SeedExact struct {
	Records int `yaml:"records" json:"records"`
}

// Gate says how two builds are compared under a scenario (fluxbench compare, gate).
// A run of an arm has two parts, each with a fresh broker and a fresh client.
type Gate struct {
	Client string `yaml:"client" json:"client"` // load client; default wire, whose own cost hides the broker's least
	// Rate of part cost: "N/s", or 0 (half): half of the saturation that a pilot run measures.
	Rate              Rate    `yaml:"rate" json:"rate"`
	WarmUpSeconds     float64 `yaml:"warm_up_seconds" json:"warm_up_seconds"`       // of each part
	CostSeconds       float64 `yaml:"cost_seconds" json:"cost_seconds"`             // window of part cost
	SaturationSeconds float64 `yaml:"saturation_seconds" json:"saturation_seconds"` // window of part saturation
	// Margins by metric (reports/trial): the relative worsening that a pass must exclude. Metrics that are not named keep their defaults.
	Margins Margins `yaml:"margins" json:"margins"`
}

// Margins are relative: 0.03 is 3 %.
type Margins map[string]float64

// Rate is an offered rate in records a second over all threads; 0 is "max".
type Rate float64

// ParseRate reads "max" or "N/s".
func ParseRate(text string) (Rate, error) {
	if text == "max" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(text, "/s")
	if !ok {
		return 0, fmt.Errorf("a rate is max or N/s (20000/s), got %q", text)
	}
	perSecond, err := strconv.ParseFloat(strings.ReplaceAll(number, "_", ""), 64)
	if err != nil || !(perSecond > 0) || perSecond > 1e9 {
		return 0, fmt.Errorf("a rate is max or N/s with N above 0 and at most 1e9, got %q", text)
	}
	return Rate(perSecond), nil
}

// String is what ParseRate reads.
func (r Rate) String() string {
	if r == 0 {
		return "max"
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s"
}

// JobOptions name one arm-run of a scenario.
type JobOptions struct {
	RunID     string
	RunTag    uint64
	Client    string
	Round     int    // from 1
	Form      string // honest (default) or seed-exact
	Bootstrap string // host:port
	Topic     string
}

// Job is the work order of one load client for one round of the scenario.
// The form seed-exact of a scenario that has none is an error of the caller:
// ask HasSeedExact.
func (s *Scenario) Job(o JobOptions) Job {
	job := Job{
		Schema: 1, RunID: o.RunID, RunTag: o.RunTag, Scenario: s.Name, Form: o.Form, Client: o.Client, Round: o.Round,
		Bootstrap: o.Bootstrap, Topic: o.Topic,
		Partitions: int32(s.Partitions), ReplicationFactor: int16(s.ReplicationFactor), TopicConfigs: copyOf(s.TopicConfigs),
		Mode: s.Mode, Threads: s.Threads, Producer: copyOf(s.Producer), Consumer: copyOf(s.Consumer),
		Payload: Payload{
			ValueBytes: s.Payload.ValueBytes, KeySpread: s.Payload.KeySpread,
			CompressedRatio: s.Payload.CompressedRatio, Seed: s.Payload.Seed,
		},
		RatePerSecond: float64(s.Rate),
		WarmUp: WarmUp{
			MinSeconds: s.WarmUp.MinSeconds, MaxSeconds: s.WarmUp.MaxSeconds, BucketMillis: s.WarmUp.BucketMillis,
			WindowBuckets: s.WarmUp.WindowBuckets, Tolerance: s.WarmUp.Tolerance,
		},
		MeasureSeconds: s.Measure.Seconds, MeasureRecords: int64(s.Measure.Records),
		EndToEnd: s.EndToEnd, FillRecords: int64(s.FillRecords),
		DeliverTimeoutSeconds: s.Verify.DeliverTimeoutSeconds, VerifyTimeoutSeconds: s.Verify.TimeoutSeconds, VerifyFraction: s.Verify.Fraction,
	}
	if job.Form == "" {
		job.Form = FormHonest
	}
	if o.Client == ClientJava && s.WarmUp.JavaMaxSeconds > 0 && s.WarmUp.MaxSeconds > 0 {
		job.WarmUp.MaxSeconds = s.WarmUp.JavaMaxSeconds
	}
	if job.Form == FormSeedExact && s.SeedExact != nil {
		job.WarmUp = WarmUp{}
		job.RatePerSecond, job.MeasureSeconds, job.MeasureRecords = 0, 0, int64(s.SeedExact.Records)
		job.EndToEnd = false
	}
	return job
}

// HasSeedExact tells whether the scenario has the seed's own form.
func (s *Scenario) HasSeedExact() bool { return s.SeedExact != nil }

// HasClient tells whether the scenario is meant for that load client.
func (s *Scenario) HasClient(client string) bool { return slices.Contains(s.Clients, client) }

func copyOf(p Properties) map[string]string {
	out := make(map[string]string, len(p))
	for k, v := range p {
		out[k] = v
	}
	return out
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
