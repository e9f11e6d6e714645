package fluxmq.load;

import com.fasterxml.jackson.annotation.JsonAutoDetect;
import com.fasterxml.jackson.annotation.PropertyAccessor;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.type.LogicalType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Everything one load client needs for one arm-run, as the runner wrote it; {@code scenarios/job.go} is the definition. The
 * field names are the JSON names in camel case. Read once, then read-only: any thread may read it.
 */
final class Job {
    public int schema;
    public String runId = "";
    /** Unsigned 64 bits in decimal; {@link #tag()} is the number. */
    public String runTag = "0";
    public String scenario = "";
    public String form = "";
    public String client = "";
    public int round;

    public String bootstrap = "";
    public String topic = "";
    public int partitions;
    public short replicationFactor;
    public Map<String, String> topicConfigs = new TreeMap<>();

    public String mode = "";
    public int threads;
    public Map<String, String> producer = new TreeMap<>();
    public Map<String, String> consumer = new TreeMap<>();

    public PayloadShape payload = new PayloadShape();
    public double ratePerSecond;

    public WarmUp warmUp = new WarmUp();
    public double measureSeconds;
    public long measureRecords;
    public boolean endToEnd;
    public long fillRecords;

    public double deliverTimeoutSeconds;
    public double verifyTimeoutSeconds;
    public double verifyFraction;

    /** Keys and values of the records. */
    static final class PayloadShape {
        public int valueBytes;
        public int keySpread;
        public double compressedRatio;
        public String seed = "0";

        /** The seed as a number, to be taken as unsigned. */
        long seedBits() {
            return Long.parseUnsignedLong(seed);
        }
    }

    /** How the discarded traffic before the window ends. */
    static final class WarmUp {
        public double minSeconds;
        public double maxSeconds;
        public int bucketMillis;
        public int windowBuckets;
        public double tolerance;
    }

    /** The run tag as a number, to be taken as unsigned. */
    long tag() {
        return Long.parseUnsignedLong(runTag);
    }

    boolean consumes() {
        return mode.equals("consume");
    }

    /** Reads and checks a job file; a {@link LoadException} with exit code 2 names what is wrong, with its line. */
    static Job read(Path file) throws LoadException {
        byte[] text;
        try {
            text = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw LoadException.badJob(file + ": no such file");
        } catch (IOException e) {
            throw LoadException.badJob(file + ": cannot be read: " + e.getMessage());
        }
        return parse(text, file.toString());
    }

    /** Parses and checks a job; name is what errors call it. */
    static Job parse(byte[] text, String name) throws LoadException {
        Job job;
        try {
            job = mapper().readValue(text, Job.class);
        } catch (UnrecognizedPropertyException e) {
            throw LoadException.badJob(name + ":" + line(e.getLocation()) + ": unknown field \"" + path(e) + "\"");
        } catch (JsonMappingException e) {
            String where = path(e);
            throw LoadException.badJob(name + ":" + line(e.getLocation()) + ": " + (where.isEmpty() ? "" : "field \"" + where + "\": ") + e.getOriginalMessage());
        } catch (JsonProcessingException e) {
            throw LoadException.badJob(name + ":" + line(e.getLocation()) + ": " + e.getOriginalMessage());
        } catch (IOException e) {
            throw LoadException.badJob(name + ": " + e.getMessage());
        }
        if (job == null) {
            throw LoadException.badJob(name + ": holds no job");
        }
        job.fillNulls();
        job.check(name);
        return job;
    }

    private static JsonMapper mapper() {
        return JsonMapper.builder()
                .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
                .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
                        DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
                .withCoercionConfig(LogicalType.Textual, c -> c
                        .setCoercion(CoercionInputShape.Integer, CoercionAction.Fail)
                        .setCoercion(CoercionInputShape.Float, CoercionAction.Fail)
                        .setCoercion(CoercionInputShape.Boolean, CoercionAction.Fail))
                .visibility(PropertyAccessor.ALL, JsonAutoDetect.Visibility.NONE)
                .visibility(PropertyAccessor.FIELD, JsonAutoDetect.Visibility.PUBLIC_ONLY)
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .disable(JsonParser.Feature.INCLUDE_SOURCE_IN_LOCATION)
                .build();
    }

    private static String path(JsonMappingException e) {
        return e.getPath().stream().map(r -> r.getFieldName() == null ? "[" + r.getIndex() + "]" : r.getFieldName()).collect(Collectors.joining("."));
    }

    private static int line(JsonLocation at) {
        return at == null ? 0 : at.getLineNr();
    }

    /** Go writes an empty map as null. */
    private void fillNulls() {
        topicConfigs = topicConfigs == null ? new TreeMap<>() : topicConfigs;
        producer = producer == null ? new TreeMap<>() : producer;
        consumer = consumer == null ? new TreeMap<>() : consumer;
        payload = payload == null ? new PayloadShape() : payload;
        warmUp = warmUp == null ? new WarmUp() : warmUp;
    }

    private void check(String name) throws LoadException {
        need(schema == 1, name, "schema is " + schema + ", this client reads schema 1");
        need("java".equals(client), name, "client is \"" + client + "\", this client is \"java\"");
        need("produce".equals(mode) || "consume".equals(mode), name, "mode is \"" + mode + "\", known: produce, consume");
        need(bootstrap != null && !bootstrap.isBlank(), name, "bootstrap is empty");
        need(topic != null && !topic.isBlank(), name, "topic is empty");
        need(partitions >= 1 && partitions < Ledger.UNKNOWN_PARTITION, name, "partitions is " + partitions + ", want 1 to " + (Ledger.UNKNOWN_PARTITION - 1));
        need(replicationFactor == -1 || replicationFactor >= 1, name, "replication_factor is " + replicationFactor + ", want -1 or at least 1");
        need(threads >= 1 && threads <= 4096, name, "threads is " + threads + ", want 1 to 4096");
        need(unsigned(runTag), name, "run_tag is \"" + runTag + "\", want an unsigned 64-bit number");
        need(unsigned(payload.seed), name, "payload.seed is \"" + payload.seed + "\", want an unsigned 64-bit number");
        need(payload.valueBytes >= Payload.HEADER_BYTES && payload.valueBytes <= 1 << 30, name,
                "payload.value_bytes is " + payload.valueBytes + ", want " + Payload.HEADER_BYTES + " to " + (1 << 30));
        need(payload.keySpread >= 0 && payload.keySpread <= 10_000_000, name, "payload.key_spread is " + payload.keySpread + ", want 0 to 10000000");
        need(payload.compressedRatio >= 0 && payload.compressedRatio <= 1, name, "payload.compressed_ratio is " + payload.compressedRatio + ", want 0 to 1");
        need(ratePerSecond >= 0 && ratePerSecond <= 1e9, name, "rate_per_second is " + ratePerSecond + ", want 0 (as fast as acks allow) or more");
        need(measureRecords >= 0, name, "measure_records is " + measureRecords);
        need(measureSeconds >= 0 && (measureSeconds > 0 || measureRecords > 0 || consumes()), name, "neither measure_seconds nor measure_records says when the window ends");
        need(warmUp.minSeconds >= 0 && warmUp.maxSeconds >= 0, name, "warm_up seconds are negative");
        if (warmUp.maxSeconds > 0 && !consumes()) {
            need(warmUp.minSeconds <= warmUp.maxSeconds, name, "warm_up.min_seconds is above max_seconds");
            need(warmUp.bucketMillis >= 1, name, "warm_up.bucket_millis is " + warmUp.bucketMillis + ", want at least 1");
            need(warmUp.windowBuckets >= 1, name, "warm_up.window_buckets is " + warmUp.windowBuckets + ", want at least 1");
            need(warmUp.tolerance > 0, name, "warm_up.tolerance is " + warmUp.tolerance + ", want above 0");
        }
        need(!consumes() || fillRecords >= 1, name, "fill_records is " + fillRecords + ", mode consume needs at least 1");
        need(deliverTimeoutSeconds > 0, name, "deliver_timeout_seconds is " + deliverTimeoutSeconds + ", want above 0");
        need(verifyTimeoutSeconds > 0, name, "verify_timeout_seconds is " + verifyTimeoutSeconds + ", want above 0");
        need(verifyFraction >= 0 && verifyFraction <= 1, name, "verify_fraction is " + verifyFraction + ", want 0 to 1");
    }

    private static void need(boolean holds, String name, String otherwise) throws LoadException {
        if (!holds) {
            throw LoadException.badJob(name + ": " + otherwise);
        }
    }

    private static boolean unsigned(String text) {
        try {
            Long.parseUnsignedLong(text);
            return text.charAt(0) != '+';
        } catch (NumberFormatException e) {
            return false;
        }
    }
}
