package reports

// ClientResult is what one load client writes as client-result.json at the
// end of one arm-run. Times are Unix nanoseconds, taken from one wall-clock
// reading at process start plus the monotonic clock.
type ClientResult struct {
	Schema        int    `json:"schema"` // 1
	RunID         string `json:"run_id"`
	Scenario      string `json:"scenario"`
	Form          string `json:"form"`
	Client        string `json:"client"`
	ClientVersion string `json:"client_version"` // "kafka-clients 4.4.0", "franz-go v1.22.2"
	Runtime       string `json:"runtime"`        // "go1.26.8", "OpenJDK 17.0.15"
	Round         int    `json:"round"`

	// Effective is what each property of the job became in this client ("linger.ms" → "ProducerLinger(15ms)").
	Effective map[string]string `json:"effective"`
	// Unmapped properties have no counterpart in this client; the report names them.
	Unmapped []string `json:"unmapped"`

	Phases []Phase      `json:"phases"`
	WarmUp WarmUpResult `json:"warm_up"`

	// Counts of the measured window unless named otherwise.
	WarmUpRecords  int64  `json:"warm_up_records"`
	Records        int64  `json:"records"`      // sent in the window (mode consume: read in the window)
	RawBytes       int64  `json:"raw_bytes"`    // keys + values of those records, before compression
	Acknowledged   int64  `json:"acknowledged"` // callbacks without error, over warm-up and window
	SendErrors     int64  `json:"send_errors"`  // callbacks with an error, over warm-up and window
	FirstSendError string `json:"first_send_error"`

	// Window: first send; last send() returned; flush returned; end offsets had grown by all that was sent.
	WindowStartUnixNs int64 `json:"window_start_unix_ns"`
	LastSendUnixNs    int64 `json:"last_send_unix_ns"`
	FlushedUnixNs     int64 `json:"flushed_unix_ns"`
	DeliveredUnixNs   int64 `json:"delivered_unix_ns"` // 0: never
	// ClientRate is Records/(last send - start); DeliveredRate is Records/(delivered - start), 0 when not delivered.
	ClientRate    float64 `json:"client_rate_per_second"`
	DeliveredRate float64 `json:"delivered_rate_per_second"`

	// CPU of the client process between window start and delivered.
	CPUUserNs   int64 `json:"cpu_user_ns"`
	CPUSystemNs int64 `json:"cpu_system_ns"`
	PeakRSS     int64 `json:"peak_rss_bytes"`

	// CompressedRatio is measured by the client over what it really sent where its metrics tell (0: unknown),
	// else over the payload pool with the same codec; RatioSource says which.
	CompressedRatio float64 `json:"compressed_ratio"`
	RatioSource     string  `json:"ratio_source"`
	Batches         int64   `json:"batches"` // produce batches of the window, 0 unknown

	PerSecond []Second `json:"per_second"`
	Ledger    Ledger   `json:"ledger"`

	// LatencyLog is the HdrHistogram interval log beside this file: values in
	// nanoseconds, one interval a second per tag. Tags: produce (intended send →
	// acknowledged; acks=0: → handed to the socket), e2e (intended send →
	// received by a consumer).
	LatencyLog string `json:"latency_log"`
	// ProduceLatencyMeaning is "acknowledged" or "handed to the socket (acks=0)".
	ProduceLatencyMeaning string `json:"produce_latency_meaning"`

	// TailRatePerSecond, TailRecords: mode consume's tail part (open loop, e2e recorded), 0 otherwise.
	TailRecords int64 `json:"tail_records"`
}

// Phase is one part of a run: create, fill, warm-up, measure, flush, deliver, verify, tail.
type Phase struct {
	Name        string `json:"name"`
	StartUnixNs int64  `json:"start_unix_ns"`
	EndUnixNs   int64  `json:"end_unix_ns"`
}

// WarmUpResult says how the warm-up ended.
type WarmUpResult struct {
	Steady      bool      `json:"steady"`
	Seconds     float64   `json:"seconds"`
	Reason      string    `json:"reason"` // "steady", "max_seconds reached", "none asked"
	BucketRates []float64 `json:"bucket_rates_per_second"`
}

// Second is one second of the load (from warm-up on).
type Second struct {
	UnixNs       int64   `json:"unix_ns"` // end of the interval
	Seconds      float64 `json:"seconds"` // its length
	Sent         int64   `json:"sent"`
	Acknowledged int64   `json:"acknowledged"`
	Received     int64   `json:"received"`
	Measured     bool    `json:"measured"` // inside the window
}

// Ledger is the proof of delivery: what was sent (warm-up included) against what was read back.
type Ledger struct {
	Checked     bool              `json:"checked"`
	Complete    bool              `json:"complete"` // every record of the run was read back, not a sample
	Expected    int64             `json:"expected"` // sent without a reported error
	Read        int64             `json:"read"`
	Lost        int64             `json:"lost"`
	Duplicated  int64             `json:"duplicated"`
	Reordered   int64             `json:"reordered"`
	Corrupt     int64             `json:"corrupt"`
	Foreign     int64             `json:"foreign"` // valid records of another run tag
	Partitions  []PartitionLedger `json:"partitions"`
	Findings    []Finding         `json:"findings"`               // at most 100, the first of each kind and partition first
	FailureText string            `json:"failure_text,omitempty"` // why the read back could not end
}

// PartitionLedger is the ledger of one partition.
type PartitionLedger struct {
	Partition   int32 `json:"partition"`
	StartOffset int64 `json:"start_offset"` // end offset before the first send
	EndOffset   int64 `json:"end_offset"`   // after the last
	Sent        int64 `json:"sent"`         // per the client's callbacks
	Read        int64 `json:"read"`
	Lost        int64 `json:"lost"`
	Duplicated  int64 `json:"duplicated"`
	Reordered   int64 `json:"reordered"`
	Corrupt     int64 `json:"corrupt"`
}

// Finding is one broken promise, with its place.
type Finding struct {
	Kind      string `json:"kind"` // lost | duplicated | reordered | corrupt
	Partition int32  `json:"partition"`
	// Offset where it was seen; for lost: the offset of the last record of that producer read before the gap (-1: none).
	Offset        int64  `json:"offset"`
	Producer      uint32 `json:"producer"`
	FirstSequence uint64 `json:"first_sequence"`
	LastSequence  uint64 `json:"last_sequence"`
	Count         int64  `json:"count"`
	// FirstOffset of the earlier copy, for duplicated.
	FirstOffset int64 `json:"first_offset,omitempty"`
}

// Proven tells whether the ledger holds: checked, and nothing lost, duplicated, reordered or corrupt.
func (l Ledger) Proven() bool {
	return l.Checked && l.FailureText == "" && l.Lost == 0 && l.Duplicated == 0 && l.Reordered == 0 && l.Corrupt == 0
}
