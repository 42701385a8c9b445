import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** The records that are sent, known by their number, and the hash that compares them. */
final class Sample {
    /** 14 November 2023: older than any default retention, so that nothing is kept by chance. */
    static final long BASE_TIME_MS = 1_700_000_000_000L;

    private static final int LARGE_BYTES = 900_000;
    private static final int LARGE_NUMBER = 17;

    private Sample() {}

    /** Nulls, empties, headers of one name twice, and one large value among them. */
    static ProducerRecord<byte[], byte[]> record(String topic, int partition, int number) {
        byte[] key = number % 7 == 0 ? null : bytes("key-" + number % 101);
        byte[] value;
        if (number == LARGE_NUMBER) {
            value = new byte[LARGE_BYTES];
            for (int at = 0; at < value.length; at++) {
                value[at] = (byte) ((number * 31 + at % 1000 * 7) % 251);
            }
        } else if (number % 11 == 0) {
            value = null;
        } else if (number % 13 == 0) {
            value = new byte[0];
        } else {
            value = bytes("value-" + number + "-" + "x".repeat(number % 200));
        }
        List<Header> headers =
                number % 5 != 0
                        ? List.of()
                        : List.of(
                                new RecordHeader("number", bytes(Integer.toString(number))),
                                new RecordHeader("same", bytes("1")),
                                new RecordHeader("same", bytes("2")),
                                new RecordHeader("null", null));
        return new ProducerRecord<>(topic, partition, BASE_TIME_MS + number, key, value, headers);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** sha256 over records in offset order, one per partition. */
    static final class Digest {
        private final TreeMap<Integer, MessageDigest> partitions = new TreeMap<>();
        int count;

        void sent(ProducerRecord<byte[], byte[]> record, long offset) {
            add(record.partition(), offset, record.timestamp(), record.key(), record.value(),
                    record.headers());
        }

        void read(ConsumerRecord<byte[], byte[]> record) {
            add(record.partition(), record.offset(), record.timestamp(), record.key(),
                    record.value(), record.headers());
        }

        private void add(int partition, long offset, long timestamp, byte[] key, byte[] value,
                Iterable<Header> headers) {
            count++;
            MessageDigest digest = partitions.computeIfAbsent(partition, number -> sha256());
            ByteBuffer numbers = ByteBuffer.allocate(16).putLong(offset).putLong(timestamp);
            digest.update(numbers.array());
            part(digest, key);
            part(digest, value);
            for (Header header : headers) {
                part(digest, bytes(header.key()));
                part(digest, header.value());
            }
        }

        private static void part(MessageDigest digest, byte[] content) {
            int length = content == null ? -1 : content.length;
            digest.update(ByteBuffer.allocate(4).putInt(length).array());
            if (content != null) {
                digest.update(content);
            }
        }

        /** Ends it. */
        String hex() {
            MessageDigest whole = sha256();
            partitions.forEach((partition, digest) -> {
                whole.update(ByteBuffer.allocate(4).putInt(partition).array());
                whole.update(digest.digest());
            });
            return HexFormat.of().formatHex(whole.digest());
        }

        private static MessageDigest sha256() {
            try {
                return MessageDigest.getInstance("SHA-256");
            } catch (NoSuchAlgorithmException missing) {
                throw new IllegalStateException(missing);
            }
        }
    }
}
