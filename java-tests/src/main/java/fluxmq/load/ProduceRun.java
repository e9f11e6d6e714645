package fluxmq.load;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.ToLongFunction;

/** Mode produce: create, warm-up, measure, flush, deliver, verify. */
final class ProduceRun extends LoadRun {
    /** Beyond delivery.timeout.ms a client has answered for every record; this is what is added before a run gives up on it. */
    private static final double FLUSH_GRACE_SECONDS = 30;

    private final List<ProducerLoad> producers = new ArrayList<>();
    private final List<ConsumerLoad> consumers = new ArrayList<>();
    private final List<Counter> received = new ArrayList<>();
    private final CountDownLatch sending;
    private final Ledger ledger;
    private ProcessStats.Cpu cpuAtStart;
    private volatile long[] followTo;
    private volatile long followDeadline = Long.MAX_VALUE;

    ProduceRun(Job job, ClientSettings settings, Events events, Path out) throws LoadException {
        super(job, settings, events, out);
        sending = new CountDownLatch(job.threads);
        ledger = new Ledger(job.tag(), job.payload.valueBytes, job.threads, job.partitions);
    }

    @Override
    void execute() throws LoadException, InterruptedException {
        beginPhase("create");
        try (TopicAdmin admin = new TopicAdmin(job, settings)) {
            admin.create(job);
            long[] from = admin.endOffsets();
            try {
                load(admin, from);
            } finally {
                abort();
                producers.forEach(producer -> producer.close(Duration.ZERO));
            }
            checkDelivery(admin, from);
        }
    }

    /** From the first send to the moment of delivery. */
    private void load(TopicAdmin admin, long[] from) throws LoadException, InterruptedException {
        List<Pacer> pacers = new ArrayList<>();
        for (int i = 0; i < job.threads; i++) {
            Pacer pacer = Pacer.of(job.ratePerSecond, job.threads, i);
            pacers.add(pacer);
            long inWindow = job.measureRecords > 0 ? ProducerLoad.Limits.share(job.measureRecords, job.threads, i) : Long.MAX_VALUE;
            producers.add(new ProducerLoad(i, job, settings.producer(i), payload, pacer, window, ledger.log(i), latency.series(Latency.PRODUCE),
                    new ProducerLoad.Limits(Long.MAX_VALUE, inWindow), sending::countDown));
        }
        try (Crew following = new Crew(); Crew crew = new Crew();
                Sampler sampler = new Sampler(events, latency, this::phase, () -> sum(p -> p.sent.get()), () -> sum(p -> p.acknowledged.get()),
                        () -> received.stream().mapToLong(Counter::get).sum(), false)) {
            if (job.endToEnd) {
                follow(following, from);
            }
            boolean warm = job.warmUp.maxSeconds > 0;
            if (warm) {
                beginPhase("warm-up");
            } else {
                openWindow();
            }
            long began = warm ? Clock.unixNanos() : result.windowStartUnixNs;
            pacers.forEach(pacer -> pacer.start(began));
            sampler.start(!warm);
            producers.forEach(producer -> crew.start("producer-" + producer.index(), () -> {
                producer.run();
                return null;
            }));
            List<ProducerLoad.Sending> before = new ArrayList<>();
            if (warm) {
                warmUp(crew);
                producers.forEach(producer -> before.add(producer.sending()));
                openWindow();
                sampler.cut(true);
            }
            measure(crew);
            sampler.cut(false);
            beginPhase("flush");
            if (!crew.join(deadline(settings.deliveryTimeoutMs() / 1e3 + FLUSH_GRACE_SECONDS))) {
                throw LoadException.run("flush did not end " + FLUSH_GRACE_SECONDS + " s after delivery.timeout.ms");
            }
            result.lastSendUnixNs = producers.stream().mapToLong(ProducerLoad::lastSendUnixNs).max().orElse(0);
            result.flushedUnixNs = producers.stream().mapToLong(ProducerLoad::flushedUnixNs).max().orElse(0);
            deliver(admin, from);
            if (job.endToEnd) {
                endFollowing(admin, following);
            }
            result.perSecond = sampler.finish();
            weigh(before);
        }
    }

    private long sum(ToLongFunction<ProducerLoad> count) {
        return producers.stream().mapToLong(count).sum();
    }

    private void openWindow() {
        cpuAtStart = ProcessStats.cpu();
        result.windowStartUnixNs = window.open();
        beginPhase("measure");
    }

    private void warmUp(Crew crew) throws LoadException, InterruptedException {
        SteadyState steady = new SteadyState(job.warmUp.windowBuckets, job.warmUp.tolerance);
        long began = System.nanoTime();
        long bucketNs = job.warmUp.bucketMillis * 1_000_000L;
        long from = began;
        long counted = 0;
        result.warmUp.reason = "max_seconds reached";
        while (System.nanoTime() - began < Clock.nanos(job.warmUp.maxSeconds)) {
            if (crew.join(Math.min(from + bucketNs, began + Clock.nanos(job.warmUp.maxSeconds)))) {
                throw LoadException.run("the producers stopped while warming up");
            }
            long now = System.nanoTime();
            if (now - from < bucketNs) {
                continue;
            }
            long acknowledged = sum(p -> p.acknowledged.get());
            double rate = (acknowledged - counted) * 1e9 / (now - from);
            counted = acknowledged;
            from = now;
            result.warmUp.bucketRatesPerSecond.add(rate);
            if (steady.add(rate) && now - began >= Clock.nanos(job.warmUp.minSeconds)) {
                result.warmUp.steady = true;
                result.warmUp.reason = "steady";
                break;
            }
        }
        result.warmUp.seconds = (System.nanoTime() - began) / 1e9;
    }

    /** Waits for the end of the window, and for the last send of every producer. */
    private void measure(Crew crew) throws LoadException, InterruptedException {
        long end = job.measureRecords > 0 ? Long.MAX_VALUE : result.windowStartUnixNs + Clock.nanos(job.measureSeconds);
        boolean ended = false;
        while (!ended && Clock.unixNanos() < end) {
            ended = sending.await(Math.max(1, Math.min(end - Clock.unixNanos(), 100_000_000L)), TimeUnit.NANOSECONDS);
            crew.join(System.nanoTime());
        }
        window.stop();
        while (!sending.await(100, TimeUnit.MILLISECONDS)) {
            crew.join(System.nanoTime());
        }
        crew.join(System.nanoTime());
    }

    private void deliver(TopicAdmin admin, long[] from) throws InterruptedException {
        beginPhase("deliver");
        result.acknowledged = sum(p -> p.acknowledged.get());
        result.sendErrors = sum(ProducerLoad::errors);
        result.firstSendError = producers.stream().map(p -> p.firstError.get()).filter(e -> e != null).findFirst().orElse("");
        result.records = sum(p -> p.windowRecords.get());
        result.rawBytes = sum(p -> p.windowBytes.get());
        result.warmUpRecords = sum(p -> p.sent.get()) - result.records;
        try {
            result.deliveredUnixNs = admin.awaitGrowth(from, result.acknowledged, deadline(job.deliverTimeoutSeconds));
        } catch (LoadException e) {
            System.err.println(e.getMessage());
        }
        ProcessStats.Cpu cpu = ProcessStats.cpu().since(cpuAtStart);
        result.cpuUserNs = cpu.userNs();
        result.cpuSystemNs = cpu.systemNs();
        result.clientRatePerSecond = rate(result.lastSendUnixNs);
        if (result.deliveredUnixNs > 0) {
            events.delivered(result.deliveredUnixNs);
            result.deliveredRatePerSecond = rate(result.deliveredUnixNs);
        }
    }

    private double rate(long endUnixNs) {
        return endUnixNs > result.windowStartUnixNs ? result.records * 1e9 / (endUnixNs - result.windowStartUnixNs) : 0;
    }

    /** Consumers beside the producers, for the time from intended send to reception. */
    private void follow(Crew crew, long[] from) {
        int number = 0;
        for (List<Integer> partitions : TopicAdmin.deal(job.partitions, Math.min(job.threads, job.partitions))) {
            Latency.Series series = latency.series(Latency.END_TO_END);
            Counter count = new Counter();
            received.add(count);
            int n = number++;
            crew.start("consumer-" + n, () -> {
                try (ConsumerLoad consumer = new ConsumerLoad(settings.consumer(n), job.topic, partitions)) {
                    consumer.follow(from, (record, receivedUnixNs) -> {
                        if (Payload.carries(record.value(), job.tag())) {
                            count.add(1);
                            long intended = Payload.intendedUnixNs(record.value());
                            if (window.holds(intended)) {
                                series.record(receivedUnixNs - intended);
                            }
                        }
                    }, () -> {
                        long[] to = followTo;
                        return to != null && consumer.reached(to) || System.nanoTime() >= followDeadline;
                    });
                }
                return null;
            });
        }
    }

    private void endFollowing(TopicAdmin admin, Crew following) throws LoadException, InterruptedException {
        long deadline = deadline(job.deliverTimeoutSeconds);
        followDeadline = deadline;
        followTo = admin.endOffsets(deadline);
        if (!following.join(deadline + Clock.nanos(2))) {
            throw LoadException.run("the consumers beside the load did not reach the end in " + job.deliverTimeoutSeconds + " s");
        }
    }

    /** Compression and batches, as the clients' metrics tell; the pool's ratio where they do not. */
    private void weigh(List<ProducerLoad.Sending> before) {
        double weighted = 0;
        double weight = 0;
        double batches = 0;
        for (ProducerLoad producer : producers) {
            ProducerLoad.Sending sending = producer.sending();
            double bytes = sending.bytes() - (before.isEmpty() ? 0 : before.get(producer.index()).bytes());
            if (bytes > 0 && sending.compressionRate() > 0) {
                weighted += sending.compressionRate() * bytes;
                weight += bytes;
            }
            if (bytes > 0 && sending.batchBytes() > 0) {
                batches += bytes / sending.batchBytes();
            }
        }
        result.compressedRatio = weight > 0 ? weighted / weight : payload.ratio;
        result.ratioSource = weight > 0 ? "producer metric compression-rate" : "payload pool with " + payload.codec;
        result.batches = Math.round(batches);
    }

    private void checkDelivery(TopicAdmin admin, long[] from) throws LoadException, InterruptedException {
        if (job.verifyFraction == 0) {
            return;
        }
        beginPhase("verify");
        producers.forEach(producer -> ledger.sequences(producer.index(), producer.sent.get()));
        long[] to;
        try {
            to = admin.endOffsets();
        } catch (LoadException e) {
            result.ledger.failureText = e.getMessage();
            return;
        }
        verify(ledger, from, to);
    }
}
