package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.bytes;
import static fluxmq.Broker.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Transactions as the admin client sees and ends them, from 3.1 on. */
@RequiresBroker
@Timeout(60)
class TransactionAdminTest {
    private static Admin admin;

    @BeforeAll
    static void connect() {
        admin = Broker.admin();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    @Test
    void theAdminClientSeesAndAbortsTransactions() throws Exception {
        String topic = Broker.topic(admin, "hanging", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        String id = Broker.name("hanging");
        assertThrows(TransactionalIdNotFoundException.class, () -> get(admin.describeTransactions(List.of(id)).description(id)));
        try (KafkaProducer<byte[], byte[]> producer = Broker.producer("transactional.id", id)) {
            producer.initTransactions();
            producer.beginTransaction();
            get(producer.send(new ProducerRecord<>(topic, 0, null, bytes("open"))));
            TransactionDescription description = get(admin.describeTransactions(List.of(id)).description(id));
            assertEquals(TransactionState.ONGOING, description.state());
            assertEquals(Set.of(partition), description.topicPartitions());
            TransactionListing listing = get(admin.listTransactions().all()).stream().filter(t -> t.transactionalId().equals(id)).findFirst().orElseThrow();
            assertEquals(description.producerId(), listing.producerId());
            ProducerState state = get(admin.describeProducers(List.of(partition)).partitionResult(partition)).activeProducers().get(0);
            assertEquals(description.producerId(), state.producerId());
            assertEquals(0, state.currentTransactionStartOffset().orElse(-1));
            get(admin.abortTransaction(new AbortTransactionSpec(partition, state.producerId(), (short) state.producerEpoch(), state.coordinatorEpoch().orElse(0))).all());
            try (KafkaConsumer<byte[], byte[]> reader = Broker.consumer("isolation.level", "read_committed")) {
                await("the partition is stable again", () -> reader.endOffsets(List.of(partition)).get(partition) == 2);
            }
            get(admin.fenceProducers(List.of(id)).all());
            assertThrows(KafkaException.class, producer::commitTransaction);
        }
    }
}
