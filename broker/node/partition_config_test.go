package node

import (
	"testing"
	"time"

	"fluxmq/broker/config"
)

func TestBrokerSettingsReachThePartition(t *testing.T) {
	settings, _, err := config.Load(config.Sources{Strict: true, Overrides: []string{"producer.id.expiration.ms=1234", "log.segment.bytes=2097152"}})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := config.ParseTopic(settings, map[string]string{
		"cleanup.policy": "compact", "delete.retention.ms": "5", "min.compaction.lag.ms": "6", "max.compaction.lag.ms": "7", "min.cleanable.dirty.ratio": "0.25",
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
	if got.SegmentBytes != 2<<20 {
		t.Errorf("segments of %d bytes", got.SegmentBytes)
	}
}
