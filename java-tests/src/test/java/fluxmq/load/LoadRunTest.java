package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whole jobs against a live broker: phases, counts, latency log, and a ledger that notices what is missing. */
@RequiresBroker
@Timeout(90)
class LoadRunTest {
    @TempDir
    private Path out;

    private final ByteArrayOutputStream events = new ByteArrayOutputStream();

    private int run(String... replacements) throws Exception {
        List<String> all = new ArrayList<>(List.of("\"127.0.0.1:9092\"", "\"" + Broker.bootstrap() + "\"", "\"topic\": \"t\"", "\"topic\": \"" + Broker.name("load") + "\""));
        all.addAll(List.of(replacements));
        Job job = Jobs.job(all.toArray(String[]::new));
        ClientSettings settings = ClientSettings.of(job);
        Events told = new Events(new PrintStream(events, true, StandardCharsets.UTF_8));
        LoadRun run = job.consumes() ? new ConsumeRun(job, settings, told, out) : new ProduceRun(job, settings, told, out);
        return run.run();
    }

    private JsonNode result() throws Exception {
        return new ObjectMapper().readTree(out.resolve(ResultWriter.FILE_NAME).toFile());
    }

    private List<String> phases() throws Exception {
        List<String> phases = new ArrayList<>();
        for (String line : events.toString(StandardCharsets.UTF_8).split("\n")) {
            JsonNode event = new ObjectMapper().readTree(line);
            if (event.get("event").asText().equals("phase")) {
                phases.add(event.get("phase").asText());
            }
        }
        return phases;
    }

    /** Values in the latency log by tag. */
    private Map<String, Long> latencies() throws Exception {
        Map<String, Long> counts = new HashMap<>();
        try (HistogramLogReader reader = new HistogramLogReader(new File(out.toFile(), Latency.FILE_NAME))) {
            for (EncodableHistogram interval = reader.nextIntervalHistogram(); interval != null; interval = reader.nextIntervalHistogram()) {
                counts.merge(interval.getTag(), ((Histogram) interval).getTotalCount(), Long::sum);
            }
        }
        return counts;
    }

    @Test
    void anOpenLoopWithConsumersIsProven() throws Exception {
        int exit = run("\"rate_per_second\": 0", "\"rate_per_second\": 2000", "\"end_to_end\": false", "\"end_to_end\": true", "\"key_spread\": 0", "\"key_spread\": 20",
                "\"max_seconds\": 0", "\"max_seconds\": 0.5");
        assertEquals(0, exit);
        assertEquals(List.of("create", "warm-up", "measure", "flush", "deliver", "verify", "done"), phases());
        JsonNode result = result();
        JsonNode ledger = result.get("ledger");
        long records = result.get("records").asLong();
        assertTrue(records > 0 && records <= 1100, "2,000 a second for half a second: " + records);
        assertEquals(records * (256 + 12), result.get("raw_bytes").asLong());
        assertEquals(records + result.get("warm_up_records").asLong(), ledger.get("read").asLong());
        assertEquals(result.get("acknowledged").asLong(), ledger.get("expected").asLong());
        assertTrue(ledger.get("checked").asBoolean() && ledger.get("complete").asBoolean());
        assertEquals(0, ledger.get("lost").asLong() + ledger.get("duplicated").asLong() + ledger.get("reordered").asLong() + ledger.get("corrupt").asLong());
        assertTrue(result.get("delivered_unix_ns").asLong() >= result.get("flushed_unix_ns").asLong());
        assertTrue(result.get("flushed_unix_ns").asLong() >= result.get("last_send_unix_ns").asLong());
        assertTrue(result.get("peak_rss_bytes").asLong() > 0);
        assertEquals(records, latencies().get(Latency.PRODUCE), "every record of the window has a produce latency, and no other");
        long endToEnd = latencies().get(Latency.END_TO_END);
        assertTrue(endToEnd > 0 && endToEnd <= records + 2, "end-to-end latencies: " + endToEnd + " of " + records);
    }

    @Test
    void aWindowOfRecordsIsExact() throws Exception {
        int exit = run("\"measure_records\": 0", "\"measure_records\": 5001", "\"linger.ms\": \"15\"", "\"linger.ms\": \"15\", \"acks\": \"0\", \"compression.type\": \"lz4\"");
        assertEquals(0, exit);
        assertEquals(List.of("create", "measure", "flush", "deliver", "verify", "done"), phases());
        JsonNode result = result();
        assertEquals(5001, result.get("records").asLong());
        assertEquals(5001, result.get("ledger").get("read").asLong());
        assertEquals("handed to the socket (acks=0)", result.get("produce_latency_meaning").asText());
        assertEquals("none asked", result.get("warm_up").get("reason").asText());
        assertTrue(result.get("compressed_ratio").asDouble() < 0.8, "ratio " + result.get("compressed_ratio"));
        assertTrue(result.get("batches").asLong() > 0);
        assertFalse(result.get("ledger").has("failure_text"));
        LoadException again = assertThrows(LoadException.class, this::run);
        assertTrue(again.getMessage().contains("never overwritten"), again.getMessage());
    }

    @Test
    void consumeReadsPassesAndFollowsTheTail() throws Exception {
        int exit = run("\"mode\": \"produce\"", "\"mode\": \"consume\"", "\"fill_records\": 0", "\"fill_records\": 3001", "\"rate_per_second\": 0", "\"rate_per_second\": 200");
        assertEquals(0, exit);
        assertEquals(List.of("create", "fill", "measure", "tail", "done"), phases());
        JsonNode result = result();
        long records = result.get("records").asLong();
        assertTrue(records >= 3001 && records % 3001 == 0 || records > 3001, "whole passes were read: " + records);
        assertEquals(1000, result.get("tail_records").asLong());
        assertEquals(4001, result.get("ledger").get("read").asLong());
        assertEquals(4001, result.get("ledger").get("expected").asLong());
        assertEquals(Map.of(Latency.PRODUCE, 1000L, Latency.END_TO_END, 1000L), latencies());
    }

    @Test
    void recordsThatTheBrokerRefusesSilentlyAreLost() throws Exception {
        // acks=0 and a topic that takes no such record: the client hears nothing, the ledger does.
        int exit = run("\"topic_configs\": null", "\"topic_configs\": {\"max.message.bytes\": \"200\"}", "\"linger.ms\": \"15\"", "\"linger.ms\": \"0\", \"acks\": \"0\"",
                "\"rate_per_second\": 0", "\"rate_per_second\": 200", "\"deliver_timeout_seconds\": 20", "\"deliver_timeout_seconds\": 1", "\"partitions\": 3", "\"partitions\": 1");
        assertEquals(LoadException.NOT_PROVEN, exit);
        JsonNode ledger = result().get("ledger");
        assertEquals(0, result().get("delivered_unix_ns").asLong());
        assertTrue(ledger.get("lost").asLong() > 0);
        assertEquals(ledger.get("expected").asLong(), ledger.get("lost").asLong() + ledger.get("read").asLong());
        JsonNode finding = ledger.get("findings").get(0);
        assertEquals("lost", finding.get("kind").asText());
        assertEquals(0, finding.get("partition").asInt());
        assertTrue(events.toString(StandardCharsets.UTF_8).contains("{\"event\":\"finding\",\"kind\":\"lost\",\"partition\":0,\"offset\":"), events.toString(StandardCharsets.UTF_8));
    }

    @Test
    void aTopicThatExistsIsRefused() throws Exception {
        String topic;
        try (var admin = Broker.admin()) {
            topic = Broker.topic(admin, "taken", 1);
        }
        Job job = Jobs.job("\"127.0.0.1:9092\"", "\"" + Broker.bootstrap() + "\"", "\"topic\": \"t\"", "\"topic\": \"" + topic + "\"");
        LoadRun run = new ProduceRun(job, ClientSettings.of(job), new Events(new PrintStream(events)), out);
        LoadException refused = assertThrows(LoadException.class, run::run);
        assertEquals(LoadException.RUN_ERROR, refused.exitCode);
        assertTrue(refused.getMessage().contains("exists already"), refused.getMessage());
    }
}
