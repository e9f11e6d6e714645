package fluxmq.load;

import fluxmq.load.ClientResult.LedgerResult;
import fluxmq.load.ClientResult.Phase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.utils.internals.AppInfoParser;

/** What both modes share: the phases, the topic, the ledger's reading, the result. One thread runs it; {@link #abort} is for any. */
abstract class LoadRun {
    final Job job;
    final ClientSettings settings;
    final Events events;
    final ClientResult result = new ClientResult();
    final Window window = new Window();
    final Latency latency;
    final Payload payload;
    private final Path out;
    private volatile String phase = "create";

    LoadRun(Job job, ClientSettings settings, Events events, Path out) throws LoadException {
        this.job = job;
        this.settings = settings;
        this.events = events;
        this.out = out;
        if (Files.exists(out.resolve(ResultWriter.FILE_NAME))) {
            throw LoadException.run(out + " holds the result of another run; results are never overwritten");
        }
        try {
            payload = Payload.build(job);
            latency = new Latency(out);
        } catch (IOException e) {
            throw LoadException.run("cannot begin", e);
        }
        double wanted = job.payload.compressedRatio;
        if (wanted > 0 && Math.abs(payload.ratio - wanted) > Payload.TOLERANCE) {
            System.err.printf("values of %d bytes reach a compressed ratio of %.3f with %s, not the wanted %.3f%n", job.payload.valueBytes, payload.ratio, payload.codec, wanted);
        }
    }

    /** Does the mode's phases and fills the result. */
    abstract void execute() throws LoadException, InterruptedException;

    /** Runs the job, writes the result, and returns the exit code. */
    int run() throws LoadException, InterruptedException {
        describe();
        try {
            execute();
            endPhase();
        } finally {
            latency.close();
        }
        result.peakRssBytes = ProcessStats.peakRssBytes();
        for (int i = 0; i < Math.min(Events.MAX_FINDINGS, result.ledger.findings.size()); i++) {
            ClientResult.Finding finding = result.ledger.findings.get(i);
            events.finding(finding.kind, finding.partition, finding.offset, finding.count);
        }
        try {
            ResultWriter.write(result, out);
        } catch (IOException e) {
            throw LoadException.run("cannot write the result into " + out, e);
        }
        events.phase("done", Clock.unixNanos());
        return exitCode();
    }

    private void describe() {
        result.runId = job.runId;
        result.scenario = job.scenario;
        result.form = job.form;
        result.client = job.client;
        result.round = job.round;
        result.clientVersion = "kafka-clients " + AppInfoParser.getVersion();
        result.runtime = (System.getProperty("java.vm.name").contains("OpenJDK") ? "OpenJDK " : System.getProperty("java.vm.name") + " ") + System.getProperty("java.version");
        result.effective = settings.effective();
        result.latencyLog = Latency.FILE_NAME;
        result.produceLatencyMeaning = settings.acksNothing() ? "handed to the socket (acks=0)" : "acknowledged";
    }

    private int exitCode() throws LoadException {
        LedgerResult ledger = result.ledger;
        if (ledger.broken()) {
            System.err.printf("not proven: lost %d, duplicated %d, reordered %d, corrupt %d of %d records%n", ledger.lost, ledger.duplicated, ledger.reordered, ledger.corrupt, ledger.expected);
            return LoadException.NOT_PROVEN;
        }
        if (!ledger.failureText.isEmpty()) {
            throw LoadException.run("the records could not be read back: " + ledger.failureText);
        }
        if (result.acknowledged == 0) {
            throw LoadException.run("no record was acknowledged; first error: " + (result.firstSendError.isEmpty() ? "none" : result.firstSendError));
        }
        if (result.deliveredUnixNs == 0) {
            throw LoadException.run("end offsets had not grown by what was sent after " + job.deliverTimeoutSeconds + " s");
        }
        return 0;
    }

    /** Stops sending, as soon as the next record looks. */
    void abort() {
        window.stop();
    }

    /** Ends the running phase and begins the named one. */
    void beginPhase(String name) {
        endPhase();
        Phase begun = new Phase(name, Clock.unixNanos());
        result.phases.add(begun);
        phase = name;
        events.phase(name, begun.startUnixNs);
    }

    private void endPhase() {
        if (!result.phases.isEmpty()) {
            Phase last = result.phases.get(result.phases.size() - 1);
            last.endUnixNs = last.endUnixNs == 0 ? Clock.unixNanos() : last.endUnixNs;
        }
    }

    String phase() {
        return phase;
    }

    /** The deadline that many seconds from now, for System.nanoTime. */
    static long deadline(double seconds) {
        return System.nanoTime() + Clock.nanos(seconds);
    }

    /** Reads partitions back and settles the ledger into the result; the lowest partitions that hold at least the job's fraction of the records. */
    void verify(Ledger ledger, long[] from, long[] to) throws InterruptedException {
        long deadline = deadline(job.verifyTimeoutSeconds);
        int whole = choose(ledger, from, to);
        String failure = "";
        try {
            readBack(ledger, from, to, whole, deadline);
        } catch (LoadException e) {
            failure = e.getMessage();
        }
        result.ledger = ledger.settle();
        result.ledger.failureText = failure;
    }

    /** Tells the ledger the ranges and which partitions are checked, the lowest ones; their number is returned. */
    int choose(Ledger ledger, long[] from, long[] to) {
        long all = 0;
        for (int p = 0; p < to.length; p++) {
            ledger.range(p, from[p], to[p]);
            all += to[p] - from[p];
        }
        int whole = job.verifyFraction == 1 ? to.length : 0;
        for (long covered = 0; job.verifyFraction < 1 && covered < Math.ceil(job.verifyFraction * all) && whole < to.length; whole++) {
            covered += to[whole] - from[whole];
        }
        for (int p = 0; p < whole; p++) {
            ledger.choose(p);
        }
        return whole;
    }

    private void readBack(Ledger ledger, long[] from, long[] to, int whole, long deadline) throws LoadException, InterruptedException {
        int readers = Math.max(1, Math.min(whole, Math.min(job.threads, Runtime.getRuntime().availableProcessors())));
        try (Crew crew = new Crew()) {
            int number = 0;
            for (List<Integer> partitions : TopicAdmin.deal(whole, readers)) {
                int n = number++;
                crew.start("verifier-" + n, () -> {
                    Ledger.Reader reader = ledger.reader();
                    try (ConsumerLoad consumer = new ConsumerLoad(settings.verifier(n), job.topic, partitions)) {
                        consumer.readRange(from, to, (record, received) -> reader.read(record.partition(), record.offset(), record.value()), deadline);
                    } catch (TimeoutException e) {
                        throw LoadException.run(e.getMessage());
                    }
                    partitions.forEach(ledger::readWhole);
                    return null;
                });
            }
            if (!crew.join(deadline + Clock.nanos(10))) {
                throw LoadException.run("the read back did not end in " + job.verifyTimeoutSeconds + " s");
            }
        }
    }
}
