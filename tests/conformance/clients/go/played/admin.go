package played

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// admin plays what an administrator does to a topic and a group.
func admin(library Library, options Options) {
	play := library.Admin()
	topic, group := options.Prefix+"-topic", options.Prefix+"-group"
	refused := func(text, name string, err error) {
		if err == nil || !strings.Contains(err.Error(), name) {
			Fail("%s: expected %s, found %v", text, name, err)
		}
		check(text, name, name)
	}
	has := func(call string, there bool) bool {
		if !there {
			tell(map[string]any{"lacks": call})
		}
		return there
	}
	Must(play.Create(topic, 2, map[string]string{"retention.ms": "7200000", "cleanup.policy": "delete"}), "create")
	refused("error of a second create", "TOPIC_ALREADY_EXISTS", play.Create(topic, 2, nil))
	check("listed", true, slices.Contains(got(play.Topics()), topic))
	check("partitions", 2, got(play.Partitions(topic)))
	_, err := play.Partitions(topic + "-unknown")
	refused("error of an unknown topic", "UNKNOWN_TOPIC_OR_PARTITION", err)
	configs := got(play.Configs(topic))
	check("retention.ms as created", "7200000", configs["retention.ms"])
	check("delete.retention.ms by default", "86400000", configs["delete.retention.ms"])
	if has("alter configs", play.AlterConfigs != nil) {
		Must(play.AlterConfigs(topic, map[string]string{"retention.ms": "3600000"}), "alter configs")
		configs = got(play.Configs(topic))
		check("retention.ms as altered", "3600000", configs["retention.ms"])
		check("cleanup.policy not touched by it", "delete", configs["cleanup.policy"])
	}
	if has("create partitions", play.CreatePartitions != nil) {
		Must(play.CreatePartitions(topic, 5), "create partitions")
		check("partitions after more were created", 5, got(play.Partitions(topic)))
	}
	producer := library.Producer("none", false)
	for index := range 100 {
		record := Record{Value: fmt.Append(nil, index), TimestampMs: time.Now().UnixMilli()}
		producer.Send(topic, record, func(int64) {})
	}
	producer.Finish()
	producer.Close()
	if has("delete records", play.DeleteRecords != nil) {
		Must(play.DeleteRecords(topic, 0, 40), "delete records")
		reader := library.Reader(topic, []int32{0})
		first, end := reader.Limits(0)
		check("limits after records were deleted", [2]int64{40, 100}, [2]int64{first, end})
		reader.Close()
	}
	Must(library.CommitAlone(group, topic, map[int32]int64{0: 41, 1: 0}), "commit")
	if has("groups", play.Groups != nil) {
		check("group listed", true, slices.Contains(got(play.Groups()), group))
	}
	if has("group state", play.GroupState != nil) {
		check("group without members", "empty", strings.ToLower(got(play.GroupState(group))))
	}
	if has("group offsets", play.GroupOffsets != nil) {
		check("committed offsets", map[int32]int64{0: 41, 1: 0}, got(play.GroupOffsets(group, topic)))
	}
	if has("alter group offsets", play.AlterGroupOffsets != nil) {
		Must(play.AlterGroupOffsets(group, topic, map[int32]int64{0: 50}), "alter group offsets")
		check("committed offset after it was set", 50, got(play.GroupOffsets(group, topic))[0])
	}
	if has("delete group offsets", play.DeleteGroupOffsets != nil) {
		Must(play.DeleteGroupOffsets(group, topic, 0), "delete group offsets")
		check("committed offsets after deletion", map[int32]int64{1: 0}, got(play.GroupOffsets(group, topic)))
	}
	if has("delete group", play.DeleteGroup != nil) {
		Must(play.DeleteGroup(group), "delete group")
		check("group listed after deletion", false, slices.Contains(got(play.Groups()), group))
		refused("error of deleting the group again", "GROUP_ID_NOT_FOUND", play.DeleteGroup(group))
	}
	Must(play.Delete(topic), "delete")
	deadline := time.Now().Add(Patience)
	for slices.Contains(got(play.Topics()), topic) && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	check("listed after deletion", false, slices.Contains(got(play.Topics()), topic))
	refused("error of deleting it again", "UNKNOWN_TOPIC_OR_PARTITION", play.Delete(topic))
}

func got[T any](value T, err error) T {
	Must(err, "an administrative call")
	return value
}
