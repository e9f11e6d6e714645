package node

import (
	"testing"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/record"
)

func TestBrokerSettingsReachThePartition(t *testing.T) {
	settings, _, err := config.Load(config.Sources{Strict: true, Overrides: []string{"producer.id.expiration.ms=1234", "log.segment.bytes=2097152"}})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := config.ParseTopic(settings, map[string]string{
		"cleanup.policy": "compact", "delete.retention.ms": "5", "min.compaction.lag.ms": "6", "max.compaction.lag.ms": "7", "min.cleanable.dirty.ratio": "0.25",
		"compression.type": "lz4", "compression.lz4.level": "4", "message.timestamp.type": "LogAppendTime",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := partitionConfig(topic, settings)
	if got.ProducerExpiration != 1234*time.Millisecond {
		t.Errorf("producer ids expire after %v", got.ProducerExpiration)
	}
	if !got.Compact || got.DeleteRetention != 5*time.Millisecond || got.MinCompactionLag != 6*time.Millisecond || got.MaxCompactionLag != 7*time.Millisecond || got.MinDirtyRatio != 0.25 {
		t.Errorf("compaction: %+v", got)
	}
	if got.Recompress == nil || *got.Recompress != (record.Compression{Codec: record.LZ4, Level: 4}) || !got.LogAppendTime {
		t.Errorf("compression %+v, LogAppendTime %v", got.Recompress, got.LogAppendTime)
	}
	if got.SegmentBytes != 2<<20 {
		t.Errorf("segments of %d bytes", got.SegmentBytes)
	}
}
