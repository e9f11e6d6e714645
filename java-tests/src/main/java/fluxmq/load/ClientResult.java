package fluxmq.load;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What the client writes at the end, field for field {@code reports/client_result.go}; the JSON names are these in snake case. */
final class ClientResult {
    public int schema = 1;
    public String runId;
    public String scenario;
    public String form;
    public String client;
    public String clientVersion;
    public String runtime;
    public int round;

    public Map<String, String> effective = new TreeMap<>();
    public List<String> unmapped = new ArrayList<>();

    public List<Phase> phases = new ArrayList<>();
    public WarmUpResult warmUp = new WarmUpResult();

    public long warmUpRecords;
    public long records;
    public long rawBytes;
    public long acknowledged;
    public long sendErrors;
    public String firstSendError = "";

    public long windowStartUnixNs;
    public long lastSendUnixNs;
    public long flushedUnixNs;
    public long deliveredUnixNs;
    public double clientRatePerSecond;
    public double deliveredRatePerSecond;

    public long cpuUserNs;
    public long cpuSystemNs;
    public long peakRssBytes;

    public double compressedRatio;
    public String ratioSource = "";
    public long batches;

    public List<Second> perSecond = new ArrayList<>();
    public LedgerResult ledger = new LedgerResult();

    public String latencyLog = "";
    public String produceLatencyMeaning = "";
    public long tailRecords;

    /** One part of the run. */
    static final class Phase {
        public String name;
        public long startUnixNs;
        public long endUnixNs;

        Phase(String name, long startUnixNs) {
            this.name = name;
            this.startUnixNs = startUnixNs;
        }
    }

    /** How the warm-up ended. */
    static final class WarmUpResult {
        public boolean steady;
        public double seconds;
        public String reason = "none asked";
        public List<Double> bucketRatesPerSecond = new ArrayList<>();
    }

    /** One second of the load. */
    static final class Second {
        public long unixNs;
        public double seconds;
        public long sent;
        public long acknowledged;
        public long received;
        public boolean measured;
    }

    /** The proof of delivery. */
    static final class LedgerResult {
        public boolean checked;
        public boolean complete;
        public long expected;
        public long read;
        public long lost;
        public long duplicated;
        public long reordered;
        public long corrupt;
        public long foreign;
        public List<PartitionLedger> partitions = new ArrayList<>();
        public List<Finding> findings = new ArrayList<>();
        @JsonInclude(JsonInclude.Include.NON_EMPTY)
        public String failureText = "";

        /** True when a promise was broken; a read back that could not end is a run error instead. */
        boolean broken() {
            return lost + duplicated + reordered + corrupt > 0;
        }
    }

    /** The ledger of one partition. */
    static final class PartitionLedger {
        public int partition;
        public long startOffset;
        public long endOffset;
        public long sent;
        public long read;
        public long lost;
        public long duplicated;
        public long reordered;
        public long corrupt;
    }

    /** One broken promise, with its place. */
    static final class Finding {
        public String kind;
        public int partition;
        public long offset = -1;
        public long producer;
        public long firstSequence;
        public long lastSequence;
        public long count;
        @JsonInclude(JsonInclude.Include.NON_DEFAULT)
        public long firstOffset;
    }
}
