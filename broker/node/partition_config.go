package node

import (
	"fluxmq/broker/config"
	"fluxmq/broker/partition"
)

// partitionConfig is what a partition needs of its topic's and the broker's settings.
func partitionConfig(t *config.Topic, n *config.Node) partition.Config {
	return partition.Config{
		SegmentBytes:       t.SegmentBytes,
		RetentionBytes:     t.RetentionBytes,
		IndexIntervalBytes: t.IndexIntervalBytes,
		SegmentIndexBytes:  t.SegmentIndexBytes,
		MaxMessageBytes:    int64(t.MaxMessageBytes),
		SegmentAge:         t.SegmentAge,
		Retention:          t.Retention,
		FileDeleteDelay:    t.FileDeleteDelay,
		FlushMessages:      t.FlushMessages,
		FlushInterval:      t.FlushInterval,
		LogAppendTime:      t.LogAppendTime,
		TimestampBeforeMax: t.TimestampBeforeMax,
		TimestampAfterMax:  t.TimestampAfterMax,
		Compact:            t.CleanupCompact,
		DeleteOld:          t.CleanupDelete,
		Preallocate:        t.Preallocate,
		DeleteRetention:    t.DeleteRetention,
		MinCompactionLag:   t.MinCompactionLag,
		MaxCompactionLag:   t.MaxCompactionLag,
		MinDirtyRatio:      t.MinDirtyRatio,
		ProducerExpiration: n.ProducerExpiration,
		Validation:         n.Validation,
		Recompress:         t.Recompress,
	}
}
