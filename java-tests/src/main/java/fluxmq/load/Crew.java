package fluxmq.load;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;

/**
 * The threads of one part of a run. The first failure of any of them ends every wait for them. The run's thread starts and
 * waits; {@link #close} interrupts what still runs.
 */
final class Crew implements AutoCloseable {
    private final List<Thread> threads = new ArrayList<>();

    // Guarded by this; every change notifies.
    private int running;
    private Throwable failure;

    /** Starts a thread of that name; it ends when the work returns. */
    void start(String name, Callable<Void> work) {
        synchronized (this) {
            running++;
        }
        Thread thread = new Thread(() -> carryOut(work), name);
        thread.setDaemon(true);
        threads.add(thread);
        thread.start();
    }

    private void carryOut(Callable<Void> work) {
        Throwable failed = null;
        try {
            work.call();
        } catch (Throwable e) {
            failed = e;
        }
        synchronized (this) {
            running--;
            if (failure == null) {
                failure = failed;
            }
            notifyAll();
        }
    }

    /** Waits until every thread ended or the deadline (System.nanoTime); tells whether they ended. A thread's failure is thrown here. */
    synchronized boolean join(long deadlineNanoTime) throws LoadException, InterruptedException {
        while (running > 0 && failure == null) {
            long left = deadlineNanoTime - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            wait(left / 1_000_000 + 1);
        }
        if (failure instanceof LoadException e) {
            throw e;
        }
        if (failure != null) {
            throw LoadException.run("the load stopped", failure);
        }
        return true;
    }

    @Override
    public void close() throws InterruptedException {
        threads.forEach(Thread::interrupt);
        long deadline = System.nanoTime() + 1_000_000_000L;
        for (Thread thread : threads) {
            thread.join(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
        }
    }
}
