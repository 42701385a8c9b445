import java.io.IOException;
import java.io.PrintStream;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.BufferedOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A stock Java client that tells what it does, one line per event, on standard output. The lines
 * and the bytes of a record are those of librdkafka/client.py.
 *
 * <p>An invoke line is written before the record is handed to the library; lines are written
 * whole, one after the other, so a record that was sent after another's acknowledgement arrived
 * has its line behind that one's.
 */
public final class Client {
    private static final int VALUE_DIGITS = 20;
    /** As in plan.rs. */
    private static final long VALUES_PER_PRODUCER = 10_000_000;
    private static final int DELIVERY_TIMEOUT_MS = 120_000;
    private static final int QUIET_POLLS_MAX = 60;

    private static final PrintStream OUT =
            new PrintStream(
                    new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16),
                    false,
                    StandardCharsets.UTF_8);

    private Client() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            options.put(pair[0], pair[1]);
        }
        switch (arguments[0]) {
            case "produce" -> produce(options);
            case "read" -> read(options);
            case "consume" -> Member.consume(options);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        say("done", true);
    }

    static void say(String line, boolean flush) {
        synchronized (OUT) {
            OUT.print(line + "\n");
            if (flush) {
                OUT.flush();
            }
        }
    }

    private static void produce(Map<String, String> options) throws InterruptedException, IOException {
        int partitions = Integer.parseInt(options.get("partitions"));
        int records = Integer.parseInt(options.get("records"));
        int window = Integer.parseInt(options.get("window"));
        int rate = Integer.parseInt(options.get("rate"));
        int size = Integer.parseInt(options.get("size"));
        boolean idempotent = Boolean.parseBoolean(options.get("idempotent"));
        String topic = options.get("topic");

        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.get("bootstrap"));
        settings.put("acks", options.get("acks"));
        settings.put("enable.idempotence", Boolean.toString(idempotent));
        // Without idempotence more than one request in flight may be reordered by a retry.
        settings.put("max.in.flight.requests.per.connection", idempotent ? 5 : 1);
        settings.put("linger.ms", options.get("linger_ms"));
        settings.put("retries", Integer.MAX_VALUE);
        settings.put("retry.backoff.ms", 50);
        settings.put("reconnect.backoff.ms", 20);
        settings.put("reconnect.backoff.max.ms", 200);
        settings.put("request.timeout.ms", 30_000);
        settings.put("delivery.timeout.ms", DELIVERY_TIMEOUT_MS);

        AtomicInteger acked = new AtomicInteger();
        Semaphore room = new Semaphore(window);
        ByteArraySerializer bytes = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, bytes, bytes)) {
            producer.partitionsFor(topic);
            say("ready", true);
            System.in.read();
            long begun = System.nanoTime();
            long first = Long.parseLong(options.get("first"));
            long last = first + 2L * records;
            long value = first;
            while (acked.get() < records && value < last) {
                room.acquire();
                boolean isDue = value - first <= (System.nanoTime() - begun) / 1e9 * rate;
                if (!isDue || acked.get() + window - 1 - room.availablePermits() >= records) {
                    // Too early, or enough are on their way (one that fails makes room again).
                    room.release();
                    Thread.sleep(1);
                    continue;
                }
                long sent = value++;
                int partition = (int) (sent % partitions);
                say("invoke " + sent + " " + partition, true);
                producer.send(
                        new ProducerRecord<>(topic, partition, null, payload(sent, size)),
                        (metadata, error) -> {
                            String record = sent + " " + partition + " ";
                            if (error == null) {
                                acked.incrementAndGet();
                                say("ok " + record + metadata.offset(), true);
                            } else {
                                say("info " + record + error, true);
                            }
                            room.release();
                        });
            }
        }
    }

    private static byte[] payload(long value, int size) {
        byte[] digits = String.format("%0" + VALUE_DIGITS + "d", value).getBytes(StandardCharsets.US_ASCII);
        byte[] payload = new byte[size];
        for (int i = 0; i < size; i++) {
            payload[i] = digits[i % VALUE_DIGITS];
        }
        return payload;
    }

    private static void read(Map<String, String> options) {
        switch (options.getOrDefault("then", "")) {
            case "close" -> Member.closeGroup(options);
            case "look" -> Member.lookOnce(options);
            default -> { }
        }
        String topic = options.get("topic");
        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.get("bootstrap"));
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "none");
        settings.put("check.crcs", "true");
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            List<TopicPartition> all = new ArrayList<>();
            for (int i = 0; i < Integer.parseInt(options.get("partitions")); i++) {
                all.add(new TopicPartition(topic, i));
            }
            consumer.assign(all);
            Map<TopicPartition, Long> starts = consumer.beginningOffsets(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            for (TopicPartition one : all) {
                say("start " + one.partition() + " " + starts.get(one) + " " + ends.get(one), false);
                consumer.seek(one, starts.get(one));
            }
            int quiet = 0;
            while (quiet < QUIET_POLLS_MAX && isShort(consumer, ends)) {
                boolean any = false;
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    any = true;
                    say("record " + record.partition() + " " + record.offset() + " " + valueOf(record.value()), false);
                }
                quiet = any ? 0 : quiet + 1;
            }
        }
    }

    private static boolean isShort(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Long> ends) {
        return ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue());
    }

    static String valueOf(byte[] payload) {
        if (payload == null) {
            return "damaged";
        }
        if (payload.length < VALUE_DIGITS) {
            return valueOfVerifiable(new String(payload, StandardCharsets.US_ASCII));
        }
        for (int i = 0; i < payload.length; i++) {
            if (payload[i] != payload[i % VALUE_DIGITS] || payload[i] < '0' || payload[i] > '9') {
                return "damaged";
            }
        }
        return Long.toString(Long.parseLong(new String(payload, 0, VALUE_DIGITS, StandardCharsets.US_ASCII)));
    }

    /** What VerifiableProducer writes: PREFIX.NUMBER. */
    private static String valueOfVerifiable(String text) {
        if (!text.matches("[0-9]{1,9}\\.[0-9]{1,9}")) {
            return "damaged";
        }
        String[] parts = text.split("\\.");
        return Long.toString(Long.parseLong(parts[0]) * VALUES_PER_PRODUCER + Long.parseLong(parts[1]));
    }
}
