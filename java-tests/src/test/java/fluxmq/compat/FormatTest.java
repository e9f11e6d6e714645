package fluxmq.compat;

import static fluxmq.Broker.bytes;
import static fluxmq.Broker.get;
import static fluxmq.Broker.readAll;
import static fluxmq.Broker.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a topic makes of the records it takes: their codec, their timestamps, and which it refuses. */
@RequiresBroker
@Timeout(60)
class FormatTest {
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    @ParameterizedTest
    @ValueSource(strings = {"uncompressed", "gzip", "snappy", "lz4", "zstd"})
    void recordsOutliveEveryCompressionType(String type) throws Exception {
        String topic = Broker.topic(admin, "to-" + type, 1, "compression.type", type);
        List<String> sent = new ArrayList<>();
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            try (KafkaProducer<byte[], byte[]> producer = Broker.producer("compression.type", codec, "linger.ms", "20", "batch.size", "65536")) {
                List<Future<RecordMetadata>> stored = new ArrayList<>();
                for (int i = 0; i < 200; i++) {
                    String value = codec + " value " + i + " " + "again ".repeat(i);
                    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, Broker.AN_HOUR_AGO + i, bytes("key " + i), bytes(value));
                    record.headers().add("h", bytes("header " + i));
                    stored.add(producer.send(record));
                    sent.add(value);
                }
                for (Future<RecordMetadata> one : stored) {
                    get(one);
                }
            }
        }
        List<ConsumerRecord<byte[], byte[]>> read = readAll(topic, 1, sent.size());
        for (int i = 0; i < sent.size(); i++) {
            ConsumerRecord<byte[], byte[]> record = read.get(i);
            assertEquals(i, record.offset());
            assertEquals(sent.get(i), text(record.value()));
            assertEquals("key " + i % 200, text(record.key()));
            assertEquals("header " + i % 200, text(record.headers().lastHeader("h").value()));
            assertEquals(Broker.AN_HOUR_AGO + i % 200, record.timestamp());
            assertEquals(TimestampType.CREATE_TIME, record.timestampType());
        }
    }

    @Test
    void theCompressionTypeSaysWhatIsStored() throws Exception {
        String compressed = Broker.topic(admin, "compressed", 1, "compression.type", "gzip", "compression.gzip.level", "9");
        String plain = Broker.topic(admin, "plain", 1, "compression.type", "uncompressed");
        String text = "the same words again and again ".repeat(1000);
        for (String topic : List.of(compressed, plain)) {
            for (String codec : List.of("none", "lz4")) {
                try (KafkaProducer<byte[], byte[]> producer = Broker.producer("compression.type", codec)) {
                    for (int i = 0; i < 10; i++) {
                        get(producer.send(new ProducerRecord<>(topic, 0, null, bytes(text))));
                    }
                }
            }
        }
        assertTrue(storedBytes(plain) >= 20L * text.length(), () -> plain + " takes too little for what it holds");
        assertTrue(storedBytes(compressed) < text.length(), () -> compressed + " is not compressed");
    }

    private static long storedBytes(String topic) {
        try {
            int node = get(admin.describeCluster().nodes()).iterator().next().id();
            for (LogDirDescription dir : get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node).values()) {
                if (dir.replicaInfos().containsKey(new TopicPartition(topic, 0))) {
                    return dir.replicaInfos().get(new TopicPartition(topic, 0)).size();
                }
            }
        } catch (Exception e) {
            throw new AssertionError(e);
        }
        throw new AssertionError(topic + " is in no log directory");
    }

    @ParameterizedTest
    @ValueSource(strings = {"none", "gzip", "snappy", "lz4", "zstd"})
    void logAppendTimeTakesThePlaceOfTheProducersTime(String codec) throws Exception {
        String topic = Broker.topic(admin, "append-time-" + codec, 1, "message.timestamp.type", "LogAppendTime");
        long begin = System.currentTimeMillis();
        List<RecordMetadata> told = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("compression.type", codec)) {
            for (int i = 0; i < 10; i++) {
                told.add(get(producer.send(new ProducerRecord<>(topic, 0, 5L + i, null, bytes("value value value " + i)))));
            }
        }
        List<ConsumerRecord<byte[], byte[]>> read = readAll(topic, 1, 10);
        for (int i = 0; i < 10; i++) {
            ConsumerRecord<byte[], byte[]> record = read.get(i);
            assertEquals(TimestampType.LOG_APPEND_TIME, record.timestampType());
            assertEquals(told.get(i).timestamp(), record.timestamp(), "the producer was told the time that is stored");
            assertTrue(record.timestamp() >= begin && record.timestamp() <= System.currentTimeMillis());
            assertTrue(i == 0 || record.timestamp() >= read.get(i - 1).timestamp());
        }
    }

    @Test
    void recordsBeyondTheTimeLimitsAreRefused() throws Exception {
        String topic = Broker.topic(admin, "limits", 1, "message.timestamp.before.max.ms", "60000", "message.timestamp.after.max.ms", "60000");
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("enable.idempotence", "false", "compression.type", "gzip")) {
            for (long off : new long[] {-120_000, 120_000}) {
                assertThrows(InvalidTimestampException.class, () -> get(producer.send(new ProducerRecord<>(topic, 0, System.currentTimeMillis() + off, null, bytes("v")))));
            }
            assertEquals(0, get(producer.send(new ProducerRecord<>(topic, 0, System.currentTimeMillis() - 30_000, null, bytes("v")))).offset());
        }
    }

    /** Clients before 3.0 give every record the error of its batch. */
    @Test
    @Tag("since-3")
    void aRefusedBatchNamesItsRecords() throws Exception {
        String topic = Broker.topic(admin, "named", 1, "cleanup.policy", "compact");
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("enable.idempotence", "false", "linger.ms", "10000", "batch.size", "65536")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, 0, i % 2 == 0 ? bytes("k") : null, bytes("v"))));
            }
            producer.flush();
            for (int i = 0; i < 4; i++) {
                Future<RecordMetadata> one = sent.get(i);
                Throwable cause = assertThrows(ExecutionException.class, () -> one.get(Broker.LIMIT.toMillis(), TimeUnit.MILLISECONDS)).getCause();
                if (i % 2 == 1) {
                    assertInstanceOf(InvalidRecordException.class, cause);
                    assertTrue(cause.getMessage().contains("without a key"), cause.getMessage());
                } else {
                    assertInstanceOf(KafkaException.class, cause);
                    assertTrue(cause.getMessage().contains("part of a batch"), cause.getMessage());
                }
            }
        }
    }
}
