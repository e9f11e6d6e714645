// Package group is the consumer group coordinator: one shard per
// __consumer_offsets partition, each a goroutine that owns its groups; the
// groups are pure state machines.
package group

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Client is who asks.
type Client struct{ ID, Host string }

// Coordinator is safe for concurrent use. Calls that must wait (join, sync,
// durable commits) return when done or when ctx ends.
type Coordinator struct{}

func (c *Coordinator) Join(ctx context.Context, from Client, in *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	panic("not built")
}

// the owner of this room adds the other doors in the same shape.
