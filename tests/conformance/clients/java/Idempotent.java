import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** An idempotent producer through kill -9: everything acknowledged is there once, in order. */
final class Idempotent {
    private static final int PARTITIONS = 3;
    /** While a kill is awaited: slow enough that some batches are sent, some in flight, some not made. */
    private static final long PACE_MS = 1;

    private Idempotent() {}

    static void play(Conformance run) throws Exception {
        String topic = run.prefix + "-idempotent";
        try (AdminClient admin = run.admin()) {
            run.create(admin, topic, PARTITIONS);
        }
        long[] offsets = send(run, topic);
        try (KafkaConsumer<byte[], byte[]> consumer = run.consumer(Map.of())) {
            List<TopicPartition> all = Conformance.partitions(topic, PARTITIONS);
            List<ConsumerRecord<byte[], byte[]>> read = Conformance.readAll(consumer, all);
            Told.check("records", run.records, read.size());
            int[] next = {0, 1, 2};
            for (ConsumerRecord<byte[], byte[]> record : read) {
                int number = Integer.parseInt(new String(record.value()));
                int expected = next[record.partition()];
                if (number != expected || record.offset() != offsets[number]) {
                    throw new Told.Wrong("partition " + record.partition() + ", offset "
                            + record.offset() + " holds record " + number + ", not " + expected
                            + " (acknowledged at " + offsets[number] + ")");
                }
                next[record.partition()] += PARTITIONS;
            }
            Told.check("each once, in order, at its acknowledged offset", true, true);
        }
    }

    private static long[] send(Conformance run, String topic) throws Exception {
        long[] offsets = new long[run.records];
        AtomicReference<Exception> failed = new AtomicReference<>();
        Map<String, String> settings = Map.of(
                "enable.idempotence", "true",
                "acks", "all",
                "batch.size", "2048",
                "delivery.timeout.ms", "240000",
                "request.timeout.ms", "10000",
                "max.block.ms", "240000");
        Thread kill = null;
        int killed = 0;
        try (KafkaProducer<byte[], byte[]> producer = run.producer(settings)) {
            for (int number = 0; number < run.records; number++) {
                if (killed < run.kills && number >= (long) run.records * (killed + 1) / (run.kills + 1)) {
                    if (kill != null) {
                        kill.join();
                    }
                    kill = new Thread(() -> {
                        try {
                            Told.need("kill9");
                        } catch (Exception refused) {
                            failed.compareAndSet(null, refused);
                        }
                    });
                    kill.start();
                    killed++;
                }
                int at = number;
                byte[] value = Sample.bytes(Integer.toString(number));
                producer.send(new ProducerRecord<>(topic, number % PARTITIONS, null, value),
                        (told, error) -> {
                            if (error == null) {
                                offsets[at] = told.offset();
                            } else {
                                failed.compareAndSet(null, error);
                            }
                        });
                if (kill != null && kill.isAlive()) {
                    Thread.sleep(PACE_MS);
                }
            }
            if (kill != null) {
                kill.join();
            }
            producer.flush();
        }
        Told.check("kills", run.kills, killed);
        Told.check("a send that failed", null, failed.get());
        return offsets;
    }
}
