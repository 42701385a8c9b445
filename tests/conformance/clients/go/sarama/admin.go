package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"

	"holdfast/conformance/clients/played"
)

// administer calls with a ClusterAdmin of its own.
func administer[T any](library library, call func(sarama.ClusterAdmin) (T, error)) (T, error) {
	admin, err := sarama.NewClusterAdmin(library.bootstrap, config())
	played.Must(err, "a ClusterAdmin")
	defer admin.Close()
	value, err := call(admin)
	return value, named(err)
}

func done(library library, call func(sarama.ClusterAdmin) error) error {
	_, err := administer(library, func(admin sarama.ClusterAdmin) (bool, error) { return true, call(admin) })
	return err
}

func (library library) CommitAlone(group, topic string, offsets map[int32]int64) error {
	return done(library, func(admin sarama.ClusterAdmin) error {
		places := map[int32]sarama.OffsetAndMetadata{}
		for partition, offset := range offsets {
			places[partition] = sarama.OffsetAndMetadata{Offset: offset, LeaderEpoch: -1}
		}
		all := map[string]map[int32]sarama.OffsetAndMetadata{topic: places}
		answer, err := admin.AlterConsumerGroupOffsets(group, all, nil)
		if err != nil {
			return err
		}
		for partition := range offsets {
			if code := answer.Errors[topic][partition]; code != sarama.ErrNoError {
				return code
			}
		}
		return nil
	})
}

func pointers(configs map[string]string) map[string]*string {
	all := map[string]*string{}
	for name, value := range configs {
		all[name] = &value
	}
	return all
}

func (library library) Admin() played.Admin {
	return played.Admin{
		Create: func(topic string, partitions int32, configs map[string]string) error {
			detail := sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: pointers(configs)}
			return done(library, func(admin sarama.ClusterAdmin) error { return admin.CreateTopic(topic, &detail, false) })
		},
		Delete: func(topic string) error {
			return done(library, func(admin sarama.ClusterAdmin) error { return admin.DeleteTopic(topic) })
		},
		Topics: func() ([]string, error) {
			return administer(library, func(admin sarama.ClusterAdmin) ([]string, error) {
				topics, err := admin.ListTopics()
				return slices.Collect(maps.Keys(topics)), err
			})
		},
		Partitions: func(topic string) (int, error) {
			return administer(library, func(admin sarama.ClusterAdmin) (int, error) {
				topics, err := admin.DescribeTopics([]string{topic})
				if err != nil {
					return 0, err
				}
				if topics[0].Err != sarama.ErrNoError {
					return 0, topics[0].Err
				}
				return len(topics[0].Partitions), nil
			})
		},
		Configs: func(topic string) (map[string]string, error) {
			return administer(library, func(admin sarama.ClusterAdmin) (map[string]string, error) {
				entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
				configs := map[string]string{}
				for _, entry := range entries {
					configs[entry.Name] = entry.Value
				}
				return configs, err
			})
		},
		AlterConfigs: func(topic string, configs map[string]string) error {
			entries := map[string]sarama.IncrementalAlterConfigsEntry{}
			for name, value := range pointers(configs) {
				entries[name] = sarama.IncrementalAlterConfigsEntry{
					Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value,
				}
			}
			return done(library, func(admin sarama.ClusterAdmin) error {
				return admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false)
			})
		},
		CreatePartitions: func(topic string, count int32) error {
			return done(library, func(admin sarama.ClusterAdmin) error {
				return admin.CreatePartitions(topic, count, nil, false)
			})
		},
		DeleteRecords: func(topic string, partition int32, before int64) error {
			return done(library, func(admin sarama.ClusterAdmin) error {
				return admin.DeleteRecords(topic, map[int32]int64{partition: before})
			})
		},
		Groups: func() ([]string, error) {
			return administer(library, func(admin sarama.ClusterAdmin) ([]string, error) {
				groups, err := admin.ListConsumerGroups()
				return slices.Collect(maps.Keys(groups)), err
			})
		},
		GroupState: func(group string) (string, error) {
			return administer(library, func(admin sarama.ClusterAdmin) (string, error) {
				groups, err := admin.DescribeConsumerGroups([]string{group})
				if err != nil {
					return "", err
				}
				if groups[0].Err != sarama.ErrNoError {
					return "", groups[0].Err
				}
				return groups[0].State, nil
			})
		},
		GroupOffsets: func(group, topic string) (map[int32]int64, error) {
			return administer(library, func(admin sarama.ClusterAdmin) (map[int32]int64, error) {
				// No partitions named: all that have one.
				answer, err := admin.ListConsumerGroupOffsets(group, nil)
				if err != nil {
					return nil, err
				}
				offsets := map[int32]int64{}
				for partition, block := range answer.Blocks[topic] {
					if block.Err != sarama.ErrNoError {
						return nil, fmt.Errorf("partition %d: %w", partition, block.Err)
					}
					offsets[partition] = block.Offset
				}
				return offsets, nil
			})
		},
		AlterGroupOffsets: library.CommitAlone,
		DeleteGroupOffsets: func(group, topic string, partition int32) error {
			return done(library, func(admin sarama.ClusterAdmin) error {
				return admin.DeleteConsumerGroupOffset(group, topic, partition)
			})
		},
		DeleteGroup: func(group string) error {
			return done(library, func(admin sarama.ClusterAdmin) error { return admin.DeleteConsumerGroup(group) })
		},
	}
}
