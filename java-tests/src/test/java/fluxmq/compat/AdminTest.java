package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.get;
import static fluxmq.Broker.send;
import static fluxmq.Broker.times;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
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
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every release of Apache Kafka's admin client asks of a broker. */
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
            TopicDescription description = Broker.describe(admin, topic);
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
    void listsOffsets() throws Exception {
        String topic = Broker.topic(admin, "offsets", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        assertEquals(0, offset(partition, OffsetSpec.earliest()));
        assertEquals(0, offset(partition, OffsetSpec.latest()));
        long base = Broker.AN_HOUR_AGO;
        send(topic, 0, base, base + 10, base + 90, base + 50);
        assertEquals(0, offset(partition, OffsetSpec.earliest()));
        assertEquals(4, offset(partition, OffsetSpec.latest()));
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
    @SuppressWarnings("deprecation") // listConsumerGroups has a successor in 4.1; GroupAdminTest asks that one
    void describesAltersAndDeletesGroups() throws Exception {
        String topic = Broker.topic(admin, "groups", 1);
        String group = Broker.name("groups");
        TopicPartition partition = new TopicPartition(topic, 0);
        send(topic, 0, times(10));
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group, "client.id", "member-one")) {
            consumer.subscribe(List.of(topic));
            Broker.poll(consumer, 10);
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(7, "seven")));
            ConsumerGroupDescription description = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
            assertEquals("range", description.partitionAssignor());
            assertEquals(1, description.members().size());
            assertEquals("member-one", description.members().iterator().next().clientId());
            assertTrue(get(admin.listConsumerGroups().all()).stream().anyMatch(g -> g.groupId().equals(group) && !g.isSimpleConsumerGroup()));
            assertThrows(GroupNotEmptyException.class, () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
        }
        await("the group is empty", () -> get(admin.describeConsumerGroups(List.of(group)).all()).get(group).members().isEmpty());
        get(admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(3, "three"))).all());
        OffsetAndMetadata altered = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(partition);
        assertEquals(3, altered.offset());
        assertEquals("three", altered.metadata());
        get(admin.deleteConsumerGroups(List.of(group)).all());
        assertFalse(get(admin.listConsumerGroups().all()).stream().anyMatch(g -> g.groupId().equals(group)));
    }

    @Test
    void offsetsOfAGroupThatNeverLivedAreNone() throws Exception {
        assertTrue(get(admin.listConsumerGroupOffsets(Broker.name("never")).partitionsToOffsetAndMetadata()).isEmpty());
    }
}
