package fluxmq.streams;

import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * Runs {@link RunningSums} until it is told to stop: {@code StreamsMain <bootstrap servers> <state directory> [group protocol [application server]]}. It
 * prints its states, and the errors that end a thread; such a thread is replaced. SIGTERM stops it in order; it is meant to be killed. The group
 * protocol is classic, or streams (KIP-1071). With an application server it prints, whenever that changes, which partitions the clients process and of
 * which they keep a copy, as far as they say.
 */
public final class StreamsMain {
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(20);

    private StreamsMain() {}

    public static void main(String[] args) throws InterruptedException {
        if (args.length < 2 || args.length > 4) {
            System.err.println("usage: StreamsMain <bootstrap servers> <state directory> [classic|streams [host:port]]");
            System.exit(2);
        }
        Properties settings = settings(args[0], args[1], args.length > 2 ? args[2] : "classic");
        if (args.length > 3) {
            settings.put(StreamsConfig.APPLICATION_SERVER_CONFIG, args[3]);
        }
        KafkaStreams streams = new KafkaStreams(RunningSums.topology(), settings);
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        streams.setUncaughtExceptionHandler(e -> {
            System.out.println("replaced a thread that ended with " + e);
            e.printStackTrace(System.out);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        CountDownLatch stop = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            System.out.println(streams.close(CLOSE_LIMIT) ? "closed" : "not closed within " + CLOSE_LIMIT);
            stop.countDown();
        }));
        streams.start();
        String before = "";
        while (!stop.await(200, TimeUnit.MILLISECONDS)) {
            String now = args.length > 3 && streams.state() == KafkaStreams.State.RUNNING ? clients(streams) : before;
            if (!now.equals(before)) {
                System.out.println("clients " + now);
                before = now;
            }
        }
    }

    /** {@code host:port active [partitions] standby [partitions]} of each client that has the store, by host and port. */
    private static String clients(KafkaStreams streams) {
        return streams.streamsMetadataForStore(RunningSums.STORE).stream()
                .sorted(Comparator.comparing(m -> m.host() + ":" + m.port()))
                .map(m -> m.host() + ":" + m.port() + " active " + sorted(m.topicPartitions()) + " standby " + sorted(m.standbyTopicPartitions()))
                .collect(Collectors.joining("; "));
    }

    private static List<String> sorted(Set<TopicPartition> partitions) {
        return partitions.stream().map(TopicPartition::toString).filter(name -> name.contains("by-account")).sorted().toList();
    }

    private static Properties settings(String bootstrap, String stateDirectory, String protocol) {
        Properties all = new Properties();
        all.put(StreamsConfig.APPLICATION_ID_CONFIG, "sums");
        all.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        all.put(StreamsConfig.STATE_DIR_CONFIG, stateDirectory);
        all.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        all.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        all.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        all.put(StreamsConfig.GROUP_PROTOCOL_CONFIG, protocol);
        if (protocol.equals("classic")) {
            // A killed application is missed as soon as a broker with Kafka's defaults allows; of the other protocol the broker's settings decide.
            all.put("session.timeout.ms", 6000);
            all.put("heartbeat.interval.ms", 1000);
        }
        all.put("auto.offset.reset", "earliest");
        return all;
    }
}
