package fluxmq.load;

import java.nio.charset.StandardCharsets;

/** Jobs for tests: a whole one as the runner writes it, changed at single places. */
final class Jobs {
    private Jobs() {}

    static final String JSON = """
            {
              "schema": 1, "run_id": "test", "run_tag": "18446744073709551615", "scenario": "test", "form": "honest", "client": "java", "round": 1,
              "bootstrap": "127.0.0.1:9092", "topic": "t", "partitions": 3, "replication_factor": -1, "topic_configs": null,
              "mode": "produce", "threads": 2, "producer": {"linger.ms": "15"}, "consumer": null,
              "payload": {"value_bytes": 256, "key_spread": 0, "compressed_ratio": 0.35, "seed": "9223372036854775808"},
              "rate_per_second": 0,
              "warm_up": {"min_seconds": 0, "max_seconds": 0, "bucket_millis": 100, "window_buckets": 4, "tolerance": 0.1},
              "measure_seconds": 0.5, "measure_records": 0, "end_to_end": false, "fill_records": 0,
              "deliver_timeout_seconds": 20, "verify_timeout_seconds": 30, "verify_fraction": 1
            }
            """;

    /** The whole job with pairs of texts replaced; each must be there. */
    static String with(String... replacements) {
        String json = JSON;
        for (int i = 0; i < replacements.length; i += 2) {
            if (!json.contains(replacements[i])) {
                throw new IllegalArgumentException("the job has no " + replacements[i]);
            }
            json = json.replace(replacements[i], replacements[i + 1]);
        }
        return json;
    }

    static Job job(String... replacements) throws LoadException {
        return Job.parse(with(replacements).getBytes(StandardCharsets.UTF_8), "job.json");
    }
}
