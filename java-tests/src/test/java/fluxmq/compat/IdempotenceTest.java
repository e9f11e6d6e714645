package fluxmq.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Idempotent producers: every record once, in order, over many batches in flight. */
@RequiresBroker
@Timeout(60)
class IdempotenceTest {
    @Test
    void manyBatchesInFlightStayInOrder() throws Exception {
        int partitions = 3;
        int count = 9000;
        String topic;
        try (Admin admin = Broker.admin()) {
            topic = Broker.topic(admin, "idempotent", partitions);
        }
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("enable.idempotence", "true", "acks", "all", "batch.size", "500", "linger.ms", "0",
                "max.in.flight.requests.per.connection", "5")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, i % partitions, null, Broker.bytes(String.valueOf(i)))));
            }
            for (int i = 0; i < count; i++) {
                assertEquals(i / partitions, Broker.get(sent.get(i)).offset(), "offset of record " + i);
            }
        }
        Map<Integer, Integer> next = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : Broker.readAll(topic, partitions, count)) {
            int wanted = next.getOrDefault(record.partition(), record.partition());
            assertEquals(wanted, Integer.parseInt(Broker.text(record.value())), "partition " + record.partition() + " offset " + record.offset());
            next.put(record.partition(), wanted + partitions);
        }
    }

    @Test
    void producersSideBySideHaveEachTheirOwnSequence() throws Exception {
        String topic;
        try (Admin admin = Broker.admin()) {
            topic = Broker.topic(admin, "side-by-side", 1);
        }
        int each = 500;
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        try {
            for (int p = 0; p < 4; p++) {
                producers.add(Broker.producer("batch.size", "300"));
            }
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < each; i++) {
                for (int p = 0; p < producers.size(); p++) {
                    sent.add(producers.get(p).send(new ProducerRecord<>(topic, 0, Broker.bytes("p" + p), Broker.bytes(String.valueOf(i)))));
                }
            }
            for (Future<RecordMetadata> one : sent) {
                Broker.get(one);
            }
        } finally {
            producers.forEach(KafkaProducer::close);
        }
        Map<String, Integer> next = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : Broker.readAll(topic, 1, each * 4)) {
            String key = Broker.text(record.key());
            int wanted = next.getOrDefault(key, 0);
            assertEquals(wanted, Integer.parseInt(Broker.text(record.value())), key);
            next.put(key, wanted + 1);
        }
        assertTrue(next.values().stream().allMatch(n -> n == each), "every record of each: " + next);
    }
}
