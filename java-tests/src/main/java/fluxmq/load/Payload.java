package fluxmq.load;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.producer.ProducerConfig;

/**
 * The values and keys of a run. A value is a header that lets every record be recognised and checked, and a body from a
 * seeded pool whose compressibility was calibrated with the job's own codec. Big-endian:
 *
 * <pre>
 *  0  4  magic "FXM1"
 *  4  8  run tag
 * 12  4  producer
 * 16  8  sequence
 * 24  8  intended send time, Unix ns
 * 32  4  CRC-32C of bytes 0..31 and 36..end
 * 36  …  body
 * </pre>
 *
 * The pool is read-only once built; each thread writes through its own {@link Writer}.
 */
final class Payload {
    static final int HEADER_BYTES = 36;

    static final int MAGIC = 0x46584d31;
    static final int TAG_AT = 4;
    static final int PRODUCER_AT = 12;
    static final int SEQUENCE_AT = 16;
    static final int INTENDED_AT = 24;
    static final int CRC_AT = 32;

    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

    private static final int BODIES = 1024;
    /** Bodies of large values are fewer, so that the pool stays below this; 8 at least. */
    private static final long MAX_POOL_BYTES = 64L << 20;
    private static final int BLOCK_BYTES = 64 << 10;
    private static final int BLOCKS = 16;
    private static final int PHRASES = 64;
    private static final int PHRASE_BYTES = 48;
    private static final double CLOSE_ENOUGH = 0.002;
    /** A pool further than this from the wanted ratio is told to the person who runs it. */
    static final double TOLERANCE = 0.02;

    private final int valueBytes;
    private final long tag;
    private final long seed;
    private final byte[][] bodies;
    private final byte[][] keys;
    /** Compressed/raw of 64 KiB blocks of encoded values with the job's codec. */
    final double ratio;
    final String codec;

    private Payload(Job job, byte[][] bodies, byte[][] keys, double ratio, String codec) {
        this.valueBytes = job.payload.valueBytes;
        this.tag = job.tag();
        this.seed = job.payload.seedBits();
        this.bodies = bodies;
        this.keys = keys;
        this.ratio = ratio;
        this.codec = codec;
    }

    /**
     * Builds and calibrates the pool. Each body begins with random bytes and ends with text from a small dictionary; the
     * share of the random part is found by bisection. A ratio that the header alone exceeds is not reached: see {@link #ratio}.
     */
    static Payload build(Job job) throws IOException {
        int bodyBytes = job.payload.valueBytes - HEADER_BYTES;
        Codec codec = Codec.of(job.producer);
        int count = count(job, codec);
        SplittableRandom random = new SplittableRandom(job.payload.seedBits());
        byte[][] noise = new byte[count][bodyBytes];
        byte[][] text = texts(random, count, bodyBytes);
        for (byte[] body : noise) {
            random.nextBytes(body);
        }
        // No wish (0) and 1 both mean incompressible.
        double wanted = job.payload.compressedRatio == 0 ? 1 : job.payload.compressedRatio;
        // Only so many bodies are weighed as the blocks hold.
        int weighed = Math.min(count, BLOCKS * BLOCK_BYTES / job.payload.valueBytes + 1);
        double share = 1;
        double reached = weigh(job, mix(noise, text, share, weighed), codec);
        double low = 0;
        double high = reached > wanted ? 1 : 0;
        for (int step = 0; high > 0 && step < 16 && Math.abs(reached - wanted) > CLOSE_ENOUGH; step++) {
            share = (low + high) / 2;
            reached = weigh(job, mix(noise, text, share, weighed), codec);
            if (reached > wanted) {
                high = share;
            } else {
                low = share;
            }
        }
        return new Payload(job, mix(noise, text, share, count), keys(job.payload.keySpread), reached, codec.name);
    }

    /**
     * How many bodies the pool has. zstd looks back over a whole batch: the pool then holds more than one
     * batch does, or their repetition would be compressed away.
     */
    private static int count(Job job, Codec codec) {
        long wanted = BODIES;
        if (codec.name.equals("zstd")) {
            wanted = Math.max(wanted, 3L * batchBytes(job.producer) / (2L * job.payload.valueBytes));
        }
        return (int) Math.max(8, Math.min(wanted, MAX_POOL_BYTES / job.payload.valueBytes));
    }

    private static int batchBytes(Map<String, String> producer) {
        String given = producer.get(ProducerConfig.BATCH_SIZE_CONFIG);
        return given == null ? (Integer) ProducerConfig.configDef().defaultValues().get(ProducerConfig.BATCH_SIZE_CONFIG) : Integer.parseInt(given.trim());
    }

    private static byte[][] texts(SplittableRandom random, int count, int bodyBytes) {
        byte[][] phrases = new byte[PHRASES][PHRASE_BYTES];
        for (byte[] phrase : phrases) {
            for (int i = 0; i < phrase.length; i++) {
                phrase[i] = (byte) (random.nextInt(7) == 0 ? ' ' : 'a' + random.nextInt(26));
            }
        }
        byte[][] texts = new byte[count][bodyBytes];
        for (byte[] text : texts) {
            for (int at = 0; at < bodyBytes; at += PHRASE_BYTES) {
                System.arraycopy(phrases[random.nextInt(PHRASES)], 0, text, at, Math.min(PHRASE_BYTES, bodyBytes - at));
            }
        }
        return texts;
    }

    /** The first count bodies with that share of noise. */
    private static byte[][] mix(byte[][] noise, byte[][] text, double share, int count) {
        byte[][] bodies = new byte[count][];
        for (int i = 0; i < count; i++) {
            bodies[i] = text[i].clone();
            System.arraycopy(noise[i], 0, bodies[i], 0, (int) Math.round(share * bodies[i].length));
        }
        return bodies;
    }

    private static byte[][] keys(int spread) {
        byte[][] keys = new byte[spread][];
        for (int i = 0; i < spread; i++) {
            keys[i] = key(i);
        }
        return keys;
    }

    static byte[] key(int n) {
        return String.format("key-%08d", n).getBytes(StandardCharsets.US_ASCII);
    }

    /** Compressed/raw over blocks of encoded values, with sequences and times as one busy producer gives them. */
    private static double weigh(Job job, byte[][] bodies, Codec codec) throws IOException {
        Writer writer = new Payload(job, bodies, new byte[0][], 0, codec.name).writer(0);
        SplittableRandom random = new SplittableRandom(job.payload.seedBits());
        long intended = 1_790_000_000_000_000_000L;
        long sequence = 0;
        byte[] block = new byte[BLOCK_BYTES];
        int filled = 0;
        int valueAt = writer.value.length;
        long raw = 0;
        long compressed = 0;
        for (int blocks = 0; blocks < BLOCKS; ) {
            if (valueAt == writer.value.length) {
                intended += 500 + random.nextInt(1000);
                writer.encode(sequence++, intended);
                valueAt = 0;
            }
            int part = Math.min(block.length - filled, writer.value.length - valueAt);
            System.arraycopy(writer.value, valueAt, block, filled, part);
            valueAt += part;
            filled += part;
            if (filled == block.length) {
                compressed += codec.compressedBytes(block, filled);
                raw += filled;
                filled = 0;
                blocks++;
            }
        }
        return (double) compressed / raw;
    }

    /** The writer of one thread. */
    Writer writer(int producer) {
        return new Writer(producer);
    }

    /** Encodes the records of one producer into one array that is used again for every record. One thread only. */
    final class Writer {
        final byte[] value = new byte[valueBytes];
        private final CRC32C crc = new CRC32C();
        private final SplittableRandom keyChoice;
        /** The next body; producers begin at different ones. */
        private int next;

        private Writer(int producer) {
            INT.set(value, 0, MAGIC);
            LONG.set(value, TAG_AT, tag);
            INT.set(value, PRODUCER_AT, producer);
            keyChoice = new SplittableRandom(seed ^ (producer + 1) * 0x9e3779b97f4a7c15L);
            next = (int) (producer * 131L % bodies.length);
        }

        /** Encodes the value of one record; {@link #value} holds it until the next call. */
        void encode(long sequence, long intendedUnixNs) {
            byte[] body = bodies[next];
            next = next + 1 == bodies.length ? 0 : next + 1;
            LONG.set(value, SEQUENCE_AT, sequence);
            LONG.set(value, INTENDED_AT, intendedUnixNs);
            System.arraycopy(body, 0, value, HEADER_BYTES, body.length);
            INT.set(value, CRC_AT, checksum(crc, value));
        }

        /** The next record's key, shared and not to be changed; null when the job wants none. */
        byte[] key() {
            return keys.length == 0 ? null : keys[keyChoice.nextInt(keys.length)];
        }
    }

    private static int checksum(CRC32C crc, byte[] value) {
        crc.reset();
        crc.update(value, 0, CRC_AT);
        crc.update(value, HEADER_BYTES, value.length - HEADER_BYTES);
        return (int) crc.getValue();
    }

    /** True when the value is one of ours, of whichever run, and undamaged. crc is the calling thread's own. */
    static boolean intact(byte[] value, CRC32C crc) {
        return value != null && value.length >= HEADER_BYTES && (int) INT.get(value, 0) == MAGIC && (int) INT.get(value, CRC_AT) == checksum(crc, value);
    }

    /** True when the value carries a header with that tag; damage of the body is not looked for. */
    static boolean carries(byte[] value, long tag) {
        return value != null && value.length >= HEADER_BYTES && (int) INT.get(value, 0) == MAGIC && tag(value) == tag;
    }

    static long tag(byte[] value) {
        return (long) LONG.get(value, TAG_AT);
    }

    static int producer(byte[] value) {
        return (int) INT.get(value, PRODUCER_AT);
    }

    static long sequence(byte[] value) {
        return (long) LONG.get(value, SEQUENCE_AT);
    }

    static long intendedUnixNs(byte[] value) {
        return (long) LONG.get(value, INTENDED_AT);
    }
}
