import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The Java client, any version from 2.8 on, plays the scenarios of ../README.md.
 *
 * <p>Written to what all versions have; what only some have goes through {@link Since}.
 */
public final class Conformance {
    static final Duration POLL = Duration.ofMillis(200);
    /** A machine that runs eight things at once is slow; nothing waits this long when all is well. */
    static final long PATIENCE_MS = 90_000;

    final String bootstrap;
    final String prefix;
    final int records;
    final int kills;

    private Conformance(Map<String, String> options) {
        bootstrap = options.get("--bootstrap");
        prefix = options.get("--prefix");
        records = Integer.parseInt(options.get("--records"));
        kills = Integer.parseInt(options.getOrDefault("--kills", "1"));
    }

    public static void main(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            options.put(arguments[at], arguments[at + 1]);
        }
        int status = 1;
        try {
            Conformance run = new Conformance(options);
            Told.client("kafka-clients " + AppInfoParser.getVersion());
            String scenario = options.getOrDefault("--scenario", "");
            switch (scenario) {
                case "codecs" -> Codecs.play(run);
                case "seek" -> Seek.play(run);
                case "group" -> Group.play(run);
                case "admin" -> Administration.play(run);
                case "idempotent" -> Idempotent.play(run);
                default -> throw new Told.Wrong("no scenario " + scenario);
            }
            Told.passed();
            status = 0;
        } catch (Told.Wrong wrong) {
            System.err.println(wrong.getMessage());
        } catch (Throwable failure) {
            failure.printStackTrace();
            System.err.println(options.get("--scenario") + ": " + failure);
        }
        System.err.flush();
        // A consumer of another thread may still wait for something.
        Runtime.getRuntime().halt(status);
    }

    AdminClient admin() {
        return AdminClient.create(Map.of("bootstrap.servers", bootstrap));
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, String> more) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.putAll(more);
        return new KafkaProducer<>(
                properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, String> more) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "none");
        properties.put("max.poll.records", "5000");
        properties.putAll(more);
        return new KafkaConsumer<>(
                properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Makes a topic that keeps records of any age. */
    void create(AdminClient admin, String topic, int partitions) throws Exception {
        NewTopic made = new NewTopic(topic, partitions, (short) 1);
        admin.createTopics(List.of(made.configs(Map.of("retention.ms", "-1")))).all().get();
    }

    static List<TopicPartition> partitions(String topic, int count) {
        List<TopicPartition> all = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            all.add(new TopicPartition(topic, number));
        }
        return all;
    }

    /** Assigns, seeks to the beginning and reads up to the ends as they are now. */
    static List<ConsumerRecord<byte[], byte[]>> readAll(
            KafkaConsumer<byte[], byte[]> consumer, Collection<TopicPartition> partitions) {
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        Patience patience = new Patience("reading to " + ends);
        while (partitions.stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                found.add(record);
                patience.again();
            }
            patience.look();
        }
        return found;
    }

    /** A question that may throw. */
    interface Question {
        Object ask() throws Exception;
    }

    /**
     * Equal within ten seconds. A node of Kafka answers an administrative call before its own view
     * of the cluster has followed, so the first look may be too early.
     */
    static void becomes(String what, Object expected, Question question) throws Exception {
        long until = System.currentTimeMillis() + 10_000;
        Object found = question.ask();
        while (!expected.equals(found) && System.currentTimeMillis() < until) {
            Thread.sleep(20);
            found = question.ask();
        }
        Told.check(what, expected, found);
    }

    /** The class of the error that a call ends with; "no error" if it works. */
    static String error(KafkaFuture<?> call) throws InterruptedException {
        try {
            call.get();
            return "no error";
        } catch (ExecutionException failed) {
            return failed.getCause().getClass().getSimpleName();
        }
    }

    /** Gives up on something that does not come. */
    static final class Patience {
        private final String what;
        private long until;

        Patience(String what) {
            this.what = what;
            again();
        }

        void again() {
            until = System.currentTimeMillis() + PATIENCE_MS;
        }

        void look() {
            if (System.currentTimeMillis() > until) {
                throw new Told.Wrong(what + ": nothing for " + PATIENCE_MS + " ms");
            }
        }

        /** Looks every 20 ms until it holds. */
        static void until(String what, java.util.function.BooleanSupplier holds) throws Exception {
            Patience patience = new Patience(what);
            while (!holds.getAsBoolean()) {
                patience.look();
                Thread.sleep(20);
            }
        }
    }
}
