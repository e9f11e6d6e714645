package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JobTest {
    @Test
    void readsTheWholeJob() throws LoadException {
        Job job = Jobs.job();
        assertEquals(-1L, job.tag(), "the tag is unsigned");
        assertEquals(Long.MIN_VALUE, job.payload.seedBits());
        assertEquals(-1, job.replicationFactor);
        assertEquals("15", job.producer.get("linger.ms"));
        assertTrue(job.topicConfigs.isEmpty(), "Go writes an empty map as null");
        assertEquals(0.5, job.measureSeconds);
        assertEquals(100, job.warmUp.bucketMillis);
    }

    @ParameterizedTest(name = "{2}")
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "\"round\": 1,               | \"round\": 1, \"rouns\": 1,     | unknown field \"rouns\"",
        "\"key_spread\": 0           | \"key_spraed\": 0               | unknown field \"payload.key_spraed\"",
        "\"threads\": 2              | \"threads\": \"2\"              | threads",
        "\"threads\": 2              | \"threads\": 2.5                | threads",
        "\"threads\": 2              | \"threads\": 0                  | threads is 0",
        "\"threads\": 2              | \"threads\": 2, \"threads\": 3  | Duplicate field 'threads'",
        "\"linger.ms\": \"15\"       | \"linger.ms\": 15               | linger.ms",
        "\"run_tag\": \"18446744073709551615\" | \"run_tag\": \"-1\"  | run_tag is \"-1\"",
        "\"run_tag\": \"18446744073709551615\" | \"run_tag\": 5       | run_tag",
        "\"value_bytes\": 256        | \"value_bytes\": 35             | value_bytes is 35",
        "\"client\": \"java\"        | \"client\": \"sarama\"          | client is \"sarama\"",
        "\"schema\": 1               | \"schema\": 2                   | schema is 2",
        "\"mode\": \"produce\"       | \"mode\": \"both\"              | mode is \"both\"",
        "\"mode\": \"produce\"       | \"mode\": \"consume\"           | fill_records",
        "\"measure_seconds\": 0.5    | \"measure_seconds\": 0          | window",
        "\"verify_fraction\": 1      | \"verify_fraction\": 1.5        | verify_fraction",
    })
    void refusesWithExitTwoAndTheReason(String from, String to, String reason) {
        LoadException refused = assertThrows(LoadException.class, () -> Jobs.job(from, to));
        assertEquals(2, refused.exitCode);
        assertTrue(refused.getMessage().contains(reason), refused.getMessage());
        assertTrue(refused.getMessage().startsWith("job.json:"), refused.getMessage());
    }

    @Test
    void namesAFileThatIsNotThere() {
        LoadException refused = assertThrows(LoadException.class, () -> Job.read(Path.of("/nonexistent/job.json")));
        assertEquals(2, refused.exitCode);
        assertTrue(refused.getMessage().contains("no such file"), refused.getMessage());
    }

    @Test
    void refusesTextBehindTheJob() {
        assertEquals(2, assertThrows(LoadException.class, () -> Jobs.job("\"verify_fraction\": 1\n}", "\"verify_fraction\": 1\n} {}")).exitCode);
    }
}
