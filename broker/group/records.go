package group

import (
	"encoding/binary"
	"errors"
	"fmt"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The layout of __consumer_offsets is Kafka's, so that its tools read ours:
//
//	key   int16 version: 0 and 1 an offset, 2 a group; then group [, topic, partition]
//	value int16 version, then the fields; null is a tombstone
//
// Written are the newest versions without tagged fields, as Kafka 4 does:
// offset value 3 (1 where the client named an expiry), group value 3.
const (
	offsetKeyVersion         = 1
	groupKeyVersion          = 2
	offsetValueVersion       = 3
	offsetExpireValueVersion = 1
	groupValueVersion        = 3
	newestOffsetValueVersion = 4
	newestGroupValueVersion  = 4
)

// errUnknownRecord says that a key is of a kind this coordinator does not
// keep; replay skips it.
var errUnknownRecord = errors.New("unknown kind of group record")

func offsetRecordKey(groupID, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: groupID, Topic: topic, Partition: partition}
	return k.AppendTo(nil)
}

func groupRecordKey(groupID string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: groupID}
	return k.AppendTo(nil)
}

// offsetRecord stores one committed offset.
func offsetRecord(groupID, topic string, partition int32, c committed) record.Record {
	v := kmsg.NewOffsetCommitValue()
	v.Version, v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp = offsetValueVersion, c.offset, c.leaderEpoch, c.metadata, c.commitMs
	if c.expireMs >= 0 {
		v.Version, v.ExpireTimestamp = offsetExpireValueVersion, c.expireMs
	}
	return record.Record{Timestamp: c.commitMs, Key: offsetRecordKey(groupID, topic, partition), Value: v.AppendTo(nil)}
}

func offsetTombstone(groupID, topic string, partition int32, nowMs int64) record.Record {
	return record.Record{Timestamp: nowMs, Key: offsetRecordKey(groupID, topic, partition)}
}

func groupTombstone(groupID string, nowMs int64) record.Record {
	return record.Record{Timestamp: nowMs, Key: groupRecordKey(groupID)}
}

// groupRecord stores the group as it is: the generation, who is in it, and
// what each member subscribed to and was assigned, as opaque bytes.
func groupRecord(g *group, nowMs int64) record.Record {
	v := kmsg.NewGroupMetadataValue()
	v.Version, v.ProtocolType, v.Generation, v.CurrentStateTimestamp = groupValueVersion, g.protocolType, g.generation, g.stateSinceMs
	if g.protocol != "" {
		chosen := g.protocol
		v.Protocol = &chosen
	}
	if g.leader != "" {
		leader := g.leader
		v.Leader = &leader
	}
	for _, m := range g.ordered() {
		e := kmsg.NewGroupMetadataValueMember()
		e.MemberID, e.InstanceID, e.ClientID, e.ClientHost = m.id, m.instanceID, m.client.ID, m.client.Host
		e.RebalanceTimeoutMillis, e.SessionTimeoutMillis = m.rebalanceTimeoutMs, m.sessionTimeoutMs
		e.Subscription, e.Assignment = m.metadata(g.protocol), m.assignment
		v.Members = append(v.Members, e)
	}
	return record.Record{Timestamp: nowMs, Key: groupRecordKey(g.id), Value: v.AppendTo(nil)}
}

// replayed is one decoded record of __consumer_offsets.
type replayed struct {
	group  string
	offset *offsetKey // set: an offset
	// commit and metadata are nil in a tombstone.
	commit   *committed
	metadata *kmsg.GroupMetadataValue
	consumer *consumerRecord // set: of a consumer group
	share    *shareRecord    // set: of a share group
	streams  *streamsRecord  // set: of a streams group
}

// decodeRecord reads one record. It returns errUnknownRecord for kinds it does
// not keep and another error for bytes that do not decode; it never panics.
func decodeRecord(key, value []byte) (replayed, error) {
	if len(key) < 2 {
		return replayed{}, fmt.Errorf("group record key of %d bytes", len(key))
	}
	switch version := int16(binary.BigEndian.Uint16(key)); version {
	case 0, offsetKeyVersion:
		return decodeOffset(key, value)
	case groupKeyVersion:
		return decodeGroup(key, value)
	case consumerMetadataKey, partitionMetadataKey, memberMetadataKey, targetMetadataKey, targetMemberKey, currentMemberKey, regexKey:
		id, r, err := decodeConsumer(version, key, value)
		return replayed{group: id, consumer: r}, err
	case shareMemberKey, shareMetadataKey, shareTargetMetadataKey, shareTargetMemberKey, shareCurrentMemberKey, shareStatesKey:
		id, r, err := decodeShare(version, key, value)
		return replayed{group: id, share: r}, err
	case streamsMetadataKey, streamsMemberKey, streamsTargetMetadataKey, streamsTargetMemberKey, streamsCurrentMemberKey, streamsTopologyKey:
		id, r, err := decodeStreams(version, key, value)
		return replayed{group: id, streams: r}, err
	default:
		return replayed{}, fmt.Errorf("%w: key version %d", errUnknownRecord, version)
	}
}

func decodeOffset(key, value []byte) (replayed, error) {
	var k kmsg.OffsetCommitKey
	if err := k.ReadFrom(key); err != nil {
		return replayed{}, fmt.Errorf("key of a committed offset: %w", err)
	}
	r := replayed{group: k.Group, offset: &offsetKey{k.Topic, k.Partition}}
	if value == nil {
		return r, nil
	}
	if err := valueVersion(value, newestOffsetValueVersion); err != nil {
		return replayed{}, fmt.Errorf("committed offset of group %q: %w", k.Group, err)
	}
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(value); err != nil {
		return replayed{}, fmt.Errorf("committed offset of group %q: %w", k.Group, err)
	}
	c := committed{
		offset: v.Offset, leaderEpoch: v.LeaderEpoch, metadata: v.Metadata,
		commitMs: v.CommitTimestamp, expireMs: -1, topicID: v.TopicID,
	}
	if v.Version < 3 {
		c.leaderEpoch = -1
	}
	if v.Version == offsetExpireValueVersion {
		c.expireMs = v.ExpireTimestamp
	}
	r.commit = &c
	return r, nil
}

func decodeGroup(key, value []byte) (replayed, error) {
	var k kmsg.GroupMetadataKey
	if err := k.ReadFrom(key); err != nil {
		return replayed{}, fmt.Errorf("key of a group: %w", err)
	}
	r := replayed{group: k.Group}
	if value == nil {
		return r, nil
	}
	if err := valueVersion(value, newestGroupValueVersion); err != nil {
		return replayed{}, fmt.Errorf("metadata of group %q: %w", k.Group, err)
	}
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return replayed{}, fmt.Errorf("metadata of group %q: %w", k.Group, err)
	}
	r.metadata = &v
	return r, nil
}

func valueVersion(value []byte, newest int16) error {
	if len(value) < 2 {
		return fmt.Errorf("value of %d bytes", len(value))
	}
	if v := int16(binary.BigEndian.Uint16(value)); v < 0 || v > newest {
		return fmt.Errorf("%w: value version %d", errUnknownRecord, v)
	}
	return nil
}

// restore makes a group of its stored metadata: Stable with members, Empty
// without. Offsets of g stay. Bytes are copied.
func (g *group) restore(v *kmsg.GroupMetadataValue) {
	g.reset(v.CurrentStateTimestamp)
	g.stored = true
	g.generation, g.protocolType = v.Generation, v.ProtocolType
	if v.Protocol != nil {
		g.protocol = *v.Protocol
	}
	for _, e := range v.Members {
		m := &member{
			id: e.MemberID, instanceID: e.InstanceID, client: Client{e.ClientID, e.ClientHost},
			sessionTimeoutMs: e.SessionTimeoutMillis, rebalanceTimeoutMs: e.RebalanceTimeoutMillis,
			protocols:  []protocolMetadata{{g.protocol, append([]byte{}, e.Subscription...)}},
			assignment: append([]byte{}, e.Assignment...),
		}
		if m.rebalanceTimeoutMs < 0 {
			m.rebalanceTimeoutMs = m.sessionTimeoutMs
		}
		if g.members[m.id] != nil {
			continue // a record never names a member twice
		}
		g.add(m, v.ProtocolType)
	}
	if v.Leader != nil && g.members[*v.Leader] != nil {
		g.leader = *v.Leader
	}
	if len(g.members) > 0 {
		g.state, g.previous = stable, stable
	}
	g.subscribed = g.subscribedTopics()
}

// resume starts the sessions of the members of a restored group: they have one
// session timeout to find the coordinator again.
func (g *group) resume(s *step) {
	switch {
	case g.consumer != nil:
		g.resumeConsumer(s)
		return
	case g.share != nil:
		g.resumeShare(s)
		return
	case g.streams != nil:
		g.resumeStreams(s)
		return
	}
	for _, m := range g.ordered() {
		g.touch(s, m)
	}
}
