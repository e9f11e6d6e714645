package fluxmq.load;

import fluxmq.load.ClientResult.Finding;
import fluxmq.load.ClientResult.LedgerResult;
import fluxmq.load.ClientResult.PartitionLedger;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32C;

/**
 * What was sent against what was read back: lost, duplicated, reordered and corrupt records, per partition, with their places.
 *
 * <p>Sending fills one {@link SentLog} a producer. Reading goes through {@link Reader}s: one per reading thread, each partition
 * read by one of them at a time, in offset order. {@link #settle} compares, once both have ended.
 */
final class Ledger {
    /** Partition of a record whose callback did not name one. */
    static final int UNKNOWN_PARTITION = 65535;
    /** At most so many findings leave the ledger. */
    static final int MAX_FINDINGS = 100;

    /** Findings kept per kind and partition while reading. */
    private static final int MAX_PER_PLACE = 20;
    private static final VarHandle PLACES = MethodHandles.arrayElementVarHandle(int[].class);

    private final long tag;
    private final int valueBytes;
    private final Sent[] sent;
    private final Part[] parts;

    /** One producer: its log, and for each sequence where it was first read: offset - start offset + 1, 0 before. */
    private static final class Sent {
        final SentLog log = new SentLog();
        int[] readAt = new int[0];
    }

    /** One partition as read. Written by its reader. */
    private static final class Part {
        final PartitionLedger counts = new PartitionLedger();
        /** Per producer, the highest sequence read so far; -1 before the first. */
        final long[] highest;
        final List<Finding> findings = new ArrayList<>();
        long foreign;
        /** Belongs to the sample that is read back. */
        boolean chosen;
        boolean read;
        /** The offset behind the last record of the newest finding: a record here may belong to the same broken batch. */
        long runsOnAt = -1;

        Part(int partition, int producers) {
            counts.partition = partition;
            highest = new long[producers];
            Arrays.fill(highest, -1);
        }

        boolean roomFor(String kind) {
            return findings.stream().filter(f -> f.kind.equals(kind)).count() < MAX_PER_PLACE;
        }
    }

    /** A ledger for records of that tag and value size. */
    Ledger(long tag, int valueBytes, int producers, int partitions) {
        this.tag = tag;
        this.valueBytes = valueBytes;
        sent = new Sent[producers];
        for (int i = 0; i < producers; i++) {
            sent[i] = new Sent();
        }
        parts = new Part[partitions];
        for (int i = 0; i < partitions; i++) {
            parts[i] = new Part(i, producers);
        }
    }

    /** Where producer notes its callbacks. */
    SentLog log(int producer) {
        return sent[producer].log;
    }

    /** Says that producer used the sequences below that bound; needed before its records are read. */
    void sequences(int producer, long bound) {
        sent[producer].readAt = new int[Math.toIntExact(bound)];
    }

    /** The range of a partition that belongs to the run; needed before it is read, and again when its end has grown. */
    void range(int partition, long startOffset, long endOffset) {
        parts[partition].counts.startOffset = startOffset;
        parts[partition].counts.endOffset = endOffset;
    }

    /** Says that a partition belongs to the sample that is read back. */
    void choose(int partition) {
        parts[partition].chosen = true;
    }

    /** Says that a partition was read from its start to its end, so that what is missing in it is lost. */
    void readWhole(int partition) {
        parts[partition].read = true;
    }

    /** A reader for one thread. */
    Reader reader() {
        return new Reader();
    }

    /** Checks records as they are read; one thread, partitions that no other thread reads meanwhile. */
    final class Reader {
        private final CRC32C crc = new CRC32C();

        /** Checks the record at that place. */
        void read(int partition, long offset, byte[] value) {
            Part part = parts[partition];
            boolean intact = Payload.intact(value, crc);
            if (intact && Payload.tag(value) != tag) {
                part.foreign++;
                return;
            }
            part.counts.read++;
            if (!intact || value.length != valueBytes || !used(Payload.producer(value), Payload.sequence(value))) {
                part.counts.corrupt++;
                note(part, "corrupt", offset, 0, 0, 0);
                return;
            }
            int producer = Payload.producer(value);
            long sequence = Payload.sequence(value);
            int place = (int) (offset - part.counts.startOffset + 1);
            int first = (int) PLACES.compareAndExchange(sent[producer].readAt, (int) sequence, 0, place);
            if (first != 0) {
                part.counts.duplicated++;
                note(part, "duplicated", offset, producer, sequence, firstOffset(part, producer, sequence, first));
            } else if (sequence < part.highest[producer]) {
                part.counts.reordered++;
                note(part, "reordered", offset, producer, sequence, 0);
            } else {
                part.highest[producer] = sequence;
            }
        }

        private boolean used(int producer, long sequence) {
            return producer >= 0 && producer < sent.length && sequence >= 0 && sequence < sent[producer].readAt.length;
        }

        /** Where the first copy lies: in the partition that the callback named, or else in this one. */
        private long firstOffset(Part here, int producer, long sequence, int place) {
            int acknowledged = sent[producer].log.partition(sequence);
            return (acknowledged < parts.length ? parts[acknowledged] : here).counts.startOffset + Integer.toUnsignedLong(place) - 1;
        }
    }

    /** Adds to the newest finding when the record is of the same kind and producer and follows it, as the records of a batch do. */
    private static void note(Part part, String kind, long offset, int producer, long sequence, long firstOffset) {
        Finding newest = part.findings.isEmpty() ? null : part.findings.get(part.findings.size() - 1);
        boolean follows = newest != null && newest.kind.equals(kind) && offset == part.runsOnAt && switch (kind) {
            case "corrupt" -> true;
            case "duplicated" -> newest.producer == producer && sequence > newest.lastSequence && newest.firstOffset + newest.count == firstOffset;
            default -> newest.producer == producer && sequence > newest.lastSequence;
        };
        if (follows) {
            newest.lastSequence = sequence;
            newest.count++;
            part.runsOnAt = offset + 1;
        } else if (part.roomFor(kind)) {
            Finding finding = finding(kind, part.counts.partition, offset, producer, sequence);
            finding.firstOffset = firstOffset;
            part.findings.add(finding);
            part.runsOnAt = offset + 1;
        }
    }

    private static Finding finding(String kind, int partition, long offset, int producer, long sequence) {
        Finding finding = new Finding();
        finding.kind = kind;
        finding.partition = partition;
        finding.offset = offset;
        finding.producer = Integer.toUnsignedLong(producer);
        finding.firstSequence = sequence;
        finding.lastSequence = sequence;
        finding.count = 1;
        return finding;
    }

    /**
     * Compares what was acknowledged with what was read, in the partitions that were read whole. Call it once, after the last
     * callback and the last read.
     */
    LedgerResult settle() {
        LedgerResult result = new LedgerResult();
        result.checked = true;
        for (int producer = 0; producer < sent.length; producer++) {
            settle(producer, result);
        }
        List<Finding> found = new ArrayList<>();
        result.complete = true;
        for (Part part : parts) {
            PartitionLedger counts = part.counts;
            result.complete &= part.read;
            result.read += counts.read;
            result.lost += counts.lost;
            result.duplicated += counts.duplicated;
            result.reordered += counts.reordered;
            result.corrupt += counts.corrupt;
            result.foreign += part.foreign;
            result.partitions.add(counts);
            found.addAll(part.findings);
        }
        result.findings = firstOfEach(found);
        return result;
    }

    /** Finds what one producer sent without error and nobody read. Losses with no read record between them, in their partition, are one finding. */
    private void settle(int producer, LedgerResult result) {
        Sent of = sent[producer];
        Finding[] open = new Finding[parts.length];
        long[] lastOffset = new long[parts.length];
        Arrays.fill(lastOffset, -1);
        for (int sequence = 0; sequence < of.readAt.length; sequence++) {
            int partition = of.log.partition(sequence);
            if (partition >= parts.length) {
                continue;
            }
            Part part = parts[partition];
            part.counts.sent++;
            result.expected += part.chosen ? 1 : 0;
            int place = of.readAt[sequence];
            if (place != 0) {
                lastOffset[partition] = part.counts.startOffset + Integer.toUnsignedLong(place) - 1;
                open[partition] = null;
                continue;
            }
            if (!part.read) {
                continue;
            }
            part.counts.lost++;
            if (open[partition] != null) {
                open[partition].lastSequence = sequence;
                open[partition].count++;
                continue;
            }
            open[partition] = finding("lost", partition, lastOffset[partition], producer, sequence);
            if (part.roomFor("lost")) {
                part.findings.add(open[partition]);
            }
        }
    }

    /** At most {@link #MAX_FINDINGS}: the first of each kind and partition first, then the others in their order. */
    private static List<Finding> firstOfEach(List<Finding> found) {
        Set<String> places = new LinkedHashSet<>();
        List<Finding> first = new ArrayList<>();
        List<Finding> others = new ArrayList<>();
        for (Finding finding : found) {
            (places.add(finding.kind + finding.partition) ? first : others).add(finding);
        }
        first.sort(Comparator.comparingInt(f -> List.of("lost", "duplicated", "reordered", "corrupt").indexOf(f.kind)));
        first.addAll(others);
        return new ArrayList<>(first.subList(0, Math.min(first.size(), MAX_FINDINGS)));
    }
}
