package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/group"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/share"
)

// errNoShareGroups answers requests of share groups where there are none.
var errNoShareGroups = fmt.Errorf("%w: there are no share groups while share.version is 0", protocol.ErrUnsupportedVersion)

// servesShareGroups tells whether there are share groups. Requests to the share
// coordinator (API keys 83 to 87) do not ask, as in Kafka.
func (h *Handler) servesShareGroups() bool {
	return h.Shares != nil && h.Metadata.Image().FeatureLevel(cluster.ShareVersion) > 0
}

// shareMemberOf checks who a share request says it is from.
func shareMemberOf(groupID, member *string) (shareMember, error) {
	switch {
	case groupID == nil || *groupID == "":
		return shareMember{}, fmt.Errorf("%w: no group id", protocol.ErrInvalidRequest)
	case member == nil || *member == "" || len(*member) > group.MaxShareMemberID:
		return shareMember{}, fmt.Errorf("%w: the member id must have 1 to %d characters", protocol.ErrInvalidRequest, group.MaxShareMemberID)
	}
	return shareMember{*groupID, *member}, nil
}

// Epochs of share sessions with a meaning of their own.
const (
	finalShareEpoch   = -1 // the session ends with this request
	initialShareEpoch = 0  // the session begins with it
)

// shareAnswers is what a request acknowledges of one partition.
type shareAnswers struct {
	sharePlace
	list []share.Acknowledgement
}

// shareAnswered is what became of that. log is nil when the partition is not
// here. words are what the response says of an error: Kafka has some where the
// share partition refuses, and none where the request is at fault.
type shareAnswered struct {
	sharePlace
	log   *partition.Partition
	err   error
	words *string
}

// acknowledge takes what a member says of records, in all partitions together,
// and waits until it is stored.
func (h *Handler) acknowledge(ctx context.Context, of shareMember, answers []shareAnswers, renews bool) []shareAnswered {
	// What has been begun is stored also when the client goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.Config.ShareWriteTimeout)
	defer cancel()
	done := make([]shareAnswered, len(answers))
	finish := make([]func(context.Context) error, len(answers))
	for i, a := range answers {
		done[i].sharePlace = a.sharePlace
		finish[i], done[i].log, done[i].err = h.startAcknowledge(ctx, of, a, renews)
	}
	for i, f := range finish {
		if f != nil {
			done[i].err = f(ctx)
			done[i].words = errorWords(done[i].err)
		}
	}
	return done
}

func (h *Handler) startAcknowledge(ctx context.Context, of shareMember, a shareAnswers, renews bool) (func(context.Context) error, *partition.Partition, error) {
	log, name := h.Partitions.FindByID(a.topic, a.partition)
	switch {
	case log == nil && name == "":
		return nil, nil, protocol.ErrUnknownTopicID
	case log == nil:
		return nil, nil, protocol.ErrUnknownTopicOrPartition
	}
	if err := share.CheckAcknowledgements(a.list, renews); err != nil {
		return nil, log, err
	}
	p := h.Shares.Find(a.key(of.group))
	if p == nil { // nobody has fetched from it here
		return func(context.Context) error { return protocol.ErrUnknownTopicOrPartition }, log, nil
	}
	return p.StartAcknowledge(ctx, of.member, a.list), log, nil
}

// lockDurationMs is how long a member of a group has what it acquires.
func (h *Handler) lockDurationMs(group string) int32 {
	return int32(h.Shares.Settings(group).LockDuration.Milliseconds())
}

// isElsewhere tells whether an error sends the client to look for the
// partition's leader again, for which it is told who that is. With any other
// the leader and its epoch are 0, as in Kafka: no client looks at them.
func isElsewhere(code int16) bool {
	return code == protocol.ErrNotLeaderOrFollower.Code || code == protocol.ErrFencedLeaderEpoch.Code
}
