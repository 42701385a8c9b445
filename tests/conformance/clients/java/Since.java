import java.lang.reflect.Method;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.config.ConfigResource;

/** Calls that some versions do not have, or have under another name. */
final class Since {
    private Since() {}

    /** Since 3.0 (KIP-734). */
    static Optional<OffsetSpec> maxTimestamp() {
        try {
            return Optional.of((OffsetSpec) OffsetSpec.class.getMethod("maxTimestamp").invoke(null));
        } catch (ReflectiveOperationException missing) {
            return Optional.empty();
        }
    }

    /** `values` until 3.x, `topicNameValues` since 3.1. */
    @SuppressWarnings("unchecked")
    static KafkaFuture<TopicDescription> describe(AdminClient admin, String topic) throws Exception {
        Object result = admin.describeTopics(java.util.List.of(topic));
        Map<String, KafkaFuture<TopicDescription>> values =
                (Map<String, KafkaFuture<TopicDescription>>)
                        either(result, "topicNameValues", "values").invoke(result);
        return values.get(topic);
    }

    /** `state` until 3.x, `groupState` since 4.0. */
    static String state(ConsumerGroupDescription group) throws Exception {
        return either(group, "groupState", "state").invoke(group).toString();
    }

    /** The whole configuration at once (AlterConfigs), gone in 4.0; empty if there is no such call. */
    static Optional<KafkaFuture<Void>> alterAll(
            AdminClient admin, ConfigResource resource, Collection<ConfigEntry> entries)
            throws Exception {
        Method method;
        try {
            method = org.apache.kafka.clients.admin.Admin.class.getMethod("alterConfigs", Map.class);
        } catch (NoSuchMethodException missing) {
            return Optional.empty();
        }
        Object result = method.invoke(admin, Map.of(resource, new Config(entries)));
        @SuppressWarnings("unchecked")
        KafkaFuture<Void> all =
                (KafkaFuture<Void>) result.getClass().getMethod("all").invoke(result);
        return Optional.of(all);
    }

    /** A group that is not there is Dead until 3.9, an error since 4.0 (KIP-1043). */
    static String unknownGroup() {
        String version = org.apache.kafka.common.utils.AppInfoParser.getVersion();
        boolean old = Integer.parseInt(version.split("\\.")[0]) < 4;
        return old ? "DEAD" : "GroupIdNotFoundException";
    }

    private static Method either(Object on, String now, String before) throws Exception {
        try {
            return on.getClass().getMethod(now);
        } catch (NoSuchMethodException old) {
            return on.getClass().getMethod(before);
        }
    }
}
