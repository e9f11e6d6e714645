package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.load.ClientResult.Finding;
import fluxmq.load.ClientResult.LedgerResult;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LedgerTest {
    private static final long START = 1000;

    private Job job;
    private Payload payload;
    private Ledger ledger;
    private Ledger.Reader reader;

    @BeforeEach
    void twoProducersTwoPartitions() throws Exception {
        job = Jobs.job("\"partitions\": 3", "\"partitions\": 2");
        payload = Payload.build(job);
        ledger = new Ledger(job.tag(), job.payload.valueBytes, 2, 2);
        for (int p = 0; p < 2; p++) {
            ledger.range(p, START, START + 100);
            ledger.choose(p);
        }
        reader = ledger.reader();
    }

    /** Producer sends sequences 0 to count-1, all acknowledged for one partition. */
    private void sent(int producer, int count, int partition) {
        for (int sequence = 0; sequence < count; sequence++) {
            ledger.log(producer).acknowledged(sequence, partition);
        }
        ledger.sequences(producer, count);
    }

    private byte[] value(int producer, long sequence) {
        Payload.Writer writer = payload.writer(producer);
        writer.encode(sequence, 1);
        return writer.value;
    }

    /** Reads sequences in that order, at offsets from START on. */
    private void read(int partition, int producer, int... sequences) {
        for (int i = 0; i < sequences.length; i++) {
            reader.read(partition, START + i, value(producer, sequences[i]));
        }
    }

    private LedgerResult settle() {
        ledger.readWhole(0);
        ledger.readWhole(1);
        return ledger.settle();
    }

    private static void assertCounts(LedgerResult result, long lost, long duplicated, long reordered, long corrupt) {
        assertEquals(List.of(lost, duplicated, reordered, corrupt), List.of(result.lost, result.duplicated, result.reordered, result.corrupt));
    }

    private static void assertFinding(Finding finding, String kind, int partition, long offset, long first, long last, long count) {
        assertEquals(List.of(kind, partition, offset, first, last, count),
                List.of(finding.kind, finding.partition, finding.offset, finding.firstSequence, finding.lastSequence, finding.count));
    }

    @Test
    void allReadInOrderIsProven() {
        sent(0, 5, 0);
        sent(1, 3, 1);
        read(0, 0, 0, 1, 2, 3, 4);
        read(1, 1, 0, 1, 2);
        LedgerResult result = settle();
        assertTrue(result.checked && result.complete);
        assertEquals(8, result.expected);
        assertEquals(8, result.read);
        assertFalse(result.broken());
        assertTrue(result.findings.isEmpty());
        assertEquals(5, result.partitions.get(0).sent);
        assertEquals(START, result.partitions.get(1).startOffset);
    }

    @Test
    void aGapIsOneLossAfterTheRecordBeforeIt() {
        sent(0, 10, 0);
        sent(1, 0, 1);
        read(0, 0, 0, 1, 2, 7, 8, 9);
        LedgerResult result = settle();
        assertCounts(result, 4, 0, 0, 0);
        assertEquals(1, result.findings.size());
        assertFinding(result.findings.get(0), "lost", 0, START + 2, 3, 6, 4);
        assertEquals(4, result.partitions.get(0).lost);
    }

    @Test
    void lossesOfOnePartitionAreOneEvenWhereOtherPartitionsTakeTurns() {
        for (int sequence = 0; sequence < 10; sequence++) {
            ledger.log(0).acknowledged(sequence, sequence % 2);
        }
        ledger.sequences(0, 10);
        read(0, 0, 0, 8);
        read(1, 0, 1, 3, 5, 7, 9);
        LedgerResult result = settle();
        assertCounts(result, 3, 0, 0, 0);
        assertFinding(result.findings.get(0), "lost", 0, START, 2, 6, 3);
    }

    @Test
    void nothingReadIsLostFromTheBeginning() {
        sent(0, 4, 1);
        LedgerResult result = settle();
        assertCounts(result, 4, 0, 0, 0);
        assertFinding(result.findings.get(0), "lost", 1, -1, 0, 3, 4);
    }

    @Test
    void aBatchStoredTwiceNamesBothPlaces() {
        sent(0, 6, 0);
        read(0, 0, 0, 1, 2, 1, 2, 3, 4, 5);
        LedgerResult result = settle();
        assertCounts(result, 0, 2, 0, 0);
        assertEquals(1, result.findings.size());
        assertFinding(result.findings.get(0), "duplicated", 0, START + 3, 1, 2, 2);
        assertEquals(START + 1, result.findings.get(0).firstOffset);
        assertEquals(8, result.read);
    }

    @Test
    void aCopyInAnotherPartitionNamesTheFirst() {
        sent(0, 3, 0);
        read(0, 0, 0, 1, 2);
        read(1, 0, 2);
        LedgerResult result = settle();
        assertCounts(result, 0, 1, 0, 0);
        assertFinding(result.findings.get(0), "duplicated", 1, START, 2, 2, 1);
        assertEquals(START + 2, result.findings.get(0).firstOffset);
    }

    @Test
    void alowerSequenceAfterAHigherOneIsReorderedOnce() {
        sent(0, 6, 0);
        read(0, 0, 0, 3, 4, 1, 2, 5);
        LedgerResult result = settle();
        assertCounts(result, 0, 0, 2, 0);
        assertEquals(1, result.findings.size());
        assertFinding(result.findings.get(0), "reordered", 0, START + 3, 1, 2, 2);
    }

    @Test
    void orderHoldsPerProducerAndPartitionOnly() {
        sent(0, 2, 0);
        sent(1, 2, 0);
        reader.read(0, START, value(0, 1));
        reader.read(0, START + 1, value(1, 0));
        reader.read(0, START + 2, value(1, 1));
        reader.read(1, START, value(0, 0));
        assertCounts(settle(), 0, 0, 0, 0);
    }

    @Test
    void damageAndRecordsNeverSentAreCorrupt() {
        sent(0, 3, 0);
        byte[] damaged = value(0, 1).clone();
        damaged[100] ^= 1;
        reader.read(0, START, value(0, 0));
        reader.read(0, START + 1, damaged);
        reader.read(0, START + 2, null);
        reader.read(0, START + 3, value(0, 2));
        reader.read(0, START + 4, value(0, 3));
        LedgerResult result = settle();
        assertCounts(result, 1, 0, 0, 3);
        List<Finding> corrupt = result.findings.stream().filter(f -> f.kind.equals("corrupt")).toList();
        assertEquals(2, corrupt.size());
        assertFinding(corrupt.get(0), "corrupt", 0, START + 1, 0, 0, 2);
        assertFinding(corrupt.get(1), "corrupt", 0, START + 4, 0, 0, 1);
    }

    @Test
    void anotherRunsRecordsAreForeign() throws Exception {
        sent(0, 1, 0);
        Payload.Writer other = Payload.build(Jobs.job("\"run_tag\": \"18446744073709551615\"", "\"run_tag\": \"5\"")).writer(0);
        other.encode(0, 1);
        reader.read(0, START, other.value);
        reader.read(0, START + 1, value(0, 0));
        LedgerResult result = settle();
        assertCounts(result, 0, 0, 0, 0);
        assertEquals(1, result.foreign);
        assertEquals(1, result.read);
    }

    @Test
    void aFailedSendMayBeThereOrNotButNotTwice() {
        sent(0, 4, 0);
        ledger.log(0).failed(1);
        ledger.log(0).failed(2);
        read(0, 0, 0, 2, 3, 2);
        LedgerResult result = settle();
        assertCounts(result, 0, 1, 0, 0);
        assertEquals(2, result.expected);
    }

    @Test
    void onlyTheSampleIsExpectedAndOnlyWholePartitionsLose() throws Exception {
        ledger = new Ledger(job.tag(), job.payload.valueBytes, 2, 2);
        ledger.range(0, START, START + 3);
        ledger.range(1, START, START + 3);
        ledger.choose(0);
        reader = ledger.reader();
        sent(0, 3, 0);
        sent(1, 3, 1);
        read(0, 0, 0, 1, 2);
        ledger.readWhole(0);
        LedgerResult result = ledger.settle();
        assertCounts(result, 0, 0, 0, 0);
        assertFalse(result.complete);
        assertEquals(3, result.expected);
        assertEquals(3, result.partitions.get(1).sent);
    }

    @Test
    void findingsAreBoundedWithTheFirstOfEachKindAndPartition() {
        int count = 4000;
        ledger = new Ledger(job.tag(), job.payload.valueBytes, 1, 50);
        List<Integer> all = new ArrayList<>();
        for (int p = 0; p < 50; p++) {
            ledger.range(p, START, START + count);
            ledger.choose(p);
            ledger.readWhole(p);
            all.add(p);
        }
        reader = ledger.reader();
        ledger.sequences(0, count);
        for (int sequence = 0; sequence < count; sequence++) {
            ledger.log(0).acknowledged(sequence, sequence % 50);
            // Every second record of a partition is missing: forty gaps each.
            if (sequence / 50 % 2 == 0) {
                reader.read(sequence % 50, START + sequence / 50, value(0, sequence));
            }
        }
        LedgerResult result = ledger.settle();
        assertEquals(count / 2, result.lost);
        assertEquals(Ledger.MAX_FINDINGS, result.findings.size());
        assertEquals(all, result.findings.subList(0, 50).stream().map(f -> f.partition).sorted().toList(), "each partition is named before any twice");
    }

    @Test
    void countsMatchAnyMixOfFaults() {
        SplittableRandom random = new SplittableRandom(42);
        int count = 20_000;
        long lost = 0;
        long duplicated = 0;
        ledger.sequences(0, count);
        for (int sequence = 0; sequence < count; sequence++) {
            ledger.log(0).acknowledged(sequence, random.nextInt(2));
        }
        long[] offset = {START, START};
        for (int sequence = 0; sequence < count; sequence++) {
            int partition = ledger.log(0).partition(sequence);
            if (random.nextInt(20) == 0) {
                lost++;
                continue;
            }
            reader.read(partition, offset[partition]++, value(0, sequence));
            if (random.nextInt(20) == 0) {
                duplicated++;
                reader.read(partition, offset[partition]++, value(0, sequence));
            }
        }
        LedgerResult result = settle();
        assertTrue(lost > 500 && duplicated > 500, "the mix has faults");
        assertCounts(result, lost, duplicated, 0, 0);
        assertEquals(count, result.expected);
        assertEquals(count - lost + duplicated, result.read);
    }
}
