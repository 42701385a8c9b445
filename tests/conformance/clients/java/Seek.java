import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Positions by offset, by time, at both ends and outside them. */
final class Seek {
    /** Between two records, so that a time between them exists. */
    private static final long STEP_MS = 10;

    private final Conformance run;
    private final TopicPartition partition;
    private final KafkaConsumer<byte[], byte[]> consumer;

    private Seek(Conformance run, TopicPartition partition, KafkaConsumer<byte[], byte[]> consumer) {
        this.run = run;
        this.partition = partition;
        this.consumer = consumer;
    }

    static void play(Conformance run) throws Exception {
        String topic = run.prefix + "-seek";
        TopicPartition partition = new TopicPartition(topic, 0);
        try (AdminClient admin = run.admin();
                KafkaConsumer<byte[], byte[]> consumer = run.consumer(Map.of())) {
            run.create(admin, topic, 1);
            Map<String, String> settings = Map.of("linger.ms", "20", "compression.type", "lz4");
            try (KafkaProducer<byte[], byte[]> producer = run.producer(settings)) {
                for (int number = 0; number < run.records; number++) {
                    byte[] value = Sample.bytes(Integer.toString(number));
                    producer.send(new ProducerRecord<>(topic, 0, time(number), null, value));
                }
            }
            consumer.assign(List.of(partition));
            Seek seek = new Seek(run, partition, consumer);
            seek.byOffset();
            seek.byTime();
            seek.byEnds(admin);
        }
    }

    private static long time(int number) {
        return Sample.BASE_TIME_MS + STEP_MS * number;
    }

    private void byOffset() {
        for (int number : new int[] {run.records / 2, run.records - 1, 0, run.records / 3}) {
            consumer.seek(partition, number);
            Told.check("after seek to " + number, number, next());
        }
        consumer.seek(partition, run.records + 1_000L);
        String error = "none";
        try {
            next();
        } catch (OffsetOutOfRangeException outside) {
            error = outside.getClass().getSimpleName();
        }
        Told.check("after seek beyond the end", "OffsetOutOfRangeException", error);
    }

    private void byTime() {
        int third = run.records / 3;
        Map<Long, Integer> expected = new HashMap<>();
        expected.put(0L, 0);
        expected.put(time(0), 0);
        expected.put(time(third), third);
        expected.put(time(third) + 1, third + 1);
        expected.put(time(run.records - 1), run.records - 1);
        expected.forEach((time, number) -> {
            OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, time)).get(partition);
            Told.check("offset for time " + time, (long) number, found.offset());
            Told.check("its timestamp", time(number), found.timestamp());
            Told.check("it has a leader epoch", true, found.leaderEpoch().isPresent());
            consumer.seek(partition, found.offset());
            Told.check("record for time " + time, number, next());
        });
        long late = time(run.records - 1) + 1;
        Told.check("offset for a time after the last record", null,
                consumer.offsetsForTimes(Map.of(partition, late)).get(partition));
    }

    private void byEnds(AdminClient admin) throws Exception {
        consumer.seekToBeginning(List.of(partition));
        Told.check("at the beginning", 0, next());
        consumer.seekToEnd(List.of(partition));
        Told.check("at the end", (long) run.records, consumer.position(partition));
        Told.check("a poll at the end", 0, consumer.poll(Conformance.POLL).count());
        Told.check("first offset", 0L, consumer.beginningOffsets(List.of(partition)).get(partition));
        Told.check("end offset", (long) run.records,
                consumer.endOffsets(List.of(partition)).get(partition));
        Map<OffsetSpec, Long> specs = new HashMap<>(Map.of(
                OffsetSpec.earliest(), 0L,
                OffsetSpec.latest(), (long) run.records,
                OffsetSpec.forTimestamp(time(5) - 1), 5L));
        Since.maxTimestamp().ifPresent(spec -> specs.put(spec, run.records - 1L));
        for (Map.Entry<OffsetSpec, Long> row : specs.entrySet()) {
            long found = admin.listOffsets(Map.of(partition, row.getKey()))
                    .partitionResult(partition).get().offset();
            Told.check("listOffsets " + row.getKey().getClass().getSimpleName(),
                    row.getValue(), found);
        }
    }

    /** The number of the record at the position; a stale one after it does not matter. */
    private int next() {
        long position = consumer.position(partition);
        Conformance.Patience patience = new Conformance.Patience("a record at " + position);
        while (true) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Conformance.POLL)) {
                int number = Integer.parseInt(new String(record.value()));
                Told.check("its offset", position, record.offset());
                if (record.timestamp() != time(number)) {
                    throw new Told.Wrong("record " + number + " has time " + record.timestamp());
                }
                return number;
            }
            patience.look();
        }
    }
}
