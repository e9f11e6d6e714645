package fluxmq.load;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TopicExistsException;

/** The job's topic: created, waited for, and its end offsets read. One thread. */
final class TopicAdmin implements AutoCloseable {
    private static final int CALL_TIMEOUT_MS = 30_000;
    private static final long READY_TIMEOUT_NS = 60_000_000_000L;
    private static final long PAUSE_MS = 20;

    private final Admin admin;
    private final String topic;
    private final int partitions;

    TopicAdmin(Job job, ClientSettings settings) {
        admin = Admin.create(settings.admin());
        topic = job.topic;
        partitions = job.partitions;
    }

    /** Creates the topic and waits until every partition has a leader. A topic that exists is an error: its records are not ours. */
    void create(Job job) throws LoadException, InterruptedException {
        Optional<Short> replicas = job.replicationFactor < 0 ? Optional.empty() : Optional.of(job.replicationFactor);
        NewTopic wanted = new NewTopic(topic, Optional.of(partitions), replicas).configs(job.topicConfigs);
        try {
            admin.createTopics(List.of(wanted), new CreateTopicsOptions().timeoutMs(CALL_TIMEOUT_MS)).all().get(CALL_TIMEOUT_MS + 5_000, TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException e) {
            if (e.getCause() instanceof TopicExistsException) {
                throw LoadException.run("topic " + topic + " exists already: the load wants one of its own");
            }
            throw LoadException.run("cannot create topic " + topic + " on " + job.bootstrap, e);
        }
        awaitLeaders();
    }

    private void awaitLeaders() throws LoadException, InterruptedException {
        long deadline = System.nanoTime() + READY_TIMEOUT_NS;
        Throwable last = null;
        while (System.nanoTime() < deadline) {
            try {
                TopicDescription description = admin.describeTopics(List.of(topic), new DescribeTopicsOptions().timeoutMs(CALL_TIMEOUT_MS))
                        .allTopicNames().get(CALL_TIMEOUT_MS + 5_000, TimeUnit.MILLISECONDS).get(topic);
                if (description.partitions().size() == partitions && description.partitions().stream().allMatch(p -> p.leader() != null && !p.leader().isEmpty())) {
                    return;
                }
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof RetriableException)) {
                    throw LoadException.run("cannot describe topic " + topic, e);
                }
                last = e.getCause();
            } catch (TimeoutException e) {
                last = e;
            }
            Thread.sleep(PAUSE_MS);
        }
        throw LoadException.run("topic " + topic + " has no leader for each of its " + partitions + " partitions after 60 s" + (last == null ? "" : ": " + last));
    }

    /** The end offset of every partition, read_uncommitted. The call gives up at the deadline (System.nanoTime). */
    long[] endOffsets(long deadlineNanoTime) throws LoadException, InterruptedException {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int p = 0; p < partitions; p++) {
            asked.put(new TopicPartition(topic, p), OffsetSpec.latest());
        }
        int timeoutMs = (int) Math.max(1, Math.min(CALL_TIMEOUT_MS, (deadlineNanoTime - System.nanoTime()) / 1_000_000));
        try {
            Map<TopicPartition, ListOffsetsResultInfo> answer = admin
                    .listOffsets(asked, new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED).timeoutMs(timeoutMs)).all().get(timeoutMs + 1_000L, TimeUnit.MILLISECONDS);
            long[] offsets = new long[partitions];
            answer.forEach((partition, info) -> offsets[partition.partition()] = info.offset());
            return offsets;
        } catch (ExecutionException | TimeoutException e) {
            throw LoadException.run("cannot list the end offsets of topic " + topic, e);
        }
    }

    /** The end offsets of every partition within the usual time. */
    long[] endOffsets() throws LoadException, InterruptedException {
        return endOffsets(System.nanoTime() + CALL_TIMEOUT_MS * 1_000_000L);
    }

    /**
     * Asks for end offsets until they have grown by at least that many records, and returns that moment in Unix ns; 0 when the
     * deadline (System.nanoTime) came first; LoadException when the broker never answered. It asks at most half of the time, so that asking does not become the load.
     */
    long awaitGrowth(long[] from, long records, long deadlineNanoTime) throws InterruptedException, LoadException {
        boolean answered = false;
        while (true) {
            long asked = System.nanoTime();
            try {
                long[] now = endOffsets(deadlineNanoTime);
                if (Arrays.stream(now).sum() - Arrays.stream(from).sum() >= records) {
                    return Clock.unixNanos();
                }
                answered = true;
            } catch (LoadException e) {
                // The last call may have been cut off by the deadline itself.
                if (System.nanoTime() >= deadlineNanoTime && !answered) {
                    throw e;
                }
            }
            if (System.nanoTime() >= deadlineNanoTime) {
                return 0;
            }
            long took = System.nanoTime() - asked;
            Thread.sleep(Math.max(1, Math.min(took / 1_000_000, 1_000)));
        }
    }

    /** Partitions 0 to count-1 dealt out to hands: hand i gets those p with p mod hands = i. */
    static List<List<Integer>> deal(int count, int hands) {
        List<List<Integer>> dealt = new ArrayList<>();
        for (int i = 0; i < hands; i++) {
            dealt.add(new ArrayList<>());
        }
        for (int p = 0; p < count; p++) {
            dealt.get(p % hands).add(p);
        }
        return dealt;
    }

    @Override
    public void close() {
        admin.close(Duration.ofSeconds(1));
    }
}
