package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// DecodeJob reads one job from JSON. Unknown fields, trailing data and values
// that no client could run are errors; the caller exits 2 with them.
func DecodeJob(r io.Reader) (Job, error) {
	var job Job
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&job); err != nil {
		return Job{}, fmt.Errorf("job: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Job{}, errors.New("job: data after the JSON object")
	}
	if err := job.Validate(); err != nil {
		return Job{}, err
	}
	return job, nil
}

// Validate holds a job's values against what the contract allows.
func (j Job) Validate() error {
	rules := []struct {
		broken bool
		text   string
	}{
		{j.Schema != 1, fmt.Sprintf("schema %d is not known, this build reads 1", j.Schema)},
		{!slices.Contains(Clients(), j.Client), fmt.Sprintf("unknown client %q%s", j.Client, suggest(j.Client, Clients()))},
		{j.Form != FormHonest && j.Form != FormSeedExact, fmt.Sprintf("form is honest or seed-exact, got %q", j.Form)},
		{j.Bootstrap == "", "bootstrap is missing"},
		{j.Topic == "", "topic is missing"},
		{j.Partitions < 1 || j.Partitions > 65534, fmt.Sprintf("partitions must be between 1 and 65534, got %d", j.Partitions)},
		{j.ReplicationFactor == 0 || j.ReplicationFactor < -1, fmt.Sprintf("replication_factor must be -1 or at least 1, got %d", j.ReplicationFactor)},
		{j.Mode != ModeProduce && j.Mode != ModeConsume, fmt.Sprintf("mode is produce or consume, got %q", j.Mode)},
		{j.Threads < 1 || j.Threads > 1024, fmt.Sprintf("threads must be between 1 and 1024, got %d", j.Threads)},
		{j.Payload.ValueBytes < RecordOverheadBytes || j.Payload.ValueBytes > 64<<20, fmt.Sprintf("value_bytes must be between %d and 64 MiB, got %d", RecordOverheadBytes, j.Payload.ValueBytes)},
		{j.Payload.KeySpread < 0 || j.Payload.KeySpread > 10_000_000, fmt.Sprintf("key_spread must be between 0 and 10,000,000, got %d", j.Payload.KeySpread)},
		{!(j.Payload.CompressedRatio > 0) || j.Payload.CompressedRatio > 1, fmt.Sprintf("compressed_ratio must be above 0 and at most 1, got %v", j.Payload.CompressedRatio)},
		{!(j.RatePerSecond >= 0) || j.RatePerSecond > 1e9, fmt.Sprintf("rate_per_second must be between 0 and 1e9, got %v", j.RatePerSecond)},
		{j.WarmUp.MaxSeconds < 0 || j.WarmUp.MinSeconds < 0, "warm-up times must not be negative"},
		{j.WarmUp.MaxSeconds > 0 && (j.WarmUp.BucketMillis < 10 || j.WarmUp.WindowBuckets < 3 || !(j.WarmUp.Tolerance > 0)), "a warm-up needs bucket_millis of at least 10, window_buckets of at least 3 and a tolerance above 0"},
		{j.MeasureRecords < 0 || (j.MeasureRecords == 0 && !(j.MeasureSeconds > 0)), "measure_seconds or measure_records must be above 0"},
		{j.Mode == ModeConsume && j.FillRecords < 1, "mode consume needs fill_records"},
		{j.Mode == ModeConsume && !(j.RatePerSecond > 0), "mode consume needs rate_per_second for its tail part"},
		{j.Client == ClientWire && j.Mode == ModeConsume, "the wire client only produces"},
		{j.Client == ClientWire && j.EndToEnd, "the wire client cannot measure end to end"},
		{!(j.DeliverTimeoutSeconds > 0) || !(j.VerifyTimeoutSeconds > 0), "deliver_timeout_seconds and verify_timeout_seconds must be above 0"},
		{!(j.VerifyFraction > 0) || j.VerifyFraction > 1, fmt.Sprintf("verify_fraction must be above 0 and at most 1, got %v", j.VerifyFraction)},
	}
	for _, rule := range rules {
		if rule.broken {
			return errors.New("job: " + rule.text)
		}
	}
	for path, properties := range map[string]map[string]string{"producer": j.Producer, "consumer": j.Consumer} {
		known := producerProperties
		if path == "consumer" {
			known = consumerProperties
		}
		for key, text := range properties {
			if err := checkProperty(known, path, key, text); err != nil {
				return fmt.Errorf("job: %w", err)
			}
		}
	}
	return nil
}
