package fluxmq.load;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;

/** What this process has cost so far: CPU time and peak resident memory, from the kernel. */
final class ProcessStats {
    /** CPU of this process since it started, ns. */
    record Cpu(long userNs, long systemNs) {
        Cpu since(Cpu before) {
            return new Cpu(userNs - before.userNs, systemNs - before.systemNs);
        }
    }

    private ProcessStats() {}

    /**
     * The CPU time used so far. The sum is the JVM's own reading; its split is that of /proc/self/stat, whose ticks are
     * 10 ms. Without /proc all of it counts as user time.
     */
    static Cpu cpu() {
        long totalNs = ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class).getProcessCpuTime();
        try {
            String stat = Files.readString(Path.of("/proc/self/stat"));
            // The second field is the command in parentheses and may hold blanks; utime and stime are fields 14 and 15.
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            double user = Long.parseLong(fields[11]);
            double system = Long.parseLong(fields[12]);
            long userNs = user + system == 0 ? totalNs : (long) (totalNs * (user / (user + system)));
            return new Cpu(userNs, totalNs - userNs);
        } catch (IOException | RuntimeException e) {
            return new Cpu(totalNs, 0);
        }
    }

    /** Highest resident set so far in bytes (VmHWM); 0 where /proc does not tell. */
    static long peakRssBytes() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
                }
            }
        } catch (IOException | RuntimeException e) {
            return 0;
        }
        return 0;
    }
}
