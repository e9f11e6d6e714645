package trial

import "math"

// Parts of a run. Each has a fresh broker and a fresh client.
const (
	PartCost       = "cost"       // fixed offered rate, open loop: cost and latency
	PartSaturation = "saturation" // as fast as acknowledgements allow: throughput
)

// Metric is one thing that is judged.
type Metric struct {
	Name       string `json:"name"` // with its unit: broker_cpu_ns_per_msg
	Label      string `json:"label"`
	Unit       string `json:"unit" jsonschema:"as benchstat knows it"`
	Part       string `json:"part"`
	HigherWins bool   `json:"higher_wins"`
	// Gated metrics decide the verdict; the others are shown.
	Gated bool `json:"gated"`
	// Margin is the relative worsening that a pass must exclude: 0.03 is 3 %.
	Margin float64 `json:"margin"`
	// MinimumEffect is the least relative worsening that is called a regression.
	MinimumEffect float64 `json:"minimum_effect"`
	// Floor is added to both sides of a ratio: below it a difference means nothing (counters near zero).
	Floor float64 `json:"floor"`
	// Covariate names what its differences are adjusted for; empty: nothing.
	Covariate string `json:"covariate,omitempty"`
}

// CovariateSteal is the difference of the shares of CPU time that the
// hypervisor took from the two arms of a block. A broker that is held up finds
// larger batches in its sockets and does less for each record: the time that
// was stolen from one arm more than from the other explains most of what
// differs between equal arms.
const CovariateSteal = "steal"

// CovariateReference is the log ratio of the reference work between the two arms
// of a block: a fixed piece of work that the harness does all through the
// windows, at a low duty (Noise.ReferenceNs). What a neighbour on the same core
// or in the same cache does to it, it does to the broker as well; a look at the
// machine before a run does not see that, because it comes and goes within a second.
const CovariateReference = "reference"

// Names of the metrics.
const (
	BrokerCPU        = "broker_cpu_ns_per_msg"
	BrokerAllocs     = "broker_allocs_per_msg"
	BrokerAllocBytes = "broker_alloc_bytes_per_msg"
	ReadSyscalls     = "broker_read_syscalls_per_msg"
	WriteSyscalls    = "broker_write_syscalls_per_msg"
	ResponseBytes    = "broker_sent_bytes_per_msg"
	Delivered        = "delivered_msg_per_s"
	ProduceP50       = "produce_p50_ns"
	ProduceP99       = "produce_p99_ns"
	ProduceP999      = "produce_p999_ns"
	PeakRSS          = "broker_peak_rss_bytes"
	SaturationCPU    = "broker_cpu_ns_per_msg_at_saturation"
	ContextSwitches  = "broker_context_switches_per_msg"
	ClientCPU        = "client_cpu_ns_per_msg"
)

// Metrics returns the table of all metrics with their default margins, in the
// order in which they are shown. A margin is meant to be what 24 blocks can exclude
// on two shared cores (reports/proof has the spreads); counters have a floor because a
// broker that allocates nothing a message would otherwise be judged on noise.
func Metrics() []Metric {
	return []Metric{
		{Name: BrokerCPU, Label: "broker CPU-ns/msg", Unit: "broker-cpu-ns/msg", Part: PartCost, Gated: true, Margin: 0.03, MinimumEffect: 0.01, Covariate: CovariateReference},
		{Name: BrokerAllocs, Label: "allocations/msg", Unit: "broker-allocs/msg", Part: PartCost, Gated: true, Margin: 0.1, MinimumEffect: 0.05, Floor: 0.05},
		{Name: BrokerAllocBytes, Label: "allocated B/msg", Unit: "broker-alloc-B/msg", Part: PartCost, Gated: true, Margin: 0.1, MinimumEffect: 0.05, Floor: 8},
		{Name: ReadSyscalls, Label: "read syscalls/msg", Unit: "broker-reads/msg", Part: PartCost, Gated: true, Margin: 0.1, MinimumEffect: 0.03, Floor: 0.0005, Covariate: CovariateSteal},
		{Name: WriteSyscalls, Label: "write syscalls/msg", Unit: "broker-writes/msg", Part: PartCost, Gated: true, Margin: 0.05, MinimumEffect: 0.02, Floor: 0.0005, Covariate: CovariateSteal},
		{Name: ResponseBytes, Label: "sent B/msg", Unit: "broker-sent-B/msg", Part: PartCost, Gated: true, Margin: 0.01, MinimumEffect: 0.005, Floor: 0.1},
		{Name: Delivered, Label: "delivered msg/s", Unit: "msg/s", Part: PartSaturation, HigherWins: true, Gated: true, Margin: 0.1, MinimumEffect: 0.03, Covariate: CovariateSteal},
		{Name: ProduceP50, Label: "produce p50", Unit: "p50-ns", Part: PartCost, Margin: 0.2, MinimumEffect: 0.05, Covariate: CovariateReference},
		{Name: ProduceP99, Label: "produce p99", Unit: "p99-ns", Part: PartCost, Gated: true, Margin: 1, MinimumEffect: 0.25, Covariate: CovariateSteal},
		{Name: ProduceP999, Label: "produce p99.9", Unit: "p99.9-ns", Part: PartCost, Margin: 0.3, MinimumEffect: 0.1, Covariate: CovariateSteal},
		{Name: PeakRSS, Label: "broker peak RSS", Unit: "peak-RSS-bytes", Part: PartCost, Gated: true, Margin: 0.1, MinimumEffect: 0.05},
		{Name: SaturationCPU, Label: "broker CPU-ns/msg at saturation", Unit: "broker-cpu-saturated-ns/msg", Part: PartSaturation, Margin: 0.05, MinimumEffect: 0.02, Covariate: CovariateReference},
		{Name: ContextSwitches, Label: "context switches/msg", Unit: "broker-switches/msg", Part: PartCost, Margin: 0.1, MinimumEffect: 0.05, Floor: 0.0001, Covariate: CovariateSteal},
		{Name: ClientCPU, Label: "client CPU-ns/msg", Unit: "client-cpu-ns/msg", Part: PartCost, Margin: 0.05, MinimumEffect: 0.02, Covariate: CovariateReference},
	}
}

// Difference is the block's log ratio of B over A in the direction of
// worsening: positive is worse whatever the metric. ok is false when a run
// does not know the metric.
func (m Metric) Difference(b Block) (d float64, ok bool) {
	var sum float64
	for _, r := range b.Runs {
		value, known := r.Values[m.Name]
		if !known || value+m.Floor <= 0 || math.IsNaN(value) || math.IsInf(value, 0) {
			return 0, false
		}
		l := math.Log(value+m.Floor) / 2
		if r.Arm == Base {
			l = -l
		}
		sum += l
	}
	if m.HigherWins {
		sum = -sum
	}
	return sum, true
}

// CovariateDifference is the block's difference, B less A, of what the metric is
// adjusted for: for CovariateSteal of the mean share of CPU time stolen, for
// CovariateReference of the mean logarithm of the reference work beside the
// metric's part. ok is false for a metric without a covariate and where a run does not know it.
func (m Metric) CovariateDifference(b Block) (x float64, ok bool) {
	for _, r := range b.Runs {
		var value float64
		switch m.Covariate {
		case CovariateSteal:
			value, ok = r.Noise.StealShare, r.Noise.StealShare >= 0
		case CovariateReference:
			ns := r.Noise.ReferenceNs[m.Part]
			value, ok = math.Log(ns), ns > 0 && !math.IsInf(ns, 0)
		default:
			ok = false
		}
		if !ok {
			return 0, false
		}
		if r.Arm == Base {
			value = -value
		}
		x += value / 2
	}
	return x, ok
}

// Worsening turns a difference into the relative worsening it stands for: 0.05 is 5 % more cost, or 5 % less throughput.
func (m Metric) Worsening(d float64) float64 {
	if m.HigherWins {
		return -math.Expm1(-d)
	}
	return math.Expm1(d)
}

// Ratio turns a difference into the ratio head over base.
func (m Metric) Ratio(d float64) float64 {
	if m.HigherWins {
		d = -d
	}
	return math.Exp(d)
}
