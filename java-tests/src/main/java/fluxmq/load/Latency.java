package fluxmq.load;

import java.io.FileNotFoundException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogWriter;
import org.HdrHistogram.SingleWriterRecorder;

/**
 * The latency histograms of a run and their interval log: one recorder a thread, merged into one interval per tag and call.
 * Values are nanoseconds, 1 µs to 60 s at 3 significant digits.
 *
 * <p>Any thread may ask for a recorder and write an interval; each {@link Series} has one recording thread.
 */
final class Latency implements AutoCloseable {
    static final String FILE_NAME = "latency.hlog";
    /** Intended send to acknowledged. */
    static final String PRODUCE = "produce";
    /** Intended send to received by a consumer. */
    static final String END_TO_END = "e2e";

    private static final long LOWEST_NS = 1_000;
    private static final long HIGHEST_NS = 60_000_000_000L;
    private static final int DIGITS = 3;

    // Guarded by this.
    private final Map<String, List<Series>> seriesByTag = new LinkedHashMap<>();
    private final HistogramLogWriter log;
    private final Histogram part = new Histogram(LOWEST_NS, HIGHEST_NS, DIGITS);
    private boolean closed;

    /** Opens the log in the directory, replacing an earlier one. */
    Latency(Path directory) throws FileNotFoundException {
        log = new HistogramLogWriter(directory.resolve(FILE_NAME).toFile());
        long nowMs = Clock.unixNanos() / 1_000_000;
        log.outputComment("[fluxload java: values in nanoseconds]");
        log.outputLogFormatVersion();
        log.outputBaseTime(nowMs);
        log.setBaseTime(nowMs);
        log.outputStartTime(nowMs);
        log.outputLegend();
    }

    /** The latencies of one recording thread. */
    static final class Series {
        private final SingleWriterRecorder recorder = new SingleWriterRecorder(LOWEST_NS, HIGHEST_NS, DIGITS);

        /** Records nanoseconds; outside the range it counts as the range's end. One thread only. */
        void record(long ns) {
            recorder.recordValue(Math.max(0, Math.min(ns, HIGHEST_NS)));
        }
    }

    /** A new series under a tag. */
    synchronized Series series(String tag) {
        Series series = new Series();
        seriesByTag.computeIfAbsent(tag, t -> new ArrayList<>()).add(series);
        return series;
    }

    /** Writes what was recorded since the last call as one interval a tag; an interval without values is left out. */
    synchronized void writeInterval(long startUnixNs, long endUnixNs) {
        if (closed) {
            return;
        }
        seriesByTag.forEach((tag, all) -> {
            Histogram sum = new Histogram(LOWEST_NS, HIGHEST_NS, DIGITS);
            for (Series series : all) {
                series.recorder.getIntervalHistogramInto(part);
                sum.add(part);
            }
            if (sum.getTotalCount() > 0) {
                sum.setTag(tag);
                sum.setStartTimeStamp(startUnixNs / 1_000_000);
                sum.setEndTimeStamp(endUnixNs / 1_000_000);
                log.outputIntervalHistogram(sum);
            }
        });
    }

    @Override
    public synchronized void close() {
        closed = true;
        log.close();
    }
}
