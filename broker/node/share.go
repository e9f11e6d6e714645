package node

import (
	"context"
	"slices"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/group"
	"fluxmq/broker/partition"
	"fluxmq/broker/share"
)

func (n *Node) openShares() {
	n.shareState = share.New(share.Config{
		Node: n.settings, Logger: n.logger("share"),
		Partitions: func() int32 {
			if t := n.metadata.Image().Topics[share.StateTopic]; t != nil {
				return t.Partitions
			}
			return 0
		},
		Log: func(index int32) share.Log {
			if p := n.partitions.Find([]byte(share.StateTopic), index); p != nil {
				return share.PartitionLog(p)
			}
			return nil
		},
		Exists: func(topic [16]byte, index int32) bool { return n.shared(topic, index) != nil },
	})
	n.shares = share.NewSet(share.SetConfig{
		State: n.shareState, Logger: n.logger("share"), Find: n.shared, Settings: n.shareSettings, Timeout: n.settings.ShareWriteTimeout,
	})
	n.handler.Shares, n.handler.ShareState = n.shares, n.shareState
}

// shared finds a partition by its topic's id.
func (n *Node) shared(topic [16]byte, index int32) *partition.Partition {
	p, _ := n.partitions.FindByID(topic, index) // the name is not asked for
	return p
}

// shareSettings are a share group's, or those of all groups.
func (n *Node) shareSettings(id string) config.ShareGroup { return n.groupSettings(id).Share }

// shareStates lets groups make and drop the states of their partitions.
type shareStates struct{ *Node }

func keysOf(groupID string, partitions []group.SharePartition) []share.Key {
	keys := make([]share.Key, len(partitions))
	for i, p := range partitions {
		keys[i] = share.Key{Group: groupID, Topic: p.Topic, Partition: p.Partition}
	}
	return keys
}

// ensureTopic makes __share_group_state, if it is not there.
func (s shareStates) ensureTopic() error {
	_, err := s.metadata.EnsureTopic(cluster.NewShareTopic(s.settings))
	return err
}

// Initialize makes the states new, and drops what is held of the ones before.
func (s shareStates) Initialize(ctx context.Context, groupID string, epoch int32, partitions []group.SharePartition) []error {
	if err := s.ensureTopic(); err != nil {
		return slices.Repeat([]error{err}, len(partitions))
	}
	keys := keysOf(groupID, partitions)
	replies := make([]*share.Reply[error], len(keys))
	for i, k := range keys {
		replies[i] = s.shareState.Initialize(ctx, k, epoch, partitions[i].Start)
	}
	return s.await(ctx, keys, replies)
}

// Delete forgets the states, and what is held of them.
func (s shareStates) Delete(ctx context.Context, groupID string, partitions []group.SharePartition) []error {
	keys := keysOf(groupID, partitions)
	replies := make([]*share.Reply[error], len(keys))
	for i, k := range keys {
		replies[i] = s.shareState.Delete(ctx, k)
	}
	return s.await(ctx, keys, replies)
}

func (s shareStates) await(ctx context.Context, keys []share.Key, replies []*share.Reply[error]) []error {
	errs := make([]error, len(replies))
	for i, reply := range replies {
		if errs[i] = reply.Wait(ctx); errs[i] == nil {
			s.shares.Drop(keys[i])
		}
	}
	return errs
}
