package txn

import (
	"context"

	"fluxmq/broker/coordinator"
)

// ask sends a request to the shard of a transactional id.
func ask[T any](ctx context.Context, c *Coordinator, transactionalID string, refuse func(error) T, run func(*shard, *Reply[T])) *Reply[T] {
	s, err := c.shards.LoadedOf(ctx, transactionalID)
	if err != nil {
		return coordinator.Answered(refuse(err))
	}
	return coordinator.Ask(ctx, s.Queue, refuse, run)
}
