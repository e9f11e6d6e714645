package reports

import (
	"fmt"
	"slices"
	"sort"
)

// Spread is a median with its minimum and maximum over rounds. N is 0 when nothing admissible was measured.
type Spread struct {
	Median, Min, Max float64
	N                int
}

// spreadOf takes the values of the rounds.
func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{Median: Median(values), Min: slices.Min(values), Max: slices.Max(values), N: len(values)}
}

// ClientSummary is one row: one client over all rounds of one result.
type ClientSummary struct {
	Client        string
	ClientVersion string
	Target        string
	Rounds        int // arm-runs that ended and hold
	Planned       int

	// Failed says why this client has no throughput; then the rates below are empty.
	Failed string

	Delivered      Spread // records per second until the end offsets had grown
	DeliveredBytes Spread // raw bytes (keys + values) per second
	ClientRate     Spread // rate of send() (mode consume: of reading)

	BrokerCPUPerRecord Spread // ns
	BrokerCPUPerRawGB  Spread // CPU-seconds per 1e9 bytes of keys and values
	BrokerCPUPerLogGB  Spread // CPU-seconds per 1e9 bytes as stored (wire bytes)
	ClientCPUPerRecord Spread // ns

	BrokerPeakRSS  int64 // worst round
	BrokerReadyRSS int64 // median
	ClientPeakRSS  int64
	StartToReadyMs Spread

	Produce  Quantiles // ns, merged over rounds
	EndToEnd Quantiles
	Latency  Latencies // what the two were read from; views draw curves from it
	Meaning  string    // "acknowledged" or "handed to the socket (acks=0)"

	Expected, Read                       int64 // of the ledger, summed over rounds
	Lost, Duplicated, Reordered, Corrupt int64
	SendErrors                           int64
	Unverified                           bool // some arm-run's ledger was not checked
	Sampled                              bool // read back was a sample

	CompressedRatio float64
	Durability      string
	Validation      string
	Bottleneck      Bottleneck
	NotSteady       int // rounds whose warm-up never became steady
	Findings        []RoundFinding
}

// RoundFinding is a broken promise with the round it was found in.
type RoundFinding struct {
	Round int
	Finding
}

// String names what was broken and where: "lost: partition 3 offset 48211, 64 records …".
func (f RoundFinding) String() string {
	text := fmt.Sprintf("%s: partition %d offset %d, %d records, producer %d sequence %d",
		f.Kind, f.Partition, f.Offset, f.Count, f.Producer, f.FirstSequence)
	if f.LastSequence != f.FirstSequence {
		text += fmt.Sprintf("–%d", f.LastSequence)
	}
	if f.Kind == "duplicated" {
		text += fmt.Sprintf(", first copy at offset %d", f.FirstOffset)
	}
	return fmt.Sprintf("%s (round %d)", text, f.Round)
}

// Summary is the whole table of one result.
type Summary struct {
	Result  *Result
	Clients []ClientSummary
}

// Summarize judges a result. folder is where its .hlog files lie; empty leaves the latencies out.
func Summarize(result *Result, folder string) (*Summary, error) {
	summary := &Summary{Result: result}
	for _, client := range result.Clients {
		latencies, err := latencyLogs(result, folder, client)
		if err != nil {
			return nil, err
		}
		summary.Clients = append(summary.Clients, summarizeClient(result, client, latencies))
	}
	return summary, nil
}

// Failed tells whether any client lost, duplicated, reordered or corrupted a record, or did not end.
func (s *Summary) Failed() bool {
	return slices.ContainsFunc(s.Clients, func(c ClientSummary) bool { return c.Failed != "" })
}

func summarizeClient(result *Result, client string, latencies Latencies) ClientSummary {
	row := ClientSummary{
		Client: client, Target: result.Target.Label(),
		Durability: result.Target.Durability, Validation: result.Target.Validation,
		Latency: latencies, Produce: latencies.Quantiles(TagProduce), EndToEnd: latencies.Quantiles(TagEndToEnd),
	}
	var values figures
	var verdicts []Bottleneck
	for _, run := range result.ArmRuns {
		if run.Client != client {
			continue
		}
		row.Planned++
		row.addLedger(run)
		if run.Broker.Measured {
			row.BrokerPeakRSS = max(row.BrokerPeakRSS, run.Broker.PeakRSSBytes)
			values.readyRSS = append(values.readyRSS, float64(run.Broker.ReadyRSSBytes))
			values.ready = append(values.ready, run.Broker.StartToReadyMs)
		}
		if !run.Sound() {
			continue
		}
		row.Rounds++
		values.add(run)
		verdicts = append(verdicts, JudgeBottleneck(run))
	}
	row.fill(values)
	row.Bottleneck = middleVerdict(verdicts)
	row.Failed = row.failure(result)
	if row.Failed != "" {
		row.dropRates()
	}
	return row
}

// figures collects one value a round.
type figures struct {
	delivered, deliveredBytes, client        []float64
	perRecord, perRawGB, perLogGB, clientCPU []float64
	ready, readyRSS, clientRSS, ratio        []float64
	version, meaning                         string
	notSteady                                int
}

func (f *figures) add(run ArmRun) {
	r := run.Result
	f.version, f.meaning = r.ClientVersion, r.ProduceLatencyMeaning
	f.delivered = append(f.delivered, deliveredRate(run))
	f.client = append(f.client, r.ClientRate)
	f.clientRSS = append(f.clientRSS, float64(r.PeakRSS))
	if r.Records > 0 {
		f.deliveredBytes = append(f.deliveredBytes, deliveredRate(run)*float64(r.RawBytes)/float64(r.Records))
		f.clientCPU = append(f.clientCPU, float64(r.CPUUserNs+r.CPUSystemNs)/float64(r.Records))
	}
	if r.CompressedRatio > 0 {
		f.ratio = append(f.ratio, r.CompressedRatio)
	}
	if cost := CostOf(run); cost.Known {
		f.perRecord = append(f.perRecord, cost.CPUNsPerRecord)
		f.perRawGB = append(f.perRawGB, cost.CPUSecondsPerRawGB)
		if cost.CPUSecondsPerLogGB > 0 {
			f.perLogGB = append(f.perLogGB, cost.CPUSecondsPerLogGB)
		}
	}
	if !r.WarmUp.Steady && r.WarmUp.Seconds > 0 {
		f.notSteady++
	}
}

// deliveredRate of mode consume is the rate of reading: it has no delivered clock.
func deliveredRate(run ArmRun) float64 {
	if isConsume(run) && run.Result.DeliveredRate == 0 {
		return run.Result.ClientRate
	}
	return run.Result.DeliveredRate
}

func isConsume(run ArmRun) bool { return run.Job["mode"] == "consume" }

func (c *ClientSummary) fill(f figures) {
	c.ClientVersion, c.Meaning, c.NotSteady = f.version, f.meaning, f.notSteady
	c.Delivered, c.DeliveredBytes, c.ClientRate = spreadOf(f.delivered), spreadOf(f.deliveredBytes), spreadOf(f.client)
	c.BrokerCPUPerRecord, c.BrokerCPUPerRawGB, c.BrokerCPUPerLogGB = spreadOf(f.perRecord), spreadOf(f.perRawGB), spreadOf(f.perLogGB)
	c.ClientCPUPerRecord = spreadOf(f.clientCPU)
	c.StartToReadyMs = spreadOf(f.ready)
	c.BrokerReadyRSS = int64(Median(f.readyRSS))
	c.CompressedRatio = Median(f.ratio)
	for _, rss := range f.clientRSS {
		c.ClientPeakRSS = max(c.ClientPeakRSS, int64(rss))
	}
}

func (c *ClientSummary) addLedger(run ArmRun) {
	if run.Result == nil {
		c.Unverified = true
		return
	}
	ledger := run.Result.Ledger
	c.Expected += ledger.Expected
	c.Read += ledger.Read
	c.Lost += ledger.Lost
	c.Duplicated += ledger.Duplicated
	c.Reordered += ledger.Reordered
	c.Corrupt += ledger.Corrupt
	c.SendErrors += run.Result.SendErrors
	c.Unverified = c.Unverified || !ledger.Checked || ledger.FailureText != ""
	c.Sampled = c.Sampled || ledger.Checked && !ledger.Complete
	for _, finding := range ledger.Findings {
		c.Findings = append(c.Findings, RoundFinding{run.Round, finding})
	}
}

// failure words why a client has no throughput, the worst first.
func (c *ClientSummary) failure(result *Result) string {
	if c.Lost+c.Duplicated+c.Reordered+c.Corrupt > 0 {
		return fmt.Sprintf("lost %d, duplicated %d, reordered %d, corrupt %d", c.Lost, c.Duplicated, c.Reordered, c.Corrupt)
	}
	for _, run := range result.ArmRuns {
		if run.Client != c.Client {
			continue
		}
		if run.Failure != "" {
			return fmt.Sprintf("round %d: %s", run.Round, run.Failure)
		}
		if run.Result != nil && run.Result.Ledger.FailureText != "" {
			return fmt.Sprintf("round %d: read back did not end: %s", run.Round, run.Result.Ledger.FailureText)
		}
		if !run.Sound() {
			return fmt.Sprintf("round %d: client exit %d, delivery not proven", run.Round, run.Exit)
		}
		if deliveredRate(run) == 0 {
			return fmt.Sprintf("round %d: end offsets never grew by what was sent", run.Round)
		}
	}
	if c.Planned == 0 {
		return "did not run"
	}
	return ""
}

// dropRates leaves no number that rests on an unproven delivery.
func (c *ClientSummary) dropRates() {
	none := Spread{}
	c.Delivered, c.DeliveredBytes, c.ClientRate = none, none, none
	c.BrokerCPUPerRecord, c.BrokerCPUPerRawGB, c.BrokerCPUPerLogGB, c.ClientCPUPerRecord = none, none, none, none
	c.Produce, c.EndToEnd = Quantiles{}, Quantiles{}
	c.Latency = nil
	c.Bottleneck = Bottleneck{}
}

// Cost is what one arm-run cost the broker.
type Cost struct {
	Known              bool
	Records            float64 // stored (mode consume: read) between the two readings of the CPU clock
	CPUNsPerRecord     float64
	CPUSecondsPerRawGB float64
	CPUSecondsPerLogGB float64 // 0: the log's growth is not known
}

// CostOf divides the broker's CPU of the window by what it stored in it. Stored
// records are taken from the growth of the log where it is known: with deep
// client buffers the window also stores records whose send began before it, and
// dividing by the window's own sends would charge the broker for them.
func CostOf(run ArmRun) Cost {
	b, r := run.Broker, run.Result
	if !b.Measured || b.CPUNs <= 0 || r == nil || r.Records <= 0 {
		return Cost{}
	}
	records := float64(r.Records)
	sent := float64(r.Ledger.Expected)
	bytesPerRecord := 0.0
	if b.LogBytesTotal > 0 && sent > 0 {
		bytesPerRecord = float64(b.LogBytesTotal) / sent
	}
	if !isConsume(run) && b.LogBytesWindow > 0 && bytesPerRecord > 0 {
		records = float64(b.LogBytesWindow) / bytesPerRecord
	}
	cost := Cost{
		Known:              true,
		Records:            records,
		CPUNsPerRecord:     float64(b.CPUNs) / records,
		CPUSecondsPerRawGB: float64(b.CPUNs) / (records * float64(r.RawBytes) / float64(r.Records)),
	}
	if bytesPerRecord > 0 {
		cost.CPUSecondsPerLogGB = float64(b.CPUNs) / (records * bytesPerRecord)
	}
	return cost
}

// Bottleneck says which side used up the CPU in the window.
type Bottleneck struct {
	Side   string // client | broker | client and broker | others | steal | none (offered rate held) | not CPU | unknown
	Client float64
	Broker float64
	Other  float64
	Idle   float64 // with iowait
	Steal  float64 // shares of all CPU time of the window, 0 to 1
}

// String: "client (client 71 %, broker 14 %, other 6 %, idle 8 %, steal 1 %)".
func (b Bottleneck) String() string {
	if b.Side == "" {
		return ""
	}
	if b.Client+b.Broker+b.Other+b.Idle+b.Steal == 0 {
		return b.Side
	}
	return fmt.Sprintf("%s (client %.0f %%, broker %.0f %%, other %.0f %%, idle %.0f %%, steal %.0f %%)",
		b.Side, b.Client*100, b.Broker*100, b.Other*100, b.Idle*100, b.Steal*100)
}

// Shares of the machine from which a side counts as having used up the CPU.
const (
	idleMeansWaiting = 0.25 // more idle than this: the CPU was not what held the run back
	stealVoids       = 0.15
	sideDominates    = 2.0 // one side used that many times the other's CPU
	otherDisturbs    = 0.25
)

// JudgeBottleneck reads the CPU split of one arm-run's window.
func JudgeBottleneck(run ArmRun) Bottleneck {
	m := run.Machine
	total := float64(m.UserNs + m.SystemNs + m.IdleNs + m.IOWaitNs + m.StealNs)
	if total <= 0 || run.Result == nil {
		return Bottleneck{Side: "unknown"}
	}
	v := Bottleneck{
		Client: float64(run.Result.CPUUserNs+run.Result.CPUSystemNs) / total,
		Broker: float64(run.Broker.CPUNs) / total,
		Idle:   float64(m.IdleNs+m.IOWaitNs) / total,
		Steal:  float64(m.StealNs) / total,
	}
	v.Other = max(0, 1-v.Client-v.Broker-v.Idle-v.Steal)
	rate, _ := run.Job["rate_per_second"].(float64)
	switch {
	case !run.Broker.Measured && v.Idle <= idleMeansWaiting && v.Client < 0.5:
		v.Side = "unknown"
	case v.Steal > stealVoids:
		v.Side = "steal"
	case rate > 0 && !isConsume(run) && run.Result.ClientRate >= 0.99*rate: // mode consume: the rate is the tail's
		v.Side = "none (offered rate held)"
	case v.Idle > idleMeansWaiting:
		v.Side = "not CPU"
	case v.Other > otherDisturbs && v.Other > v.Client && v.Other > v.Broker:
		v.Side = "others"
	case v.Client >= sideDominates*v.Broker:
		v.Side = "client"
	case v.Broker >= sideDominates*v.Client:
		v.Side = "broker"
	default:
		v.Side = "client and broker"
	}
	return v
}

// middleVerdict is the verdict of the round with the median broker share.
func middleVerdict(verdicts []Bottleneck) Bottleneck {
	if len(verdicts) == 0 {
		return Bottleneck{}
	}
	sorted := slices.Clone(verdicts)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].Broker < sorted[j].Broker })
	return sorted[len(sorted)/2]
}
