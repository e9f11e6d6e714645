package scenarios

// Job is everything one load client needs for one arm-run: one scenario, one
// client, one round. The runner writes it as JSON; fluxload (Go) and the Java
// jar read it. Unknown fields are refused by both. Durations carry their unit
// in the name. docs/load-contract.md describes the phases.
type Job struct {
	Schema   int    `json:"schema"` // 1
	RunID    string `json:"run_id"`
	RunTag   uint64 `json:"run_tag,string"` // in every record: tells this run's records from any other's
	Scenario string `json:"scenario"`
	Form     string `json:"form"`   // honest | seed-exact
	Client   string `json:"client"` // java | franz-go | sarama | wire
	Round    int    `json:"round"`  // from 1

	Bootstrap         string            `json:"bootstrap"`
	Topic             string            `json:"topic"`
	Partitions        int32             `json:"partitions"`
	ReplicationFactor int16             `json:"replication_factor"` // -1: the broker's default
	TopicConfigs      map[string]string `json:"topic_configs"`

	Mode     string            `json:"mode"`     // produce | consume
	Threads  int               `json:"threads"`  // producers (consumers in mode consume), each its own client instance and thread
	Producer map[string]string `json:"producer"` // literal Kafka producer properties
	Consumer map[string]string `json:"consumer"` // literal Kafka consumer properties

	Payload Payload `json:"payload"`

	// RatePerSecond is the offered rate over all threads; 0 is closed loop (as fast as acks allow).
	RatePerSecond float64 `json:"rate_per_second"`

	WarmUp WarmUp `json:"warm_up"`
	// MeasureSeconds is the measured window; ignored when MeasureRecords > 0.
	MeasureSeconds float64 `json:"measure_seconds"`
	// MeasureRecords, when > 0, ends the window after that many records over all threads.
	MeasureRecords int64 `json:"measure_records"`
	// EndToEnd: consume while producing and record end-to-end latency.
	EndToEnd bool `json:"end_to_end"`
	// FillRecords: mode consume writes that many records first (not measured).
	FillRecords int64 `json:"fill_records"`

	DeliverTimeoutSeconds float64 `json:"deliver_timeout_seconds"` // end offsets must have grown by then
	VerifyTimeoutSeconds  float64 `json:"verify_timeout_seconds"`  // read back must end by then
	// VerifyFraction of the records is read back and checked, 1 is all (partitions are taken whole, lowest first).
	VerifyFraction float64 `json:"verify_fraction"`
}

// Payload describes record keys and values.
type Payload struct {
	ValueBytes int `json:"value_bytes"` // at least RecordOverheadBytes
	// KeySpread is the number of distinct keys; 0 sends null keys (the client's own partitioner spreads them).
	KeySpread int `json:"key_spread"`
	// CompressedRatio is the wanted compressed/raw size (0.35: compresses by 65 %); the ratio reached is measured and reported.
	CompressedRatio float64 `json:"compressed_ratio"`
	Seed            uint64  `json:"seed,string"`
}

// WarmUp is discarded traffic before the window, ended by the detector: the
// last WindowBuckets bucket rates lie within Tolerance of their mean and show no monotone trend.
type WarmUp struct {
	MinSeconds    float64 `json:"min_seconds"`
	MaxSeconds    float64 `json:"max_seconds"` // 0: no warm-up at all (seed-exact)
	BucketMillis  int     `json:"bucket_millis"`
	WindowBuckets int     `json:"window_buckets"`
	Tolerance     float64 `json:"tolerance"`
}
