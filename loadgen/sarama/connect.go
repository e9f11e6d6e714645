package sarama

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// connect makes a client that is connected to every broker. sarama opens a
// connection when the first of a producer's partitions needs it, and the others
// find it marked as open before it stands (Broker.Open): they fail with "broker not
// connected", close it under a batch in flight, and that one is sent twice, which
// without idempotence is a record stored twice (BenchmarkSaramaProducer, in broker/compat).
func connect(bootstrap string, config *sarama.Config) (sarama.Client, error) {
	client, err := sarama.NewClient([]string{bootstrap}, config)
	if err != nil {
		return nil, err
	}
	for _, b := range client.Brokers() {
		if err := b.Open(config); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
			return nil, errors.Join(fmt.Errorf("connecting to %s: %w", b.Addr(), err), client.Close())
		}
		if _, err := b.Connected(); err != nil { // it waits for Open to end
			return nil, errors.Join(fmt.Errorf("connecting to %s: %w", b.Addr(), err), client.Close())
		}
	}
	return client, nil
}
