package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.bytes;
import static fluxmq.Broker.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What Apache Kafka's admin client asks of a broker. */
@RequiresBroker
@Timeout(60)
class AdminTest {
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    private static void send(String topic, int partition, long... timestamps) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer()) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (long timestamp : timestamps) {
                sent.add(producer.send(new ProducerRecord<>(topic, partition, timestamp, null, bytes("v"))));
            }
            for (Future<RecordMetadata> one : sent) {
                get(one);
            }
        }
    }

    private static long[] times(int count) {
        long[] times = new long[count];
        for (int i = 0; i < count; i++) {
            times[i] = Broker.AN_HOUR_AGO + i;
        }
        return times;
    }

    private static long offset(TopicPartition partition, OffsetSpec spec) throws Exception {
        return get(admin.listOffsets(Map.of(partition, spec)).all()).get(partition).offset();
    }

    @Test
    void describesTheCluster() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        List<Node> nodes = List.copyOf(get(cluster.nodes()));
        assertFalse(nodes.isEmpty());
        assertTrue(nodes.contains(get(cluster.controller())), "the controller is one of the nodes");
        assertFalse(get(cluster.clusterId()).isEmpty());
    }

    @Test
    void createsDescribesListsAndDeletesTopics() throws Exception {
        String topic = Broker.name("life");
        var created = admin.createTopics(List.of(new NewTopic(topic, Optional.of(3), Optional.empty()).configs(Map.of("retention.ms", "3600000"))));
        get(created.all());
        assertEquals(3, get(created.numPartitions(topic)));
        Uuid id = get(created.topicId(topic));
        await("a leader of each", () -> get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().stream().allMatch(p -> p.leader() != null));

        TopicDescription description = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        assertEquals(3, description.partitions().size());
        assertEquals(id, description.topicId());
        assertFalse(description.isInternal());
        description.partitions().forEach(p -> {
            assertEquals(1, p.replicas().size());
            assertEquals(p.replicas(), p.isr());
        });
        assertEquals(topic, get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds()).get(id).name());
        assertTrue(get(admin.listTopics().names()).contains(topic));

        assertThrows(TopicExistsException.class, () -> get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all()));

        get(admin.deleteTopics(List.of(topic)).all());
        await("the topic is gone", () -> !get(admin.listTopics().names()).contains(topic));
        await("it is unknown", () -> {
            try {
                get(admin.describeTopics(List.of(topic)).allTopicNames());
                return false;
            } catch (UnknownTopicOrPartitionException e) {
                return true;
            }
        });
        assertThrows(UnknownTopicOrPartitionException.class, () -> get(admin.deleteTopics(List.of(topic)).all()));

        // The same name again is another topic, and empty.
        get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all());
        await("the new topic has another id", () -> !get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).topicId().equals(id));
    }

    @Test
    void refusesTopicsThatCannotBe() throws Exception {
        assertThrows(InvalidTopicException.class, () -> get(admin.createTopics(List.of(new NewTopic("no/slashes", 1, (short) 1))).all()));
        assertThrows(InvalidPartitionsException.class, () -> get(admin.createTopics(List.of(new NewTopic(Broker.name("none"), 0, (short) 1))).all()));
        assertThrows(ApiException.class, () -> get(admin.createTopics(List.of(new NewTopic(Broker.name("replicas"), 1, (short) 99))).all()));
        assertThrows(InvalidConfigurationException.class,
                () -> get(admin.createTopics(List.of(new NewTopic(Broker.name("config"), 1, (short) 1).configs(Map.of("retention.ms", "soon")))).all()));
        assertThrows(InvalidConfigurationException.class,
                () -> get(admin.createTopics(List.of(new NewTopic(Broker.name("config"), 1, (short) 1).configs(Map.of("no.such.config", "1")))).all()));
        String checked = Broker.name("validate-only");
        get(admin.createTopics(List.of(new NewTopic(checked, 1, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all());
        assertFalse(get(admin.listTopics().names()).contains(checked), "validate only creates nothing");
    }

    @Test
    void addsPartitions() throws Exception {
        String topic = Broker.topic(admin, "grow", 1);
        send(topic, 0, times(3));
        get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all());
        await("four partitions with leaders", () -> {
            TopicDescription description = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
            return description.partitions().size() == 4 && description.partitions().stream().allMatch(p -> p.leader() != null);
        });
        send(topic, 3, times(2));
        assertEquals(3, offset(new TopicPartition(topic, 0), OffsetSpec.latest()));
        assertEquals(2, offset(new TopicPartition(topic, 3), OffsetSpec.latest()));
        assertThrows(InvalidPartitionsException.class, () -> get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all()));
    }

    @Test
    void describesAndAltersTopicConfigs() throws Exception {
        String topic = Broker.topic(admin, "config", 1, "retention.ms", "1000000");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
        assertEquals("1000000", config.get("retention.ms").value());
        assertEquals(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config.get("retention.ms").source());
        assertNotNull(config.get("max.message.bytes"));
        assertTrue(config.get("max.message.bytes").isDefault());

        alter(resource, AlterConfigOp.OpType.SET, "max.message.bytes", "2000");
        alter(resource, AlterConfigOp.OpType.DELETE, "retention.ms", null);
        await("the change is seen", () -> {
            Config now = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
            return now.get("max.message.bytes").value().equals("2000") && now.get("retention.ms").isDefault();
        });
        await("the change takes effect", () -> {
            try (KafkaProducer<byte[], byte[]> producer = Broker.producer()) {
                get(producer.send(new ProducerRecord<>(topic, 0, null, new byte[3000])));
                return false;
            } catch (org.apache.kafka.common.errors.RecordTooLargeException e) {
                return true;
            }
        });
        assertThrows(ApiException.class, () -> alter(resource, AlterConfigOp.OpType.SET, "max.message.bytes", "many"));
        assertThrows(ApiException.class, () -> alter(resource, AlterConfigOp.OpType.SET, "no.such.config", "1"));
    }

    private static void alter(ConfigResource resource, AlterConfigOp.OpType op, String name, String value) throws Exception {
        get(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), op)))).all());
    }

    @Test
    void describesBrokerConfigs() throws Exception {
        int node = get(admin.describeCluster().nodes()).iterator().next().id();
        ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(node));
        Config config = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
        assertNotNull(config.get("log.segment.bytes"), "entries: " + config.entries().size());
        assertTrue(Long.parseLong(config.get("log.segment.bytes").value()) > 0);
    }

    @Test
    void listsOffsetsOfEveryKind() throws Exception {
        String topic = Broker.topic(admin, "offsets", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        assertEquals(0, offset(partition, OffsetSpec.earliest()));
        assertEquals(0, offset(partition, OffsetSpec.latest()));
        long base = Broker.AN_HOUR_AGO;
        // The latest timestamp is not the last record's.
        send(topic, 0, base, base + 10, base + 90, base + 50);
        assertEquals(0, offset(partition, OffsetSpec.earliest()));
        assertEquals(4, offset(partition, OffsetSpec.latest()));
        ListOffsetsResultInfo max = get(admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all()).get(partition);
        assertEquals(2, max.offset());
        assertEquals(base + 90, max.timestamp());
        assertEquals(1, offset(partition, OffsetSpec.forTimestamp(base + 1)));
        assertEquals(-1, offset(partition, OffsetSpec.forTimestamp(base + 91)));
    }

    @Test
    void deletesRecordsBelowAnOffset() throws Exception {
        String topic = Broker.topic(admin, "delete-records", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        send(topic, 0, times(10));
        assertEquals(4, get(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(partition)).lowWatermark());
        assertEquals(4, offset(partition, OffsetSpec.earliest()));
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer()) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            assertEquals(4, Broker.poll(consumer, 6).get(0).offset());
        }
        assertThrows(OffsetOutOfRangeException.class,
                () -> get(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(11))).lowWatermarks().get(partition)));
        // -1 stands for the high watermark.
        assertEquals(10, get(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(partition)).lowWatermark());
        assertEquals(10, offset(partition, OffsetSpec.earliest()));
        assertEquals(10, offset(partition, OffsetSpec.latest()));
    }

    @Test
    void describesLogDirs() throws Exception {
        String topic = Broker.topic(admin, "log-dirs", 1);
        send(topic, 0, times(20));
        int node = get(admin.describeCluster().nodes()).iterator().next().id();
        Map<String, LogDirDescription> dirs = get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node);
        long size = dirs.values().stream().filter(dir -> dir.error() == null).flatMap(dir -> dir.replicaInfos().entrySet().stream())
                .filter(replica -> replica.getKey().equals(new TopicPartition(topic, 0))).mapToLong(replica -> replica.getValue().size()).sum();
        assertTrue(size > 0, "the partition's files have a size");
    }

    @Test
    void listsDescribesAltersAndDeletesGroups() throws Exception {
        String topic = Broker.topic(admin, "group-admin", 2);
        String group = Broker.name("group-admin");
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        send(topic, 0, times(10));
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group, "client.id", "member-one")) {
            consumer.subscribe(List.of(topic));
            Broker.poll(consumer, 10);
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(7, "seven")));

            ConsumerGroupDescription description = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
            assertEquals(GroupState.STABLE, description.groupState());
            assertEquals("range", description.partitionAssignor());
            assertEquals(1, description.members().size());
            var member = description.members().iterator().next();
            assertEquals("member-one", member.clientId());
            assertEquals(Set.of(first, second), member.assignment().topicPartitions());
            assertTrue(get(admin.listGroups().all()).stream().anyMatch(g -> g.groupId().equals(group) && g.protocol().equals("consumer")));
            assertThrows(GroupNotEmptyException.class, () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
        }
        await("the group is empty", () -> get(admin.describeConsumerGroups(List.of(group)).all()).get(group).groupState() == GroupState.EMPTY);
        OffsetAndMetadata committed = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(first);
        assertEquals(7, committed.offset());
        assertEquals("seven", committed.metadata());

        get(admin.alterConsumerGroupOffsets(group, Map.of(first, new OffsetAndMetadata(3), second, new OffsetAndMetadata(0))).all());
        Map<TopicPartition, OffsetAndMetadata> altered = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        assertEquals(3, altered.get(first).offset());
        assertEquals(0, altered.get(second).offset());
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group)) {
            consumer.subscribe(List.of(topic));
            assertEquals(3, Broker.poll(consumer, 7).get(0).offset(), "the group goes on at the altered offset");
        }
        await("the group is empty again", () -> get(admin.describeConsumerGroups(List.of(group)).all()).get(group).groupState() == GroupState.EMPTY);
        get(admin.deleteConsumerGroups(List.of(group)).all());
        assertThrows(GroupIdNotFoundException.class, () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
        assertFalse(get(admin.listGroups().all()).stream().anyMatch(g -> g.groupId().equals(group)));
    }

    @Test
    void offsetsOfAGroupThatNeverLivedAreNone() throws Exception {
        assertTrue(get(admin.listConsumerGroupOffsets(Broker.name("never")).partitionsToOffsetAndMetadata()).isEmpty());
    }
}
