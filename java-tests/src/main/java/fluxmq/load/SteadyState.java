package fluxmq.load;

import java.util.ArrayDeque;

/**
 * Detects the end of a warm-up: the last bucket rates all lie within a tolerance of their mean and do not all go one way.
 * Pure; one thread.
 */
final class SteadyState {
    private final int windowBuckets;
    private final double tolerance;
    private final ArrayDeque<Double> last = new ArrayDeque<>();

    /** tolerance is a share of the mean: 0.05 is 5 %. */
    SteadyState(int windowBuckets, double tolerance) {
        this.windowBuckets = windowBuckets;
        this.tolerance = tolerance;
    }

    /** Takes the next bucket's rate and tells whether the window that ends with it is steady. */
    boolean add(double rate) {
        last.addLast(rate);
        if (last.size() > windowBuckets) {
            last.removeFirst();
        }
        return last.size() == windowBuckets && level() && !trend();
    }

    private boolean level() {
        double mean = last.stream().mapToDouble(Double::doubleValue).sum() / last.size();
        return mean > 0 && last.stream().allMatch(rate -> Math.abs(rate - mean) <= tolerance * mean);
    }

    /** True when every step goes the same way. Fewer than three buckets show no trend: one step always goes one way. */
    private boolean trend() {
        int up = 0;
        int down = 0;
        Double before = null;
        for (Double rate : last) {
            if (before != null) {
                up += rate > before ? 1 : 0;
                down += rate < before ? 1 : 0;
            }
            before = rate;
        }
        int steps = last.size() - 1;
        return steps >= 2 && (up == steps || down == steps);
    }
}
