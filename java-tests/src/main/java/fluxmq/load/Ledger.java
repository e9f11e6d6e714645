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
    private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);

    private final long tag;
    private final int valueBytes;
    private final Sent[] sent;
    private final Part[] parts;

    /** One producer: its log, how many sequences it used, and a bit for each that was read back. */
    private static final class Sent {
        final SentLog log = new SentLog();
        long sequences;
        long[] seen = new long[0];
    }

    /** One partition as read. Written by its reader. */
    private static final class Part {
        final PartitionLedger counts = new PartitionLedger();
        /** Per producer, the highest sequence read so far; -1 before the first. */
        final long[] highest;
        final List<Finding> findings = new ArrayList<>();
        long foreign;
        boolean read;
        /** The offset behind the last record of the newest finding: a record here may belong to the same broken batch. */
        long runsOnAt = -1;

        Part(int partition, int producers) {
            counts.partition = partition;
            highest = new long[producers];
            Arrays.fill(highest, -1);
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
        sent[producer].sequences = bound;
        sent[producer].seen = new long[Math.toIntExact((bound + 63) >>> 6)];
    }

    /** The range of a partition that belongs to the run. */
    void range(int partition, long startOffset, long endOffset) {
        parts[partition].counts.startOffset = startOffset;
        parts[partition].counts.endOffset = endOffset;
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
            if (!Payload.intact(value, crc)) {
                part.counts.corrupt++;
                note(part, "corrupt", offset, 0, 0);
                return;
            }
            if (Payload.tag(value) != tag) {
                part.foreign++;
                return;
            }
            int producer = Payload.producer(value);
            long sequence = Payload.sequence(value);
            if (value.length != valueBytes || producer < 0 || producer >= sent.length || sequence < 0 || sequence >= sent[producer].sequences) {
                part.counts.corrupt++;
                note(part, "corrupt", offset, producer, sequence);
                return;
            }
            part.counts.read++;
            long bit = 1L << sequence;
            boolean again = ((long) WORDS.getAndBitwiseOr(sent[producer].seen, (int) (sequence >>> 6), bit) & bit) != 0;
            if (again) {
                part.counts.duplicated++;
                note(part, "duplicated", offset, producer, sequence);
            } else if (sequence < part.highest[producer]) {
                part.counts.reordered++;
                note(part, "reordered", offset, producer, sequence);
            } else {
                part.highest[producer] = sequence;
            }
        }
    }

    /** Adds to the newest finding when the record is of the same kind and producer and follows it, as the records of a batch do. */
    private static void note(Part part, String kind, long offset, int producer, long sequence) {
        Finding newest = part.findings.isEmpty() ? null : part.findings.get(part.findings.size() - 1);
        if (newest != null && newest.kind.equals(kind) && offset == part.runsOnAt
                && (kind.equals("corrupt") || newest.producer == producer && sequence > newest.lastSequence)) {
            newest.lastSequence = sequence;
            newest.count++;
            part.runsOnAt = offset + 1;
            return;
        }
        if (part.findings.stream().filter(f -> f.kind.equals(kind)).count() >= MAX_PER_PLACE) {
            return;
        }
        part.findings.add(finding(kind, part.counts.partition, offset, producer, sequence));
        part.runsOnAt = offset + 1;
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

    private void settle(int producer, LedgerResult result) {
        Sent of = sent[producer];
        int[] openLost = new int[parts.length];
        Arrays.fill(openLost, -1);
        List<Finding> lost = new ArrayList<>();
        for (long sequence = 0; sequence < of.sequences; sequence++) {
            int partition = of.log.partition(sequence);
            if (partition == UNKNOWN_PARTITION || partition >= parts.length) {
                continue;
            }
            result.expected++;
            Part part = parts[partition];
            part.counts.sent++;
            boolean seen = (of.seen[(int) (sequence >>> 6)] >>> sequence & 1) != 0;
            if (seen || !part.read) {
                openLost[partition] = -1;
                continue;
            }
            part.counts.lost++;
            if (openLost[partition] >= 0) {
                Finding open = lost.get(openLost[partition]);
                open.lastSequence = sequence;
                open.count++;
            } else if (part.findings.stream().filter(f -> f.kind.equals("lost")).count() < MAX_PER_PLACE) {
                Finding open = finding("lost", partition, -1, producer, sequence);
                openLost[partition] = lost.size();
                lost.add(open);
                part.findings.add(open);
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

    /**
     * Looks for the places that only a second reading can tell: for a loss the last record of that producer before the gap,
     * for a duplicate the earlier copy. Feed it the records of a finding's partition from its start, in offset order.
     */
    static final class Places {
        private final List<Finding> open;
        private final long[] nearest;
        private final long tag;

        Places(LedgerResult result, int partition, long tag) {
            this.tag = tag;
            open = result.findings.stream().filter(f -> f.partition == partition && needsPlace(f)).toList();
            nearest = new long[open.size()];
            Arrays.fill(nearest, -1);
        }

        /** The partitions that need a second reading. */
        static List<Integer> partitions(LedgerResult result) {
            return result.findings.stream().filter(Places::needsPlace).map(f -> f.partition).distinct().sorted().toList();
        }

        private static boolean needsPlace(Finding finding) {
            return finding.kind.equals("lost") || finding.kind.equals("duplicated");
        }

        void read(long offset, byte[] value) {
            if (!Payload.carries(value, tag)) {
                return;
            }
            long producer = Integer.toUnsignedLong(Payload.producer(value));
            long sequence = Payload.sequence(value);
            for (int i = 0; i < open.size(); i++) {
                Finding finding = open.get(i);
                if (finding.producer != producer) {
                    continue;
                }
                if (finding.kind.equals("duplicated")) {
                    if (sequence == finding.firstSequence && offset < finding.offset && nearest[i] < 0) {
                        finding.firstOffset = offset;
                        nearest[i] = sequence;
                    }
                } else if (sequence < finding.firstSequence && sequence > nearest[i]) {
                    nearest[i] = sequence;
                    finding.offset = offset;
                }
            }
        }
    }
}
