package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.bytes;
import static fluxmq.Broker.get;
import static fluxmq.Broker.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Classic consumer groups, seen from their members. Members of one test are polled in turn by one thread. */
@RequiresBroker
@Timeout(60)
class ConsumerGroupTest {
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    /** A member with what it read and which partitions came and went. */
    private static final class Member implements ConsumerRebalanceListener, AutoCloseable {
        final KafkaConsumer<byte[], byte[]> consumer;
        final List<String> read = new ArrayList<>();
        final Set<TopicPartition> revoked = new HashSet<>();
        int assignments;

        Member(String group, String topic, String... properties) {
            List<String> all = new ArrayList<>(List.of("group.id", group, "heartbeat.interval.ms", "200", "session.timeout.ms", "10000", "metadata.max.age.ms", "1000"));
            all.addAll(List.of(properties));
            consumer = Broker.consumer(all.toArray(String[]::new));
            consumer.subscribe(List.of(topic), this);
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
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assignments++;
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            revoked.addAll(partitions);
        }

        @Override
        @SuppressWarnings("deprecation") // its successor is of 4.1, and older clients run these tests too
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

    private static void send(String topic, int partitions, int from, int to) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("linger.ms", "5")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = from; i < to; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, i % partitions, null, bytes(String.valueOf(i)))));
            }
            for (Future<RecordMetadata> one : sent) {
                get(one);
            }
        }
    }

    @Test
    void twoMembersShareAndTheOneThatStaysTakesOver() throws Exception {
        String topic = Broker.topic(admin, "share", 4);
        String group = Broker.name("share");
        Member first = new Member(group, topic);
        try (Member second = new Member(group, topic)) {
            try (first) {
                pollUntil("the first has all", () -> first.count() == 4, first);
                pollUntil("both have two", () -> first.count() == 2 && second.count() == 2, first, second);
                Set<TopicPartition> both = new HashSet<>(first.consumer.assignment());
                both.addAll(second.consumer.assignment());
                assertEquals(4, both.size(), "no partition has two owners");
                send(topic, 4, 0, 400);
                pollUntil("all is read", () -> first.read.size() + second.read.size() == 400, first, second);
                assertEquals(200, first.read.size());
                Set<String> distinct = new HashSet<>(first.read);
                distinct.addAll(second.read);
                assertEquals(400, distinct.size());
                first.consumer.commitSync();
                second.consumer.commitSync();
            }
            pollUntil("the second has all", () -> second.count() == 4, second);
            int before = second.read.size();
            send(topic, 4, 400, 440);
            pollUntil("the rest is read", () -> second.read.size() == before + 40, second);
        }
    }

    @Test
    void cooperativeMembersKeepWhatStaysTheirs() throws Exception {
        String topic = Broker.topic(admin, "cooperative", 6);
        String group = Broker.name("cooperative");
        String[] cooperative = {"partition.assignment.strategy", CooperativeStickyAssignor.class.getName()};
        try (Member first = new Member(group, topic, cooperative); Member second = new Member(group, topic, cooperative)) {
            pollUntil("the first has all", () -> first.count() == 6, first);
            Set<TopicPartition> before = Set.copyOf(first.consumer.assignment());
            pollUntil("both have three", () -> first.count() == 3 && second.count() == 3, first, second);
            Set<TopicPartition> kept = new HashSet<>(before);
            kept.removeAll(first.revoked);
            assertEquals(kept, first.consumer.assignment(), "only what moved was revoked");
            assertEquals(3, first.revoked.size());
            send(topic, 6, 0, 120);
            pollUntil("all is read", () -> first.read.size() + second.read.size() == 120, first, second);
        }
    }

    @Test
    void aStaticMemberComesBackWithoutARebalance() throws Exception {
        String topic = Broker.topic(admin, "static", 4);
        String group = Broker.name("static");
        Member first = new Member(group, topic, "group.instance.id", "one");
        try (Member second = new Member(group, topic, "group.instance.id", "two")) {
            Set<TopicPartition> ofFirst;
            try (first) {
                pollUntil("both have two", () -> first.count() == 2 && second.count() == 2, first, second);
                ofFirst = Set.copyOf(first.consumer.assignment());
            }
            int assignments = second.assignments;
            try (Member back = new Member(group, topic, "group.instance.id", "one")) {
                pollUntil("it has its partitions again", () -> back.count() == 2, back, second);
                assertEquals(ofFirst, back.consumer.assignment());
                assertEquals(assignments, second.assignments, "the other member noticed nothing");
                assertEquals(2, get(admin.describeConsumerGroups(List.of(group)).all()).get(group).members().size());
            }
        }
    }

    @Test
    void aStaticMemberThatIsReplacedIsFenced() throws Exception {
        String topic = Broker.topic(admin, "fenced", 1);
        String group = Broker.name("fenced");
        try (Member old = new Member(group, topic, "group.instance.id", "one")) {
            pollUntil("it has the partition", () -> old.count() == 1, old);
            try (Member replacement = new Member(group, topic, "group.instance.id", "one")) {
                pollUntil("its replacement has it", () -> replacement.count() == 1, replacement);
                KafkaException fenced = assertThrows(KafkaException.class, () -> pollUntil("fenced", () -> false, old));
                assertTrue(fenced instanceof FencedInstanceIdException || fenced.getCause() instanceof FencedInstanceIdException, fenced.toString());
            }
        }
    }

    @Test
    void committedOffsetsOutliveTheMember() throws Exception {
        String topic = Broker.topic(admin, "committed", 2);
        String group = Broker.name("committed");
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        send(topic, 2, 0, 20);
        try (Member member = new Member(group, topic)) {
            pollUntil("all is read", () -> member.read.size() == 20, member);
            member.consumer.commitSync(Map.of(first, new OffsetAndMetadata(6, "with metadata")));
            assertNull(member.consumer.committed(Set.of(second)).get(second), "nothing was committed there");
        }
        try (Member next = new Member(group, topic)) {
            pollUntil("the rest is read", () -> next.read.size() >= 14, next);
            assertEquals(14, next.read.size(), "4 of the one and all 10 of the other");
            OffsetAndMetadata committed = next.consumer.committed(Set.of(first)).get(first);
            assertEquals(6, committed.offset());
            assertEquals("with metadata", committed.metadata());
        }
    }

    @Test
    void automaticCommitsHappenOnClose() throws Exception {
        String topic = Broker.topic(admin, "auto", 1);
        String group = Broker.name("auto");
        send(topic, 1, 0, 10);
        try (Member member = new Member(group, topic, "enable.auto.commit", "true", "auto.commit.interval.ms", "60000")) {
            pollUntil("all is read", () -> member.read.size() == 10, member);
        }
        TopicPartition partition = new TopicPartition(topic, 0);
        assertEquals(10, get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(partition).offset());
    }

    @Test
    void anAssignedConsumerCommitsWithoutMembership() throws Exception {
        String topic = Broker.topic(admin, "simple", 1);
        String group = Broker.name("simple");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group)) {
            consumer.assign(List.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(5)));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group)) {
            assertEquals(5, consumer.committed(Set.of(partition)).get(partition).offset());
        }
    }

    @Test
    void aMemberThatWasPushedOutCannotCommit() throws Exception {
        String topic = Broker.topic(admin, "zombie", 1);
        String group = Broker.name("zombie");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (Member zombie = new Member(group, topic, "max.poll.interval.ms", "1000", "session.timeout.ms", "6000")) {
            pollUntil("it has the partition", () -> zombie.count() == 1, zombie);
            try (Member heir = new Member(group, topic)) {
                pollUntil("the heir has it, the zombie being silent for longer than max.poll.interval.ms", () -> heir.count() == 1, heir);
                assertThrows(CommitFailedException.class, () -> zombie.consumer.commitSync(Map.of(partition, new OffsetAndMetadata(1))));
                ConsumerGroupMetadata metadata = heir.consumer.groupMetadata();
                assertTrue(metadata.generationId() > 0, metadata.toString());
            }
        }
    }

    @Test
    void offsetsCanBeDeletedWhereNobodySubscribes() throws Exception {
        String topic = Broker.topic(admin, "delete-offsets", 2);
        String group = Broker.name("delete-offsets");
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        try (Member member = new Member(group, topic)) {
            pollUntil("it has both", () -> member.count() == 2, member);
            member.consumer.commitSync(Map.of(first, new OffsetAndMetadata(1), second, new OffsetAndMetadata(2)));
            assertThrows(KafkaException.class, () -> get(admin.deleteConsumerGroupOffsets(group, Set.of(first)).all()), "a member still reads the topic");
        }
        get(admin.deleteConsumerGroupOffsets(group, Set.of(first)).all());
        Map<TopicPartition, OffsetAndMetadata> left = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        assertFalse(left.containsKey(first) && left.get(first) != null);
        assertEquals(2, left.get(second).offset());
    }

    @Test
    void newPartitionsReachTheGroup() throws Exception {
        String topic = Broker.topic(admin, "widen", 1);
        try (Member member = new Member(Broker.name("widen"), topic)) {
            pollUntil("it has the one", () -> member.count() == 1, member);
            get(admin.createPartitions(Map.of(topic, org.apache.kafka.clients.admin.NewPartitions.increaseTo(3))).all());
            pollUntil("it has all three", () -> member.count() == 3, member);
        }
    }
}
