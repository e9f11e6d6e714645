package fluxmq.load;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeoutException;

/**
 * Mode consume: create, fill, measure (read from start to end, again and again), tail. The first pass feeds the ledger, and so
 * does the tail.
 */
final class ConsumeRun extends LoadRun {
    private static final double TAIL_SECONDS = 5;
    private static final double FLUSH_GRACE_SECONDS = 30;
    private static final double CHECK_SECONDS = 0.1;

    private final List<ProducerLoad> producers = new ArrayList<>();
    private final List<Counter> received = new ArrayList<>();
    private final List<Counter> receivedBytes = new ArrayList<>();
    private final List<List<Integer>> hands;
    private final Ledger ledger;
    private final long tailLimit;
    /** Partitions 0 to checked-1 go through the ledger. */
    private int checked;
    private volatile Window tailWindow;
    private volatile long[] tailTo;

    ConsumeRun(Job job, ClientSettings settings, Events events, Path out) throws LoadException {
        super(job, settings, events, out);
        hands = TopicAdmin.deal(job.partitions, Math.min(job.threads, job.partitions));
        hands.forEach(hand -> {
            received.add(new Counter());
            receivedBytes.add(new Counter());
        });
        tailLimit = (long) Math.ceil(job.ratePerSecond * TAIL_SECONDS);
        // The tail's producer is one more.
        ledger = new Ledger(job.tag(), job.payload.valueBytes, job.threads + 1, job.partitions);
    }

    @Override
    void execute() throws LoadException, InterruptedException {
        beginPhase("create");
        try (TopicAdmin admin = new TopicAdmin(job, settings);
                Sampler sampler = new Sampler(events, latency, this::phase, () -> producers.stream().mapToLong(p -> p.sent.get()).sum(),
                        () -> producers.stream().mapToLong(p -> p.acknowledged.get()).sum(), () -> sum(received), true)) {
            admin.create(job);
            long[] from = admin.endOffsets();
            try {
                makeFillers();
                sampler.start(false);
                fill(admin, from);
                long[] to = admin.endOffsets();
                checked = choose(ledger, from, to);
                String failure = passes(sampler, from, to);
                long[] end = to;
                if (tailLimit > 0 && failure.isEmpty()) {
                    beginPhase("tail");
                    failure = tail(admin, to);
                    end = tailTo == null ? to : tailTo;
                }
                result.perSecond = sampler.finish();
                count();
                for (int p = 0; p < job.partitions; p++) {
                    ledger.range(p, from[p], end[p]);
                }
                result.ledger = ledger.settle();
                result.ledger.checked = checked > 0;
                result.ledger.failureText = failure;
            } finally {
                abort();
                producers.forEach(producer -> producer.close(Duration.ZERO));
            }
        }
    }

    @Override
    void abort() {
        super.abort();
        Window tail = tailWindow;
        if (tail != null) {
            tail.stop();
        }
    }

    private static long sum(List<Counter> counters) {
        return counters.stream().mapToLong(Counter::get).sum();
    }

    private void makeFillers() {
        for (int i = 0; i < job.threads; i++) {
            long share = ProducerLoad.Limits.share(job.fillRecords, job.threads, i);
            producers.add(new ProducerLoad(i, job, settings.filler(i), payload, Pacer.of(0, 1, 0), window, ledger.log(i), null,
                    new ProducerLoad.Limits(share, Long.MAX_VALUE), () -> { }));
            ledger.sequences(i, share);
        }
        ledger.sequences(job.threads, tailLimit);
    }

    private void fill(TopicAdmin admin, long[] from) throws LoadException, InterruptedException {
        beginPhase("fill");
        try (Crew crew = new Crew()) {
            producers.forEach(producer -> crew.start("filler-" + producer.index(), () -> {
                producer.run();
                return null;
            }));
            while (!crew.join(deadline(CHECK_SECONDS))) {
                refuseErrors();
            }
            refuseErrors();
        }
        weigh();
        long acknowledged = producers.stream().mapToLong(p -> p.acknowledged.get()).sum();
        if (admin.awaitGrowth(from, acknowledged, deadline(job.deliverTimeoutSeconds)) == 0) {
            System.err.println("end offsets had not grown by what was filled after " + job.deliverTimeoutSeconds + " s");
        }
        producers.forEach(producer -> producer.close(Duration.ZERO));
    }

    /** A topic that is not filled as asked is no ground to measure on. */
    private void refuseErrors() throws LoadException {
        for (ProducerLoad producer : producers) {
            if (producer.errors() > 0) {
                throw LoadException.run("a send failed while filling: " + producer.firstError.get());
            }
        }
    }

    private void weigh() {
        double weighted = 0;
        double weight = 0;
        for (ProducerLoad producer : producers) {
            ProducerLoad.Sending sending = producer.sending();
            if (sending.bytes() > 0 && sending.compressionRate() > 0) {
                weighted += sending.compressionRate() * sending.bytes();
                weight += sending.bytes();
            }
        }
        result.compressedRatio = weight > 0 ? weighted / weight : payload.ratio;
        result.ratioSource = weight > 0 ? "producer metric compression-rate" : "payload pool with " + payload.codec;
    }

    /** The measured part. Returns why it could not end, or nothing. */
    private String passes(Sampler sampler, long[] from, long[] to) throws LoadException, InterruptedException {
        ProcessStats.Cpu cpuAtStart = ProcessStats.cpu();
        result.windowStartUnixNs = window.open();
        beginPhase("measure");
        sampler.cut(true);
        long end = System.nanoTime() + Clock.nanos(job.measureSeconds);
        String failure = "";
        try (Crew crew = new Crew()) {
            for (int i = 0; i < hands.size(); i++) {
                int n = i;
                crew.start("consumer-" + n, () -> {
                    pass(n, from, to, end);
                    return null;
                });
            }
            crew.join(Long.MAX_VALUE);
        } catch (LoadException e) {
            failure = e.getMessage();
        }
        long now = Clock.unixNanos();
        window.stop();
        sampler.cut(false);
        result.records = sum(received);
        result.rawBytes = sum(receivedBytes);
        result.lastSendUnixNs = now;
        result.flushedUnixNs = now;
        ProcessStats.Cpu cpu = ProcessStats.cpu().since(cpuAtStart);
        result.cpuUserNs = cpu.userNs();
        result.cpuSystemNs = cpu.systemNs();
        result.clientRatePerSecond = result.records * 1e9 / (now - result.windowStartUnixNs);
        if (failure.isEmpty()) {
            result.deliveredUnixNs = now;
            result.deliveredRatePerSecond = result.clientRatePerSecond;
            events.delivered(now);
        }
        return failure;
    }

    /** One consumer's passes: the first for the ledger, the others counted only; always to the end of a pass. */
    private void pass(int n, long[] from, long[] to, long endNanoTime) throws LoadException {
        List<Integer> partitions = hands.get(n);
        Counter count = received.get(n);
        Counter bytes = receivedBytes.get(n);
        Ledger.Reader reader = ledger.reader();
        long held = partitions.stream().mapToLong(p -> to[p] - from[p]).sum();
        try (ConsumerLoad consumer = new ConsumerLoad(settings.consumer(n), job.topic, partitions)) {
            consumer.readRange(from, to, (record, receivedUnixNs) -> {
                if (record.partition() < checked) {
                    reader.read(record.partition(), record.offset(), record.value());
                }
                count.add(1);
                bytes.add(Math.max(0, record.serializedKeySize()) + Math.max(0, record.serializedValueSize()));
            }, deadline(job.verifyTimeoutSeconds));
            partitions.stream().filter(p -> p < checked).forEach(ledger::readWhole);
            while (held > 0 && System.nanoTime() < endNanoTime && window.state() != Window.STOPPED) {
                consumer.readRange(from, to, (record, receivedUnixNs) -> {
                    count.add(1);
                    bytes.add(Math.max(0, record.serializedKeySize()) + Math.max(0, record.serializedValueSize()));
                }, deadline(job.verifyTimeoutSeconds));
            }
        } catch (TimeoutException e) {
            throw LoadException.run(e.getMessage());
        }
    }

    /** One producer at the job's rate with the consumers at the end of the log. Returns why it could not end, or nothing. */
    private String tail(TopicAdmin admin, long[] from) throws LoadException, InterruptedException {
        Window open = new Window();
        tailWindow = open;
        Pacer pacer = Pacer.of(job.ratePerSecond, 1, 0);
        ProducerLoad producer = new ProducerLoad(job.threads, job, settings.producer(job.threads), payload, pacer, open, ledger.log(job.threads),
                latency.series(Latency.PRODUCE), new ProducerLoad.Limits(tailLimit, Long.MAX_VALUE), () -> { });
        producers.add(producer);
        
        try (Crew following = new Crew(); Crew sending = new Crew()) {
            for (int i = 0; i < hands.size(); i++) {
                int n = i;
                Latency.Series series = latency.series(Latency.END_TO_END);
                following.start("tail-" + n, () -> {
                    follow(n, from, series, open);
                    return null;
                });
            }
            pacer.start(open.open());
            sending.start("tail-producer", () -> {
                producer.run();
                return null;
            });
            // A rate that the broker does not keep up with ends late, but ends.
            if (!sending.join(deadline(TAIL_SECONDS + settings.deliveryTimeoutMs() / 1e3 + FLUSH_GRACE_SECONDS))) {
                return "the tail's producer did not end";
            }
            open.stop();
            long deadline = deadline(job.deliverTimeoutSeconds);
            admin.awaitGrowth(from, producer.acknowledged.get(), deadline);
            tailTo = admin.endOffsets();
            if (!following.join(deadline)) {
                return "the consumers did not reach the tail's end in " + job.deliverTimeoutSeconds + " s";
            }
        } catch (LoadException e) {
            return e.getMessage();
        }
        result.tailRecords = producer.sent.get();
        return "";
    }

    private void follow(int n, long[] from, Latency.Series series, Window open) {
        Ledger.Reader reader = ledger.reader();
        Counter count = received.get(n);
        try (ConsumerLoad consumer = new ConsumerLoad(settings.consumer(n), job.topic, hands.get(n))) {
            consumer.follow(from, (record, receivedUnixNs) -> {
                if (record.partition() < checked) {
                    reader.read(record.partition(), record.offset(), record.value());
                }
                count.add(1);
                if (Payload.carries(record.value(), job.tag())) {
                    series.record(receivedUnixNs - Payload.intendedUnixNs(record.value()));
                }
            }, () -> tailTo != null && consumer.reached(tailTo) || Thread.currentThread().isInterrupted());
        }
    }

    private void count() {
        result.acknowledged = producers.stream().mapToLong(p -> p.acknowledged.get()).sum();
        result.sendErrors = producers.stream().mapToLong(ProducerLoad::errors).sum();
        result.firstSendError = producers.stream().map(p -> p.firstError.get()).filter(e -> e != null).findFirst().orElse("");
    }
}
