package fluxmq.load;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The properties that the job's clients are made with: the job's own, passed on literally, and the few that the load needs. Pure. */
final class ClientSettings {
    /** Shown with their values even when the job does not name them: they decide what a produce run measures. */
    private static final List<String> TELLING = List.of(
            ProducerConfig.ACKS_CONFIG, ProducerConfig.BATCH_SIZE_CONFIG, ProducerConfig.LINGER_MS_CONFIG, ProducerConfig.COMPRESSION_TYPE_CONFIG,
            ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, ProducerConfig.BUFFER_MEMORY_CONFIG);

    private final Job job;

    private ClientSettings(Job job) {
        this.job = job;
    }

    /** Checks the job's properties with the client's own rules; exit code 2 with the client's text when one is unknown or invalid. */
    static ClientSettings of(Job job) throws LoadException {
        ClientSettings settings = new ClientSettings(job);
        refuse("producer", job.producer, ProducerConfig.configNames(), Map.of(
                ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, "the job's own field says where the broker is",
                ProducerConfig.TRANSACTIONAL_ID_CONFIG, "this load sends outside of transactions"));
        refuse("consumer", job.consumer, ConsumerConfig.configNames(), Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, "the job's own field says where the broker is",
                ConsumerConfig.GROUP_PROTOCOL_CONFIG, "partitions are assigned by the load, without a group",
                ConsumerConfig.ISOLATION_LEVEL_CONFIG, "the load reads read_uncommitted"));
        onlyBytes("producer", job.producer, ByteArraySerializer.class, ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG);
        onlyBytes("consumer", job.consumer, ByteArrayDeserializer.class, ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG);
        settings.parsed("producer", () -> new ProducerConfig(settings.producer(0)));
        settings.parsed("consumer", () -> new ConsumerConfig(settings.consumer(0)));
        return settings;
    }

    private static void refuse(String whose, Map<String, String> given, Set<String> known, Map<String, String> ours) throws LoadException {
        for (Map.Entry<String, String> property : given.entrySet()) {
            String name = property.getKey();
            if (!known.contains(name)) {
                throw LoadException.badJob("unknown " + whose + " property \"" + name + "\"" + nearest(name, known));
            }
            if (ours.containsKey(name)) {
                throw LoadException.badJob(whose + " property \"" + name + "\" cannot be set: " + ours.get(name));
            }
            if (property.getValue() == null) {
                throw LoadException.badJob(whose + " property \"" + name + "\" is null");
            }
        }
    }

    private static void onlyBytes(String whose, Map<String, String> given, Class<?> bytes, String... names) throws LoadException {
        for (String name : names) {
            if (given.containsKey(name) && !given.get(name).equals(bytes.getName())) {
                throw LoadException.badJob(whose + " property \"" + name + "\" cannot be " + given.get(name) + ": records are bytes (" + bytes.getName() + ")");
            }
        }
    }

    private static String nearest(String name, Set<String> known) {
        String best = null;
        int least = 1 + name.length() / 3;
        for (String candidate : known) {
            int distance = distance(name, candidate);
            if (distance <= least) {
                least = distance - 1;
                best = candidate;
            }
        }
        return best == null ? "" : ", nearest is \"" + best + "\"";
    }

    /** Levenshtein's distance. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int above = row[j];
                row[j] = Math.min(Math.min(above, row[j - 1]) + 1, diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1));
                diagonal = above;
            }
        }
        return row[b.length()];
    }

    private interface Making {
        AbstractConfig config();
    }

    private AbstractConfig parsed(String whose, Making making) throws LoadException {
        try {
            return making.config();
        } catch (ConfigException e) {
            throw LoadException.badJob(whose + " properties: " + e.getMessage());
        }
    }

    /** The properties of producer number n. */
    Map<String, Object> producer(int n) {
        Map<String, Object> properties = new HashMap<>();
        properties.put(CommonClientConfigs.ENABLE_METRICS_PUSH_CONFIG, "false");
        properties.putAll(job.producer);
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, job.bootstrap);
        properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        properties.put(ProducerConfig.CLIENT_ID_CONFIG, job.producer.getOrDefault(ProducerConfig.CLIENT_ID_CONFIG, "fluxload") + "-" + n);
        return properties;
    }

    /** The properties of producer number n that fills a topic for mode consume: the job's, with acks=all. */
    Map<String, Object> filler(int n) {
        Map<String, Object> properties = producer(n);
        // acks=0 turns an unnamed idempotence off, and acks=all would turn it on again with conditions of its own.
        properties.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, new ProducerConfig(producer(n)).getBoolean(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG).toString());
        properties.put(ProducerConfig.ACKS_CONFIG, "all");
        return properties;
    }

    /** The properties of a consumer that is part of the load. It is assigned its partitions and commits nothing. */
    Map<String, Object> consumer(int n) {
        Map<String, Object> properties = new HashMap<>();
        properties.put(CommonClientConfigs.ENABLE_METRICS_PUSH_CONFIG, "false");
        properties.putAll(job.consumer);
        properties.put(ConsumerConfig.CLIENT_ID_CONFIG, job.consumer.getOrDefault(ConsumerConfig.CLIENT_ID_CONFIG, "fluxload-consumer") + "-" + n);
        return reading(properties);
    }

    /** The properties of a consumer that reads back for the ledger: the client's defaults, with polls of more records. */
    Map<String, Object> verifier(int n) {
        Map<String, Object> properties = new HashMap<>();
        properties.put(CommonClientConfigs.ENABLE_METRICS_PUSH_CONFIG, "false");
        properties.put(ConsumerConfig.CLIENT_ID_CONFIG, "fluxload-verifier-" + n);
        properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "10000");
        return reading(properties);
    }

    private Map<String, Object> reading(Map<String, Object> properties) {
        properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, job.bootstrap);
        properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        // A partition that lost its records must be seen, not skipped.
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
        return properties;
    }

    /** The properties of the admin client. */
    Map<String, Object> admin() {
        Map<String, Object> properties = new HashMap<>();
        properties.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, job.bootstrap);
        properties.put(AdminClientConfig.CLIENT_ID_CONFIG, "fluxload-admin");
        properties.put(CommonClientConfigs.ENABLE_METRICS_PUSH_CONFIG, "false");
        return properties;
    }

    /** True when a send is over once the socket has it. */
    boolean acksNothing() {
        return "0".equals(new ProducerConfig(producer(0)).getString(ProducerConfig.ACKS_CONFIG));
    }

    /** How long a producer may hold a record before it reports it as failed, ms. */
    long deliveryTimeoutMs() {
        return new ProducerConfig(producer(0)).getInt(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG);
    }

    /** What each property of the job became in this client, and what decides beside them; consumer properties carry the prefix "consumer.". */
    Map<String, String> effective() {
        Map<String, String> effective = new TreeMap<>();
        ProducerConfig producer = new ProducerConfig(producer(0));
        for (String name : TELLING) {
            effective.put(name, value(producer, name) + " (client default)");
        }
        effective.put(CommonClientConfigs.ENABLE_METRICS_PUSH_CONFIG, "false (set by fluxload)");
        job.producer.keySet().forEach(name -> effective.put(name, value(producer, name)));
        if (job.consumes()) {
            effective.put(ProducerConfig.ACKS_CONFIG, effective.get(ProducerConfig.ACKS_CONFIG) + ", all while filling");
        }
        ConsumerConfig consumer = new ConsumerConfig(consumer(0));
        for (String name : job.consumer.keySet()) {
            boolean ours = name.equals(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG) || name.equals(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG);
            effective.put("consumer." + name, value(consumer, name) + (ours ? " (set by fluxload)" : ""));
        }
        return effective;
    }

    private static String value(AbstractConfig config, String name) {
        String value = String.valueOf(config.values().get(name));
        return name.equals(ProducerConfig.ACKS_CONFIG) && value.equals("-1") ? "all" : value;
    }
}
