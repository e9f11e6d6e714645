package fluxmq.compat;

import static fluxmq.Broker.bytes;
import static fluxmq.Broker.get;
import static fluxmq.Broker.poll;
import static fluxmq.Broker.readAll;
import static fluxmq.Broker.text;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
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
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Records go in through KafkaProducer and come out of KafkaConsumer as they were. */
@RequiresBroker
@Timeout(60)
class ProduceFetchTest {
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    private static void send(String topic, int partition, int count) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("linger.ms", "5")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, partition, Broker.AN_HOUR_AGO + i * 1000L, bytes("k" + i), bytes("v" + i))));
            }
            for (Future<RecordMetadata> one : sent) {
                get(one);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"none", "gzip", "snappy", "lz4", "zstd"})
    void everyCodecKeepsKeyValueHeadersAndTimestamp(String codec) throws Exception {
        String topic = Broker.topic(admin, "codec-" + codec, 1);
        int count = 500;
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("compression.type", codec, "linger.ms", "20", "batch.size", "65536")) {
            for (int i = 0; i < count; i++) {
                ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, Broker.AN_HOUR_AGO + i, bytes("key " + i), bytes(("value " + i + " ").repeat(20)));
                record.headers().add("h1", bytes("first " + i)).add("h1", bytes("second")).add("none", null).add("", new byte[0]);
                producer.send(record);
            }
        }
        List<ConsumerRecord<byte[], byte[]>> read = readAll(topic, 1, count);
        assertEquals(count, read.size());
        for (int i = 0; i < count; i++) {
            ConsumerRecord<byte[], byte[]> record = read.get(i);
            assertEquals(i, record.offset());
            assertEquals("key " + i, text(record.key()));
            assertEquals(("value " + i + " ").repeat(20), text(record.value()));
            assertEquals(Broker.AN_HOUR_AGO + i, record.timestamp());
            assertEquals(TimestampType.CREATE_TIME, record.timestampType());
            Header[] headers = record.headers().toArray();
            assertEquals(4, headers.length);
            assertEquals("first " + i, text(headers[0].value()));
            assertEquals("second", text(headers[1].value()));
            assertNull(headers[2].value());
            assertArrayEquals(new byte[0], headers[3].value());
        }
    }

    @Test
    void nullsAndEmptiesStayApart() throws Exception {
        String topic = Broker.topic(admin, "nulls", 1);
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer()) {
            producer.send(new ProducerRecord<>(topic, 0, null, bytes("v")));
            producer.send(new ProducerRecord<>(topic, 0, bytes("k"), null));
            producer.send(new ProducerRecord<>(topic, 0, new byte[0], new byte[0]));
            get(producer.send(new ProducerRecord<>(topic, 0, null, null)));
        }
        List<ConsumerRecord<byte[], byte[]>> read = readAll(topic, 1, 4);
        assertNull(read.get(0).key());
        assertNull(read.get(1).value());
        assertArrayEquals(new byte[0], read.get(2).key());
        assertArrayEquals(new byte[0], read.get(2).value());
        assertNull(read.get(3).key());
        assertNull(read.get(3).value());
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "1", "all"})
    void everyAcksStoresWhatWasSent(String acks) throws Exception {
        String topic = Broker.topic(admin, "acks-" + acks, 2);
        int count = 1000;
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("acks", acks, "enable.idempotence", "false")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, i % 2, null, bytes("v" + i))));
            }
            for (int i = 0; i < count; i++) {
                RecordMetadata metadata = get(sent.get(i));
                assertEquals(i % 2, metadata.partition());
                if (acks.equals("0")) {
                    assertFalse(metadata.hasOffset());
                } else {
                    assertEquals(i / 2, metadata.offset());
                }
            }
        }
        assertEquals(count, readAll(topic, 2, count).size());
    }

    @Test
    void keysDecideThePartitionAndKeepTheirOrder() throws Exception {
        String topic = Broker.topic(admin, "keys", 4);
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("linger.ms", "5")) {
            for (int i = 0; i < 2000; i++) {
                producer.send(new ProducerRecord<>(topic, bytes("key-" + i % 20), bytes(String.valueOf(i))));
            }
        }
        Map<String, Integer> partitionOf = new HashMap<>();
        Map<String, Integer> lastOf = new HashMap<>();
        Set<Integer> partitions = new HashSet<>();
        for (ConsumerRecord<byte[], byte[]> record : readAll(topic, 4, 2000)) {
            String key = text(record.key());
            int value = Integer.parseInt(text(record.value()));
            assertEquals(partitionOf.computeIfAbsent(key, k -> record.partition()), record.partition());
            assertTrue(lastOf.getOrDefault(key, -1) < value, "order of " + key);
            lastOf.put(key, value);
            partitions.add(record.partition());
        }
        assertEquals(20, partitionOf.size());
        assertTrue(partitions.size() > 1, "keys are spread");
    }

    @Test
    void aRecordCloseToTheLimitPassesAndALargerOneIsRefused() throws Exception {
        String topic = Broker.topic(admin, "large", 1);
        byte[] large = new byte[900_000];
        new Random(1).nextBytes(large);
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer()) {
            get(producer.send(new ProducerRecord<>(topic, 0, null, large)));
        }
        // A record larger than every limit of the fetch still comes, so that the consumer is never stuck.
        ConsumerRecord<byte[], byte[]> read = readAll(topic, 1, 1, "max.partition.fetch.bytes", "1000", "fetch.max.bytes", "1000").get(0);
        assertArrayEquals(large, read.value());

        String small = Broker.topic(admin, "small", 1, "max.message.bytes", "2000");
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer()) {
            assertThrows(RecordTooLargeException.class, () -> get(producer.send(new ProducerRecord<>(small, 0, null, new byte[5000]))));
            assertEquals(0, get(producer.send(new ProducerRecord<>(small, 0, null, new byte[500]))).offset());
        }
    }

    /** Clients before KAFKA-8350 split by batch.size only, and send the same batch again until it expires. */
    @Test
    @Tag("since-4")
    void aBatchTooLargeIsSplitByTheClientAndArrives() throws Exception {
        String topic = Broker.topic(admin, "split", 1, "max.message.bytes", "4000");
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("batch.size", "16384", "linger.ms", "200")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 40; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, 0, null, new byte[300])));
            }
            for (Future<RecordMetadata> one : sent) {
                get(one);
            }
        }
        assertEquals(40, readAll(topic, 1, 40).size());
    }

    @Test
    void anEmptyTopicHasNothingAndSaysSo() throws Exception {
        String topic = Broker.topic(admin, "empty", 2);
        TopicPartition first = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer()) {
            consumer.assign(List.of(first));
            assertTrue(consumer.poll(Duration.ofMillis(300)).isEmpty());
            assertEquals(0, consumer.position(first));
            assertEquals(Map.of(first, 0L), consumer.beginningOffsets(List.of(first)));
            assertEquals(Map.of(first, 0L), consumer.endOffsets(List.of(first)));
            assertNull(consumer.offsetsForTimes(Map.of(first, 0L)).get(first));
        }
    }

    @Test
    void seekReadsFromAnyOffset() throws Exception {
        String topic = Broker.topic(admin, "seek", 1);
        send(topic, 0, 100);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("max.poll.records", "10")) {
            consumer.assign(List.of(partition));
            for (int offset : new int[] {57, 0, 99, 31}) {
                consumer.seek(partition, offset);
                ConsumerRecord<byte[], byte[]> record = poll(consumer, 1).get(0);
                assertEquals(offset, record.offset());
                assertEquals("v" + offset, text(record.value()));
            }
            consumer.seekToEnd(List.of(partition));
            assertEquals(100, consumer.position(partition));
            consumer.seekToBeginning(List.of(partition));
            assertEquals(0, consumer.position(partition));
            assertEquals(0L, consumer.beginningOffsets(List.of(partition)).get(partition));
            assertEquals(100L, consumer.endOffsets(List.of(partition)).get(partition));
        }
    }

    @Test
    void anOffsetOutOfRangeIsReportedOrReset() throws Exception {
        String topic = Broker.topic(admin, "range", 1);
        send(topic, 0, 10);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("auto.offset.reset", "none")) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 500);
            assertThrows(OffsetOutOfRangeException.class, () -> poll(consumer, 1));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("auto.offset.reset", "earliest")) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 500);
            assertEquals(0, poll(consumer, 1).get(0).offset());
        }
    }

    @Test
    void offsetsForTimesFindTheFirstRecordAtOrAfter() throws Exception {
        String topic = Broker.topic(admin, "times", 1);
        send(topic, 0, 50);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer()) {
            long base = Broker.AN_HOUR_AGO;
            assertOffset(consumer, partition, base, 0, base);
            assertOffset(consumer, partition, base + 20_000, 20, base + 20_000);
            assertOffset(consumer, partition, base + 20_001, 21, base + 21_000);
            assertOffset(consumer, partition, 5, 0, base);
            assertNull(consumer.offsetsForTimes(Map.of(partition, base + 50_000)).get(partition));
        }
    }

    private static void assertOffset(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long time, long offset, long timestamp) {
        OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, time)).get(partition);
        assertNotNull(found, "nothing at " + time);
        assertEquals(offset, found.offset());
        assertEquals(timestamp, found.timestamp());
    }

    @Test
    void aWaitingConsumerGetsWhatComesLater() throws Exception {
        String topic = Broker.topic(admin, "later", 1);
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("fetch.max.wait.ms", "5000")) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            assertTrue(consumer.poll(Duration.ofMillis(200)).isEmpty());
            for (int round = 0; round < 5; round++) {
                send(topic, 0, 1);
                assertEquals(round, poll(consumer, 1).get(0).offset());
            }
        }
    }

    @Test
    void manyPartitionsPauseResumeAndChangeWithinOneFetchSession() throws Exception {
        int partitions = 16;
        String topic = Broker.topic(admin, "session", partitions);
        List<TopicPartition> all = new ArrayList<>();
        for (int p = 0; p < partitions; p++) {
            all.add(new TopicPartition(topic, p));
            send(topic, p, 5);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("max.poll.records", "7")) {
            consumer.assign(all);
            assertEquals(80, poll(consumer, 80).size());
            consumer.pause(all.subList(0, 8));
            send(topic, 3, 2);
            send(topic, 12, 2);
            List<ConsumerRecord<byte[], byte[]>> read = poll(consumer, 2);
            assertEquals(Set.of(12), Set.copyOf(read.stream().map(ConsumerRecord::partition).toList()));
            consumer.resume(all.subList(0, 8));
            assertEquals(Set.of(3), Set.copyOf(poll(consumer, 2).stream().map(ConsumerRecord::partition).toList()));
            consumer.assign(all.subList(4, 6));
            send(topic, 5, 1);
            ConsumerRecord<byte[], byte[]> last = poll(consumer, 1).get(0);
            assertEquals(5, last.partition());
            assertEquals(5, last.offset());
        }
    }

    @Test
    void aTopicNobodyCreatedIsUnknownToAConsumerThatMayNotCreateIt() {
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("allow.auto.create.topics", "false")) {
            String topic = Broker.name("absent");
            try {
                List<?> found = consumer.partitionsFor(topic, Duration.ofSeconds(3));
                assertTrue(found == null || found.isEmpty(), "partitions of a topic that is not there: " + found);
            } catch (UnknownTopicOrPartitionException | TimeoutException e) {
                assertInstanceOf(Exception.class, e);
            }
        }
    }

    @Test
    void logAppendTimeIsTheBrokers() throws Exception {
        String topic = Broker.topic(admin, "append-time", 1, "message.timestamp.type", "LogAppendTime");
        long before = System.currentTimeMillis() - 60_000;
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("compression.type", "lz4")) {
            RecordMetadata metadata = get(producer.send(new ProducerRecord<>(topic, 0, 5L, null, bytes("v"))));
            assertTrue(metadata.timestamp() > before, "the reply carries the broker's time: " + metadata.timestamp());
        }
        ConsumerRecord<byte[], byte[]> record = readAll(topic, 1, 1).get(0);
        assertEquals(TimestampType.LOG_APPEND_TIME, record.timestampType());
        assertTrue(record.timestamp() > before);
    }
}
