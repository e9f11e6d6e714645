package fluxmq;

import java.lang.reflect.Method;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeTopicsResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The broker under test, as the tests see it: its address, clients for it, topics of their own, and waits that end. */
public final class Broker {
    /** The longest that any single answer may take. */
    public static final Duration LIMIT = Duration.ofSeconds(20);

    private Broker() {}

    /** A timestamp an hour ago, ms, for records whose timestamps matter: older ones would fall to retention while a test looks at them. */
    public static final long AN_HOUR_AGO = System.currentTimeMillis() - 3_600_000;

    /** FLUXMQ_BOOTSTRAP from system properties or the environment; empty when unset. */
    public static String bootstrap() {
        return setting("FLUXMQ_BOOTSTRAP");
    }

    static boolean required() {
        return setting("FLUXMQ_REQUIRE_BROKER").equals("1");
    }

    private static String setting(String name) {
        String property = System.getProperty(name);
        String variable = System.getenv(name);
        return property != null ? property.trim() : variable != null ? variable.trim() : "";
    }

    /** A name that no other test has. */
    public static String name(String what) {
        return what + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    public static Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap(), "default.api.timeout.ms", "20000", "request.timeout.ms", "15000"));
    }

    /** Creates a topic under a new name, waits until it can be written to, and returns the name. */
    public static String topic(Admin admin, String what, int partitions, String... configs) throws Exception {
        String topic = name(what);
        get(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(map(configs)))).all());
        await("leaders of " + topic, () -> describe(admin, topic).partitions().stream().allMatch(p -> p.leader() != null));
        return topic;
    }

    /** The topic's description. allTopicNames() came with 3.1 and all() went with 4.0: no call for it is in every client that runs these tests. */
    public static TopicDescription describe(Admin admin, String topic) throws Exception {
        DescribeTopicsResult result = admin.describeTopics(List.of(topic));
        Method all;
        try {
            all = DescribeTopicsResult.class.getMethod("allTopicNames");
        } catch (NoSuchMethodException e) {
            all = DescribeTopicsResult.class.getMethod("all");
        }
        @SuppressWarnings("unchecked")
        Future<Map<String, TopicDescription>> descriptions = (Future<Map<String, TopicDescription>>) all.invoke(result);
        return get(descriptions).get(topic);
    }

    /** Sends a record for each timestamp, and returns when all are acknowledged. */
    public static void send(String topic, int partition, long... timestamps) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer()) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (long timestamp : timestamps) {
                sent.add(producer.send(new ProducerRecord<>(topic, partition, timestamp, null, bytes("v"))));
            }
            for (Future<RecordMetadata> one : sent) {
                get(one);
            }
        }
    }

    /** That many timestamps, a millisecond apart, from an hour ago on. */
    public static long[] times(int count) {
        long[] times = new long[count];
        for (int i = 0; i < count; i++) {
            times[i] = AN_HOUR_AGO + i;
        }
        return times;
    }

    public static KafkaProducer<byte[], byte[]> producer(String... properties) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap(), "max.block.ms", "15000", "delivery.timeout.ms", "20000", "request.timeout.ms", "10000",
                "key.serializer", ByteArraySerializer.class, "value.serializer", ByteArraySerializer.class));
        all.putAll(map(properties));
        return new KafkaProducer<>(all);
    }

    public static KafkaConsumer<byte[], byte[]> consumer(String... properties) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap(), "default.api.timeout.ms", "20000", "enable.auto.commit", "false",
                "auto.offset.reset", "earliest", "key.deserializer", ByteArrayDeserializer.class, "value.deserializer", ByteArrayDeserializer.class));
        all.putAll(map(properties));
        return new KafkaConsumer<>(all);
    }

    /** Reads from the partitions' beginnings until so many records came; fails when they do not within the limit. */
    public static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, int partitions, int count, String... properties) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(properties)) {
            List<TopicPartition> all = new ArrayList<>();
            for (int p = 0; p < partitions; p++) {
                all.add(new TopicPartition(topic, p));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            return poll(consumer, count);
        }
    }

    /** Polls until so many records came; fails when they do not within the limit. */
    public static List<ConsumerRecord<byte[], byte[]>> poll(Consumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (records.size() < count && System.nanoTime() < deadline) {
            consumer.poll(Duration.ofMillis(100)).forEach(records::add);
        }
        if (records.size() < count) {
            throw new AssertionError("read " + records.size() + " of " + count + " records in " + LIMIT);
        }
        return records;
    }

    /** The future's value within the limit; its own exception when it failed. */
    public static <T> T get(Future<T> future) throws Exception {
        try {
            return future.get(LIMIT.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw e;
        }
    }

    /** Asks until the answer is yes; fails when it is not within the limit. A retriable error is a no. */
    public static void await(String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        Exception last = null;
        while (System.nanoTime() < deadline) {
            try {
                if (holds.call()) {
                    return;
                }
                last = null;
            } catch (RetriableException e) {
                last = e;
            }
            Thread.sleep(20);
        }
        throw new AssertionError("not within " + LIMIT + ": " + what, last);
    }

    public static Map<String, String> map(String... pairs) {
        Map<String, String> map = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put(pairs[i], pairs[i + 1]);
        }
        return map;
    }

    public static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    public static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, java.nio.charset.StandardCharsets.UTF_8);
    }
}
