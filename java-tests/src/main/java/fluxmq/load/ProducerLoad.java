package fluxmq.load;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;

/**
 * One producer: its own KafkaProducer, thread, sequence and histogram. The thread sends until the window stops or a limit
 * is reached, then flushes.
 *
 * <p>{@link #run} is for the one thread; the counts may be read by any; times and sequence once the thread has ended.
 */
final class ProducerLoad implements Runnable {
    private final int index;
    private final String topic;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Payload.Writer payload;
    private final Pacer pacer;
    private final Window window;
    private final SentLog log;
    private final Latency.Series latency;
    private final Limits limits;
    private final Runnable sendingEnded;

    /** Sends begun. */
    final Counter sent = new Counter();
    /** Callbacks without an error. */
    final Counter acknowledged = new Counter();
    /** Sends begun in the window, and the bytes of their keys and values. */
    final Counter windowRecords = new Counter();
    final Counter windowBytes = new Counter();
    final AtomicReference<String> firstError = new AtomicReference<>();
    private final LongAdder errors = new LongAdder();

    private volatile long lastSendUnixNs;
    private volatile long flushedUnixNs;

    /** How many records a producer sends: in all, and in the window. Long.MAX_VALUE is no limit. */
    record Limits(long all, long inWindow) {
        static final Limits NONE = new Limits(Long.MAX_VALUE, Long.MAX_VALUE);

        /** The share of one of threads in a number of records. */
        static long share(long records, int threads, int thread) {
            return records / threads + (thread < records % threads ? 1 : 0);
        }
    }

    /** latency may be null: nothing is recorded. sendingEnded is called by the thread after its last send, before it flushes. */
    ProducerLoad(int index, Job job, Map<String, Object> properties, Payload payload, Pacer pacer, Window window, SentLog log, Latency.Series latency,
            Limits limits, Runnable sendingEnded) {
        this.index = index;
        this.topic = job.topic;
        this.producer = new KafkaProducer<>(properties);
        this.payload = payload.writer(index);
        this.pacer = pacer;
        this.window = window;
        this.log = log;
        this.latency = latency;
        this.limits = limits;
        this.sendingEnded = sendingEnded;
    }

    @Override
    public void run() {
        boolean ended = false;
        try {
            send();
            lastSendUnixNs = Clock.unixNanos();
            ended = true;
            sendingEnded.run();
            producer.flush();
            flushedUnixNs = Clock.unixNanos();
        } finally {
            if (!ended) {
                sendingEnded.run();
            }
        }
    }

    private void send() {
        // send() copies key and value into the batch before it returns, so one array serves every record; were that to change,
        // the checksums would tell.
        byte[] value = payload.value;
        ProducerRecord<byte[], byte[]> keyless = new ProducerRecord<>(topic, value);
        long sequence = 0;
        long inWindow = 0;
        long bytes = 0;
        for (; sequence < limits.all; sequence++) {
            long intended = 0;
            if (!pacer.closedLoop()) {
                intended = pacer.intendedUnixNs(sequence);
                Pacer.await(intended, window);
            }
            int state = window.state();
            if (state == Window.STOPPED) {
                break;
            }
            boolean measured = state == Window.MEASURING;
            if (measured && inWindow == limits.inWindow) {
                break;
            }
            if (pacer.closedLoop()) {
                intended = Clock.unixNanos();
            }
            payload.encode(sequence, intended);
            byte[] key = payload.key();
            sent.set(sequence + 1);
            if (measured) {
                inWindow++;
                bytes += value.length + (key == null ? 0 : key.length);
                windowRecords.set(inWindow);
                windowBytes.set(bytes);
            }
            Sent callback = new Sent(sequence, measured ? intended : -1);
            try {
                producer.send(key == null ? keyless : new ProducerRecord<>(topic, key, value), callback);
            } catch (RuntimeException e) {
                callback.onCompletion(null, e);
                throw e;
            }
        }
    }

    /** The callback of one record. */
    private final class Sent implements Callback {
        private final long sequence;
        /** Unix ns, -1 for a record outside of the window, whose latency is not recorded. */
        private final long intendedUnixNs;

        Sent(long sequence, long intendedUnixNs) {
            this.sequence = sequence;
            this.intendedUnixNs = intendedUnixNs;
        }

        @Override
        public void onCompletion(RecordMetadata metadata, Exception failure) {
            if (failure != null) {
                log.failed(sequence);
                errors.increment();
                firstError.compareAndSet(null, LoadException.describe(failure));
                return;
            }
            log.acknowledged(sequence, metadata.partition());
            if (intendedUnixNs >= 0 && latency != null) {
                latency.record(Clock.unixNanos() - intendedUnixNs);
            }
            acknowledged.add(1);
        }
    }

    int index() {
        return index;
    }

    /** Callbacks with an error. */
    long errors() {
        return errors.sum();
    }

    /** When the last send() returned, Unix ns; 0 before. */
    long lastSendUnixNs() {
        return lastSendUnixNs;
    }

    /** When flush() returned, Unix ns; 0 before. */
    long flushedUnixNs() {
        return flushedUnixNs;
    }

    /** What the client's own metrics say of the topic so far. Any thread; costs a walk over all metrics. */
    Sending sending() {
        double rate = Double.NaN;
        double bytes = 0;
        double batchBytes = Double.NaN;
        for (Map.Entry<MetricName, ? extends Metric> entry : producer.metrics().entrySet()) {
            MetricName name = entry.getKey();
            if (name.group().equals("producer-topic-metrics") && topic.equals(name.tags().get("topic"))) {
                rate = name.name().equals("compression-rate") ? number(entry.getValue()) : rate;
                bytes = name.name().equals("byte-total") ? number(entry.getValue()) : bytes;
            } else if (name.group().equals("producer-metrics") && name.name().equals("batch-size-avg")) {
                batchBytes = number(entry.getValue());
            }
        }
        return new Sending(rate, bytes, batchBytes);
    }

    private static double number(Metric metric) {
        return metric.metricValue() instanceof Double value ? value : Double.NaN;
    }

    /** compressionRate: mean compressed/raw of recent batches; NaN before the first. bytes: batch bytes sent. batchBytes: mean size of recent batches. */
    record Sending(double compressionRate, double bytes, double batchBytes) {}

    /** Closes the client: waits at most that long for what it still holds. */
    void close(Duration atMost) {
        producer.close(atMost);
    }
}
