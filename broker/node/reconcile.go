package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/partition"
	"fluxmq/broker/server"
)

// forgetTimeout bounds how long deleting a topic waits for the groups to drop
// its committed offsets.
const forgetTimeout = 5 * time.Second

// onImage brings about the difference between two images: it runs under the
// metadata's command lock, so that a CreateTopics is answered when its
// partitions are there. It goes on after an error; what failed is tried again
// at the next start.
func (n *Node) onImage(before, after *cluster.Image) error {
	var errs []error
	if after.Quotas != before.Quotas {
		n.quotas.Set(after.Quotas)
	}
	if after.Settings != before.Settings {
		n.server.SetLimits(connectionLimits(after.Settings))
	}
	if after.SubscriptionsVersion != before.SubscriptionsVersion {
		n.subscribe(after)
	}
	if before.FeatureLevel(cluster.ShareVersion) > 0 && after.FeatureLevel(cluster.ShareVersion) == 0 { // as Kafka's SharePartitionManager
		n.handler.EndShareSessions()
		n.shares.DropAll()
	}
	everyPartition := after.Settings.ProducerExpiration != before.Settings.ProducerExpiration // in no topic's settings
	for id, t := range before.ByID {
		if after.ByID[id] == nil {
			errs = append(errs, n.dropTopic(t))
		}
	}
	for id, t := range after.ByID {
		if was := before.ByID[id]; was == nil || was.Partitions != t.Partitions || was.Config != t.Config || everyPartition {
			partitions := int32(0)
			if was != nil {
				partitions = was.Partitions
			}
			errs = append(errs, n.hostTopic(t, partitions, after))
		}
	}
	return errors.Join(errs...)
}

// connectionLimits are what the settings say of connections.
func connectionLimits(s *config.Node) server.Limits {
	return server.Limits{Connections: s.MaxConnections, PerIP: s.MaxConnectionsPerIP, Of: s.MaxConnectionsOf, Rate: s.MaxConnectionCreationRate}
}

// subscribe tells telemetry what the image asks clients for.
func (n *Node) subscribe(image *cluster.Image) {
	if n.telemetry == nil {
		return
	}
	subscriptions := make(map[string]*config.ClientMetrics, len(image.Subscriptions))
	for name, s := range image.Subscriptions {
		subscriptions[name] = s.Config
	}
	n.telemetry.SetSubscriptions(subscriptions)
}

// hostTopic makes a topic's partitions, and gives those that are there the
// topic's settings. The first known of them were made before.
func (n *Node) hostTopic(t *cluster.Topic, known int32, image *cluster.Image) error {
	cfg := partitionConfig(t.Config, image.Settings)
	for index := range t.Partitions {
		host := n.partitions.Create
		if index < known {
			host = n.partitions.Host
		}
		if _, err := host(t.Name, t.ID, index, cfg); err != nil {
			return err
		}
	}
	return nil
}

// dropTopic ends a topic's partitions and what the rooms remember of it.
func (n *Node) dropTopic(t *cluster.Topic) error {
	err := n.partitions.Delete(t.Name)
	ctx, cancel := context.WithTimeout(context.Background(), forgetTimeout)
	defer cancel()
	n.groups.TopicDeleted(ctx, t.Name)
	n.shares.DropTopic(t.ID)
	n.shareState.TopicDeleted(ctx, t.ID)
	n.handler.ForgetTopic(t.Name)
	return err
}

// startImage brings about what the image says after a start: deletions that a
// crash cut short, partitions that are missing, the topics' present settings.
func (n *Node) startImage() error {
	image := n.metadata.Image()
	strays := map[string]partition.TopicID{}
	n.partitions.Each(func(p *partition.Partition) bool {
		if t := image.Topics[p.Topic()]; t == nil || (t.ID != p.ID() && p.ID() != partition.TopicID{}) {
			strays[p.Topic()] = p.ID()
		}
		return true
	})
	for name, id := range strays {
		if !n.metadata.Deleted(id) {
			n.log.Warn("A directory holds partitions of a topic that this cluster does not know; they are left alone", "topic", name)
			continue
		}
		if err := n.partitions.Delete(name); err != nil {
			return fmt.Errorf("finishing the deletion of topic %s: %w", name, err)
		}
	}
	for _, t := range image.Topics {
		if err := n.hostTopic(t, t.Partitions, image); err != nil {
			// One damaged or foreign directory must not stop the others.
			n.log.Error("A topic's partitions could not all be opened", "topic", t.Name, "error", err)
		}
	}
	return nil
}
