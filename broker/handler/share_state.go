package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"
	"fluxmq/broker/share"
)

// The requests to the share coordinator (API keys 83 to 87) are those of
// brokers that lead a share partition; here they are of tools. As in Kafka a
// request that names no group gets an empty response, and every partition an
// answer of its own.

// statePartition is one partition of such a request, with what it says.
type statePartition[P any] struct {
	key share.Key
	in  P
}

// stateReplies asks the share coordinator about all partitions, and then waits
// for the answers, so that they share their fdatasyncs.
func stateReplies[P, A any](ctx context.Context, list []statePartition[P], ask func(share.Key, P) *share.Reply[A]) []A {
	replies := make([]*share.Reply[A], len(list))
	for i, p := range list {
		replies[i] = ask(p.key, p.in)
	}
	answers := make([]A, len(list))
	for i, reply := range replies {
		answers[i] = reply.Wait(ctx)
	}
	return answers
}

// servesShareState tells whether a request to the share coordinator is answered
// with more than nothing.
func (h *Handler) servesShareState(group string) bool { return h.ShareState != nil && group != "" }

// ensureShareTopic makes __share_group_state as Kafka would, if it is not there.
func (h *Handler) ensureShareTopic() error {
	_, err := h.Metadata.EnsureTopic(cluster.NewShareTopic(h.Config))
	return err
}

// stateWords is an error's code and words, for a partition of a response.
func stateWords(err error) (int16, *string) { return protocol.CodeOf(err), errorWords(err) }
