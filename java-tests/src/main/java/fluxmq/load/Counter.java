package fluxmq.load;

import java.util.concurrent.atomic.AtomicLongArray;

/** A count with one writing thread and any reading ones, on cache lines of its own: its writer never waits for a reader's line. */
final class Counter {
    private static final int MIDDLE = 16;

    private final AtomicLongArray line = new AtomicLongArray(2 * MIDDLE);

    /** Sets the count; one thread only. */
    void set(long value) {
        line.setRelease(MIDDLE, value);
    }

    /** Adds to the count; one thread only. */
    void add(long n) {
        line.setRelease(MIDDLE, line.getPlain(MIDDLE) + n);
    }

    long get() {
        return line.getAcquire(MIDDLE);
    }
}
