package share

import (
	"context"

	"fluxmq/broker/coordinator"
)

// ask sends a request to the shard of a key; the answer leaves when it is durable.
func ask[T any](ctx context.Context, c *Coordinator, key Key, refuse func(error) T, run func(*shard) T) *Reply[T] {
	s, err := c.shards.LoadedOf(ctx, key.String())
	if err != nil {
		return coordinator.Answered(refuse(err))
	}
	return coordinator.Ask(ctx, s.Queue, refuse, func(s *shard, r *Reply[T]) { r.Give(s, run(s), true) })
}
