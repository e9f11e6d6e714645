package fluxmq.load;

import fluxmq.load.ClientResult.Second;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Once a second takes the counts of a run, tells them as a progress event, and writes the latency interval of that second. The
 * edges of the window cut a second short, so that no sample lies half inside.
 *
 * <p>It owns one thread, started by {@link #start} and waited for by {@link #close}.
 */
final class Sampler implements AutoCloseable {
    private static final long INTERVAL_NS = 1_000_000_000L;

    private final Events events;
    private final Latency latency;
    private final Supplier<String> phase;
    private final LongSupplier sent;
    private final LongSupplier acknowledged;
    private final LongSupplier received;
    /** Which count the rate of the progress events is of. */
    private final boolean rateOfReceived;
    private final Thread thread = new Thread(this::loop, "sampler");

    // Guarded by this.
    private final List<Second> seconds = new ArrayList<>();
    private Counts before;
    private boolean measured;
    private boolean closed;

    private record Counts(long unixNs, long sent, long acknowledged, long received) {}

    Sampler(Events events, Latency latency, Supplier<String> phase, LongSupplier sent, LongSupplier acknowledged, LongSupplier received, boolean rateOfReceived) {
        this.events = events;
        this.latency = latency;
        this.phase = phase;
        this.sent = sent;
        this.acknowledged = acknowledged;
        this.received = received;
        this.rateOfReceived = rateOfReceived;
        thread.setDaemon(true);
    }

    /** Begins the first second now, inside the window or outside of it. */
    synchronized void start(boolean measuredFromNow) {
        measured = measuredFromNow;
        before = counts();
        thread.start();
    }

    /** Ends the running second now and begins the next one, inside the window or outside of it. */
    synchronized void cut(boolean measuredFromNow) {
        sample(false);
        measured = measuredFromNow;
        notifyAll();
    }

    private Counts counts() {
        return new Counts(Clock.unixNanos(), sent.getAsLong(), acknowledged.getAsLong(), received.getAsLong());
    }

    private synchronized void loop() {
        try {
            while (!closed) {
                long left = before.unixNs + INTERVAL_NS - Clock.unixNanos();
                if (left > 0) {
                    wait(left / 1_000_000, (int) (left % 1_000_000));
                } else {
                    sample(true);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void sample(boolean tell) {
        Counts now = counts();
        double length = (now.unixNs - before.unixNs) / 1e9;
        if (length <= 0) {
            return;
        }
        Second second = new Second();
        second.unixNs = now.unixNs;
        second.seconds = length;
        second.sent = now.sent - before.sent;
        second.acknowledged = now.acknowledged - before.acknowledged;
        second.received = now.received - before.received;
        second.measured = measured;
        seconds.add(second);
        latency.writeInterval(before.unixNs, now.unixNs);
        if (tell) {
            long rated = rateOfReceived && second.received > 0 ? second.received : second.acknowledged;
            events.progress(now.unixNs, phase.get(), now.sent, now.acknowledged, now.received, rated / length);
        }
        before = now;
    }

    /** Ends the last second, stops the thread and returns all seconds. */
    List<Second> finish() throws InterruptedException {
        synchronized (this) {
            if (!closed) {
                sample(false);
            }
        }
        close();
        thread.join(1_000);
        return seconds;
    }

    @Override
    public synchronized void close() {
        closed = true;
        notifyAll();
    }
}
