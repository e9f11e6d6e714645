package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClientSettingsTest {
    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "\"linger.mss\": \"15\"                                | nearest is \"linger.ms\"",
        "\"linger.ms\": \"soon\"                               | linger.ms",
        "\"acks\": \"7\"                                       | acks",
        "\"acks\": \"0\", \"enable.idempotence\": \"true\"     | idempotent",
        "\"bootstrap.servers\": \"elsewhere:9092\"             | bootstrap.servers",
        "\"transactional.id\": \"t\"                           | transactions",
        "\"value.serializer\": \"org.apache.kafka.common.serialization.StringSerializer\" | records are bytes",
    })
    void refusesWhatTheClientWouldNotTake(String producer, String reason) throws LoadException {
        Job job = Jobs.job("\"linger.ms\": \"15\"", producer);
        LoadException refused = assertThrows(LoadException.class, () -> ClientSettings.of(job));
        assertEquals(2, refused.exitCode);
        assertTrue(refused.getMessage().contains(reason), refused.getMessage());
    }

    @Test
    void passesPropertiesOnAndSaysWhatTheyBecame() throws LoadException {
        Job job = Jobs.job("\"linger.ms\": \"15\"", "\"linger.ms\": \"15\", \"acks\": \"-1\", \"compression.type\": \"lz4\"",
                "\"consumer\": null", "\"consumer\": {\"fetch.min.bytes\": \"65536\"}");
        ClientSettings settings = ClientSettings.of(job);
        Map<String, String> effective = settings.effective();
        assertEquals("15", effective.get("linger.ms"));
        assertEquals("all", effective.get("acks"));
        assertEquals("lz4", effective.get("compression.type"));
        assertEquals("65536", effective.get("consumer.fetch.min.bytes"));
        assertEquals("false (set by fluxload)", effective.get("enable.metrics.push"));
        assertEquals("true (client default)", effective.get("enable.idempotence"));
        assertEquals("15", settings.producer(0).get("linger.ms"));
    }

    @Test
    void aFillerWaitsForAcksAndKeepsTheJobsIdempotence() throws LoadException {
        Map<String, Object> filler = ClientSettings.of(Jobs.job("\"linger.ms\": \"15\"", "\"acks\": \"0\"")).filler(0);
        assertEquals("all", filler.get("acks"));
        assertEquals(false, new ProducerConfig(filler).getBoolean("enable.idempotence"));
    }

    @Test
    void metricsPushIsTheJobsToSet() throws LoadException {
        ClientSettings settings = ClientSettings.of(Jobs.job("\"linger.ms\": \"15\"", "\"enable.metrics.push\": \"true\""));
        assertEquals("true", settings.effective().get("enable.metrics.push"));
        assertEquals("true", settings.producer(0).get("enable.metrics.push"));
    }
}
