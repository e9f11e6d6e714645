package sarama

import (
	"fmt"
	"math"
	"time"

	"github.com/IBM/sarama"

	"fluxmq/loadgen"
	"fluxmq/scenarios"
)

const recordFramingBytes = 128 // more than sarama's estimate of a record's framing

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

// producerConfig maps Kafka's producer properties. Only properties that are
// there are set; the rest stays at sarama's defaults.
func producerConfig(m *loadgen.Mapping, job scenarios.Job) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	m.Became("partitioner", "NewHashPartitioner: null keys go to a random partition each, sarama has no sticky partitioner")
	if acks, ok := m.Text("acks"); ok {
		required := map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll, "-1": sarama.WaitForAll}
		value, known := required[acks]
		if !known {
			m.Fail(fmt.Errorf("acks must be 0, 1 or all, got %q", acks))
		}
		config.Producer.RequiredAcks = value
		m.Became("acks", "RequiredAcks(%d)", value)
	}
	if n, ok := m.Int("max.in.flight.requests.per.connection"); ok {
		config.Net.MaxOpenRequests = int(n)
		m.Became("max.in.flight.requests.per.connection", "Net.MaxOpenRequests=%d", n)
	}
	m.Bool("enable.idempotence")
	if len(job.Producer) > 0 && loadgen.Idempotent(job.Producer) {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		m.Became("enable.idempotence", "Producer.Idempotent=true")
		m.Became("max.in.flight.requests.per.connection", "Net.MaxOpenRequests=1: sarama allows an idempotent producer no more")
	} else {
		m.Became("enable.idempotence", "Producer.Idempotent=false")
	}
	linger, lingers := m.Millis("linger.ms")
	if lingers {
		config.Producer.Flush.Frequency = linger
		m.Became("linger.ms", "Producer.Flush.Frequency=%v", linger)
	}
	mapBatches(config, m, job, linger)
	if name, ok := m.Text("compression.type"); ok {
		codec, known := codecs[name]
		if !known {
			m.Fail(fmt.Errorf("unknown compression.type %q", name))
		}
		config.Producer.Compression = codec
		m.Became("compression.type", "Producer.Compression=%v", codec)
	}
	if n, ok := m.Int("max.request.size"); ok {
		sarama.MaxRequestSize = int32(min(max(n, int64(config.Producer.MaxMessageBytes)+64<<10), math.MaxInt32))
		m.Became("max.request.size", "MaxRequestSize=%d (whole process)", sarama.MaxRequestSize)
	}
	if timeout, ok := m.Millis("request.timeout.ms"); ok {
		config.Producer.Timeout, config.Net.ReadTimeout, config.Net.WriteTimeout = timeout, timeout+time.Second, timeout+time.Second
		m.Became("request.timeout.ms", "Producer.Timeout=%v", timeout)
	}
	if n, ok := m.Int("retries"); ok {
		config.Producer.Retry.Max = int(min(n, 1000))
		m.Became("retries", "Producer.Retry.Max=%d", config.Producer.Retry.Max)
	}
	if backoff, ok := m.Millis("retry.backoff.ms"); ok {
		config.Producer.Retry.Backoff = backoff
		m.Became("retry.backoff.ms", "Producer.Retry.Backoff=%v", backoff)
	}
	mapConnection(config, m)
	return config
}

// mapBatches maps batch.size: its bound on one partition's batch, and, when
// the producer lingers, the bytes that end the lingering. Without lingering
// sarama sends whatever has gathered while a request was in flight.
func mapBatches(config *sarama.Config, m *loadgen.Mapping, job scenarios.Job, linger time.Duration) {
	n, ok := m.Int("batch.size")
	if !ok {
		return
	}
	batchBytes := int(min(max(n, int64(job.Payload.ValueBytes)+recordFramingBytes), math.MaxInt32))
	config.Producer.MaxMessageBytes = batchBytes
	text := fmt.Sprintf("Producer.MaxMessageBytes=%d (a partition's batch, before compression)", batchBytes)
	if linger > 0 {
		config.Producer.Flush.Bytes = batchBytes
		text += fmt.Sprintf(", Producer.Flush.Bytes=%d (over all partitions of a broker)", batchBytes)
	}
	// Deep enough for one batch, so that the hand-overs between sarama's goroutines do not bound it.
	config.ChannelBufferSize = min(max(batchBytes/job.Payload.ValueBytes, 256), 4096)
	m.Became("batch.size", "%s, ChannelBufferSize=%d", text, config.ChannelBufferSize)
}

// consumerConfig maps Kafka's consumer properties.
func consumerConfig(m *loadgen.Mapping) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Return.Errors = true
	if n, ok := m.Int("fetch.min.bytes"); ok {
		config.Consumer.Fetch.Min = int32(n)
		m.Became("fetch.min.bytes", "Consumer.Fetch.Min=%d", n)
	}
	if n, ok := m.Int("max.partition.fetch.bytes"); ok {
		config.Consumer.Fetch.Default = int32(n)
		m.Became("max.partition.fetch.bytes", "Consumer.Fetch.Default=%d", n)
	}
	if n, ok := m.Int("fetch.max.bytes"); ok {
		sarama.MaxResponseSize = int32(n) + 1<<20
		m.Became("fetch.max.bytes", "MaxResponseSize=%d (whole process)", sarama.MaxResponseSize)
	}
	if wait, ok := m.Millis("fetch.max.wait.ms"); ok {
		config.Consumer.MaxWaitTime = wait
		m.Became("fetch.max.wait.ms", "Consumer.MaxWaitTime=%v", wait)
	}
	if level, ok := m.Text("isolation.level"); ok {
		if level == "read_committed" {
			config.Consumer.IsolationLevel = sarama.ReadCommitted
		}
		m.Became("isolation.level", "Consumer.IsolationLevel=%s", level)
	}
	mapConnection(config, m)
	return config
}

// mapConnection maps what producers and consumers share.
func mapConnection(config *sarama.Config, m *loadgen.Mapping) {
	send, sendSet := m.Int("send.buffer.bytes")
	receive, receiveSet := m.Int("receive.buffer.bytes")
	if sendSet || receiveSet {
		// sarama takes a dialer only as its proxy's.
		config.Net.Proxy.Enable = true
		config.Net.Proxy.Dialer = loadgen.DialWithBuffers(int(send), int(receive))
	}
	if sendSet {
		m.Became("send.buffer.bytes", "SO_SNDBUF(%d) set by the dialer", send)
	}
	if receiveSet {
		m.Became("receive.buffer.bytes", "SO_RCVBUF(%d) set by the dialer", receive)
	}
	config.ClientID = "fluxload"
	if id, ok := m.Text("client.id"); ok {
		config.ClientID = id
		m.Became("client.id", "ClientID=%s", id)
	}
	if age, ok := m.Millis("metadata.max.age.ms"); ok {
		config.Metadata.RefreshFrequency = age
		m.Became("metadata.max.age.ms", "Metadata.RefreshFrequency=%v", age)
	}
}
