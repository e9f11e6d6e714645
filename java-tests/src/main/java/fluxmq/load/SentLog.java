package fluxmq.load;

import java.util.Arrays;
import java.util.BitSet;

/**
 * What one producer knows of the records it sent: for each sequence the partition that the callback named, and whether the
 * callback reported an error. Two bytes a record.
 *
 * <p>{@link #acknowledged} is called by the client's one I/O thread; {@link #failed} by any thread; the rest is read once all
 * callbacks ran (after flush, which orders them before it).
 */
final class SentLog {
    private static final int CHUNK_BITS = 16;
    private static final int CHUNK = 1 << CHUNK_BITS;

    private short[][] chunks = new short[16][];
    // Guarded by itself.
    private final BitSet failed = new BitSet();

    /** The record of that sequence was acknowledged (acks=0: handed to the socket) for that partition. */
    void acknowledged(long sequence, int partition) {
        int chunk = (int) (sequence >>> CHUNK_BITS);
        if (chunk >= chunks.length) {
            chunks = Arrays.copyOf(chunks, Math.max(chunk + 1, chunks.length * 2));
        }
        short[] partitions = chunks[chunk];
        if (partitions == null) {
            partitions = new short[CHUNK];
            Arrays.fill(partitions, (short) Ledger.UNKNOWN_PARTITION);
            chunks[chunk] = partitions;
        }
        partitions[(int) sequence & CHUNK - 1] = (short) partition;
    }

    /** The callback of that sequence reported an error: the record may be there or not. */
    void failed(long sequence) {
        synchronized (failed) {
            failed.set(Math.toIntExact(sequence));
        }
    }

    /** The partition of an acknowledged sequence; {@link Ledger#UNKNOWN_PARTITION} when it failed, was not acknowledged, or was never sent. */
    int partition(long sequence) {
        int chunk = (int) (sequence >>> CHUNK_BITS);
        if (chunk >= chunks.length || chunks[chunk] == null) {
            return Ledger.UNKNOWN_PARTITION;
        }
        int partition = chunks[chunk][(int) sequence & CHUNK - 1] & 0xffff;
        if (partition != Ledger.UNKNOWN_PARTITION && hasFailed(sequence)) {
            return Ledger.UNKNOWN_PARTITION;
        }
        return partition;
    }

    private boolean hasFailed(long sequence) {
        synchronized (failed) {
            return failed.get((int) sequence);
        }
    }
}
