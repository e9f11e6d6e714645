package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.Set;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PayloadTest {
    @ParameterizedTest
    @CsvSource({"lz4,0.35,256", "snappy,0.35,256", "zstd,0.35,256", "gzip,0.5,256", "none,0.35,1000", "lz4,0.8,100", "lz4,1,4096", "zstd,0.35,200000"})
    void comesWithinTwoHundredthsOfTheWantedRatio(String codec, double ratio, int valueBytes) throws Exception {
        Job job = Jobs.job("\"linger.ms\": \"15\"", "\"compression.type\": \"" + codec + "\"", "\"compressed_ratio\": 0.35", "\"compressed_ratio\": " + ratio,
                "\"value_bytes\": 256", "\"value_bytes\": " + valueBytes);
        Payload payload = Payload.build(job);
        assertEquals(codec.equals("none") ? "lz4" : codec, payload.codec);
        assertEquals(ratio, payload.ratio, Payload.TOLERANCE);
    }

    @Test
    void aRatioOutOfReachIsReportedAsItCame() throws Exception {
        double ratio = Payload.build(Jobs.job("\"compressed_ratio\": 0.35", "\"compressed_ratio\": 0.01")).ratio;
        assertTrue(ratio > 0.03 && ratio < 0.25, "headers alone weigh more: " + ratio);
    }

    @Test
    void theHeaderIsLaidOutAsTheContractSays() throws Exception {
        Job job = Jobs.job("\"run_tag\": \"18446744073709551615\"", "\"run_tag\": \"72623859790382856\"");
        Payload.Writer writer = Payload.build(job).writer(3);
        writer.encode(70000, 1_795_452_688_000_000_001L);
        byte[] value = writer.value.clone();
        assertEquals(256, value.length);
        ByteBuffer header = ByteBuffer.wrap(value);
        byte[] magic = new byte[4];
        header.get(magic);
        assertArrayEquals(new byte[] {'F', 'X', 'M', '1'}, magic);
        assertEquals(0x0102030405060708L, header.getLong());
        assertEquals(3, header.getInt());
        assertEquals(70000, header.getLong());
        assertEquals(1_795_452_688_000_000_001L, header.getLong());
        CRC32C crc = new CRC32C();
        crc.update(value, 0, 32);
        crc.update(value, 36, 220);
        assertEquals((int) crc.getValue(), header.getInt());
        assertTrue(Payload.intact(value, crc));
        assertEquals(70000, Payload.sequence(value));
        assertEquals(3, Payload.producer(value));
        assertEquals(job.tag(), Payload.tag(value));
    }

    @Test
    void anyFlippedBitIsSeen() throws Exception {
        Payload.Writer writer = Payload.build(Jobs.job("\"value_bytes\": 256", "\"value_bytes\": 60", "\"compressed_ratio\": 0.35", "\"compressed_ratio\": 1")).writer(0);
        writer.encode(5, 6);
        CRC32C crc = new CRC32C();
        for (int bit = 0; bit < writer.value.length * 8; bit++) {
            byte[] damaged = writer.value.clone();
            damaged[bit / 8] ^= (byte) (1 << bit % 8);
            assertFalse(Payload.intact(damaged, crc), "bit " + bit);
        }
        assertFalse(Payload.intact(null, crc));
        assertFalse(Payload.intact(new byte[35], crc));
    }

    @Test
    void theSameSeedMakesTheSameRecords() throws Exception {
        String spread = "\"key_spread\": 50";
        Payload.Writer first = Payload.build(Jobs.job("\"key_spread\": 0", spread)).writer(1);
        Payload.Writer again = Payload.build(Jobs.job("\"key_spread\": 0", spread)).writer(1);
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < 2000; i++) {
            first.encode(i, i);
            again.encode(i, i);
            assertArrayEquals(first.value, again.value);
            byte[] key = first.key();
            assertArrayEquals(key, again.key());
            keys.add(new String(key));
        }
        assertEquals(50, keys.size(), "every key is chosen");
        assertTrue(keys.contains("key-00000049"));
        assertNull(Payload.build(Jobs.job()).writer(0).key());
    }
}
