package group

import (
	"context"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"
)

// command is one request to a shard.
type command = coordinator.Command[*shard]

// ask sends a request to the shard of a group; refuse answers it with an error code.
func ask[T any](ctx context.Context, c *Coordinator, group string, refuse func(code int16) T, run func(*shard, *Reply[T])) *Reply[T] {
	refuseWith := func(err error) T { return refuse(protocol.CodeOf(err)) }
	s, err := c.shardOf(ctx, group)
	if err != nil {
		return coordinator.Answered(refuseWith(err))
	}
	return askShard(ctx, s, refuseWith, run)
}

// askShard sends a request to a shard, which serves it here and now if it is idle.
func askShard[T any](ctx context.Context, s *shard, refuse func(error) T, run func(*shard, *Reply[T])) *Reply[T] {
	c, r := coordinator.Request(s.Queue, refuse, run)
	if s.serveHere(c) {
		return r
	}
	if err := s.Send(ctx, c); err != nil {
		return coordinator.Answered(refuse(err))
	}
	return r
}
