// Package wire is the load client that costs next to nothing: it encodes
// Produce requests once and replays them over plain TCP connections, so that
// what is measured is the broker. loadgen drives it as a Load; it never
// retries and knows one broker.
package wire

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"fluxmq/loadgen"
	"fluxmq/reports"
)

const (
	// Produce 12 and Fetch 12 are the latest that name topics instead of their ids.
	produceMost, produceLeast = 12, 3
	fetchVersion              = 12

	defaultBatchBytes = 16384
	defaultInFlight   = 5
)

// Load implements loadgen.Load.
type Load struct {
	setup       loadgen.Setup
	mapping     *loadgen.Mapping
	version     int16 // of Produce
	leader      int32
	admin       *kgo.Client
	connections []*connection
	once        sync.Once
}

// New encodes the requests and connects. Connection i of C owns the
// partitions p with p mod C = i; there are no more connections than partitions.
func New(ctx context.Context, s loadgen.Setup) (loadgen.Load, error) {
	l := &Load{setup: s, mapping: loadgen.NewMapping(s.Job.Producer)}
	settings, err := mapProperties(l.mapping, s.Job.Producer)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(1, fetchVersion)
	if l.admin, err = kgo.NewClient(kgo.SeedBrokers(s.Job.Bootstrap), kgo.MaxVersions(versions)); err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	if err := l.connect(ctx, settings); err != nil {
		l.Close()
		return nil, fmt.Errorf("wire: %w", err)
	}
	return l, nil
}

// settings are the properties that the wire client has a use for.
type settings struct {
	batchBytes, depth int
	acks              int16
	codec             *loadgen.Codec
	send, receive     int // socket buffers
}

func mapProperties(m *loadgen.Mapping, producer map[string]string) (s settings, err error) {
	s = settings{batchBytes: defaultBatchBytes, depth: defaultInFlight, acks: -1}
	if n, ok := m.Int("batch.size"); ok {
		s.batchBytes = int(n)
	}
	if text, ok := m.Text("acks"); ok && text != "all" {
		n, err := strconv.ParseInt(text, 10, 16)
		if err != nil {
			return s, fmt.Errorf("acks must be 0, 1 or all, got %q", text)
		}
		s.acks = int16(n)
	}
	m.Became("acks", "acks %d in every request", s.acks)
	if n, ok := m.Int("max.in.flight.requests.per.connection"); ok {
		s.depth = int(max(n, 1))
	}
	m.Became("max.in.flight.requests.per.connection", "%d requests without response a connection", s.depth)
	name, _ := m.Text("compression.type")
	if s.codec, err = loadgen.NewCodec(name); err != nil {
		return s, err
	}
	m.Became("compression.type", "%s, compressed once", s.codec.Name)
	m.Bool("enable.idempotence")
	if loadgen.Idempotent(producer) {
		m.Became("enable.idempotence", "off: replayed batches carry no producer id")
	}
	send, sendSet := m.Int("send.buffer.bytes")
	receive, receiveSet := m.Int("receive.buffer.bytes")
	s.send, s.receive = int(send), int(receive)
	if sendSet {
		m.Became("send.buffer.bytes", "SO_SNDBUF(%d)", send)
	}
	if receiveSet {
		m.Became("receive.buffer.bytes", "SO_RCVBUF(%d)", receive)
	}
	return s, m.Err()
}

// connect finds the leader and the Produce version, encodes and dials.
func (l *Load) connect(ctx context.Context, s settings) error {
	address, err := l.findLeader(ctx)
	if err != nil {
		return err
	}
	job := l.setup.Job
	count := min(job.Threads, int(job.Partitions))
	perPartition := cycleMaxBytes / max(1, s.batchBytes*int(job.Partitions))
	perPartition = max(cycleLeast, min(cycleMost, perPartition))
	e := &encoder{
		job: job, pool: l.setup.Pool, codec: s.codec, version: l.version, batch: s.batchBytes,
		acks: s.acks, nowNs: l.setup.Clock.Now(),
	}
	owned := make([][]int32, count)
	for p := range job.Partitions {
		owned[int(p)%count] = append(owned[int(p)%count], p)
	}
	cycles, err := e.encodeAll(owned, perPartition)
	if err != nil {
		return err
	}
	for i, cycle := range cycles {
		partitions := owned[i]
		c := &connection{
			number: i, cycle: cycle, acks: s.acks != 0, depth: s.depth, clock: l.setup.Clock, gate: l.setup.Gate,
			pacer: loadgen.NewPacer(job.RatePerSecond/float64(e.records), i, count), latency: loadgen.NewRecorder(),
			quota: loadgen.Share(job.MeasureRecords, i, count), wake: make(chan struct{}, 1),
			times: make([]requestTime, s.depth), readEnded: make(chan struct{}),
		}
		for _, p := range partitions {
			c.prefixes = append(c.prefixes, responsePrefix(l.version, job.Topic, p))
		}
		if c.socket, err = loadgen.DialWithBuffers(s.send, s.receive).DialContext(ctx, "tcp", address); err != nil {
			return err
		}
		l.connections = append(l.connections, c)
		go c.read() // ends with the connection; Close awaits it
	}
	first := l.connections[0].cycle.frames[0]
	l.mapping.Became("batch.size", "%d records in %d bytes a request (the first), %d requests a partition, replayed", first.records, first.encoded+batchHeaderBytes, perPartition)
	l.mapping.Became("connections", "%d, each with its own partitions", count)
	return nil
}

// findLeader is the address of the one broker that leads every partition, and what it can do.
func (l *Load) findLeader(ctx context.Context) (address string, err error) {
	admin := kadm.NewClient(l.admin) // shares the client: not closed by itself
	metadata, err := admin.Metadata(ctx, l.setup.Job.Topic)
	if err != nil {
		return "", err
	}
	l.leader = -1
	for _, p := range metadata.Topics[l.setup.Job.Topic].Partitions {
		if l.leader >= 0 && p.Leader != l.leader {
			return "", fmt.Errorf("partitions of %s are led by brokers %d and %d; the wire client knows one broker", l.setup.Job.Topic, l.leader, p.Leader)
		}
		l.leader = p.Leader
	}
	for _, broker := range metadata.Brokers {
		if broker.NodeID == l.leader {
			address = fmt.Sprintf("%s:%d", broker.Host, broker.Port)
		}
	}
	if address == "" {
		return "", fmt.Errorf("the metadata names no leader for %s", l.setup.Job.Topic)
	}
	versions, err := admin.ApiVersions(ctx)
	if err != nil {
		return "", err
	}
	most := int16(produceMost)
	if of, ok := versions[l.leader]; ok {
		if of.Err != nil {
			return "", of.Err
		}
		supported, ok := of.KeyMaxVersion(0)
		if !ok {
			return "", errors.New("the broker does not serve Produce")
		}
		most = min(most, supported)
	}
	if most < produceLeast {
		return "", fmt.Errorf("the broker serves Produce up to version %d, record batches need %d", most, produceLeast)
	}
	l.version = most
	return address, nil
}

// Version implements loadgen.Load.
func (l *Load) Version() string { return fmt.Sprintf("wire (Produce v%d)", l.version) }

// Mapping implements loadgen.Load.
func (l *Load) Mapping() *loadgen.Mapping { return l.mapping }

// Run implements loadgen.Load.
func (l *Load) Run(ctx context.Context) error {
	paced := l.setup.Job.RatePerSecond > 0
	if paced {
		runtime.GOMAXPROCS(runtime.NumCPU() + len(l.connections)) // pacing threads sleep in system calls
	}
	startNs := l.setup.Clock.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	failures := make([]error, len(l.connections))
	for i, c := range l.connections {
		if l.setup.Job.MeasureRecords > 0 && c.quota == 0 {
			continue // fewer records than connections
		}
		all.Add(1)
		go func() { // ends with the gate or ctx; awaited below
			defer all.Done()
			if paced {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if failures[i] = loadgen.SharpenTimers(); failures[i] != nil {
					cancel()
					return
				}
			}
			if failures[i] = c.run(ctx, startNs); failures[i] != nil {
				cancel()
			}
		}()
	}
	all.Wait()
	return errors.Join(failures...)
}

// Flush implements loadgen.Load.
func (l *Load) Flush(ctx context.Context) error {
	for _, c := range l.connections {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Tallies implements loadgen.Load.
func (l *Load) Tallies() []*loadgen.Tally {
	var out []*loadgen.Tally
	for _, c := range l.connections {
		out = append(out, &c.Tally)
	}
	return out
}

// Latencies implements loadgen.Load.
func (l *Load) Latencies() []*loadgen.Recorder {
	var out []*loadgen.Recorder
	for _, c := range l.connections {
		out = append(out, c.latency)
	}
	return out
}

// Batches implements loadgen.Load.
func (l *Load) Batches() loadgen.BatchStats {
	stats := loadgen.BatchStats{Source: "records of the batches sent"}
	for _, c := range l.connections {
		stats.Batches += c.sent.Load()
		stats.Raw += float64(c.raw.Load())
		stats.Compressed += float64(c.compressed.Load())
	}
	return stats
}

// Verify implements loadgen.Load: every batch stored must be the one that was sent at that place.
func (l *Load) Verify(ctx context.Context, ranges []loadgen.PartitionRange, checked int) (reports.Ledger, error) {
	audits := make([]*cycleAudit, len(ranges))
	for _, c := range l.connections {
		requests, slots := c.sent.Load(), int64(len(c.cycle.partitions))
		for slot, p := range c.cycle.partitions {
			// Requests take turns over the partitions, from the first, and a cycle holds whole turns.
			sent := requests / slots
			if int64(slot) < requests%slots {
				sent++
			}
			audits[p] = newCycleAudit(p, c.cycle.producer, ranges[p], c.cycle.images[slot], sent)
		}
	}
	reader, err := kgo.NewClient(l.admin.Opts()...) // the phases close the load before they verify
	if err != nil {
		return reports.Ledger{}, fmt.Errorf("wire: %w", err)
	}
	defer reader.Close()
	readers := min(runtime.NumCPU(), checked)
	failures := make([]string, readers)
	var all sync.WaitGroup
	for i := range readers {
		all.Add(1)
		go func() { // ends with its partitions or ctx; awaited below
			defer all.Done()
			for p := i; p < checked && failures[i] == ""; p += readers {
				failures[i] = readBatches(ctx, reader.Broker(int(l.leader)), l.setup.Job.Topic, audits[p])
			}
		}()
	}
	all.Wait()
	ledger := mergeAudits(audits, checked)
	for _, text := range failures {
		if text != "" && ledger.FailureText == "" {
			ledger.FailureText = text
		}
	}
	return ledger, nil
}

// Close implements loadgen.Load.
func (l *Load) Close() {
	l.once.Do(func() {
		for _, c := range l.connections {
			c.closing.Store(true)
			_ = c.socket.Close() // what was sent is proven by reading back
			<-c.readEnded
		}
		l.admin.Close()
	})
}
