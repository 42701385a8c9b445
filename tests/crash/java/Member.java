import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a group, from its first look at the committed offsets to its last. What it does, and
 * what its lines mean, is that of librdkafka/member.py.
 */
final class Member implements ConsumerRebalanceListener {
    private static final Duration LOOK_TIMEOUT = Duration.ofSeconds(30);
    private static final Duration COMMIT_TIMEOUT = Duration.ofSeconds(60);
    /** confluent-kafka ends the metadata of a commit with this, and reads on until it finds one. */
    private static final String END_OF_METADATA = "\0";
    private static final long END_TIMEOUT_NS = 60_000_000_000L;

    private final Map<String, String> options;
    private final String topic;
    private final String instance;
    private final int kept;
    private final Set<TopicPartition> all = new HashSet<>();
    private final Map<TopicPartition, Long> last = new HashMap<>();
    private final Map<TopicPartition, Long> committed = new HashMap<>();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private long nextValue;
    private boolean isReady;

    private Member(Map<String, String> options, boolean keepsLast) {
        this.options = options;
        topic = options.get("topic");
        instance = options.get("instance");
        kept = keepsLast ? 1 : 0;
        nextValue = Long.parseLong(options.getOrDefault("values", "0"));
        for (int i = 0; i < Integer.parseInt(options.get("partitions")); i++) {
            all.add(new TopicPartition(topic, i));
        }
        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.get("bootstrap"));
        settings.put("group.id", options.get("group"));
        if (instance != null) {
            settings.put("group.instance.id", instance);
        }
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("heartbeat.interval.ms", 1_000);
        // Larger answers, fewer of them: the machine is small.
        settings.put("fetch.min.bytes", 16_384);
        settings.put("fetch.max.wait.ms", 50);
        settings.put("max.poll.records", options.getOrDefault("batch", "500"));
        settings.put("retry.backoff.ms", 50);
        settings.put("reconnect.backoff.ms", 20);
        settings.put("reconnect.backoff.max.ms", 200);
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        consumer = new KafkaConsumer<>(settings, bytes, bytes);
    }

    static void consume(Map<String, String> options) {
        AtomicBoolean ends = new AtomicBoolean();
        Thread words = new Thread(() -> {
            try {
                BufferedReader in = new BufferedReader(
                        new InputStreamReader(System.in, StandardCharsets.US_ASCII));
                String line = in.readLine();
                while (line != null && !line.equals("end")) {
                    line = in.readLine();
                }
            } catch (IOException closed) {
                // As good as the word.
            }
            ends.set(true);
        });
        words.setDaemon(true);
        words.start();
        new Member(options, true).run(ends);
    }

    /** The last member of a group: takes what the others left and commits everything. */
    static void closeGroup(Map<String, String> options) {
        new Member(options, false).run(new AtomicBoolean(true));
    }

    /** A client that has never been a member looks at the group. */
    static void lookOnce(Map<String, String> options) {
        Member visitor = new Member(options, false);
        visitor.look();
        visitor.consumer.close();
    }

    private void look() {
        Client.say("group " + options.get("group") + " " + (instance == null ? "dynamic" : instance), false);
        Client.say("asking " + all.size(), true);
        Map<TopicPartition, OffsetAndMetadata> rows;
        try {
            rows = consumer.committed(all, LOOK_TIMEOUT);
        } catch (KafkaException error) {
            Client.say("unasked " + onOneLine(error), true);
            throw error;
        }
        rows.forEach((place, row) -> {
            if (row != null) {
                String value = row.metadata().isEmpty() ? "0" : row.metadata().replace(END_OF_METADATA, "");
                Client.say("shown " + place.partition() + " " + row.offset() + " " + value, false);
            }
        });
        Client.say("asked", true);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        StringBuilder line = new StringBuilder("assigned");
        partitions.forEach(one -> line.append(' ').append(one.partition()));
        Client.say(line.toString(), true);
        isReady = true;
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

    /** Until {@code ends} is set and it has taken and committed everything. */
    private void run(AtomicBoolean ends) {
        look();
        consumer.subscribe(List.of(topic), this);
        boolean wasReady = false;
        Long deadline = null;
        while (deadline == null || System.nanoTime() < deadline) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                last.put(new TopicPartition(topic, record.partition()), record.offset());
                Client.say("taken " + record.partition() + " " + record.offset() + " "
                        + Client.valueOf(record.value()), false);
            }
            if (isReady && !wasReady) {
                wasReady = true;
                Client.say("ready", true);
            }
            boolean isCommitted = commit();
            if (ends.get()) {
                deadline = deadline == null ? System.nanoTime() + END_TIMEOUT_NS : deadline;
                if (isCommitted && wasReady && isAtEnd()) {
                    break;
                }
            }
        }
        look();
        consumer.close();
    }

    /** Says whether nothing is left to commit. */
    private boolean commit() {
        Map<TopicPartition, OffsetAndMetadata> rows = new HashMap<>();
        long value = nextValue;
        StringBuilder line = new StringBuilder();
        last.forEach((place, offset) -> {
            long upTo = offset + 1 - kept;
            if (upTo > committed.getOrDefault(place, 0L)) {
                rows.put(place, new OffsetAndMetadata(upTo, value + END_OF_METADATA));
                line.append(' ').append(place.partition()).append(' ').append(upTo);
            }
        });
        if (rows.isEmpty()) {
            return true;
        }
        nextValue++;
        int generation = consumer.groupMetadata().generationId();
        Client.say("commit " + value + " " + generation + line, true);
        try {
            consumer.commitSync(rows, COMMIT_TIMEOUT);
        } catch (KafkaException error) {
            Client.say("unsure " + value + " " + onOneLine(error), true);
            return false;
        }
        Client.say("committed " + value, true);
        rows.forEach((place, row) -> committed.put(place, row.offset()));
        return true;
    }

    private boolean isAtEnd() {
        return consumer.endOffsets(all).entrySet().stream()
                .allMatch(end -> last.getOrDefault(end.getKey(), -1L) + 1 >= end.getValue());
    }

    private static String onOneLine(Exception error) {
        return error.toString().replaceAll("\\s+", " ");
    }
}
