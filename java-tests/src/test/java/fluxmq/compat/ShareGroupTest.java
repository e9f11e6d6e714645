package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.bytes;
import static fluxmq.Broker.get;
import static fluxmq.Broker.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Share groups of KIP-932, seen from the Java share consumer and the admin client. */
@RequiresBroker
@Timeout(90)
class ShareGroupTest {
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    /** A share group that begins at the earliest record, with some settings of its own. */
    private static String group(String what, String... settings) throws Exception {
        String group = Broker.name(what);
        List<AlterConfigOp> changes = new ArrayList<>();
        changes.add(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET));
        Broker.map(settings).forEach((key, value) -> changes.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
        get(admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), changes)).all());
        return group;
    }

    private static final class Member implements AutoCloseable {
        final KafkaShareConsumer<byte[], byte[]> consumer;
        final List<String> read = new ArrayList<>();

        Member(String group, String topic, String... properties) {
            Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", Broker.bootstrap(), "group.id", group, "default.api.timeout.ms", "20000",
                    "metadata.max.age.ms", "1000", "key.deserializer", ByteArrayDeserializer.class, "value.deserializer", ByteArrayDeserializer.class));
            all.putAll(Broker.map(properties));
            consumer = new KafkaShareConsumer<>(all);
            consumer.subscribe(List.of(topic));
        }

        void poll() {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                read.add(text(record.value()));
            }
        }

        /** Commits what was acknowledged; all of it must be taken. */
        void commit() {
            Map<TopicIdPartition, Optional<KafkaException>> results = consumer.commitSync(Duration.ofSeconds(15));
            results.forEach((partition, error) -> assertEquals(Optional.empty(), error, partition.toString()));
        }

        @Override
        public void close() {
            consumer.close(Duration.ofSeconds(5));
        }
    }

    private static void pollUntil(String what, Callable<Boolean> holds, Member... members) throws Exception {
        await(what, () -> {
            for (Member member : members) {
                member.poll();
            }
            return holds.call();
        });
    }

    private static void send(String topic, int count) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer()) {
            for (int i = 0; i < count; i++) {
                get(producer.send(new ProducerRecord<>(topic, 0, null, bytes(String.valueOf(i)))));
            }
        }
    }

    @Test
    void membersShareOnePartition() throws Exception {
        String topic = Broker.topic(admin, "shared", 1);
        String group = group("shared");
        try (Member first = new Member(group, topic, "max.poll.records", "10"); Member second = new Member(group, topic, "max.poll.records", "10")) {
            pollUntil("both are members", () -> {
                ShareGroupDescription description = get(admin.describeShareGroups(List.of(group)).all()).get(group);
                return description.members().size() == 2 && description.members().stream().allMatch(m -> m.assignment().topicPartitions().size() == 1);
            }, first, second);
            send(topic, 300);
            pollUntil("all is read", () -> first.read.size() + second.read.size() >= 300, first, second);
            Set<String> all = new HashSet<>(first.read);
            all.addAll(second.read);
            assertEquals(300, all.size(), "what is read by one is not read by the other");
            assertEquals(300, first.read.size() + second.read.size());
            assertTrue(!first.read.isEmpty() && !second.read.isEmpty(), first.read.size() + " and " + second.read.size());
            ShareGroupDescription description = get(admin.describeShareGroups(List.of(group)).all()).get(group);
            assertEquals(GroupState.STABLE, description.groupState());
            assertTrue(get(admin.listGroups(ListGroupsOptions.forShareGroups()).all()).stream().anyMatch(g -> g.groupId().equals(group)));
            assertThrows(GroupNotEmptyException.class, () -> get(admin.deleteShareGroups(List.of(group)).all()));
        }
        get(admin.deleteShareGroups(List.of(group)).all());
        assertThrows(GroupIdNotFoundException.class, () -> get(admin.describeShareGroups(List.of(group)).all()));
    }

    @Test
    void recordsAreAcceptedReleasedRejectedAndRenewed() throws Exception {
        String topic = Broker.topic(admin, "answers", 1);
        String group = group("answers");
        send(topic, 4);
        Map<String, Integer> deliveries = new HashMap<>();
        Set<String> accepted = new HashSet<>();
        try (Member member = new Member(group, topic, "share.acknowledgement.mode", "explicit")) {
            await("all is accepted but what is rejected", () -> {
                for (ConsumerRecord<byte[], byte[]> record : member.consumer.poll(Duration.ofMillis(100))) {
                    String value = text(record.value());
                    boolean again = deliveries.put(value, (int) record.deliveryCount().orElse((short) -1)) != null;
                    AcknowledgeType answer = switch (again ? "" : value) {
                        case "1" -> AcknowledgeType.RELEASE;
                        case "2" -> AcknowledgeType.REJECT;
                        case "3" -> AcknowledgeType.RENEW;
                        default -> AcknowledgeType.ACCEPT;
                    };
                    member.consumer.acknowledge(record, answer);
                    if (answer == AcknowledgeType.ACCEPT) {
                        accepted.add(value);
                    }
                }
                member.commit();
                return accepted.equals(Set.of("0", "1", "3"));
            });
            assertEquals(Optional.of(30_000), member.consumer.acquisitionLockTimeoutMs());
        }
        assertEquals(Map.of("0", 1, "1", 2, "2", 1, "3", 1), deliveries);
        SharePartitionOffsetInfo offset = offset(group, new TopicPartition(topic, 0));
        assertEquals(Optional.of(0L), offset.lag());
    }

    private static SharePartitionOffsetInfo offset(String group, TopicPartition partition) throws Exception {
        return get(admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group)).get(partition);
    }

    @Test
    void whatAMemberLeavesBehindGoesToAnother() throws Exception {
        String topic = Broker.topic(admin, "left", 1);
        String group = group("left");
        send(topic, 20);
        try (Member second = new Member(group, topic)) {
            try (Member first = new Member(group, topic, "share.acknowledgement.mode", "explicit")) {
                pollUntil("the first has some", () -> !first.read.isEmpty(), first); // and answers for none
            }
            pollUntil("the second gets all", () -> new HashSet<>(second.read).size() == 20, second);
        }
    }

    @Test
    void offsetsAreListedAlteredAndDeleted() throws Exception {
        String topic = Broker.topic(admin, "offsets", 1);
        String group = group("offsets");
        TopicPartition partition = new TopicPartition(topic, 0);
        send(topic, 10);
        try (Member member = new Member(group, topic)) {
            pollUntil("all is read", () -> member.read.size() == 10, member);
            member.commit();
            assertThrows(GroupNotEmptyException.class, () -> get(admin.alterShareGroupOffsets(group, Map.of(partition, 0L)).all()));
        }
        await("the group is empty", () -> get(admin.describeShareGroups(List.of(group)).all()).get(group).groupState() == GroupState.EMPTY);
        assertEquals(Optional.of(0L), offset(group, partition).lag());
        get(admin.alterShareGroupOffsets(group, Map.of(partition, 7L)).all());
        assertEquals(7, offset(group, partition).startOffset());
        assertEquals(Optional.of(3L), offset(group, partition).lag());
        try (Member member = new Member(group, topic)) {
            pollUntil("it begins again at 7", () -> member.read.size() == 3, member);
            assertEquals(List.of("7", "8", "9"), member.read);
        }
        await("the group is empty", () -> get(admin.describeShareGroups(List.of(group)).all()).get(group).groupState() == GroupState.EMPTY);
        get(admin.deleteShareGroupOffsets(group, Set.of(topic)).all());
        assertTrue(get(admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group)).isEmpty());
    }

    @Test
    void onlyCommittedRecordsAreDelivered() throws Exception {
        String topic = Broker.topic(admin, "committed", 1);
        String group = group("committed", "share.isolation.level", "read_committed");
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("transactional.id", Broker.name("tx"))) {
            producer.initTransactions();
            for (boolean commit : new boolean[] {true, false, true}) {
                producer.beginTransaction();
                for (int i = 0; i < 5; i++) {
                    producer.send(new ProducerRecord<>(topic, 0, null, bytes(commit ? "yes" : "no")));
                }
                producer.flush();
                if (commit) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        try (Member member = new Member(group, topic)) {
            pollUntil("what was committed", () -> member.read.size() >= 10, member);
            member.poll();
            assertEquals(10, member.read.size());
            assertTrue(member.read.stream().allMatch("yes"::equals), member.read.toString());
        }
    }
}
