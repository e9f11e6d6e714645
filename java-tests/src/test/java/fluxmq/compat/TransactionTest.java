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
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Transactions as the Java producer and the read_committed consumer see them. */
@RequiresBroker
@Timeout(60)
class TransactionTest {
    private static final String[] COMMITTED = {"isolation.level", "read_committed"};
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    private static KafkaProducer<byte[], byte[]> producer(String transactionalId, String... properties) {
        String[] all = new String[properties.length + 2];
        all[0] = "transactional.id";
        all[1] = transactionalId;
        System.arraycopy(properties, 0, all, 2, properties.length);
        return Broker.producer(all);
    }

    private static Future<RecordMetadata> send(KafkaProducer<byte[], byte[]> producer, String topic, int partition, String value) {
        return producer.send(new ProducerRecord<>(topic, partition, null, bytes(value)));
    }

    private static List<String> values(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(r -> text(r.value())).sorted().toList();
    }

    @Test
    void onlyCommittedTransactionsAreReadCommitted() throws Exception {
        String topic = Broker.topic(admin, "txn", 2);
        try (KafkaProducer<byte[], byte[]> producer = producer(Broker.name("txn"))) {
            producer.initTransactions();
            for (int i = 0; i < 6; i++) {
                producer.beginTransaction();
                send(producer, topic, 0, "a" + i);
                send(producer, topic, 1, "b" + i);
                if (i % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.flush();
                    producer.abortTransaction();
                }
            }
        }
        assertEquals(List.of("a0", "a2", "a4", "b0", "b2", "b4"), values(Broker.readAll(topic, 2, 6, COMMITTED)));
        assertEquals(12, Broker.readAll(topic, 2, 12).size(), "read_uncommitted sees all");
    }

    @Test
    void anOpenTransactionHoldsReadersBack() throws Exception {
        String topic = Broker.topic(admin, "open", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> open = producer(Broker.name("open")); KafkaProducer<byte[], byte[]> plain = Broker.producer();
                KafkaConsumer<byte[], byte[]> reader = Broker.consumer(COMMITTED)) {
            open.initTransactions();
            get(send(plain, topic, 0, "before"));
            open.beginTransaction();
            get(send(open, topic, 0, "inside"));
            get(send(plain, topic, 0, "after"));
            assertEquals(1, reader.endOffsets(List.of(partition)).get(partition), "the last stable offset is where the transaction begins");
            reader.assign(List.of(partition));
            reader.seekToBeginning(List.of(partition));
            assertEquals(List.of("before"), values(Broker.poll(reader, 1)));
            assertTrue(reader.poll(Duration.ofMillis(300)).isEmpty());
            open.commitTransaction();
            assertEquals(List.of("after", "inside"), values(Broker.poll(reader, 2)));
        }
    }

    @Test
    void offsetsAreCommittedWithTheTransactionOrNotAtAll() throws Exception {
        String input = Broker.topic(admin, "input", 1);
        String group = Broker.name("copier");
        TopicPartition partition = new TopicPartition(input, 0);
        try (KafkaProducer<byte[], byte[]> plain = Broker.producer()) {
            for (int i = 0; i < 10; i++) {
                get(send(plain, input, 0, "v" + i));
            }
        }
        try (KafkaProducer<byte[], byte[]> producer = producer(Broker.name("copier")); KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group)) {
            producer.initTransactions();
            consumer.subscribe(List.of(input));
            assertEquals(10, Broker.poll(consumer, 10).size());
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(4)), consumer.groupMetadata());
            producer.abortTransaction();
            assertEquals(Set.of(), committed(group).keySet(), "an aborted transaction commits no offset");
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(7)), consumer.groupMetadata());
            producer.commitTransaction();
            await("the offset", () -> committed(group).getOrDefault(partition, new OffsetAndMetadata(0)).offset() == 7);
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> committed(String group) throws Exception {
        return get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
    }

    @Test
    void aSuccessorFencesItsPredecessorAndAbortsItsTransaction() throws Exception {
        String topic = Broker.topic(admin, "fence", 1);
        String id = Broker.name("fence");
        try (KafkaProducer<byte[], byte[]> old = producer(id); KafkaProducer<byte[], byte[]> successor = producer(id)) {
            old.initTransactions();
            old.beginTransaction();
            get(send(old, topic, 0, "lost"));
            successor.initTransactions();
            KafkaException fenced = assertThrows(KafkaException.class, () -> {
                get(send(old, topic, 0, "late"));
                old.commitTransaction();
            });
            assertTrue(isFenced(fenced) || isFenced(fenced.getCause()), fenced.toString());
            successor.beginTransaction();
            get(send(successor, topic, 0, "kept"));
            successor.commitTransaction();
        }
        assertEquals(List.of("kept"), values(Broker.readAll(topic, 1, 1, COMMITTED)));
    }

    private static boolean isFenced(Throwable error) {
        return error instanceof ProducerFencedException || error instanceof InvalidProducerEpochException;
    }

    @Test
    void theCoordinatorAbortsATransactionThatTakesTooLong() throws Exception {
        String topic = Broker.topic(admin, "slow", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> slow = producer(Broker.name("slow"), "transaction.timeout.ms", "1000"); KafkaConsumer<byte[], byte[]> reader = Broker.consumer(COMMITTED)) {
            slow.initTransactions();
            slow.beginTransaction();
            get(send(slow, topic, 0, "slow"));
            await("the marker", () -> reader.endOffsets(List.of(partition)).get(partition) == 2);
            assertThrows(KafkaException.class, slow::commitTransaction);
        }
    }
}
