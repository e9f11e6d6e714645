package fluxmq.load;

/** Where a run stands, as its sending threads see it: warming up, measuring, stopped. Written by the run's thread, read by every record. */
final class Window {
    static final int WARM_UP = 0;
    static final int MEASURING = 1;
    static final int STOPPED = 2;

    private volatile int state = WARM_UP;
    private volatile long startUnixNs = Long.MAX_VALUE;
    private volatile long endUnixNs = Long.MAX_VALUE;

    int state() {
        return state;
    }

    /** First moment of the window; Long.MAX_VALUE before it opened. */
    long startUnixNs() {
        return startUnixNs;
    }

    /** True when a record intended at that moment belongs to the window. */
    boolean holds(long intendedUnixNs) {
        return intendedUnixNs >= startUnixNs && intendedUnixNs <= endUnixNs;
    }

    /** Opens the window now and returns its start. */
    long open() {
        long now = Clock.unixNanos();
        startUnixNs = now;
        state = MEASURING;
        return now;
    }

    /** Ends it: no record is sent after a thread saw this. */
    void stop() {
        if (state == MEASURING) {
            endUnixNs = Clock.unixNanos();
        }
        state = STOPPED;
    }
}
