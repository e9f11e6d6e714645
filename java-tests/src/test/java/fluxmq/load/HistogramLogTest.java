package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** HdrHistogram's own reader on what the Go side writes: interval logs and percentile distributions. */
class HistogramLogTest {
    private static final double NS_PER_MS = 1e6;
    private static final int TICKS = 5;

    /** The file is held to the Go load clients' writer by reports/formats: two intervals of produce, one of e2e. */
    @Test
    void readsTheLoadClientsLog() throws Exception {
        List<Histogram> intervals;
        try (InputStream log = getClass().getResourceAsStream("/loadgen.hlog")) {
            intervals = read(log);
        }
        assertEquals(3, intervals.size());
        Map<String, Histogram> merged = merge(intervals);
        assertEquals(List.of("e2e", "produce"), List.copyOf(merged.keySet()));
        Histogram produce = merged.get("produce");
        assertEquals(2000, produce.getTotalCount());
        assertEquals(500, merged.get("e2e").getTotalCount());
        assertTrue(produce.valuesAreEquivalent(10_000, produce.getMinNonZeroValue()), () -> "least " + produce.getMinNonZeroValue());
        assertTrue(produce.valuesAreEquivalent(20_000_000, produce.getMaxValue()), () -> "greatest " + produce.getMaxValue());
        assertEquals(1_795_452_688_000L, intervals.get(0).getStartTimeStamp());
        assertEquals(1_795_452_689_000L, intervals.get(0).getEndTimeStamp());
    }

    /** Logs that `fluxbench export --format hlog` wrote, beside the distributions of --format hgrm: tools/checks/formats.sh. */
    @Test
    @EnabledIfEnvironmentVariable(named = "FLUXMQ_HLOG_FOLDER", matches = ".+")
    void readsExportedLogs() throws Exception {
        long records = Long.parseLong(System.getenv("FLUXMQ_HLOG_RECORDS"));
        List<Path> logs;
        try (var files = Files.list(Path.of(System.getenv("FLUXMQ_HLOG_FOLDER")))) {
            logs = files.filter(f -> f.toString().endsWith(".hlog")).sorted().toList();
        }
        assertFalse(logs.isEmpty(), "no .hlog in the folder");
        for (Path log : logs) {
            Histogram produce;
            try (InputStream in = Files.newInputStream(log)) {
                produce = merge(read(in)).get("produce");
            }
            assertEquals(records, produce.getTotalCount(), log::toString);
            assertDistribution(produce, Path.of(log.toString().replace(".hlog", "-produce.hgrm")));
            System.out.printf(Locale.ROOT, "HdrHistogram (Java) read %s: %d values, p99 %.3f ms%n", log.getFileName(), produce.getTotalCount(),
                    produce.getValueAtPercentile(99) / NS_PER_MS);
        }
    }

    /** Every line of the file is a point of the distribution that Java has of the same histogram. */
    private static void assertDistribution(Histogram histogram, Path file) throws Exception {
        int points = 0;
        for (String line : Files.readAllLines(file)) {
            String[] cells = line.trim().split("\\s+");
            if (line.startsWith("#") || cells.length < 3 || cells[0].equals("Value")) {
                continue;
            }
            double value = Double.parseDouble(cells[0]) * NS_PER_MS;
            long upTo = Long.parseLong(cells[2]);
            assertTrue(Math.abs(histogram.getCountBetweenValues(0, (long) value) - upTo) <= histogram.getCountAtValue((long) value), () -> file + ": " + line);
            double percentile = 100 * Double.parseDouble(cells[1]);
            assertTrue(Math.abs(histogram.getValueAtPercentile(percentile) - value) <= histogram.sizeOfEquivalentValueRange((long) value) + 1000,
                    () -> file + ": " + line + ", Java has " + histogram.getValueAtPercentile(percentile) / NS_PER_MS);
            points++;
        }
        ByteArrayOutputStream ours = new ByteArrayOutputStream();
        histogram.outputPercentileDistribution(new PrintStream(ours, true, StandardCharsets.UTF_8), TICKS, NS_PER_MS);
        long lines = ours.toString(StandardCharsets.UTF_8).lines().filter(l -> l.matches(" *[0-9].*")).count();
        assertTrue(points > 20 && Math.abs(points - lines) <= 2, points + " points in " + file + ", Java prints " + lines);
    }

    private static List<Histogram> read(InputStream log) {
        List<Histogram> intervals = new ArrayList<>();
        HistogramLogReader reader = new HistogramLogReader(log);
        for (EncodableHistogram h = reader.nextIntervalHistogram(); h != null; h = reader.nextIntervalHistogram()) {
            intervals.add((Histogram) h);
        }
        return intervals;
    }

    private static Map<String, Histogram> merge(List<Histogram> intervals) {
        Map<String, Histogram> merged = new TreeMap<>();
        for (Histogram h : intervals) {
            merged.computeIfAbsent(h.getTag(), tag -> new Histogram(1_000, 60_000_000_000L, 3)).add(h);
        }
        return merged;
    }
}
