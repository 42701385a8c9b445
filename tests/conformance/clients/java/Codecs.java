import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Every codec: what is read is what was sent, byte for byte, at the offsets that were told. */
final class Codecs {
    private static final int PARTITIONS = 3;

    private Codecs() {}

    static void play(Conformance run) throws Exception {
        try (AdminClient admin = run.admin();
                KafkaConsumer<byte[], byte[]> consumer = run.consumer(Map.of())) {
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                String topic = run.prefix + "-" + codec;
                run.create(admin, topic, PARTITIONS);
                String sent = send(run, topic, codec);
                Sample.Digest read = new Sample.Digest();
                List<TopicPartition> all = Conformance.partitions(topic, PARTITIONS);
                for (ConsumerRecord<byte[], byte[]> record : Conformance.readAll(consumer, all)) {
                    read.read(record);
                }
                Told.check(codec + ": records", run.records, read.count);
                Told.check(codec + ": content", sent, read.hex());
            }
        }
    }

    private static String send(Conformance run, String topic, String codec) throws Exception {
        long[] offsets = new long[run.records];
        Throwable[] failed = new Throwable[1];
        double ratio;
        Map<String, String> settings = Map.of("compression.type", codec, "linger.ms", "20");
        try (KafkaProducer<byte[], byte[]> producer = run.producer(settings)) {
            for (int number = 0; number < run.records; number++) {
                int at = number;
                producer.send(Sample.record(topic, number % PARTITIONS, number), (told, error) -> {
                    if (error == null) {
                        offsets[at] = told.offset();
                    } else {
                        failed[0] = error;
                    }
                });
            }
            producer.flush();
            ratio = producer.metrics().entrySet().stream()
                    .filter(row -> row.getKey().name().equals("compression-rate-avg"))
                    .filter(row -> row.getKey().group().equals("producer-metrics"))
                    .mapToDouble(row -> (double) row.getValue().metricValue())
                    .findFirst().orElseThrow();
        }
        if (failed[0] != null) {
            throw new Told.Wrong(codec + ": a record was refused: " + failed[0]);
        }
        Told.check(codec + ": batches got smaller", !codec.equals("none"), ratio < 1.0);
        Sample.Digest digest = new Sample.Digest();
        for (int number = 0; number < run.records; number++) {
            ProducerRecord<byte[], byte[]> record =
                    Sample.record(topic, number % PARTITIONS, number);
            digest.sent(record, offsets[number]);
            if (offsets[number] != number / PARTITIONS) {
                throw new Told.Wrong(codec + ": record " + number + " is at " + offsets[number]);
            }
        }
        return digest.hex();
    }
}
