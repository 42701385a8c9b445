import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * A group of three: one killed, one static that restarts, commits that outlive the node.
 *
 * <pre>
 * static S ──────────── reads ─────────────── restarts ── commits half ── closes
 * dynamic A ─────────── reads ─────────────────────────── closes          need: restart
 * dynamic B (a process) reads ── killed                                              new member resumes
 * </pre>
 */
final class Group {
    private static final int PARTITIONS = 6;

    private final Conformance run;
    private final String topic;
    private final String group;
    /** (partition, offset) that a member got. */
    private final Set<Long> seen = ConcurrentHashMap.newKeySet();

    private Group(Conformance run) {
        this.run = run;
        topic = run.prefix + "-group";
        group = run.prefix + "-members";
    }

    static void play(Conformance run) throws Exception {
        new Group(run).play();
    }

    private void play() throws Exception {
        try (AdminClient admin = run.admin()) {
            run.create(admin, topic, PARTITIONS);
            Member fixed = new Member(run, group, topic, "fixed", seen);
            Conformance.Patience.until("the first member's partitions", () -> fixed.owned().size() == PARTITIONS);
            Other killed = new Other();
            Member dynamic = new Member(run, group, topic, null, seen);
            Conformance.Patience.until("two partitions each", () ->
                    fixed.owned().size() == 2 && dynamic.owned().size() == 2 && killed.owned().size() == 2
                            && together(fixed, dynamic, killed) == PARTITIONS);
            Told.check("three members share the partitions", PARTITIONS, together(fixed, dynamic, killed));
            int half = run.records / 2;
            send(0, half);
            Conformance.Patience.until("the first half", () -> seen.size() >= half);

            killed.kill();
            Conformance.Patience.until("the killed member's partitions", () ->
                    fixed.owned().size() + dynamic.owned().size() == PARTITIONS);
            Told.check("two members share the partitions", PARTITIONS, together(fixed, dynamic));
            send(half, run.records);
            Conformance.Patience.until("the second half", () -> seen.size() >= run.records);
            Told.check("records seen by the members", run.records, seen.size());

            Member again = restart(fixed, dynamic);
            Map<TopicPartition, Long> committed = commitHalf(again);
            // The static member first, which does not leave: what it owned would be read again.
            again.close();
            dynamic.close();
            Told.need("restart");
            Told.check("committed offsets after the restart", text(committed), listed(admin));
            resume(committed);
        }
    }

    private Member restart(Member fixed, Member dynamic) throws Exception {
        TreeSet<Integer> before = fixed.owned();
        int generation = fixed.ask(consumer -> consumer.groupMetadata().generationId());
        int rebalances = dynamic.rebalances();
        fixed.close();
        Member again = new Member(run, group, topic, "fixed", seen);
        Conformance.Patience.until("the static member's partitions", () -> !again.owned().isEmpty());
        Told.check("partitions of the static member", before, again.owned());
        int same = again.ask(consumer -> consumer.groupMetadata().generationId());
        Told.check("generation", generation, same);
        // Two heartbeats: a rebalance would have reached the other member by then.
        Thread.sleep(2L * Member.HEARTBEAT_MS);
        Told.check("rebalances of the other member", rebalances, dynamic.rebalances());
        Told.check("its generation", generation,
                dynamic.ask(consumer -> consumer.groupMetadata().generationId()));
        return again;
    }

    /** Half of each partition, with a word beside the offset. */
    private Map<TopicPartition, Long> commitHalf(Member member) throws Exception {
        List<TopicPartition> all = Conformance.partitions(topic, PARTITIONS);
        return member.ask(consumer -> {
            Map<TopicPartition, Long> committed = new HashMap<>();
            Map<TopicPartition, OffsetAndMetadata> rows = new HashMap<>();
            consumer.endOffsets(all).forEach((partition, end) -> {
                committed.put(partition, end / 2);
                rows.put(partition, new OffsetAndMetadata(end / 2, "half of " + end));
            });
            consumer.commitSync(rows);
            consumer.committed(Set.copyOf(all)).forEach((partition, found) -> {
                Told.check("committed of " + partition.partition(), rows.get(partition).offset(), found.offset());
                Told.check("its word", rows.get(partition).metadata(), found.metadata());
            });
            return committed;
        });
    }

    private void resume(Map<TopicPartition, Long> committed) throws Exception {
        Map<TopicPartition, Long> first = new HashMap<>();
        int count = 0;
        long expected = run.records - committed.values().stream().mapToLong(offset -> offset).sum();
        try (KafkaConsumer<byte[], byte[]> consumer = run.consumer(Member.settings(group, null))) {
            consumer.subscribe(List.of(topic));
            Conformance.Patience patience = new Conformance.Patience("what was not committed");
            while (count < expected || first.size() < PARTITIONS) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Conformance.POLL)) {
                    TopicPartition partition = new TopicPartition(topic, record.partition());
                    if (first.putIfAbsent(partition, record.offset()) == null) {
                        patience.again();
                    }
                    count++;
                }
                patience.look();
            }
        }
        Told.check("where a new member resumes", text(committed), text(first));
        Told.check("records after it", expected, (long) count);
    }

    private void send(int from, int to) {
        try (KafkaProducer<byte[], byte[]> producer = run.producer(Map.of("linger.ms", "5"))) {
            for (int number = from; number < to; number++) {
                byte[] value = Sample.bytes(Integer.toString(number));
                producer.send(new ProducerRecord<>(topic, number % PARTITIONS, null, value));
            }
        }
    }

    private String listed(AdminClient admin) throws Exception {
        Map<TopicPartition, Long> found = new HashMap<>();
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                .forEach((partition, row) -> found.put(partition, row.offset()));
        return text(found);
    }

    private static String text(Map<TopicPartition, Long> offsets) {
        Map<Integer, Long> rows = new TreeMap<>();
        offsets.forEach((partition, offset) -> rows.put(partition.partition(), offset));
        return rows.toString();
    }

    private static int together(Owner... members) {
        Set<Integer> all = new TreeSet<>();
        for (Owner member : members) {
            all.addAll(member.owned());
        }
        return all.size();
    }

    /** Someone with partitions. */
    interface Owner {
        TreeSet<Integer> owned();
    }

    /** A member in a process of its own, so that it can die without leaving. */
    private final class Other implements Owner {
        private final Process process;
        private volatile TreeSet<Integer> owned = new TreeSet<>();

        Other() throws IOException {
            List<String> command = new ArrayList<>(List.of(
                    ProcessHandle.current().info().command().orElse("java"),
                    "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                    "-cp", System.getProperty("java.class.path"),
                    "Member", run.bootstrap, group, topic));
            process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            Thread reader = new Thread(this::read);
            reader.setDaemon(true);
            reader.start();
        }

        private void read() {
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(process.getInputStream()))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    String[] words = line.split(" ");
                    if (words[0].equals("owns")) {
                        TreeSet<Integer> now = new TreeSet<>();
                        for (int at = 1; at < words.length; at++) {
                            now.add(Integer.parseInt(words[at]));
                        }
                        owned = now;
                    } else {
                        seen.add(Member.place(Integer.parseInt(words[1]), Long.parseLong(words[2])));
                    }
                }
            } catch (IOException ended) {
                // Killed: what it told until then counts.
            }
        }

        @Override
        public TreeSet<Integer> owned() {
            return owned;
        }

        void kill() throws InterruptedException {
            process.destroyForcibly().waitFor();
            owned = new TreeSet<>();
        }
    }
}
