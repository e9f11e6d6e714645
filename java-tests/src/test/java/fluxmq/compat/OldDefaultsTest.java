package fluxmq.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a beginner writes: an address, serializers, and nothing else. Idempotence, telemetry and groups are on by default. */
@RequiresBroker
@Timeout(60)
class OldDefaultsTest {
    @Test
    void pureDefaultsProduceAndConsume() throws Exception {
        String topic;
        try (Admin admin = Broker.admin()) {
            topic = Broker.topic(admin, "defaults", 3);
        }
        produce(topic, 300);
        assertEquals(values(300), consume(topic, 300));
    }

    @Test
    void aTopicIsCreatedByTheFirstSend() throws Exception {
        String topic = Broker.name("created-by-send");
        produce(topic, 10);
        assertEquals(values(10), consume(topic, 10));
    }

    private static void produce(String topic, int count) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", Broker.bootstrap());
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", StringSerializer.class.getName());
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, "value " + i)));
            }
            for (Future<RecordMetadata> one : sent) {
                assertTrue(Broker.get(one).hasOffset());
            }
        }
    }

    private static Set<String> values(int count) {
        Set<String> values = new HashSet<>();
        for (int i = 0; i < count; i++) {
            values.add("value " + i);
        }
        return values;
    }

    private static Set<String> consume(String topic, int count) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", Broker.bootstrap());
        properties.put("group.id", Broker.name("defaults"));
        properties.put("auto.offset.reset", "earliest");
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(topic));
            Set<String> read = new HashSet<>();
            long deadline = System.nanoTime() + Broker.LIMIT.toNanos();
            while (read.size() < count && System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    read.add(record.value());
                }
            }
            return read;
        }
    }
}
