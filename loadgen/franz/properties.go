package franz

import (
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fluxmq/loadgen"
	"fluxmq/scenarios"
)

const recordFramingBytes = 128 // more than a record's framing and a batch header take

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// producerOptions maps Kafka's producer properties to kgo's options. Only
// properties that are there are set; the rest stays at kgo's defaults.
func producerOptions(m *loadgen.Mapping, job scenarios.Job) []kgo.Opt {
	// The records in flight are bounded by the worker's slots; kgo's own bound must not cut in before.
	opts := []kgo.Opt{kgo.MaxBufferedRecords(1 << 20), kgo.RecordPartitioner(kgo.UniformBytesPartitioner(64<<10, true, true, nil))}
	idempotent := loadgen.Idempotent(job.Producer)
	if acks, ok := m.Text("acks"); ok {
		required := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks(), "-1": kgo.AllISRAcks()}
		value, known := required[acks]
		if !known {
			m.Fail(fmt.Errorf("acks must be 0, 1 or all, got %q", acks))
		}
		opts = append(opts, kgo.RequiredAcks(value))
		m.Became("acks", "RequiredAcks(%s)", acks)
	}
	m.Bool("enable.idempotence")
	if idempotent {
		m.Became("enable.idempotence", "idempotent")
	} else {
		opts = append(opts, kgo.DisableIdempotentWrite())
		m.Became("enable.idempotence", "DisableIdempotentWrite")
	}
	if n, ok := m.Int("max.in.flight.requests.per.connection"); ok {
		if idempotent {
			m.Became("max.in.flight.requests.per.connection", "5: fixed for idempotent producers in franz-go")
		} else {
			opts = append(opts, kgo.MaxProduceRequestsInflightPerBroker(int(n)))
			m.Became("max.in.flight.requests.per.connection", "MaxProduceRequestsInflightPerBroker(%d)", n)
		}
	}
	batchBytes := int64(1_000_012) // kgo's default
	if n, ok := m.Int("batch.size"); ok {
		// kgo refuses records larger than a batch, Kafka sends them alone.
		batchBytes = min(max(n, int64(job.Payload.ValueBytes)+recordFramingBytes, 512), 1<<30)
		opts = append(opts, kgo.ProducerBatchMaxBytes(int32(batchBytes)), kgo.RecordPartitioner(kgo.UniformBytesPartitioner(int(batchBytes), true, true, nil)))
		m.Became("batch.size", "ProducerBatchMaxBytes(%d), before compression", batchBytes)
		m.Became("partitioner", "UniformBytesPartitioner(%d bytes, adaptive): sticky, as Kafka's default", batchBytes)
	}
	if linger, ok := m.Millis("linger.ms"); ok {
		opts = append(opts, kgo.ProducerLinger(linger))
		m.Became("linger.ms", "ProducerLinger(%v)", linger)
	}
	if name, ok := m.Text("compression.type"); ok {
		codec, known := codecs[name]
		if !known {
			m.Fail(fmt.Errorf("unknown compression.type %q", name))
		}
		opts = append(opts, kgo.ProducerBatchCompression(codec))
		m.Became("compression.type", "ProducerBatchCompression(%s)", name)
	}
	if n, ok := m.Int("buffer.memory"); ok {
		opts = append(opts, kgo.MaxBufferedBytes(int(n)))
		m.Became("buffer.memory", "MaxBufferedBytes(%d)", n)
	}
	if n, ok := m.Int("max.request.size"); ok {
		n = min(max(n, batchBytes+recordFramingBytes, 1<<10), 1<<30)
		opts = append(opts, kgo.BrokerMaxWriteBytes(int32(n)))
		m.Became("max.request.size", "BrokerMaxWriteBytes(%d)", n)
	}
	if timeout, ok := m.Millis("request.timeout.ms"); ok {
		opts = append(opts, kgo.ProduceRequestTimeout(timeout))
		m.Became("request.timeout.ms", "ProduceRequestTimeout(%v)", timeout)
	}
	if timeout, ok := m.Millis("delivery.timeout.ms"); ok {
		opts = append(opts, kgo.RecordDeliveryTimeout(timeout))
		m.Became("delivery.timeout.ms", "RecordDeliveryTimeout(%v)", timeout)
	}
	if n, ok := m.Int("retries"); ok {
		opts = append(opts, kgo.RecordRetries(int(min(n, math.MaxInt32))))
		m.Became("retries", "RecordRetries(%d)", n)
	}
	return append(opts, connectionOptions(m)...)
}

// consumerOptions maps Kafka's consumer properties; pollBound is how many records one poll takes.
func consumerOptions(m *loadgen.Mapping) (opts []kgo.Opt, pollBound int) {
	if n, ok := m.Int("fetch.min.bytes"); ok {
		opts = append(opts, kgo.FetchMinBytes(int32(n)))
		m.Became("fetch.min.bytes", "FetchMinBytes(%d)", n)
	}
	if n, ok := m.Int("fetch.max.bytes"); ok {
		opts = append(opts, kgo.FetchMaxBytes(int32(n)))
		m.Became("fetch.max.bytes", "FetchMaxBytes(%d)", n)
	}
	if n, ok := m.Int("max.partition.fetch.bytes"); ok {
		opts = append(opts, kgo.FetchMaxPartitionBytes(int32(n)))
		m.Became("max.partition.fetch.bytes", "FetchMaxPartitionBytes(%d)", n)
	}
	if wait, ok := m.Millis("fetch.max.wait.ms"); ok {
		opts = append(opts, kgo.FetchMaxWait(wait))
		m.Became("fetch.max.wait.ms", "FetchMaxWait(%v)", wait)
	}
	if level, ok := m.Text("isolation.level"); ok && level == "read_committed" {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		m.Became("isolation.level", "FetchIsolationLevel(ReadCommitted)")
	} else if ok {
		m.Became("isolation.level", "FetchIsolationLevel(ReadUncommitted)")
	}
	if check, ok := m.Bool("check.crcs"); ok {
		if !check {
			opts = append(opts, kgo.DisableFetchCRCValidation())
		}
		m.Became("check.crcs", "%v", check)
	}
	if n, ok := m.Int("max.poll.records"); ok {
		pollBound = int(n)
		m.Became("max.poll.records", "PollRecords(%d)", n)
	}
	return append(opts, connectionOptions(m)...), pollBound
}

// connectionOptions maps what producers and consumers share.
func connectionOptions(m *loadgen.Mapping) (opts []kgo.Opt) {
	send, sendSet := m.Int("send.buffer.bytes")
	receive, receiveSet := m.Int("receive.buffer.bytes")
	opts = append(opts, kgo.Dialer(loadgen.DialWithBuffers(int(send), int(receive)).DialContext))
	if sendSet {
		m.Became("send.buffer.bytes", "SO_SNDBUF(%d) set by the dialer", send)
	}
	if receiveSet {
		m.Became("receive.buffer.bytes", "SO_RCVBUF(%d) set by the dialer", receive)
	}
	if id, ok := m.Text("client.id"); ok {
		opts = append(opts, kgo.ClientID(id))
		m.Became("client.id", "ClientID(%s)", id)
	}
	if age, ok := m.Millis("metadata.max.age.ms"); ok {
		opts = append(opts, kgo.MetadataMaxAge(age), kgo.MetadataMinAge(min(age, 2500*time.Millisecond)))
		m.Became("metadata.max.age.ms", "MetadataMaxAge(%v)", age)
	}
	if idle, ok := m.Millis("connections.max.idle.ms"); ok {
		opts = append(opts, kgo.ConnIdleTimeout(idle))
		m.Became("connections.max.idle.ms", "ConnIdleTimeout(%v)", idle)
	}
	return opts
}
