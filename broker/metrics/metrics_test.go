package metrics

import (
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// busy is a registry in which every metric has a sample.
func busy() *Registry {
	m := new(Registry)
	a := m.Topic("a")
	a.RecordsIn.Add(10)
	a.BytesIn.Add(1000)
	m.Topic("b").RecordsIn.Add(5)
	m.FailedProduce.Add(1)
	m.Requests(0, 9)
	m.Requests(0, 9)
	m.Requests(18, 4)
	m.Requests(999, 4)
	m.RequestTime(0, 3*time.Millisecond)
	m.Append.Observe(time.Microsecond)
	m.Sources = Sources{
		Partitions: func(visit func(Partition)) {
			visit(Partition{Topic: "a", Index: 0, LogStartOffset: 2, HighWatermark: 12, SizeBytes: 1000, Leader: true})
			visit(Partition{Topic: "a", Index: 1, Offline: true})
			visit(Partition{Topic: "b", Index: 0, HighWatermark: 5, Leader: true, UnderReplicated: true, UnderMinISR: true})
		},
		Groups: func() []Group {
			return []Group{{ID: "g", Members: 2, Offsets: []GroupOffset{{"a", 0, 7}, {"a", 1, 3}, {"gone", 0, 1}}}}
		},
		Connections: func() map[string]int { return map[string]int{"PLAINTEXT": 3} },
		Parked:      func() int { return 2 },
		SocketBytes: func() map[string]SocketBytes { return map[string]SocketBytes{"PLAINTEXT": {Incoming: 70, Outgoing: 9}} },
		Rebalances:  func() int64 { return 3 },
		Usages: func() []Usage {
			return []Usage{{"producer_byte_rate", "u", "c", 12.5}, {"consumer_byte_rate", "u", "", 3}, {"request_percentage", "", "c", 4}, {"controller_mutation_rate", "", "c", -2}}
		},
		Throttled: func() map[string]int64 {
			return map[string]int64{"producer_byte_rate": 6, "connection_creation_rate": 1}
		},
		ClientMetrics: func() ClientMetrics {
			return ClientMetrics{Instances: 2, Pushes: map[string]int64{"NONE": 5, "TELEMETRY_TOO_LARGE": 1}, Omitted: 4, Samples: []ClientSample{
				{InstanceID: "i", ClientID: "c", Metric: "org.apache.kafka.rate", LabelNames: []string{"topic"}, LabelValues: []string{"t"}, Value: 2.5},
				{InstanceID: "i", ClientID: "c", Metric: "org.apache.kafka.rate", Value: 9},
				{InstanceID: "i", ClientID: "c", Metric: "go_goroutines", LabelNames: []string{"client_id"}, LabelValues: []string{"twice"}, Value: 1},
				{InstanceID: "i", ClientID: "c", Metric: "total", Value: 7, Sum: true},
			}}
		},
		ActiveController: func() bool { return true },
		Brokers:          func() int { return 1 },
		OfflineLogDirs:   func() int { return 0 },
		Cleaner: func() Cleaner {
			return Cleaner{MaxDirtyRatio: 0.25, MaxDelay: 3 * time.Second, SinceLastRun: 20 * time.Millisecond, UncleanablePartitions: 1, UncleanableBytes: 9, MapUse: 0.5, RecopyRatio: 0.75, CleanTime: 2 * time.Second}
		},
		RequestName: func(key int16) string { return map[int16]string{0: "Produce"}[key] },
		Version:     "0.1", Commit: "abc", GoVersion: "go1.26", LogFlush: "acks", LogValidation: "records", Started: time.Unix(5, 0),
	}
	return m
}

func gather(t *testing.T, m *Registry) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// sample returns the value with exactly these labels (name, value, …).
func sample(t *testing.T, f *dto.MetricFamily, labels ...string) float64 {
	t.Helper()
	for _, m := range f.GetMetric() {
		var got []string
		for _, l := range m.GetLabel() {
			got = append(got, l.GetName(), l.GetValue())
		}
		if strings.Join(got, "|") == strings.Join(labels, "|") {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Errorf("%s has no sample with labels %q", f.GetName(), labels)
	return math.NaN()
}

// Every metric is documented, has a sample here, and says what it is.
func TestDefinitions(t *testing.T) {
	sentence := regexp.MustCompile(`^[A-Z].*[^.]\.$`)
	families := gather(t, busy())
	seen := make(map[string]bool)
	for i, d := range definitions {
		if d.Name == "" || !sentence.MatchString(d.Help) || d.Unit == "" {
			t.Errorf("metric %d %q is not documented: unit %q, help %q", i, d.Name, d.Unit, d.Help)
		}
		if seen[d.Name] {
			t.Errorf("%s is defined twice", d.Name)
		}
		seen[d.Name] = true
		if strings.HasSuffix(d.Name, "_total") != (d.Kind == KindCounter) {
			t.Errorf("%s is a %s", d.Name, d.Kind)
		}
		if ours := strings.HasPrefix(d.Name, "fluxmq_"); ours && d.Unit == "seconds" && !strings.HasSuffix(d.Name, "_seconds") {
			t.Errorf("%s does not name its unit", d.Name)
		} else if !ours && !strings.HasPrefix(d.Name, "kafka_") {
			t.Errorf("%s begins with neither kafka_ nor fluxmq_", d.Name)
		}
		f := families[d.Name]
		if f == nil {
			t.Errorf("%s is defined, and never sent", d.Name)
			continue
		}
		if kind := strings.ToLower(f.GetType().String()); kind != string(d.Kind) {
			t.Errorf("%s is sent as a %s, defined as a %s", d.Name, kind, d.Kind)
		}
	}
	for name := range families {
		if !seen[name] && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is sent, and not defined", name)
		}
	}
}

func TestValues(t *testing.T) {
	m := busy()
	check := func(want float64, name string, labels ...string) {
		t.Helper()
		if got := sample(t, gather(t, m)[name], labels...); got != want {
			t.Errorf("%s %q is %v, want %v", name, labels, got, want)
		}
	}
	check(15, "kafka_server_brokertopicmetrics_messagesin_total")
	check(10, "kafka_server_brokertopicmetrics_messagesin_total", "topic", "a")
	check(1, "kafka_server_brokertopicmetrics_failedproducerequests_total")
	check(2, "kafka_network_requestmetrics_requests_total", "request", "Produce", "version", "9")
	check(1, "kafka_network_requestmetrics_requests_total", "request", "18", "version", "4")
	check(1, "kafka_network_requestmetrics_requests_total", "request", "Unknown", "version", "")
	check(3, "kafka_server_replicamanager_partitioncount")
	check(2, "kafka_server_replicamanager_leadercount")
	check(1, "kafka_server_replicamanager_underreplicatedpartitions")
	check(1, "kafka_controller_kafkacontroller_offlinepartitionscount")
	check(1, "kafka_controller_kafkacontroller_activecontrollercount")
	check(50, "kafka_log_logcleaner_max_buffer_utilization_percent")
	check(75, "kafka_log_logcleaner_cleaner_recopy_percent")
	check(2, "kafka_log_logcleaner_max_clean_time_secs")
	check(3, "kafka_log_logcleaner_max_compaction_delay_secs")
	check(25, "kafka_log_logcleanermanager_max_dirty_percent")
	check(20, "kafka_log_logcleanermanager_time_since_last_run_ms")
	check(1, "kafka_log_logcleanermanager_uncleanable_partitions_count")
	check(9, "kafka_log_logcleanermanager_uncleanable_bytes")
	check(1000, "kafka_log_log_size", "partition", "0", "topic", "a")
	check(12, "kafka_topic_partition_current_offset", "partition", "0", "topic", "a")
	check(2, "kafka_topic_partition_oldest_offset", "partition", "0", "topic", "a")
	check(2, "kafka_topic_partitions", "topic", "a")
	check(5, "kafka_consumergroup_lag", "consumergroup", "g", "partition", "0", "topic", "a")
	check(0, "kafka_consumergroup_lag", "consumergroup", "g", "partition", "1", "topic", "a")
	check(5, "kafka_consumergroup_lag_sum", "consumergroup", "g", "topic", "a")
	check(3, "kafka_server_socket_server_metrics_connection_count", "listener", "PLAINTEXT")
	check(2, "fluxmq_connections_parked")
	check(70, "kafka_server_socket_server_metrics_incoming_byte_total", "listener", "PLAINTEXT")
	check(9, "kafka_server_socket_server_metrics_outgoing_byte_total", "listener", "PLAINTEXT")
	check(12.5, "kafka_server_produce_byte_rate", "client_id", "c", "user", "u")
	check(3, "kafka_server_fetch_byte_rate", "client_id", "", "user", "u")
	check(4, "kafka_server_request_request_time", "client_id", "c", "user", "")
	check(-2, "kafka_server_controllermutation_tokens", "client_id", "c", "user", "")
	check(6, "fluxmq_throttled_total", "quota", "producer_byte_rate")
	check(2, "fluxmq_client_metrics_instances")
	check(1, "fluxmq_client_metrics_pushes_total", "error", "TELEMETRY_TOO_LARGE")
	check(4, "fluxmq_client_metrics_omitted_total")
	check(2.5, "fluxmq_client_gauge", "client_id", "c", "client_instance_id", "i", "metric", "org.apache.kafka.rate", "topic", "t")
	check(9, "fluxmq_client_gauge", "client_id", "c", "client_instance_id", "i", "metric", "org.apache.kafka.rate")
	check(7, "fluxmq_client_sum_total", "client_id", "c", "client_instance_id", "i", "metric", "total")
	if n := len(gather(t, m)["fluxmq_client_gauge"].GetMetric()); n != 2 {
		t.Errorf("%d gauges of clients: one has a label twice and is no sample", n)
	}
	m.ForgetTopic("a")
	m.ForgetTopic("never there")
	check(15, "kafka_server_brokertopicmetrics_messagesin_total")
	m.Topic("a").RecordsIn.Add(1)
	check(16, "kafka_server_brokertopicmetrics_messagesin_total")
	check(1, "kafka_server_brokertopicmetrics_messagesin_total", "topic", "a")
}

// The harness compares these between commits; an update of client_golang must not lose them.
func TestRuntimeMetrics(t *testing.T) {
	families := gather(t, new(Registry))
	for _, name := range []string{
		"go_gc_heap_allocs_objects_total", "go_gc_heap_allocs_bytes_total", "go_gc_heap_tiny_allocs_objects_total", "go_gc_heap_live_bytes",
		"go_gc_cycles_total_gc_cycles_total", "go_sched_latencies_seconds", "go_memstats_mallocs_total", "go_memstats_alloc_bytes_total",
		"go_goroutines", "process_cpu_seconds_total", "process_resident_memory_bytes",
	} {
		if families[name] == nil {
			t.Errorf("%s is not there", name)
		}
	}
}

// A registry that nobody filled can be scraped.
func TestEmptyRegistry(t *testing.T) {
	families := gather(t, new(Registry))
	if got := sample(t, families["kafka_server_brokertopicmetrics_bytesin_total"]); got != 0 {
		t.Fatalf("bytes in %v", got)
	}
	if families["kafka_brokers"] != nil {
		t.Fatal("a source that is not there has a sample")
	}
}

func TestHistogramBuckets(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		le   float64 // the smallest bound that counts it, seconds
		why  string
		none bool
	}{
		{0, 1e-6, "zero is in the first", false},
		{-time.Second, 1e-6, "a clock that went back counts as zero", false},
		{time.Microsecond, 1e-6, "a bound belongs to its bucket", false},
		{time.Microsecond + 1, 2e-6, "just above a bound is in the next", false},
		{1500 * time.Microsecond, 2048e-6, "in the middle", false},
		{1 << 24 * time.Microsecond, 16.777216, "the last bound", false},
		{time.Hour, 0, "beyond all bounds", true},
	} {
		var h Histogram
		h.Observe(c.d)
		count, sum, buckets := h.snapshot()
		if count != 1 || sum != max(c.d, 0).Seconds() {
			t.Errorf("%s: count %d, sum %v", c.why, count, sum)
		}
		for le, n := range buckets {
			if want := uint64(0); le < c.le || c.none {
				if n != want {
					t.Errorf("%s: bucket %v counts %d", c.why, le, n)
				}
			} else if n != 1 {
				t.Errorf("%s: bucket %v counts %d, want 1", c.why, le, n)
			}
		}
	}
}

// Counting, scraping and forgetting at once loses nothing while topics stay.
func TestConcurrentCounting(t *testing.T) {
	m := new(Registry)
	const workers, each = 8, 2000
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			c := m.Topic("t")
			for range each {
				c.RecordsIn.Add(2)
				m.Requests(1, 12)
				m.Append.Observe(time.Microsecond)
			}
		})
	}
	for range 20 {
		gather(t, m)
	}
	wg.Wait()
	if got := m.Totals().RecordsIn.Load(); got != 2*workers*each {
		t.Fatalf("counted %d records, want %d", got, 2*workers*each)
	}
	if got := m.requestCounts[1][12].Load(); got != workers*each {
		t.Fatalf("counted %d requests, want %d", got, workers*each)
	}
	if n, _, _ := m.Append.snapshot(); n != workers*each {
		t.Fatalf("observed %d appends, want %d", n, workers*each)
	}
}

func TestPartitionSamplesAreBounded(t *testing.T) {
	m := new(Registry)
	m.Sources.Partitions = func(visit func(Partition)) {
		for i := range int32(maxPartitionSamples + 7) {
			visit(Partition{Topic: "t", Index: i})
		}
	}
	families := gather(t, m)
	if got := len(families["kafka_log_log_size"].GetMetric()); got != maxPartitionSamples {
		t.Errorf("%d partitions have samples, want %d", got, maxPartitionSamples)
	}
	if got := sample(t, families["fluxmq_omitted_partitions"]); got != 7 {
		t.Errorf("%v omitted, want 7", got)
	}
	if got := sample(t, families["kafka_server_replicamanager_partitioncount"]); got != maxPartitionSamples+7 {
		t.Errorf("partition count %v", got)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := new(Registry)
	c := m.Topic("t")
	if n := testing.AllocsPerRun(100, func() {
		c.BytesIn.Add(1)
		m.Requests(0, 9)
		m.RequestTime(0, time.Millisecond)
		m.Flush.Observe(time.Millisecond)
	}); n != 0 {
		t.Fatalf("%v allocations, want 0", n)
	}
}

func BenchmarkCount(b *testing.B) {
	m := new(Registry)
	c := m.Topic("t")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.RecordsIn.Add(1)
			c.BytesIn.Add(1)
			m.Append.Observe(time.Microsecond)
		}
	})
}
