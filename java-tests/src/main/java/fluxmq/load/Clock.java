package fluxmq.load;

import java.time.Instant;

/** Unix time in nanoseconds: one wall-clock reading at start plus the monotonic clock, so that a step of the wall clock moves nothing. */
final class Clock {
    private static final long BASE_NS = base();

    private Clock() {}

    private static long base() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000_000L + now.getNano() - System.nanoTime();
    }

    /** Nanoseconds since the Unix epoch. Any thread may call it; it never goes back. */
    static long unixNanos() {
        return BASE_NS + System.nanoTime();
    }

    /** The given seconds in nanoseconds. */
    static long nanos(double seconds) {
        return (long) (seconds * 1e9);
    }
}
