package node

import (
	"context"
	"runtime"
	"time"
	"unicode/utf8"

	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"
)

// scrapeTimeout bounds how long a scrape waits for the groups.
const scrapeTimeout = time.Second

// fillMetrics says where the metrics read the node's state.
func (n *Node) fillMetrics() {
	n.metrics.Sources = metrics.Sources{
		Partitions:       n.visitPartitions,
		Groups:           n.listGroups,
		Rebalances:       func() int64 { return n.groups.Counters().Rebalances },
		Connections:      n.countConnections,
		Parked:           n.server.Parked,
		SocketBytes:      n.countSocketBytes,
		ActiveController: func() bool { return true },
		Brokers:          func() int { return 1 },
		OfflineLogDirs:   n.partitions.FailedDirs,
		Cleaner:          n.cleanerState,
		Usages:           n.listUsages,
		Throttled:        n.countThrottled,
		ClientMetrics:    n.clientMetrics(),
		RequestName:      protocol.NameOf,
		Version:          Version, Commit: Commit, GoVersion: runtime.Version(),
		LogFlush: n.settings.Flush, LogValidation: n.settings.Validation.String(), Started: n.started,
	}
}

func (n *Node) visitPartitions(visit func(metrics.Partition)) {
	n.partitions.Each(func(p *partition.Partition) bool {
		offsets := p.Offsets()
		visit(metrics.Partition{
			Topic: p.Topic(), Index: p.Index(), LogStartOffset: offsets.LogStart, HighWatermark: offsets.HighWatermark,
			SizeBytes: p.SizeBytes(), Leader: true, Offline: p.Offline() != nil,
		})
		return true
	})
}

func (n *Node) listGroups() []metrics.Group {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var groups []metrics.Group
	for _, g := range n.groups.Snapshot(ctx) {
		known := metrics.Group{ID: g.Group, Members: g.Members}
		for _, o := range g.Offsets {
			known.Offsets = append(known.Offsets, metrics.GroupOffset{Topic: o.Topic, Partition: o.Partition, Offset: o.Offset})
		}
		groups = append(groups, known)
	}
	return groups
}

func (n *Node) countConnections() map[string]int {
	counts := map[string]int{}
	for i, count := range n.server.ConnectionsOf() {
		counts[n.settings.Listeners[i].Name] += count
	}
	return counts
}

func (n *Node) countSocketBytes() map[string]metrics.SocketBytes {
	counts := map[string]metrics.SocketBytes{}
	for i, t := range n.server.TrafficOf() {
		c := counts[n.settings.Listeners[i].Name]
		counts[n.settings.Listeners[i].Name] = metrics.SocketBytes{Incoming: c.Incoming + t.In, Outgoing: c.Outgoing + t.Out}
	}
	return counts
}

func (n *Node) listUsages() []metrics.Usage {
	var usages []metrics.Usage
	for _, u := range n.quotas.Usages() {
		if !utf8.ValidString(u.ClientID) {
			continue // no label can hold it
		}
		usages = append(usages, metrics.Usage{Quota: u.Kind.String(), User: u.User, ClientID: u.ClientID, Value: u.Value})
	}
	return usages
}

// clientMetrics reads what clients pushed; nil when they are not asked.
func (n *Node) clientMetrics() func() metrics.ClientMetrics {
	if n.telemetry == nil {
		return nil
	}
	return func() metrics.ClientMetrics {
		stats := n.telemetry.Stats()
		all := metrics.ClientMetrics{Instances: stats.Instances, Pushes: stats.Pushes, Omitted: stats.Omitted}
		for _, s := range n.telemetry.Samples() {
			sample := metrics.ClientSample{InstanceID: s.InstanceID, ClientID: s.ClientID, Metric: s.Metric, Value: s.Value, Sum: s.Sum}
			for _, l := range s.Labels {
				sample.LabelNames, sample.LabelValues = append(sample.LabelNames, l.Name), append(sample.LabelValues, l.Value)
			}
			all.Samples = append(all.Samples, sample)
		}
		return all
	}
}

func (n *Node) countThrottled() map[string]int64 {
	counts := map[string]int64{}
	for kind := range quota.Kinds {
		counts[quota.Kind(kind).String()] = n.quotas.Throttled(quota.Kind(kind))
	}
	return counts
}
