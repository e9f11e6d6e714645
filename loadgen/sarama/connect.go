package sarama

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// connect makes a client that is connected to the leader of each of the topic's
// partitions. sarama opens a connection when the first of a producer's partitions needs
// it, and the others find it marked as open before it stands (Broker.Open): they fail
// with "broker not connected", close it under a batch in flight, and that one is sent
// twice, which without idempotence is a record stored twice (BenchmarkSaramaProducer, in
// broker/compat).
func connect(bootstrap, topic string, config *sarama.Config) (sarama.Client, error) {
	client, err := sarama.NewClient([]string{bootstrap}, config)
	if err != nil {
		return nil, err
	}
	if err := connectLeaders(client, topic); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

func connectLeaders(client sarama.Client, topic string) error {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return fmt.Errorf("the partitions of %s: %w", topic, err)
	}
	for _, p := range partitions {
		leader, err := client.Leader(topic, p) // it opens the connection
		if err != nil {
			return fmt.Errorf("the leader of %s-%d: %w", topic, p, err)
		}
		connected, err := leader.Connected() // it waits until opening has ended
		if err == nil && !connected {
			err = sarama.ErrNotConnected
		}
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", leader.Addr(), err)
		}
	}
	return nil
}
