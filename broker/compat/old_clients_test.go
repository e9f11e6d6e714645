package compat

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// readTopic reads n records of partition 0 with a client of today, as
// key=value@timestamp, the timestamp "none" or "now".
func readTopic(t *testing.T, addr, topic string, n int, begin time.Time) []string {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(10*time.Millisecond))
	must(t, "NewClient", err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	for len(got) < n {
		fetches := c.PollFetches(ctx)
		must(t, fmt.Sprintf("%s after %d of %d records", topic, len(got), n), fetches.Err())
		for _, r := range fetches.Records() {
			timestamp := "none"
			if ms := r.Timestamp.UnixMilli(); ms != -1 {
				timestamp = "now"
				if r.Timestamp.Before(begin.Add(-time.Second)) || r.Timestamp.After(time.Now().Add(time.Second)) {
					timestamp = fmt.Sprint(ms)
				}
			}
			got = append(got, fmt.Sprintf("%s=%s@%s", r.Key, r.Value, timestamp))
		}
	}
	return got
}

// TestOldSarama produces in the message formats v0 and v1, as sarama speaks to
// Kafka from before 0.11, in each codec they have.
func TestOldSarama(t *testing.T) {
	addr := embedded(t)
	for _, version := range []sarama.KafkaVersion{sarama.V0_8_2_0, sarama.V0_9_0_0, sarama.V0_10_0_0, sarama.V0_10_2_0} {
		codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy}
		timestamp := "none"
		if version.IsAtLeast(sarama.V0_10_0_0) {
			codecs = append(codecs, sarama.CompressionLZ4)
			timestamp = "now"
		}
		for _, codec := range codecs {
			topic := fmt.Sprintf("sarama-%s-%s", version, codec)
			begin := time.Now()
			config := saramaConfig(version)
			config.Producer.Compression = codec
			producer, err := sarama.NewSyncProducer([]string{addr}, config)
			must(t, topic, err)
			var want []string
			next := int64(0)
			for range 3 {
				var messages []*sarama.ProducerMessage
				for range 50 {
					key, value := fmt.Sprint("k", next), fmt.Sprint("value ", next)
					want = append(want, fmt.Sprintf("%s=%s@%s", key, value, timestamp))
					messages = append(messages, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value), Metadata: next})
					next++
				}
				must(t, topic, producer.SendMessages(messages))
				for _, m := range messages { // each has learnt where it lies
					if m.Partition != 0 || m.Offset != m.Metadata.(int64) {
						t.Fatalf("%s: message %d lies at %d of partition %d", topic, m.Metadata, m.Offset, m.Partition)
					}
				}
			}
			must(t, topic, producer.Close())
			if got := readTopic(t, addr, topic, len(want), begin); !slices.Equal(got, want) {
				t.Errorf("%s: read %d records that are not the %d sent:\n%.300s", topic, len(got), len(want), fmt.Sprint(got))
			}
		}
	}
}

// TestOldFranz does so with franz-go, held to the versions that Kafka had then.
func TestOldFranz(t *testing.T) {
	addr := embedded(t)
	for name, versions := range map[string]*kversion.Versions{
		"0.8.2": kversion.V0_8_2(), "0.9": kversion.V0_9_0(), "0.10.0": kversion.V0_10_0(), "0.10.2": kversion.V0_10_2(), "0.11": kversion.V0_11_0(),
	} {
		for codec, compression := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression()} {
			topic := "franz-" + name + "-" + codec
			begin := time.Now()
			c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.MaxVersions(versions), kgo.DisableIdempotentWrite(), kgo.DefaultProduceTopic(topic),
				kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(compression), kgo.MetadataMinAge(10*time.Millisecond))
			must(t, topic, err)
			timestamp := "now"
			if name == "0.8.2" || name == "0.9" {
				timestamp = "none"
			}
			var want []string
			var records []*kgo.Record
			for i := range 100 {
				key, value := fmt.Sprint("k", i), fmt.Sprint("value ", i)
				want = append(want, fmt.Sprintf("%s=%s@%s", key, value, timestamp))
				records = append(records, &kgo.Record{Key: []byte(key), Value: []byte(value)})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			must(t, topic, c.ProduceSync(ctx, records...).FirstErr())
			cancel()
			c.Close()
			if got := readTopic(t, addr, topic, len(want), begin); !slices.Equal(got, want) {
				t.Errorf("%s: read %d records that are not the %d sent:\n%.300s", topic, len(got), len(want), fmt.Sprint(got))
			}
		}
	}
}
