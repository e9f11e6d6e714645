package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class PacerTest {
    @Test
    void threadsTogetherKeepTheRateEvenly() {
        int threads = 4;
        double rate = 1000;
        TreeSet<Long> times = new TreeSet<>();
        for (int thread = 0; thread < threads; thread++) {
            Pacer pacer = Pacer.of(rate, threads, thread);
            pacer.start(5_000_000_000L);
            for (int n = 0; n < 250; n++) {
                times.add(pacer.intendedUnixNs(n));
            }
        }
        assertEquals(1000, times.size(), "no two records are intended at the same moment");
        assertEquals(5_000_000_000L, times.first());
        assertEquals(5_999_000_000L, times.last());
        long before = times.first() - 1_000_000;
        for (long time : times) {
            assertEquals(1_000_000, time - before, "records are 1/rate apart");
            before = time;
        }
    }

    @Test
    void doesNotDriftOverAnHourAtAnOddRate() {
        Pacer pacer = Pacer.of(333_333, 7, 3);
        pacer.start(0);
        long n = 3600L * 333_333 / 7;
        assertEquals((n * 7 + 3) / 333_333.0, pacer.intendedUnixNs(n) / 1e9, 1e-6);
    }

    @Test
    void closedLoopHasNoSchedule() {
        assertTrue(Pacer.of(0, 4, 1).closedLoop());
        assertFalse(Pacer.of(1, 4, 1).closedLoop());
    }

    @Test
    @Timeout(20)
    void awaitComesNotTooEarlyAndEndsWhenTheWindowStops() {
        Window window = new Window();
        long wanted = Clock.unixNanos() + 3_000_000;
        Pacer.await(wanted, window);
        assertTrue(Clock.unixNanos() >= wanted);
        window.stop();
        long far = Clock.unixNanos() + 3_600_000_000_000L;
        Pacer.await(far, window);
        assertTrue(Clock.unixNanos() < far);
    }
}
