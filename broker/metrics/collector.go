package metrics

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Sources are read at scrape time, on the scraper's goroutine. node fills
// them; one that is nil leaves its metrics out. They must be quick, take no
// lock for long, and be safe to call concurrently with everything.
type Sources struct {
	// Partitions visits every partition hosted here.
	Partitions func(visit func(Partition))
	// Groups lists consumer groups with what they committed.
	Groups func() []Group
	// Rebalances is how many generations consumer groups began since the start.
	Rebalances func() int64
	// Connections counts open connections by listener name.
	Connections func() map[string]int
	// Parked counts those that are read together (fluxmq.heartbeat.coalescing.ms).
	Parked func() int
	// SocketBytes sums what went over connections, open and ended, by listener name.
	SocketBytes func() map[string]SocketBytes
	// ActiveController tells whether this node is the active controller.
	ActiveController func() bool
	// Brokers counts the nodes of the cluster.
	Brokers func() int
	// OfflineLogDirs counts failed log directories.
	OfflineLogDirs func() int
	// Cleaner is the state of the log cleaner.
	Cleaner func() Cleaner
	// Usages lists what quotas measure of clients, Throttled how often each
	// quota, by Kafka's key, made a client wait.
	Usages    func() []Usage
	Throttled func() map[string]int64
	// ClientMetrics are what clients push of their own metrics (KIP-714).
	ClientMetrics func() ClientMetrics
	// RequestName is Kafka's name of an API key, "" when it has none.
	RequestName func(key int16) string

	// Version, Commit and GoVersion name the build; LogFlush and
	// LogValidation are the settings of these names; Started is when the
	// broker began to serve. Zero values are left out.
	Version, Commit, GoVersion string
	LogFlush, LogValidation    string
	Started                    time.Time
}

// SocketBytes is what a listener's connections carried, protocol and records alike.
type SocketBytes struct{ Incoming, Outgoing int64 }

// Cleaner is the log cleaner's state: of its last look at all compacted logs,
// and of the last log that it cleaned. Ratios are 0 to 1.
type Cleaner struct {
	MaxDirtyRatio         float64
	MaxDelay              time.Duration // beyond max.compaction.lag.ms
	SinceLastRun          time.Duration
	UncleanablePartitions int
	UncleanableBytes      int64
	MapUse, RecopyRatio   float64
	CleanTime             time.Duration
}

// Partition is one partition's state.
type Partition struct {
	Topic                         string
	Index                         int32
	LogStartOffset, HighWatermark int64
	SizeBytes                     int64
	Leader, Offline               bool
	UnderReplicated, UnderMinISR  bool
}

// Group is one consumer group's state.
type Group struct {
	ID      string
	Members int
	Offsets []GroupOffset
}

// GroupOffset is one committed offset.
type GroupOffset struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Usage is what one sensor of a quota measures.
type Usage struct {
	Quota          string // Kafka's key: producer_byte_rate, …
	User, ClientID string
	Value          float64
}

// ClientMetrics is the state of the client metrics.
type ClientMetrics struct {
	// Instances are the clients known, Pushes their pushes by Kafka's name of
	// the error, Omitted the numbers pushed that are not shown.
	Instances int
	Pushes    map[string]int64
	Omitted   int64
	Samples   []ClientSample
}

// ClientSample is the latest number of a client's metric. LabelNames are fit
// for Prometheus, distinct, and none of those that the metric itself has; no
// two samples of the same Sum have the same labels. Strings are valid UTF-8.
type ClientSample struct {
	InstanceID, ClientID, Metric string
	LabelNames, LabelValues      []string
	Value                        float64
	// Sum tells a number that only rises.
	Sum bool
}

// maxPartitionSamples bounds the partitions that get samples of their own;
// fluxmq_omitted_partitions tells how many did not.
const maxPartitionSamples = 20000

// runtimeMetrics are the Go runtime's own that are shown beside client_golang's
// choice: what was allocated, how often it was collected, what is live, and how
// long goroutines wait for a processor. Reading them stops nothing.
var runtimeMetrics = collectors.GoRuntimeMetricsRule{
	Matcher: regexp.MustCompile(`^/gc/heap/(allocs:(objects|bytes)|tiny/allocs:objects|live:bytes)$|^/gc/cycles/total:gc-cycles$|^/sched/latencies:seconds$`),
}

// Gatherer returns what /metrics serves: ours, the Go runtime's and the process's.
func (m *Registry) Gatherer() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{m}, collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(runtimeMetrics)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// collector reads a Registry at scrape time.
type collector struct{ m *Registry }

// Describe names nothing, which makes the collector an unchecked one: the
// sums over all topics and the topics' own samples share a name, as
// dashboards expect, and client_golang lets that pass only so.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := scrape{ch: ch, m: c.m}
	s.traffic()
	s.requests()
	s.totals()
	marks := s.partitions()
	s.groups(marks)
	s.quotas()
	s.clients()
	s.node()
}

// scrape is one reading.
type scrape struct {
	ch chan<- prometheus.Metric
	m  *Registry
}

// descs and topicDescs hold, by definition, the descriptions of samples
// without and with the additional label topic.
var descs, topicDescs = func() (a, b [len(definitions)]*prometheus.Desc) {
	for i, d := range definitions {
		a[i] = prometheus.NewDesc(d.Name, d.Help, d.Labels, nil)
		if d.PerTopic {
			b[i] = prometheus.NewDesc(d.Name, d.Help, append([]string{"topic"}, d.Labels...), nil)
		}
	}
	return a, b
}()

func valueType(definition int) prometheus.ValueType {
	if definitions[definition].Kind == KindCounter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

func (s *scrape) send(definition int, value float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(descs[definition], valueType(definition), value, labels...)
}

func (s *scrape) histogram(definition int, h *Histogram, labels ...string) {
	count, sum, buckets := h.snapshot()
	s.ch <- prometheus.MustNewConstHistogram(descs[definition], count, sum, buckets, labels...)
}

func (s *scrape) traffic() {
	s.m.Totals().each(func(definition int, c *Counter) { s.send(definition, float64(c.Load())) })
	s.m.mu.Lock()
	topics := maps.Clone(s.m.topics)
	s.m.mu.Unlock()
	for name, t := range topics {
		t.each(func(definition int, c *Counter) {
			s.ch <- prometheus.MustNewConstMetric(topicDescs[definition], prometheus.CounterValue, float64(c.Load()), name)
		})
	}
}

func (s *scrape) requests() {
	for key := range s.m.requestCounts {
		name := s.requestName(int16(key))
		for version := range s.m.requestCounts[key] {
			if n := s.m.requestCounts[key][version].Load(); n > 0 {
				s.send(requests, float64(n), name, strconv.Itoa(version))
			}
		}
		h := &s.m.requestTimes[key]
		if n, _, _ := h.snapshot(); n > 0 {
			s.histogram(requestSeconds, h, name)
		}
	}
	if n := s.m.unknownRequests.Load(); n > 0 {
		s.send(requests, float64(n), "Unknown", "")
	}
}

func (s *scrape) requestName(key int16) string {
	if s.m.Sources.RequestName != nil {
		if name := s.m.Sources.RequestName(key); name != "" {
			return name
		}
	}
	return strconv.Itoa(int(key))
}

func (s *scrape) totals() {
	s.histogram(appendSeconds, &s.m.Append)
	s.histogram(fetchSeconds, &s.m.Fetch)
	s.histogram(flushSeconds, &s.m.Flush)
	if from := s.m.Sources.Rebalances; from != nil {
		s.send(rebalances, float64(from()))
	}
	s.send(connectionsAccepted, float64(s.m.ConnectionsAccepted.Load()))
	s.send(connectionsRefused, float64(s.m.ConnectionsRefused.Load()))
	s.send(malformedRequests, float64(s.m.MalformedRequests.Load()))
}

type topicPartition struct {
	topic string
	index int32
}

// partitions sends the states of partitions and returns their high
// watermarks, for lag.
func (s *scrape) partitions() map[topicPartition]int64 {
	if s.m.Sources.Partitions == nil {
		return nil
	}
	marks := make(map[topicPartition]int64)
	perTopic := make(map[string]int)
	var leaders, under, underISR, offline int
	s.m.Sources.Partitions(func(p Partition) {
		if _, twice := marks[topicPartition{p.Topic, p.Index}]; twice {
			return // a topic created again between two visits; one sample is enough
		}
		marks[topicPartition{p.Topic, p.Index}] = p.HighWatermark
		perTopic[p.Topic]++
		leaders += count(p.Leader)
		under += count(p.UnderReplicated)
		underISR += count(p.UnderMinISR)
		offline += count(p.Offline)
		if len(marks) > maxPartitionSamples {
			return
		}
		index := strconv.Itoa(int(p.Index))
		s.send(logSize, float64(p.SizeBytes), p.Topic, index)
		s.send(currentOffset, float64(p.HighWatermark), p.Topic, index)
		s.send(oldestOffset, float64(p.LogStartOffset), p.Topic, index)
	})
	for topic, n := range perTopic {
		s.send(topicPartitions, float64(n), topic)
	}
	s.send(partitionCount, float64(len(marks)))
	s.send(leaderCount, float64(leaders))
	s.send(underReplicated, float64(under))
	s.send(underMinISR, float64(underISR))
	s.send(offlinePartitions, float64(offline))
	s.send(omittedPartitions, float64(max(len(marks)-maxPartitionSamples, 0)))
	return marks
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *scrape) groups(marks map[topicPartition]int64) {
	if s.m.Sources.Groups == nil {
		return
	}
	for _, g := range s.m.Sources.Groups() {
		s.send(groupMembers, float64(g.Members), g.ID)
		sums := make(map[string]int64)
		for _, o := range g.Offsets {
			index := strconv.Itoa(int(o.Partition))
			s.send(groupOffset, float64(o.Offset), g.ID, o.Topic, index)
			mark, known := marks[topicPartition{o.Topic, o.Partition}]
			if !known {
				continue // the topic is gone
			}
			// The commit may be newer than the high watermark read before it.
			lag := max(mark-o.Offset, 0)
			sums[o.Topic] += lag
			s.send(groupLag, float64(lag), g.ID, o.Topic, index)
		}
		for topic, sum := range sums {
			s.send(groupLagSum, float64(sum), g.ID, topic)
		}
	}
}

// usageMetrics are the metrics of what quotas measure, by Kafka's key.
var usageMetrics = map[string]int{
	"producer_byte_rate": produceByteRate, "consumer_byte_rate": fetchByteRate,
	"request_percentage": requestTime, "controller_mutation_rate": mutationTokens,
}

func (s *scrape) quotas() {
	if s.m.Sources.Usages != nil {
		for _, u := range s.m.Sources.Usages() {
			if definition, ok := usageMetrics[u.Quota]; ok {
				s.send(definition, u.Value, u.User, u.ClientID)
			}
		}
	}
	if s.m.Sources.Throttled != nil {
		for quota, n := range s.m.Sources.Throttled() {
			s.send(throttled, float64(n), quota)
		}
	}
}

// clients sends what clients pushed: under two names, as their own could be any,
// those of the broker's metrics too.
func (s *scrape) clients() {
	if s.m.Sources.ClientMetrics == nil {
		return
	}
	c := s.m.Sources.ClientMetrics()
	s.send(clientInstances, float64(c.Instances))
	s.send(clientOmitted, float64(c.Omitted))
	for outcome, n := range c.Pushes {
		s.send(clientPushes, float64(n), outcome)
	}
	for _, sample := range c.Samples {
		definition := clientGauge
		if sample.Sum {
			definition = clientSum
		}
		d := definitions[definition]
		desc := prometheus.NewDesc(d.Name, d.Help, append(slices.Clone(d.Labels), sample.LabelNames...), nil)
		values := append([]string{sample.InstanceID, sample.ClientID, sample.Metric}, sample.LabelValues...)
		if m, err := prometheus.NewConstMetric(desc, valueType(definition), sample.Value, values...); err == nil {
			s.ch <- m // one that is not fit must not cost the others
		}
	}
}

func (s *scrape) node() {
	from := &s.m.Sources
	if from.Connections != nil {
		byListener := from.Connections()
		for _, listener := range slices.Sorted(maps.Keys(byListener)) {
			s.send(connectionCount, float64(byListener[listener]), listener)
		}
	}
	if from.Parked != nil {
		s.send(connectionsParked, float64(from.Parked()))
	}
	if from.SocketBytes != nil {
		byListener := from.SocketBytes()
		for _, listener := range slices.Sorted(maps.Keys(byListener)) {
			s.send(incomingBytes, float64(byListener[listener].Incoming), listener)
			s.send(outgoingBytes, float64(byListener[listener].Outgoing), listener)
		}
	}
	if from.ActiveController != nil {
		s.send(activeController, float64(count(from.ActiveController())))
	}
	if from.Brokers != nil {
		s.send(brokers, float64(from.Brokers()))
	}
	if from.OfflineLogDirs != nil {
		s.send(offlineLogDirs, float64(from.OfflineLogDirs()))
	}
	if from.Cleaner != nil {
		s.cleaner(from.Cleaner())
	}
	if from.Version != "" {
		s.send(buildInfo, 1, from.Version, from.Commit, from.GoVersion)
	}
	if from.LogFlush != "" {
		s.send(settingsInfo, 1, from.LogFlush, from.LogValidation)
	}
	if !from.Started.IsZero() {
		s.send(startTime, float64(from.Started.UnixMilli())/1e3)
	}
}

func (s *scrape) cleaner(c Cleaner) {
	s.send(cleanerMapUse, 100*c.MapUse)
	s.send(cleanerRecopy, 100*c.RecopyRatio)
	s.send(cleanerTime, c.CleanTime.Seconds())
	s.send(cleanerDelay, c.MaxDelay.Seconds())
	s.send(cleanerDirty, 100*c.MaxDirtyRatio)
	s.send(cleanerIdle, float64(c.SinceLastRun.Milliseconds()))
	s.send(uncleanablePartitions, float64(c.UncleanablePartitions))
	s.send(uncleanableBytes, float64(c.UncleanableBytes))
}
