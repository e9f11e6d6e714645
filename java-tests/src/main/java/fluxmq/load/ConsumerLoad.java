package fluxmq.load;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * One consumer with its assigned partitions. It reads a range once ({@link #readRange}) or follows the end of the log
 * ({@link #follow}). One thread.
 */
final class ConsumerLoad implements AutoCloseable {
    private static final Duration POLL = Duration.ofMillis(100);
    /** A read back that gets nothing for so long will get nothing more: 15 s. */
    private static final long IDLE_NS = 15_000_000_000L;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final String topic;
    private final List<Integer> partitions;

    /** What happens with a record; receivedUnixNs is when the poll that brought it returned. */
    interface Sink {
        void record(ConsumerRecord<byte[], byte[]> record, long receivedUnixNs);
    }

    ConsumerLoad(Map<String, Object> properties, String topic, List<Integer> partitions) {
        this.consumer = new KafkaConsumer<>(properties);
        this.topic = topic;
        this.partitions = partitions;
    }

    List<Integer> partitions() {
        return partitions;
    }

    /**
     * Reads the partitions from their start to their end offsets (indexed by partition), every record once, in order.
     * TimeoutException at the deadline (System.nanoTime) or when nothing came for {@link #IDLE_NS}, with the place of a
     * partition that was not read to its end.
     */
    void readRange(long[] from, long[] to, Sink sink, long deadlineNanoTime) throws TimeoutException {
        Set<TopicPartition> open = new HashSet<>();
        for (int p : partitions) {
            if (from[p] < to[p]) {
                open.add(new TopicPartition(topic, p));
            }
        }
        consumer.assign(open);
        // A partition keeps its pause of an earlier pass.
        consumer.resume(open);
        open.forEach(partition -> consumer.seek(partition, from[partition.partition()]));
        long lastRecords = System.nanoTime();
        while (!open.isEmpty()) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
            long received = Clock.unixNanos();
            for (TopicPartition partition : records.partitions()) {
                long end = to[partition.partition()];
                for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                    if (record.offset() < end) {
                        sink.record(record, received);
                    }
                }
            }
            List<TopicPartition> ended = new ArrayList<>();
            for (TopicPartition partition : records.isEmpty() ? open : records.partitions()) {
                if (open.contains(partition) && consumer.position(partition) >= to[partition.partition()]) {
                    ended.add(partition);
                }
            }
            if (!ended.isEmpty()) {
                open.removeAll(ended);
                consumer.pause(ended);
            }
            long now = System.nanoTime();
            lastRecords = records.isEmpty() ? lastRecords : now;
            if (!open.isEmpty() && (now >= deadlineNanoTime || now - lastRecords >= IDLE_NS)) {
                TopicPartition first = open.iterator().next();
                throw new TimeoutException("partition " + first.partition() + " could be read to offset " + consumer.position(first, POLL) + ", its end offset is "
                        + to[first.partition()] + ": " + (now >= deadlineNanoTime ? "the time for it was over" : "nothing came for 15 s"));
            }
        }
    }

    /** Follows the partitions from the given offsets until stop says so, asked after every poll. */
    void follow(long[] from, Sink sink, BooleanSupplier stop) {
        List<TopicPartition> all = partitions.stream().map(p -> new TopicPartition(topic, p)).toList();
        consumer.assign(all);
        all.forEach(partition -> consumer.seek(partition, from[partition.partition()]));
        while (!stop.getAsBoolean()) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
            long received = Clock.unixNanos();
            for (TopicPartition partition : records.partitions()) {
                for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                    sink.record(record, received);
                }
            }
        }
    }

    /** True when every partition has been read up to the given offsets. */
    boolean reached(long[] to) {
        for (int p : partitions) {
            if (consumer.position(new TopicPartition(topic, p)) < to[p]) {
                return false;
            }
        }
        return true;
    }

    /** Closes the client without waiting for the broker. */
    @Override
    public void close() {
        consumer.close(CloseOptions.timeout(Duration.ZERO));
    }
}
