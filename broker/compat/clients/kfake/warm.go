package kfake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of coordinators, as FindCoordinator names them.
const (
	groupCoordinator       = 0
	transactionCoordinator = 1
	shareCoordinator       = 2
)

// warmUp waits until each coordinator has its topic and answers. The fake has
// its coordinators from the start, and its tests send them requests without asking
// where they are, at which Kafka says NOT_COORDINATOR for a while.
func (c *Cluster) warmUp() error {
	ctx, cancel := calling()
	defer cancel()
	const nobody = "00000000-0000-0000-0000-000000000000"
	for kind, key := range map[int8]string{groupCoordinator: nobody, transactionCoordinator: nobody, shareCoordinator: nobody + ":AAAAAAAAAAAAAAAAAAAAAQ:0"} {
		if err := c.untilLoaded(ctx, func() (int16, error) { return c.findCoordinator(ctx, kind, key) }); err != nil {
			return fmt.Errorf("coordinator of kind %d: %w", kind, err)
		}
	}
	if err := c.untilLoaded(ctx, func() (int16, error) { return c.describeNoGroup(ctx, nobody) }); err != nil {
		return fmt.Errorf("group coordinator: %w", err)
	}
	if err := c.untilLoaded(ctx, func() (int16, error) { return c.describeNoTransaction(ctx, nobody) }); err != nil {
		return fmt.Errorf("transaction coordinator: %w", err)
	}
	return nil
}

// untilLoaded asks until the answer is not that a coordinator is not there yet.
func (c *Cluster) untilLoaded(ctx context.Context, ask func() (int16, error)) error {
	for {
		code, err := ask()
		if err != nil {
			return err
		}
		said := kerr.ErrorForCode(code)
		if !errors.Is(said, kerr.NotCoordinator) && !errors.Is(said, kerr.CoordinatorNotAvailable) && !errors.Is(said, kerr.CoordinatorLoadInProgress) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), said)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// The broker is asked by its node: the client would look the coordinator up, and retry, by itself.

func (c *Cluster) findCoordinator(ctx context.Context, kind int8, key string) (int16, error) {
	request := kmsg.NewPtrFindCoordinatorRequest()
	request.CoordinatorType, request.CoordinatorKeys = kind, []string{key}
	reply, err := c.client.Broker(0).Request(ctx, request)
	if err != nil {
		return 0, err
	}
	found := reply.(*kmsg.FindCoordinatorResponse).Coordinators
	if len(found) != 1 {
		return 0, fmt.Errorf("%d coordinators", len(found))
	}
	return found[0].ErrorCode, nil
}

func (c *Cluster) describeNoGroup(ctx context.Context, group string) (int16, error) {
	request := kmsg.NewPtrConsumerGroupDescribeRequest()
	request.Groups = []string{group}
	reply, err := c.client.Broker(0).Request(ctx, request)
	if err != nil {
		return 0, err
	}
	described := reply.(*kmsg.ConsumerGroupDescribeResponse).Groups
	if len(described) != 1 {
		return 0, fmt.Errorf("%d groups", len(described))
	}
	return described[0].ErrorCode, nil
}

func (c *Cluster) describeNoTransaction(ctx context.Context, id string) (int16, error) {
	request := kmsg.NewPtrDescribeTransactionsRequest()
	request.TransactionalIDs = []string{id}
	reply, err := c.client.Broker(0).Request(ctx, request)
	if err != nil {
		return 0, err
	}
	described := reply.(*kmsg.DescribeTransactionsResponse).TransactionStates
	if len(described) != 1 {
		return 0, fmt.Errorf("%d transactions", len(described))
	}
	return described[0].ErrorCode, nil
}
