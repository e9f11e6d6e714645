package fluxmq.load;

import java.util.concurrent.locks.LockSupport;

/**
 * Says when a thread's send number n is intended, and waits for that moment. Pure but for the waiting; one per thread.
 *
 * <p>Open loop at R records a second over T threads: record n of thread t is intended at start + (n·T + t)/R. A late thread
 * sends at once and keeps the intended time, so that a stall of the broker is seen by every record that it delayed.
 */
final class Pacer {
    /** Below this a thread spins: a park on Linux oversleeps by its timer slack of about 50 µs. */
    private static final long SPIN_NS = 20_000;

    private final double nsPerRecord;
    private final double staggerNs;
    private final boolean closedLoop;
    private long startUnixNs;

    private Pacer(boolean closedLoop, double nsPerRecord, double staggerNs) {
        this.closedLoop = closedLoop;
        this.nsPerRecord = nsPerRecord;
        this.staggerNs = staggerNs;
    }

    /** The pacer of one thread (0-based) of threads; rate over all threads, 0 for closed loop. */
    static Pacer of(double ratePerSecond, int threads, int thread) {
        if (ratePerSecond <= 0) {
            return new Pacer(true, 0, 0);
        }
        return new Pacer(false, threads * 1e9 / ratePerSecond, thread * 1e9 / ratePerSecond);
    }

    boolean closedLoop() {
        return closedLoop;
    }

    /** Sets the moment that record 0 of thread 0 is intended at. */
    void start(long unixNs) {
        startUnixNs = unixNs;
    }

    /** When record n is intended, Unix ns; open loop only. */
    long intendedUnixNs(long n) {
        return startUnixNs + (long) (n * nsPerRecord + staggerNs);
    }

    /** Waits until the given moment or until the window is stopped, whichever is first. */
    static void await(long unixNs, Window window) {
        for (long left = unixNs - Clock.unixNanos(); left > 0 && window.state() != Window.STOPPED; left = unixNs - Clock.unixNanos()) {
            if (left > SPIN_NS) {
                LockSupport.parkNanos(Math.min(left, 50_000_000L));
            } else {
                Thread.onSpinWait();
            }
        }
    }
}
