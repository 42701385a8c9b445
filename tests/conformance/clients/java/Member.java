import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a group in a thread of its own; commits what it read after every poll.
 *
 * <p>As a program it tells on standard output what it owns and reads, and ends only by a signal.
 */
final class Member implements Group.Owner, Runnable {
    /** The least that Kafka allows by default: what a killed member costs in time. */
    private static final int SESSION_MS = 6_000;
    static final int HEARTBEAT_MS = 500;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final String topic;
    private final Set<Long> seen;
    private final boolean tells;
    private final ConcurrentLinkedQueue<Runnable> asked = new ConcurrentLinkedQueue<>();
    private final CompletableFuture<Void> ended = new CompletableFuture<>();
    private volatile TreeSet<Integer> owned = new TreeSet<>();
    private volatile int rebalances;
    private volatile boolean closing;

    Member(Conformance run, String group, String topic, String instance, Set<Long> seen) {
        this(run.consumer(settings(group, instance)), topic, seen, false);
        Thread thread = new Thread(this);
        thread.setDaemon(true);
        thread.start();
    }

    private Member(KafkaConsumer<byte[], byte[]> consumer, String topic, Set<Long> seen, boolean tells) {
        this.consumer = consumer;
        this.topic = topic;
        this.seen = seen;
        this.tells = tells;
    }

    public static void main(String[] arguments) {
        Properties properties = new Properties();
        properties.putAll(settings(arguments[1], null));
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("enable.auto.commit", "false");
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        new Member(consumer, arguments[2], ConcurrentHashMap.newKeySet(), true).run();
    }

    static Map<String, String> settings(String group, String instance) {
        Map<String, String> settings = new HashMap<>(Map.of(
                "group.id", group,
                "auto.offset.reset", "earliest",
                "session.timeout.ms", Integer.toString(SESSION_MS),
                "heartbeat.interval.ms", Integer.toString(HEARTBEAT_MS)));
        if (instance != null) {
            settings.put("group.instance.id", instance);
        }
        return settings;
    }

    /** One number for a record. */
    static long place(int partition, long offset) {
        return (long) partition << 48 | offset;
    }

    @Override
    public void run() {
        try {
            read();
            ended.complete(null);
        } catch (Throwable failure) {
            ended.completeExceptionally(failure);
            failure.printStackTrace();
        }
    }

    private void read() {
        try (consumer) {
            consumer.subscribe(List.of(topic), new Listener());
            while (!closing) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Conformance.POLL);
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    seen.add(place(record.partition(), record.offset()));
                    if (tells) {
                        System.out.println("read " + record.partition() + " " + record.offset());
                    }
                }
                if (!records.isEmpty()) {
                    commit();
                }
                for (Runnable task = asked.poll(); task != null; task = asked.poll()) {
                    task.run();
                }
            }
        }
    }

    /** A rebalance may come between a poll and its commit: then another reads these again. */
    private void commit() {
        try {
            consumer.commitSync();
        } catch (org.apache.kafka.clients.consumer.CommitFailedException
                | org.apache.kafka.common.errors.RebalanceInProgressException moved) {
            System.err.println("not committed: " + moved);
        }
    }

    /** Does it in the member's thread. */
    <T> T ask(Function<KafkaConsumer<byte[], byte[]>, T> question) throws Exception {
        CompletableFuture<T> answer = new CompletableFuture<>();
        asked.add(() -> {
            try {
                answer.complete(question.apply(consumer));
            } catch (Throwable failure) {
                answer.completeExceptionally(failure);
            }
        });
        Conformance.Patience.until("a member's answer", () -> answer.isDone() || ended.isDone());
        if (ended.isDone()) {
            ended.get();
        }
        return answer.get();
    }

    /** Leaves, unless it is static. */
    void close() throws Exception {
        closing = true;
        Conformance.Patience.until("the end of a member", ended::isDone);
        ended.get();
    }

    @Override
    public TreeSet<Integer> owned() {
        if (ended.isCompletedExceptionally()) {
            throw new Told.Wrong("a member ended: " + ended.handle((none, why) -> why).join());
        }
        return owned;
    }

    int rebalances() {
        return rebalances;
    }

    private final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> gone) {
            TreeSet<Integer> now = new TreeSet<>(owned);
            gone.forEach(partition -> now.remove(partition.partition()));
            tell(now);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> gone) {
            onPartitionsRevoked(gone);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> more) {
            TreeSet<Integer> now = new TreeSet<>(owned);
            more.forEach(partition -> now.add(partition.partition()));
            rebalances++;
            tell(now);
        }

        private void tell(TreeSet<Integer> now) {
            owned = now;
            if (tells) {
                StringBuilder line = new StringBuilder("owns");
                now.forEach(number -> line.append(' ').append(number));
                System.out.println(line);
            }
        }
    }
}
