package compat

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxmq/broker"

	"github.com/IBM/sarama"
)

// embedded is a broker in this process that ends with the test.
func embedded(t testing.TB) string {
	t.Helper()
	b, err := broker.New(broker.Config{DataDir: t.TempDir(), Properties: map[string]string{
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "2",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing the broker: %v", err)
		}
	})
	return b.Addr()
}

func saramaConfig(version sarama.KafkaVersion) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = version
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Return.Errors = true
	c.Metadata.Retry.Backoff = 10 * time.Millisecond
	return c
}

// must fails the test on an error of a call that names itself.
func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// members counts what a consumer group reads, over all of its members.
type members struct {
	mu   sync.Mutex
	seen map[string]int  // values and how often each came
	who  map[string]bool // member ids that got a partition
	got  chan struct{}   // capacity 1
}

func (m *members) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *members) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *members) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		session.MarkMessage(message, "read")
		m.mu.Lock()
		m.seen[string(message.Value)]++
		m.who[session.MemberID()] = true
		m.mu.Unlock()
		select {
		case m.got <- struct{}{}:
		default:
		}
	}
	return nil
}

// await waits until done says so of what was read.
func (m *members) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		m.mu.Lock()
		ok := done()
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-m.got:
		case <-deadline:
			m.mu.Lock()
			defer m.mu.Unlock()
			t.Fatalf("%s: %d values of %d members after 30 s", what, len(m.seen), len(m.who))
		}
	}
}

// TestSarama holds sarama's producer in every codec, its consumer group of
// two members, its transactions and its admin calls, in the protocol versions
// of the Kafka releases that change the most.
func TestSarama(t *testing.T) {
	for _, version := range []sarama.KafkaVersion{sarama.V1_1_0_0, sarama.V2_8_0_0, sarama.MaxVersion} {
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			addr := embedded(t)
			config := saramaConfig(version)
			admin, err := sarama.NewClusterAdmin([]string{addr}, config)
			must(t, "NewClusterAdmin", err)
			defer admin.Close()
			must(t, "CreateTopic", admin.CreateTopic("t", &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: 1}, false))
			sent := saramaProduce(t, addr, version)
			ends := saramaStoredOnce(t, addr, config, sent)
			saramaGroup(t, addr, config, admin, sent, ends)
			saramaTransactions(t, addr, version, admin)
			saramaAdmin(t, admin, version)
		})
	}
}

// saramaProduce produces in every codec that the version has, with and without
// idempotence, and returns how many distinct values there are.
func saramaProduce(t *testing.T, addr string, version sarama.KafkaVersion) int {
	codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4}
	if version.IsAtLeast(sarama.V2_1_0_0) {
		codecs = append(codecs, sarama.CompressionZSTD)
	}
	sent := 0
	for _, codec := range codecs {
		for _, idempotent := range []bool{false, true} {
			config := saramaConfig(version)
			config.Producer.Compression = codec
			config.Producer.Idempotent = idempotent
			if idempotent {
				config.Net.MaxOpenRequests = 1
			}
			client, err := sarama.NewClient([]string{addr}, config)
			must(t, "NewClient", err)
			saramaConnect(t, client, config)
			producer, err := sarama.NewSyncProducerFromClient(client)
			must(t, "NewSyncProducerFromClient", err)
			for range 3 {
				var batch []*sarama.ProducerMessage
				for range 20 {
					batch = append(batch, &sarama.ProducerMessage{
						Topic: "t", Key: sarama.StringEncoder(strconv.Itoa(sent)), Value: sarama.StringEncoder(fmt.Sprintf("%v %v %d", codec, idempotent, sent)),
						Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("v")}},
					})
					sent++
				}
				must(t, fmt.Sprintf("SendMessages %v, idempotent %v", codec, idempotent), producer.SendMessages(batch))
			}
			must(t, "closing the producer", producer.Close())
			must(t, "closing the client", client.Close())
		}
	}
	return sent
}

// saramaConnect connects a client. Else a producer's partitions race for opening
// the connection (Broker.Open marks it as open first), those that lose fail with "broker
// not connected" and close it under a batch in flight, and that one is sent twice,
// with or without idempotence (BenchmarkSaramaProducer).
func saramaConnect(t testing.TB, client sarama.Client, config *sarama.Config) {
	t.Helper()
	for _, b := range client.Brokers() {
		must(t, "Open", b.Open(config))
		connected, err := b.Connected() // waits for Open to end
		must(t, "Connected", err)
		if !connected {
			t.Fatalf("%s is not connected", b.Addr())
		}
	}
}

// saramaStoredOnce reads every partition and returns their ends. Nothing asked
// the producers to send again, so each value is there once, and offsets have no gap.
func saramaStoredOnce(t *testing.T, addr string, config *sarama.Config, sent int) (ends [4]int64) {
	t.Helper()
	client, err := sarama.NewClient([]string{addr}, config)
	must(t, "NewClient", err)
	defer func() { must(t, "closing the client", client.Close()) }()
	stored := map[string][]string{} // values and where they lie
	for p := range ends {
		ends[p], err = client.GetOffset("t", int32(p), sarama.OffsetNewest)
		must(t, "GetOffset", err)
		for i, message := range saramaRead(t, addr, config, "t", int32(p), int(ends[p])) {
			if message.Offset != int64(i) {
				t.Fatalf("t-%d: record %d has the offset %d", p, i, message.Offset)
			}
			value := string(message.Value)
			stored[value] = append(stored[value], fmt.Sprintf("t-%d at %d", p, i))
		}
	}
	for value, at := range stored {
		if len(at) > 1 {
			t.Errorf("%q is stored %d times: %v", value, len(at), at)
		}
	}
	if len(stored) != sent {
		t.Errorf("%d values are stored, want %d", len(stored), sent)
	}
	return ends
}

// saramaGroup reads everything with two members, and looks at the group
// while they read and after they left.
func saramaGroup(t *testing.T, addr string, config *sarama.Config, admin sarama.ClusterAdmin, sent int, ends [4]int64) {
	m := &members{seen: map[string]int{}, who: map[string]bool{}, got: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	for range 2 {
		group, err := sarama.NewConsumerGroup([]string{addr}, "g", config)
		must(t, "NewConsumerGroup", err)
		running.Add(2)
		go func() { // ends when group is closed
			defer running.Done()
			for err := range group.Errors() {
				t.Errorf("consumer group: %v", err)
			}
		}()
		go func() { // ends with ctx; awaited below
			defer running.Done()
			for ctx.Err() == nil {
				if err := group.Consume(ctx, []string{"t"}, m); err != nil {
					t.Errorf("Consume: %v", err)
					break
				}
			}
			if err := group.Close(); err != nil {
				t.Errorf("closing the consumer group: %v", err)
			}
		}()
	}
	m.await(t, "everything once", func() bool { return len(m.seen) == sent })
	deadline := time.Now().Add(20 * time.Second)
	for {
		groups, err := admin.DescribeConsumerGroups([]string{"g"})
		must(t, "DescribeConsumerGroups", err)
		if g := groups[0]; g.State == "Stable" && len(g.Members) == 2 {
			for id, member := range g.Members {
				assignment, err := member.GetMemberAssignment()
				must(t, "GetMemberAssignment", err)
				if len(assignment.Topics["t"]) != 2 {
					t.Errorf("%s has %v, want 2 partitions", id, assignment.Topics)
				}
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the group is %s with %d members, want Stable with 2", groups[0].State, len(groups[0].Members))
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	running.Wait()
	offsets, err := admin.ListConsumerGroupOffsets("g", map[string][]int32{"t": {0, 1, 2, 3}})
	must(t, "ListConsumerGroupOffsets", err)
	for p, end := range ends {
		if got := offsets.GetBlock("t", int32(p)).Offset; got != end {
			t.Errorf("the offset committed for t-%d is %d, want its end, %d", p, got, end)
		}
	}
	groups, err := admin.ListConsumerGroups()
	must(t, "ListConsumerGroups", err)
	if groups["g"] != "consumer" {
		t.Errorf("ListConsumerGroups: %v", groups)
	}
	must(t, "DeleteConsumerGroup", admin.DeleteConsumerGroup("g"))
}

// saramaTransactions commits and aborts records and offsets in transactions.
// A reader of committed records, and a group that starts at the committed
// offset, see what was committed; and a second producer of the same id fences the first.
func saramaTransactions(t *testing.T, addr string, version sarama.KafkaVersion, admin sarama.ClusterAdmin) {
	const topic, group, each = "txn", "txn-group", 10
	must(t, "CreateTopic", admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	config := saramaConfig(version)
	config.Producer.Idempotent, config.Net.MaxOpenRequests = true, 1
	config.Producer.Transaction.ID = "sarama-" + version.String()
	producer, err := sarama.NewSyncProducer([]string{addr}, config)
	must(t, "NewSyncProducer", err)
	transaction := func(name string, offset int64, commit bool) {
		t.Helper()
		must(t, "BeginTxn", producer.BeginTxn())
		var batch []*sarama.ProducerMessage
		for i := range each {
			batch = append(batch, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(fmt.Sprintf("%s %d", name, i))})
		}
		must(t, "SendMessages", producer.SendMessages(batch))
		must(t, "AddOffsetsToTxn", producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: offset}}}, group))
		if commit {
			must(t, "CommitTxn", producer.CommitTxn())
		} else {
			must(t, "AbortTxn", producer.AbortTxn())
		}
	}
	committed := func() int64 {
		t.Helper()
		offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
		must(t, "ListConsumerGroupOffsets", err)
		return offsets.GetBlock(topic, 0).Offset
	}
	transaction("aborted", 3, false)
	if got := committed(); got != -1 {
		t.Errorf("an aborted transaction committed the offset %d", got)
	}
	transaction("first", 5, true)
	transaction("undone", 9, false)
	transaction("second", 25, true)
	// A transaction takes 11 offsets, its marker included: 25 is within "undone".
	// EndTxn is answered when the decision is durable; the marker in the offsets' log follows.
	for deadline := time.Now().Add(20 * time.Second); committed() != 25; {
		if time.Now().After(deadline) {
			t.Fatalf("the committed offset is %d, want 25", committed())
		}
		time.Sleep(10 * time.Millisecond)
	}

	reading := saramaConfig(version)
	reading.Consumer.IsolationLevel = sarama.ReadCommitted
	want := []string{}
	for _, name := range []string{"first", "second"} {
		for i := range each {
			want = append(want, fmt.Sprintf("%s %d", name, i))
		}
	}
	got := []string{}
	for _, message := range saramaRead(t, addr, reading, topic, 0, len(want)) {
		got = append(got, string(message.Value))
	}
	if !slices.Equal(got, want) {
		t.Errorf("read committed: %q", got)
	}
	m := &members{seen: map[string]int{}, who: map[string]bool{}, got: make(chan struct{}, 1)}
	saramaMember(t, addr, reading, group, topic, m, func() {
		m.await(t, "what follows the committed offset", func() bool { return len(m.seen) == each })
	})
	for value, times := range m.seen {
		if !strings.HasPrefix(value, "second ") || times != 1 {
			t.Errorf("the group read %q %d times", value, times)
		}
	}

	must(t, "BeginTxn", producer.BeginTxn())
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("of the fenced")})
	must(t, "SendMessage", err)
	successor, err := sarama.NewSyncProducer([]string{addr}, config)
	must(t, "NewSyncProducer", err)
	if err := producer.CommitTxn(); err == nil {
		t.Error("a producer committed though it had a successor")
	}
	_ = producer.Close() // it is fenced, and may say so
	must(t, "closing the producer", successor.Close())
	must(t, "DeleteConsumerGroup", admin.DeleteConsumerGroup(group))
	must(t, "DeleteTopic", admin.DeleteTopic(topic))
}

// saramaRead reads so many records of a partition from its beginning.
func saramaRead(t *testing.T, addr string, config *sarama.Config, topic string, partition int32, count int) []*sarama.ConsumerMessage {
	t.Helper()
	consumer, err := sarama.NewConsumer([]string{addr}, config)
	must(t, "NewConsumer", err)
	reader, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	must(t, "ConsumePartition", err)
	defer func() {
		must(t, "closing the partition", reader.Close())
		must(t, "closing the consumer", consumer.Close())
	}()
	var read []*sarama.ConsumerMessage
	deadline := time.After(30 * time.Second)
	for len(read) < count {
		select {
		case message := <-reader.Messages():
			read = append(read, message)
		case err := <-reader.Errors():
			t.Fatalf("reading %s-%d: %v", topic, partition, err)
		case <-deadline:
			t.Fatalf("read %d of %d records of %s-%d", len(read), count, topic, partition)
		}
	}
	return read
}

// saramaMember is a member of a group while during runs.
func saramaMember(t *testing.T, addr string, config *sarama.Config, group, topic string, m *members, during func()) {
	t.Helper()
	member, err := sarama.NewConsumerGroup([]string{addr}, group, config)
	must(t, "NewConsumerGroup", err)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { // ends when member is closed
		for err := range member.Errors() {
			t.Errorf("consumer group: %v", err)
		}
	})
	running.Go(func() { // ends with ctx
		for ctx.Err() == nil {
			if err := member.Consume(ctx, []string{topic}, m); err != nil {
				t.Errorf("Consume: %v", err)
				break
			}
		}
		if err := member.Close(); err != nil {
			t.Errorf("closing the consumer group: %v", err)
		}
	})
	defer func() { stop(); running.Wait() }()
	during()
}

func saramaAdmin(t *testing.T, admin sarama.ClusterAdmin, version sarama.KafkaVersion) {
	retention := func() string {
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "t", ConfigNames: []string{"retention.ms"}})
		must(t, "DescribeConfig", err)
		if len(entries) != 1 {
			t.Fatalf("DescribeConfig: %v", entries)
		}
		return entries[0].Value
	}
	value := "7200000"
	must(t, "AlterConfig", admin.AlterConfig(sarama.TopicResource, "t", map[string]*string{"retention.ms": &value}, false))
	if got := retention(); got != value {
		t.Errorf("after AlterConfig retention.ms is %s", got)
	}
	if version.IsAtLeast(sarama.V2_3_0_0) {
		value := "7200001"
		must(t, "IncrementalAlterConfig", admin.IncrementalAlterConfig(sarama.TopicResource, "t",
			map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false))
		if got := retention(); got != value {
			t.Errorf("after IncrementalAlterConfig retention.ms is %s", got)
		}
	}
	must(t, "DeleteRecords", admin.DeleteRecords("t", map[int32]int64{0: 3}))
	must(t, "CreatePartitions", admin.CreatePartitions("t", 6, nil, false))
	topics, err := admin.DescribeTopics([]string{"t"})
	must(t, "DescribeTopics", err)
	if len(topics) != 1 || len(topics[0].Partitions) != 6 {
		t.Errorf("DescribeTopics: %+v", topics)
	}
	listed, err := admin.ListTopics()
	must(t, "ListTopics", err)
	if listed["t"].NumPartitions != 6 {
		t.Errorf("ListTopics: %+v", listed)
	}
	brokers, controller, err := admin.DescribeCluster()
	must(t, "DescribeCluster", err)
	if len(brokers) != 1 || brokers[0].ID() != controller {
		t.Errorf("DescribeCluster: %v, controller %d", brokers, controller)
	}
	if version.IsAtLeast(sarama.V2_0_0_0) { // Kafka 4 removed version 0, and so it is not served
		dirs, err := admin.DescribeLogDirs([]int32{controller})
		must(t, "DescribeLogDirs", err)
		if len(dirs[controller]) != 1 || len(dirs[controller][0].Topics) == 0 {
			t.Errorf("DescribeLogDirs: %+v", dirs)
		}
	}
	must(t, "DeleteTopic", admin.DeleteTopic("t"))
}
