package fluxmq.load;

import java.io.IOException;
import java.io.OutputStream;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;

/** The compression that the job's producers use, to weigh payloads with: the client's own code and levels. Any thread may call it. */
final class Codec {
    private static final byte MAGIC_V2 = 2;

    final String name;
    private final Compression compression;

    private Codec(String name, Compression compression) {
        this.name = name;
        this.compression = compression;
    }

    /** The codec of the producer properties; lz4 where they name none, so that uncompressed runs carry the same payloads. */
    static Codec of(Map<String, String> producer) {
        String name = producer.getOrDefault(ProducerConfig.COMPRESSION_TYPE_CONFIG, "none").toLowerCase(Locale.ROOT);
        return switch (name) {
            case "gzip" -> new Codec(name, levelled(producer, ProducerConfig.COMPRESSION_GZIP_LEVEL_CONFIG, name));
            case "zstd" -> new Codec(name, levelled(producer, ProducerConfig.COMPRESSION_ZSTD_LEVEL_CONFIG, name));
            case "snappy" -> new Codec(name, Compression.snappy().build());
            default -> new Codec("lz4", levelled(producer, ProducerConfig.COMPRESSION_LZ4_LEVEL_CONFIG, "lz4"));
        };
    }

    private static Compression levelled(Map<String, String> producer, String key, String name) {
        String level = producer.get(key);
        if (level == null) {
            return Compression.of(name).build();
        }
        int value = Integer.parseInt(level.trim());
        return switch (name) {
            case "gzip" -> Compression.gzip().level(value).build();
            case "zstd" -> Compression.zstd().level(value).build();
            default -> Compression.lz4().level(value).build();
        };
    }

    /** The size of the block after compression, bytes. */
    int compressedBytes(byte[] block, int length) throws IOException {
        ByteBufferOutputStream out = new ByteBufferOutputStream(length + 1024);
        try (OutputStream stream = compression.wrapForOutput(out, MAGIC_V2)) {
            stream.write(block, 0, length);
        }
        return out.position();
    }
}
