package franz

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"fluxmq/loadgen"
)

// Admin implements loadgen.Admin for every Go client.
type Admin struct{ client *kadm.Client }

// NewAdmin connects lazily, on its first request.
func NewAdmin(bootstrap string) (loadgen.Admin, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.MetadataMinAge(metadataRetry))
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return &Admin{client: kadm.NewClient(client)}, nil
}

// CreateTopic implements loadgen.Admin.
func (a *Admin) CreateTopic(ctx context.Context, topic string, partitions int32, replicationFactor int16, configs map[string]string) error {
	values := map[string]*string{}
	for key, text := range configs {
		values[key] = &text
	}
	if _, err := a.client.CreateTopic(ctx, partitions, replicationFactor, values, topic); err != nil {
		return err
	}
	ticker := time.NewTicker(metadataRetry)
	defer ticker.Stop()
	for {
		topics, err := a.client.ListTopics(ctx, topic)
		if err == nil && len(topics[topic].Partitions) == int(partitions) && topics[topic].Err == nil {
			ready := true
			for _, p := range topics[topic].Partitions {
				ready = ready && p.Err == nil && p.Leader >= 0
			}
			if ready {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the %d partitions had no leaders in time: %w", partitions, ctx.Err())
		}
	}
}

// EndOffsets implements loadgen.Admin.
func (a *Admin) EndOffsets(ctx context.Context, topic string, partitions int32) ([]int64, error) {
	listed, err := a.client.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make([]int64, partitions)
	for p := range out {
		end, ok := listed.Lookup(topic, int32(p))
		if !ok {
			return nil, fmt.Errorf("no answer for partition %d", p)
		}
		if end.Err != nil {
			return nil, fmt.Errorf("partition %d: %w", p, end.Err)
		}
		out[p] = end.Offset
	}
	return out, nil
}

// Close implements loadgen.Admin.
func (a *Admin) Close() { a.client.Close() }
