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
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;
import org.apache.kafka.common.errors.UnsupportedAssignorException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Consumer groups of KIP-848 ({@code group.protocol=consumer}), seen from the Java consumer. */
@RequiresBroker
@Timeout(60)
class ConsumerProtocolTest {
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    private static final class Member implements AutoCloseable {
        final KafkaConsumer<byte[], byte[]> consumer;
        final List<String> read = new ArrayList<>();

        Member(String group, String... properties) {
            List<String> all = new ArrayList<>(List.of("group.id", group, "group.protocol", "consumer", "metadata.max.age.ms", "1000"));
            all.addAll(List.of(properties));
            consumer = Broker.consumer(all.toArray(String[]::new));
        }

        Member of(String topic) {
            consumer.subscribe(List.of(topic));
            return this;
        }

        void poll() {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                read.add(text(record.value()));
            }
        }

        int count() {
            return consumer.assignment().size();
        }

        @Override
        public void close() {
            consumer.close(CloseOptions.timeout(Duration.ofSeconds(5)));
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

    private static void send(String topic, int partitions, int count) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer()) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, i % partitions, null, bytes(String.valueOf(i))));
            }
            producer.flush();
        }
    }

    @Test
    void membersShareCommitAndTakeOver() throws Exception {
        String topic = Broker.topic(admin, "next", 6);
        String group = Broker.name("next");
        try (Member second = new Member(group).of(topic)) {
            try (Member first = new Member(group).of(topic)) {
                pollUntil("each has three", () -> first.count() == 3 && second.count() == 3, first, second);
                Set<TopicPartition> all = new HashSet<>(first.consumer.assignment());
                all.addAll(second.consumer.assignment());
                assertEquals(6, all.size(), "no partition has two owners");
                send(topic, 6, 600);
                pollUntil("all is read", () -> first.read.size() + second.read.size() == 600, first, second);
                assertEquals(300, first.read.size());
                first.consumer.commitSync();
                second.consumer.commitSync();
                ConsumerGroupDescription description = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
                assertEquals(GroupType.CONSUMER, description.type());
                assertEquals(GroupState.STABLE, description.groupState());
                assertEquals("uniform", description.partitionAssignor());
                assertEquals(2, description.members().size());
            }
            pollUntil("the second has all", () -> second.count() == 6, second);
        }
        Map<TopicPartition, OffsetAndMetadata> committed = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        assertEquals(600, committed.values().stream().mapToLong(OffsetAndMetadata::offset).sum());
    }

    @Test
    void theRangeAssignorAndOneThatDoesNotExist() throws Exception {
        String topic = Broker.topic(admin, "range", 5);
        String group = Broker.name("range");
        try (Member first = new Member(group, "group.remote.assignor", "range").of(topic); Member second = new Member(group, "group.remote.assignor", "range").of(topic)) {
            pollUntil("three and two", () -> first.count() + second.count() == 5 && Math.abs(first.count() - second.count()) == 1, first, second);
            assertEquals("range", get(admin.describeConsumerGroups(List.of(group)).all()).get(group).partitionAssignor());
        }
        try (Member member = new Member(Broker.name("none"), "group.remote.assignor", "nothing").of(topic)) {
            assertThrows(UnsupportedAssignorException.class, () -> pollUntil("an error", () -> false, member));
        }
    }

    @Test
    void aPatternFollowsTheTopics() throws Exception {
        String prefix = Broker.name("pattern");
        Broker.topic(admin, prefix + "-a", 2);
        try (Member member = new Member(Broker.name("pattern"))) {
            member.consumer.subscribe(new SubscriptionPattern(prefix + "-.*"));
            pollUntil("two of the one topic", () -> member.count() == 2, member);
            Broker.topic(admin, prefix + "-b", 3);
            pollUntil("and three of the other", () -> member.count() == 5, member);
        }
        try (Member member = new Member(Broker.name("pattern"))) {
            member.consumer.subscribe(new SubscriptionPattern("(" + prefix));
            assertThrows(InvalidRegularExpression.class, () -> pollUntil("an error", () -> false, member));
        }
    }

    @Test
    void aStaticMemberKeepsItsPlace() throws Exception {
        String topic = Broker.topic(admin, "static", 4);
        String group = Broker.name("static");
        try (Member other = new Member(group, "group.instance.id", "two").of(topic)) {
            Set<TopicPartition> before;
            try (Member first = new Member(group, "group.instance.id", "one").of(topic)) {
                pollUntil("two each", () -> first.count() == 2 && other.count() == 2, first, other);
                before = Set.copyOf(first.consumer.assignment());
                try (Member twin = new Member(group, "group.instance.id", "one").of(topic)) {
                    KafkaException refused = assertThrows(KafkaException.class, () -> pollUntil("an error", () -> false, twin));
                    assertTrue(refused instanceof UnreleasedInstanceIdException, refused.toString());
                }
            }
            try (Member back = new Member(group, "group.instance.id", "one").of(topic)) {
                pollUntil("it is back", () -> back.count() == 2, back, other);
                assertEquals(before, back.consumer.assignment());
            }
        }
    }

    @Test
    void aClassicGroupMovesToTheNewProtocolAndBack() throws Exception {
        String topic = Broker.topic(admin, "migrate", 4);
        String group = Broker.name("migrate");
        try (Member classic = new Member(group, "group.protocol", "classic").of(topic)) {
            pollUntil("the classic member has all", () -> classic.count() == 4, classic);
            try (Member next = new Member(group).of(topic)) {
                pollUntil("both have two", () -> classic.count() == 2 && next.count() == 2, classic, next);
                assertEquals(GroupType.CONSUMER, get(admin.describeConsumerGroups(List.of(group)).all()).get(group).type());
            }
            pollUntil("the classic member has all again", () -> classic.count() == 4, classic);
            assertEquals(GroupType.CLASSIC, get(admin.describeConsumerGroups(List.of(group)).all()).get(group).type());
        }
    }

    @Test
    void newPartitionsReachTheGroup() throws Exception {
        String topic = Broker.topic(admin, "widen", 1);
        try (Member member = new Member(Broker.name("widen")).of(topic)) {
            pollUntil("it has the one", () -> member.count() == 1, member);
            get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all());
            pollUntil("it has all three", () -> member.count() == 3, member);
        }
    }
}
