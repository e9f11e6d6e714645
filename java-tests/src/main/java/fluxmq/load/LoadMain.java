package fluxmq.load;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.utils.internals.AppInfoParser;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine;

/** The program: {@code java -jar fluxload.jar run --job job.json --out DIR}. */
@Command(name = "fluxload", mixinStandardHelpOptions = true, versionProvider = LoadMain.Version.class, subcommands = LoadMain.Run.class,
        description = "Makes load on a Kafka-compatible broker through Apache Kafka's Java client and proves what was delivered.")
public final class LoadMain implements Callable<Integer> {
    /** How long an interrupted run may take to close its clients; the process is gone then, closed or not. */
    private static final long ABORT_MS = 3_000;

    @Spec
    private CommandSpec spec;

    /** Runs the program and exits with the contract's code. */
    public static void main(String[] arguments) {
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        Ending ending = new Ending(new Events(out));
        Runtime.getRuntime().addShutdownHook(new Thread(ending::interrupted, "interrupted"));
        CommandLine line = new CommandLine(new LoadMain()).setOut(new PrintWriter(System.err, true));
        ((Run) line.getSubcommands().get("run").getCommandSpec().userObject()).ending = ending;
        ending.ended(line.execute(arguments));
    }

    @Override
    public Integer call() {
        throw new ParameterException(spec.commandLine(), "a command is missing: run");
    }

    static final class Version implements CommandLine.IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"fluxload, kafka-clients " + AppInfoParser.getVersion()};
        }
    }

    @Command(name = "run", mixinStandardHelpOptions = true, description = "Runs one job.")
    static final class Run implements Callable<Integer> {
        @Option(names = "--job", required = true, paramLabel = "FILE", description = "The job, as JSON.")
        private Path jobFile;

        @Option(names = "--out", required = true, paramLabel = "DIR", description = "Where client-result.json and latency.hlog go; made when missing.")
        private Path out;

        private Ending ending;

        @Override
        public Integer call() {
            try {
                return run();
            } catch (LoadException e) {
                System.err.println(e.getMessage());
                return e.exitCode;
            } catch (KafkaException e) {
                // Constructors of the clients wrap what their configuration refuses.
                boolean refused = e instanceof ConfigException || e.getCause() instanceof ConfigException;
                System.err.println(LoadException.describe(e));
                return refused ? LoadException.BAD_JOB : LoadException.RUN_ERROR;
            } catch (InterruptedException e) {
                return LoadException.INTERRUPTED;
            } catch (RuntimeException | OutOfMemoryError e) {
                System.err.println("the load failed: " + e);
                e.printStackTrace();
                return LoadException.RUN_ERROR;
            }
        }

        private int run() throws LoadException, InterruptedException {
            Job job = Job.read(jobFile);
            ClientSettings settings = ClientSettings.of(job);
            try {
                Files.createDirectories(out);
            } catch (IOException e) {
                throw LoadException.run("cannot make the directory " + out, e);
            }
            LoadRun run = job.consumes() ? new ConsumeRun(job, settings, ending.events, out) : new ProduceRun(job, settings, ending.events, out);
            ending.runs(run, Thread.currentThread());
            return run.run();
        }
    }

    /** Lets exactly one side end the process: the run that is over, or the signal that stops it. */
    private static final class Ending {
        final Events events;

        // Guarded by this.
        private boolean over;
        private boolean stopped;
        private LoadRun run;
        private Thread runThread;

        Ending(Events events) {
            this.events = events;
        }

        synchronized void runs(LoadRun running, Thread thread) {
            run = running;
            runThread = thread;
        }

        /** The run has ended with that code. */
        void ended(int exitCode) {
            synchronized (this) {
                if (stopped) {
                    over = true;
                    notifyAll();
                    return;
                }
                over = true;
                events.done(exitCode);
            }
            System.exit(exitCode);
        }

        /** The JVM shuts down: after {@link #ended}, or by SIGINT or SIGTERM. */
        void interrupted() {
            synchronized (this) {
                if (over) {
                    return;
                }
                stopped = true;
                if (run != null) {
                    run.abort();
                    runThread.interrupt();
                }
                long deadline = System.nanoTime() + ABORT_MS * 1_000_000;
                try {
                    for (long left = ABORT_MS; !over && run != null && left > 0; left = (deadline - System.nanoTime()) / 1_000_000) {
                        wait(left);
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                System.err.println("interrupted");
                events.done(LoadException.INTERRUPTED);
            }
            Runtime.getRuntime().halt(LoadException.INTERRUPTED);
        }
    }
}
