import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ReplicaInfo;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** Topics, configuration, records and groups as AdminClient handles them, and its errors. */
final class Administration {
    private static final int RECORDS = 10;

    private final Conformance run;
    private final AdminClient admin;
    private final String topic;
    private final String group;

    private Administration(Conformance run, AdminClient admin) {
        this.run = run;
        this.admin = admin;
        topic = run.prefix + "-topic";
        group = run.prefix + "-group";
    }

    static void play(Conformance run) throws Exception {
        try (AdminClient admin = run.admin()) {
            Administration scenario = new Administration(run, admin);
            scenario.cluster();
            scenario.topics();
            scenario.configs();
            scenario.brokerConfigs();
            scenario.partitions();
            scenario.records();
            scenario.groups();
            scenario.delete();
        }
    }

    private void cluster() throws Exception {
        Told.check("nodes", 1, admin.describeCluster().nodes().get().size());
        Told.check("a cluster id of 22 letters", 22, admin.describeCluster().clusterId().get().length());
        Told.check("a controller", true, admin.describeCluster().controller().get() != null);
        admin.describeFeatures().featureMetadata().get();
        Told.check("features", true, true);
    }

    private void topics() throws Exception {
        NewTopic wanted = new NewTopic(topic, 3, (short) 1)
                .configs(Map.of("retention.ms", "3600000", "max.message.bytes", "200000"));
        var only = new org.apache.kafka.clients.admin.CreateTopicsOptions().validateOnly(true);
        admin.createTopics(List.of(wanted), only).all().get();
        Told.check("after a dry run, describe", "UnknownTopicOrPartitionException",
                Conformance.error(Since.describe(admin, topic)));
        var made = admin.createTopics(List.of(wanted));
        made.all().get();
        Told.check("create tells partitions", 3, made.numPartitions(topic).get());
        Told.check("create tells replicas", 1, made.replicationFactor(topic).get());
        Told.check("create tells configs", "3600000",
                made.config(topic).get().get("retention.ms").value());
        Told.check("create again", "TopicExistsException", create(topic, 3, Map.of()));
        Told.check("create with a wrong name", "InvalidTopicException",
                create("no/such name", 1, Map.of()));
        Told.check("create with an unknown setting", "InvalidConfigurationException",
                create(topic + "-2", 1, Map.of("no.such.setting", "1")));
        Told.check("create with a wrong value", "InvalidConfigurationException",
                create(topic + "-2", 1, Map.of("retention.ms", "soon")));
        Told.check("create with 0 partitions", "InvalidPartitionsException",
                create(topic + "-2", 0, Map.of()));
        Told.check("create with 3 replicas", "InvalidReplicationFactorException",
                Conformance.error(admin.createTopics(
                        List.of(new NewTopic(topic + "-2", 1, (short) 3))).all()));
        becomes("describe", "no error", () -> Conformance.error(Since.describe(admin, topic)));
        TopicDescription found = Since.describe(admin, topic).get();
        Told.check("described partitions", 3, found.partitions().size());
        Told.check("not internal", false, found.isInternal());
        found.partitions().forEach(partition -> {
            Told.check("replicas of " + partition.partition(), 1, partition.replicas().size());
            Told.check("in sync of " + partition.partition(), 1, partition.isr().size());
            Told.check("led by its replica", partition.replicas().get(0).id(),
                    partition.leader().id());
        });
        Set<String> names =
                admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
        Told.check("listed", true, names.contains(topic));
        Told.check("describe an unknown topic", "UnknownTopicOrPartitionException",
                Conformance.error(Since.describe(admin, topic + "-none")));
        Told.check("describe a wrong name", "InvalidTopicException",
                Conformance.error(Since.describe(admin, "no/such name")));
    }

    private static void becomes(String what, Object expected, Conformance.Question question)
            throws Exception {
        Conformance.becomes(what, expected, question);
    }

    private String create(String name, int partitions, Map<String, String> configs) throws Exception {
        NewTopic wanted = new NewTopic(name, partitions, (short) 1).configs(configs);
        return Conformance.error(admin.createTopics(List.of(wanted)).all());
    }

    private void configs() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        becomes("given", "3600000 DYNAMIC_TOPIC_CONFIG", () -> entry(resource, "retention.ms"));
        becomes("default", "delete DEFAULT_CONFIG", () -> entry(resource, "cleanup.policy"));
        Told.check("at least 25 settings", true, describe(resource).entries().size() >= 25);
        alter(resource, op("retention.ms", "7200000", AlterConfigOp.OpType.SET),
                op("cleanup.policy", "compact", AlterConfigOp.OpType.APPEND)).get();
        becomes("set", "7200000 DYNAMIC_TOPIC_CONFIG", () -> entry(resource, "retention.ms"));
        becomes("appended", "delete,compact DYNAMIC_TOPIC_CONFIG", () -> entry(resource, "cleanup.policy"));
        alter(resource, op("retention.ms", "", AlterConfigOp.OpType.DELETE),
                op("cleanup.policy", "compact", AlterConfigOp.OpType.SUBTRACT)).get();
        becomes("deleted", "604800000 DEFAULT_CONFIG", () -> entry(resource, "retention.ms"));
        becomes("subtracted", "delete DYNAMIC_TOPIC_CONFIG", () -> entry(resource, "cleanup.policy"));
        Told.check("a wrong value", "InvalidConfigurationException",
                Conformance.error(alter(resource,
                        op("cleanup.policy", "never", AlterConfigOp.OpType.SET))));
        Told.check("an unknown setting", "InvalidConfigurationException",
                Conformance.error(alter(resource,
                        op("no.such.setting", "1", AlterConfigOp.OpType.SET))));
        Told.check("append to what is no list", "InvalidConfigurationException",
                Conformance.error(alter(resource,
                        op("retention.ms", "1", AlterConfigOp.OpType.APPEND))));
        Told.check("an unknown topic", "UnknownTopicOrPartitionException",
                Conformance.error(alter(
                        new ConfigResource(ConfigResource.Type.TOPIC, topic + "-none"),
                        op("retention.ms", "1", AlterConfigOp.OpType.SET))));
        var all = Since.alterAll(admin, resource,
                List.of(new ConfigEntry("segment.bytes", "2097152")));
        if (all.isEmpty()) {
            Told.lacks("alter configs (the whole at once)");
            return;
        }
        all.get().get();
        becomes("set by the whole", "2097152 DYNAMIC_TOPIC_CONFIG", () -> entry(resource, "segment.bytes"));
        becomes("the rest is as by default", "1048588 DEFAULT_CONFIG", () -> entry(resource, "max.message.bytes"));
    }

    private void brokerConfigs() throws Exception {
        String id = Integer.toString(admin.describeCluster().nodes().get().iterator().next().id());
        ConfigResource node = new ConfigResource(ConfigResource.Type.BROKER, id);
        Told.check("at least 200 settings of a broker", true, describe(node).entries().size() >= 200);
        alter(node, op("log.cleaner.threads", "2", AlterConfigOp.OpType.SET)).get();
        becomes("a broker's setting", "2 DYNAMIC_BROKER_CONFIG", () -> entry(node, "log.cleaner.threads"));
        alter(node, op("log.cleaner.threads", "", AlterConfigOp.OpType.DELETE)).get();
        Told.check("a setting that needs a restart", "InvalidRequestException",
                Conformance.error(alter(node, op("node.id", "9", AlterConfigOp.OpType.SET))));
        ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
        alter(all, op("message.max.bytes", "1048600", AlterConfigOp.OpType.SET)).get();
        becomes("a cluster's setting", "1048600 DYNAMIC_DEFAULT_BROKER_CONFIG",
                () -> entry(node, "message.max.bytes"));
        alter(all, op("message.max.bytes", "", AlterConfigOp.OpType.DELETE)).get();
    }

    private Config describe(ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource);
    }

    private String entry(ConfigResource resource, String name) throws Exception {
        ConfigEntry found = describe(resource).get(name);
        return found == null ? "missing" : found.value() + " " + found.source();
    }

    private static AlterConfigOp op(String name, String value, AlterConfigOp.OpType type) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private KafkaFuture<Void> alter(ConfigResource resource, AlterConfigOp... changes) {
        Map<ConfigResource, Collection<AlterConfigOp>> wanted =
                Map.of(resource, List.of(changes));
        return admin.incrementalAlterConfigs(wanted).all();
    }

    private void partitions() throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        becomes("after more partitions", 5,
                () -> Since.describe(admin, topic).get().partitions().size());
        Told.check("fewer partitions", "InvalidPartitionsException",
                Conformance.error(admin.createPartitions(
                        Map.of(topic, NewPartitions.increaseTo(4))).all()));
        Told.check("partitions of an unknown topic", "UnknownTopicOrPartitionException",
                Conformance.error(admin.createPartitions(
                        Map.of(topic + "-none", NewPartitions.increaseTo(4))).all()));
    }

    private void records() throws Exception {
        TopicPartition first = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> producer = run.producer(Map.of())) {
            for (int number = 0; number < RECORDS * 5; number++) {
                byte[] value = Sample.bytes("value " + number);
                producer.send(new ProducerRecord<>(topic, number % 5, null, value));
            }
            producer.flush();
            Told.check("a record above max.message.bytes", "RecordTooLargeException", tooLarge(producer));
        }
        long low = admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(4)))
                .lowWatermarks().get(first).get().lowWatermark();
        Told.check("low watermark after delete records", 4L, low);
        Told.check("earliest after delete records", 4L, offset(first, OffsetSpec.earliest()));
        Told.check("latest after delete records", (long) RECORDS, offset(first, OffsetSpec.latest()));
        Told.check("delete records beyond the end", "OffsetOutOfRangeException",
                Conformance.error(admin.deleteRecords(
                        Map.of(first, RecordsToDelete.beforeOffset(RECORDS + 1))).all()));
        Told.check("delete all records", (long) RECORDS,
                admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(-1)))
                        .lowWatermarks().get(first).get().lowWatermark());
        int id = admin.describeCluster().nodes().get().iterator().next().id();
        Map<TopicPartition, ReplicaInfo> sizes = new HashMap<>();
        admin.describeLogDirs(List.of(id)).descriptions().get(id).get().values()
                .forEach(directory -> sizes.putAll(directory.replicaInfos()));
        long seen = sizes.keySet().stream().filter(one -> one.topic().equals(topic)).count();
        Told.check("partitions in the log directories", 5L, seen);
        Told.check("with a size", true, sizes.get(new TopicPartition(topic, 1)).size() > 0);
        Told.check("no lag", 0L, sizes.get(new TopicPartition(topic, 1)).offsetLag());
    }

    /** The topic has the default again where the whole configuration was replaced. */
    private String tooLarge(KafkaProducer<byte[], byte[]> producer) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        alter(resource, op("max.message.bytes", "200000", AlterConfigOp.OpType.SET)).get();
        becomes("a smaller max.message.bytes", "200000 DYNAMIC_TOPIC_CONFIG",
                () -> entry(resource, "max.message.bytes"));
        try {
            producer.send(new ProducerRecord<>(topic, 1, null, new byte[300_000])).get();
            return "no error";
        } catch (java.util.concurrent.ExecutionException refused) {
            return refused.getCause().getClass().getSimpleName();
        }
    }

    private long offset(TopicPartition partition, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    private void groups() throws Exception {
        TopicPartition one = new TopicPartition(topic, 1);
        TopicPartition two = new TopicPartition(topic, 2);
        Map<String, String> settings = Map.of("group.id", group, "auto.offset.reset", "earliest",
                "client.id", "holder", "heartbeat.interval.ms", "500");
        try (KafkaConsumer<byte[], byte[]> consumer = run.consumer(settings)) {
            consumer.subscribe(List.of(topic));
            Conformance.Patience patience = new Conformance.Patience("an assignment");
            while (consumer.assignment().size() < 5) {
                consumer.poll(Conformance.POLL);
                patience.look();
            }
            consumer.commitSync(Map.of(one, new OffsetAndMetadata(3, "a word"),
                    two, new OffsetAndMetadata(7)));
            ConsumerGroupDescription found = group(group);
            Told.check("state with a member", "STABLE", state(found));
            Told.check("members", 1, found.members().size());
            var member = found.members().iterator().next();
            Told.check("a member's client", "holder", member.clientId());
            Told.check("its partitions", 5, member.assignment().topicPartitions().size());
            Told.check("assignor", "range", found.partitionAssignor());
            Told.check("delete a group with members", "GroupNotEmptyException",
                    Conformance.error(admin.deleteConsumerGroups(List.of(group)).all()));
            Told.check("delete an offset of a subscribed topic", "GroupSubscribedToTopicException",
                    Conformance.error(admin.deleteConsumerGroupOffsets(group, Set.of(one))
                            .partitionResult(one)));
            Told.check("alter offsets of a group with members", "UnknownMemberIdException",
                    Conformance.error(admin.alterConsumerGroupOffsets(
                            group, Map.of(one, new OffsetAndMetadata(1))).all()));
        }
        Told.check("state without members", "EMPTY", state(group(group)));
        Collection<ConsumerGroupListing> groups = admin.listConsumerGroups().all().get();
        Told.check("listed", true, groups.stream().anyMatch(row -> row.groupId().equals(group)));
        Told.check("offsets", "{1=3 a word, 2=7 }", offsets());
        admin.alterConsumerGroupOffsets(group, Map.of(one, new OffsetAndMetadata(5))).all().get();
        Told.check("altered offsets", "{1=5 , 2=7 }", offsets());
        admin.deleteConsumerGroupOffsets(group, Set.of(two)).all().get();
        Told.check("after one offset is deleted", "{1=5 }", offsets());
        admin.deleteConsumerGroups(List.of(group)).all().get();
        Told.check("offsets of a deleted group", "{}", offsets());
        Told.check("delete an unknown group", "GroupIdNotFoundException",
                Conformance.error(admin.deleteConsumerGroups(List.of(group)).all()));
        groups = admin.listConsumerGroups().all().get();
        Told.check("listed no more", false, groups.stream().anyMatch(row -> row.groupId().equals(group)));
        String unknown;
        try {
            unknown = state(group(group));
        } catch (java.util.concurrent.ExecutionException refused) {
            unknown = refused.getCause().getClass().getSimpleName();
        }
        Told.check("an unknown group", Since.unknownGroup(), unknown);
    }

    private ConsumerGroupDescription group(String name) throws Exception {
        return admin.describeConsumerGroups(List.of(name)).describedGroups().get(name).get();
    }

    private static String state(ConsumerGroupDescription found) throws Exception {
        return Since.state(found).toUpperCase();
    }

    private String offsets() throws Exception {
        Map<Integer, String> rows = new TreeMap<>();
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                .forEach((partition, committed) -> {
                    if (committed != null) {
                        rows.put(partition.partition(), committed.offset() + " " + committed.metadata());
                    }
                });
        return rows.toString();
    }

    private void delete() throws Exception {
        admin.deleteTopics(List.of(topic)).all().get();
        becomes("describe a deleted topic", "UnknownTopicOrPartitionException",
                () -> Conformance.error(Since.describe(admin, topic)));
        Told.check("delete an unknown topic", "UnknownTopicOrPartitionException",
                Conformance.error(admin.deleteTopics(List.of(topic)).all()));
        Told.check("listed no more", false, admin.listTopics().names().get().contains(topic));
        Told.check("its name is free", "no error", create(topic, 1, Map.of()));
        admin.deleteTopics(List.of(topic)).all().get();
    }
}
