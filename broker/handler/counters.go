package handler

import (
	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
)

// counters returns the counters of a partition's topic. They are kept by
// partition, so that the data path looks nothing up by name.
func (h *Handler) counters(p *partition.Partition) *metrics.TopicCounters {
	if known, ok := h.topicCounters.Load(p); ok {
		return known.(*metrics.TopicCounters)
	}
	counters := h.Metrics.Topic(p.Topic())
	h.topicCounters.Store(p, counters)
	return counters
}

// ForgetTopic drops what is kept for a deleted topic. node calls it after the
// partitions are gone.
func (h *Handler) ForgetTopic(topic string) {
	h.topicCounters.Range(func(p, _ any) bool {
		if p.(*partition.Partition).Topic() == topic {
			h.topicCounters.Delete(p)
		}
		return true
	})
	h.Metrics.ForgetTopic(topic)
}
