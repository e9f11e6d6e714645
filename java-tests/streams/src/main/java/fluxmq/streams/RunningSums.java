package fluxmq.streams;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Counts and sums amounts by account. A record of {@code sums-in} is "account amount" under any key; for each of them {@code sums-out} gets one of
 * the account with "count sum" so far. The account becomes the key in between, which takes a repartition topic; count and sum are in a
 * store on disk with a changelog. Every update goes out, so that a reader sees one lost, doubled or undone.
 */
final class RunningSums {
    static final String IN = "sums-in";
    static final String OUT = "sums-out";
    static final String STORE = "sums";

    private RunningSums() {}

    static Topology topology() {
        Serde<String> text = Serdes.String();
        Materialized<String, String, KeyValueStore<Bytes, byte[]>> store =
                Materialized.<String, String>as(Stores.persistentKeyValueStore(STORE)).withKeySerde(text).withValueSerde(text).withCachingDisabled();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(IN, Consumed.with(text, text))
                .selectKey((key, value) -> value.substring(0, value.indexOf(' ')))
                .mapValues(value -> value.substring(value.indexOf(' ') + 1))
                .groupByKey(Grouped.with("by-account", text, text))
                .aggregate(() -> "0 0", (account, amount, sofar) -> add(sofar, Long.parseLong(amount)), store)
                .toStream()
                .to(OUT, Produced.with(text, text));
        return builder.build();
    }

    private static String add(String sofar, long amount) {
        int space = sofar.indexOf(' ');
        return (Long.parseLong(sofar.substring(0, space)) + 1) + " " + (Long.parseLong(sofar.substring(space + 1)) + amount);
    }
}
