package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.get;
import static fluxmq.Broker.send;
import static fluxmq.Broker.times;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Groups of every kind as the admin client sees them from 4.1 on. */
@RequiresBroker
@Timeout(60)
class GroupAdminTest {
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
    void listsDescribesAltersAndDeletesGroups() throws Exception {
        String topic = Broker.topic(admin, "group-admin", 2);
        String group = Broker.name("group-admin");
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        send(topic, 0, times(10));
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group, "client.id", "member-one")) {
            consumer.subscribe(List.of(topic));
            Broker.poll(consumer, 10);
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(7, "seven")));

            ConsumerGroupDescription description = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
            assertEquals(GroupState.STABLE, description.groupState());
            assertEquals("range", description.partitionAssignor());
            assertEquals(1, description.members().size());
            var member = description.members().iterator().next();
            assertEquals("member-one", member.clientId());
            assertEquals(Set.of(first, second), member.assignment().topicPartitions());
            assertTrue(get(admin.listGroups().all()).stream().anyMatch(g -> g.groupId().equals(group) && g.protocol().equals("consumer")));
            assertThrows(GroupNotEmptyException.class, () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
        }
        await("the group is empty", () -> get(admin.describeConsumerGroups(List.of(group)).all()).get(group).groupState() == GroupState.EMPTY);
        OffsetAndMetadata committed = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(first);
        assertEquals(7, committed.offset());
        assertEquals("seven", committed.metadata());

        get(admin.alterConsumerGroupOffsets(group, Map.of(first, new OffsetAndMetadata(3), second, new OffsetAndMetadata(0))).all());
        Map<TopicPartition, OffsetAndMetadata> altered = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        assertEquals(3, altered.get(first).offset());
        assertEquals(0, altered.get(second).offset());
        try (KafkaConsumer<byte[], byte[]> consumer = Broker.consumer("group.id", group)) {
            consumer.subscribe(List.of(topic));
            assertEquals(3, Broker.poll(consumer, 7).get(0).offset(), "the group goes on at the altered offset");
        }
        await("the group is empty again", () -> get(admin.describeConsumerGroups(List.of(group)).all()).get(group).groupState() == GroupState.EMPTY);
        get(admin.deleteConsumerGroups(List.of(group)).all());
        assertThrows(GroupIdNotFoundException.class, () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
        assertFalse(get(admin.listGroups().all()).stream().anyMatch(g -> g.groupId().equals(group)));
    }
}
