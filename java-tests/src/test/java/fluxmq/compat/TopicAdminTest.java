package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.get;
import static fluxmq.Broker.send;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Topics and their ids as the admin client sees them from 3.1 on. */
@RequiresBroker
@Timeout(60)
class TopicAdminTest {
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
    void createsDescribesListsAndDeletesTopics() throws Exception {
        String topic = Broker.name("life");
        var created = admin.createTopics(List.of(new NewTopic(topic, Optional.of(3), Optional.empty()).configs(Map.of("retention.ms", "3600000"))));
        get(created.all());
        assertEquals(3, get(created.numPartitions(topic)));
        Uuid id = get(created.topicId(topic));
        await("a leader of each", () -> Broker.describe(admin, topic).partitions().stream().allMatch(p -> p.leader() != null));

        TopicDescription description = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        assertEquals(3, description.partitions().size());
        assertEquals(id, description.topicId());
        assertFalse(description.isInternal());
        description.partitions().forEach(p -> {
            assertEquals(1, p.replicas().size());
            assertEquals(p.replicas(), p.isr());
        });
        assertEquals(topic, get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds()).get(id).name());
        assertTrue(get(admin.listTopics().names()).contains(topic));

        assertThrows(TopicExistsException.class, () -> get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all()));

        get(admin.deleteTopics(List.of(topic)).all());
        await("the topic is gone", () -> !get(admin.listTopics().names()).contains(topic));
        await("it is unknown", () -> {
            try {
                get(admin.describeTopics(List.of(topic)).allTopicNames());
                return false;
            } catch (UnknownTopicOrPartitionException e) {
                return true;
            }
        });
        assertThrows(UnknownTopicOrPartitionException.class, () -> get(admin.deleteTopics(List.of(topic)).all()));

        // The same name again is another topic, and empty.
        get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all());
        await("the new topic has another id", () -> !get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).topicId().equals(id));
    }

    @Test
    void findsTheLargestTimestamp() throws Exception {
        String topic = Broker.topic(admin, "largest", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        long base = Broker.AN_HOUR_AGO;
        // It is not the last record's.
        send(topic, 0, base, base + 10, base + 90, base + 50);
        ListOffsetsResultInfo max = get(admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all()).get(partition);
        assertEquals(2, max.offset());
        assertEquals(base + 90, max.timestamp());
    }
}
