package compat

import (
	"log"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"
)

// raceCounter counts the lines of sarama's log that tell of a connection used before it stands.
type raceCounter struct{ lines atomic.Int64 }

func (c *raceCounter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "state change to [closing] because "+sarama.ErrNotConnected.Error()) {
		c.lines.Add(1)
	}
	return len(line), nil
}

// BenchmarkSaramaProducer makes producers that each send 20 records without
// idempotence, as sarama makes them and connected first, and reports how often
// one used its connection before it stood, and what is stored beside what was sent.
// Run it with -race -benchtime 4000x beside something that keeps the cores busy.
func BenchmarkSaramaProducer(b *testing.B) {
	const each, partitions = 20, 4
	var races raceCounter
	sarama.Logger = log.New(&races, "", 0) // for good: sarama's goroutines outlive its clients
	for _, connected := range []bool{false, true} {
		b.Run("connected="+strconv.FormatBool(connected), func(b *testing.B) {
			addr := embedded(b)
			config := saramaConfig(sarama.V2_8_0_0)
			admin, err := sarama.NewClusterAdmin([]string{addr}, config)
			must(b, "NewClusterAdmin", err)
			defer admin.Close()
			must(b, "CreateTopic", admin.CreateTopic("t", &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false))
			sent := int64(0)
			for b.Loop() {
				client, err := sarama.NewClient([]string{addr}, config)
				must(b, "NewClient", err)
				if connected {
					saramaConnect(b, client, config)
				}
				producer, err := sarama.NewSyncProducerFromClient(client)
				must(b, "NewSyncProducerFromClient", err)
				var batch []*sarama.ProducerMessage
				for range each {
					batch = append(batch, &sarama.ProducerMessage{Topic: "t", Key: sarama.StringEncoder(strconv.FormatInt(sent, 10)), Value: sarama.StringEncoder("v")})
					sent++
				}
				must(b, "SendMessages", producer.SendMessages(batch))
				must(b, "closing the producer", producer.Close())
				must(b, "closing the client", client.Close())
			}
			client, err := sarama.NewClient([]string{addr}, config)
			must(b, "NewClient", err)
			defer client.Close()
			stored := int64(0)
			for p := range int32(partitions) {
				end, err := client.GetOffset("t", p, sarama.OffsetNewest)
				must(b, "GetOffset", err)
				stored += end
			}
			b.ReportMetric(float64(races.lines.Swap(0)), "races")
			b.ReportMetric(float64(stored-sent), "stored-twice")
		})
	}
}
