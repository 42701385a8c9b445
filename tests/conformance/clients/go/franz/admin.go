package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"

	"holdfast/conformance/clients/played"
)

// administer calls with a client of its own: none is kept open between the calls of a scenario.
func administer[T any](library library, call func(context.Context, *kadm.Client) (T, error)) (T, error) {
	client := kadm.NewClient(library.client())
	defer client.Close()
	limit, cancel := context.WithTimeout(context.Background(), played.Patience)
	defer cancel()
	return call(limit, client)
}

func done(library library, call func(context.Context, *kadm.Client) error) error {
	_, err := administer(library, func(limit context.Context, client *kadm.Client) (struct{}, error) {
		return struct{}{}, call(limit, client)
	})
	return err
}

func (library library) CommitAlone(group, topic string, offsets map[int32]int64) error {
	return done(library, func(limit context.Context, client *kadm.Client) error {
		var all kadm.Offsets
		for partition, offset := range offsets {
			all.AddOffset(topic, partition, offset, -1)
		}
		return client.CommitAllOffsets(limit, group, all)
	})
}

func (library library) offset(
	topic string, partition int32, list func(context.Context, *kadm.Client) (kadm.ListedOffsets, error),
) kadm.ListedOffset {
	listed, err := administer(library, list)
	played.Must(err, "offsets of %s", topic)
	offset, found := listed.Lookup(topic, partition)
	if !found {
		played.Fail("no offset of %s-%d in the answer", topic, partition)
	}
	played.Must(offset.Err, "offset of %s-%d", topic, partition)
	return offset
}

func (reader *reader) Limits(partition int32) (first, end int64) {
	start := func(limit context.Context, client *kadm.Client) (kadm.ListedOffsets, error) {
		return client.ListStartOffsets(limit, reader.topic)
	}
	last := func(limit context.Context, client *kadm.Client) (kadm.ListedOffsets, error) {
		return client.ListEndOffsets(limit, reader.topic)
	}
	return reader.library.offset(reader.topic, partition, start).Offset,
		reader.library.offset(reader.topic, partition, last).Offset
}

func (reader *reader) OffsetForTime(partition int32, timestampMs int64) int64 {
	found := reader.library.offset(reader.topic, partition,
		func(limit context.Context, client *kadm.Client) (kadm.ListedOffsets, error) {
			return client.ListOffsetsAfterMilli(limit, timestampMs, reader.topic)
		})
	if found.Timestamp < 0 {
		// kadm puts the end where there is none.
		return -1
	}
	return found.Offset
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
			return done(library, func(limit context.Context, client *kadm.Client) error {
				_, err := client.CreateTopic(limit, partitions, 1, pointers(configs), topic)
				return err
			})
		},
		Delete: func(topic string) error {
			return done(library, func(limit context.Context, client *kadm.Client) error {
				_, err := client.DeleteTopic(limit, topic)
				return err
			})
		},
		Topics: func() ([]string, error) {
			return administer(library, func(limit context.Context, client *kadm.Client) ([]string, error) {
				topics, err := client.ListTopics(limit)
				return topics.Names(), err
			})
		},
		Partitions: func(topic string) (int, error) {
			return administer(library, func(limit context.Context, client *kadm.Client) (int, error) {
				topics, err := client.ListTopics(limit, topic)
				if err != nil {
					return 0, err
				}
				return len(topics[topic].Partitions), topics[topic].Err
			})
		},
		Configs: func(topic string) (map[string]string, error) {
			return administer(library, func(limit context.Context, client *kadm.Client) (map[string]string, error) {
				described, err := client.DescribeTopicConfigs(limit, topic)
				if err != nil {
					return nil, err
				}
				resource, err := described.On(topic, nil)
				configs := map[string]string{}
				for _, config := range resource.Configs {
					configs[config.Key] = config.MaybeValue()
				}
				return configs, err
			})
		},
		AlterConfigs: func(topic string, configs map[string]string) error {
			return done(library, func(limit context.Context, client *kadm.Client) error {
				var alter []kadm.AlterConfig
				for name, value := range pointers(configs) {
					alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value})
				}
				altered, err := client.AlterTopicConfigs(limit, alter, topic)
				if err != nil {
					return err
				}
				answer, err := altered.On(topic, nil)
				if err != nil {
					return err
				}
				return answer.Err
			})
		},
		CreatePartitions: func(topic string, count int32) error {
			return done(library, func(limit context.Context, client *kadm.Client) error {
				created, err := client.UpdatePartitions(limit, int(count), topic)
				if err != nil {
					return err
				}
				return created.Error()
			})
		},
		DeleteRecords: func(topic string, partition int32, before int64) error {
			return done(library, func(limit context.Context, client *kadm.Client) error {
				var offsets kadm.Offsets
				offsets.AddOffset(topic, partition, before, -1)
				deleted, err := client.DeleteRecords(limit, offsets)
				if err != nil {
					return err
				}
				return deleted[topic][partition].Err
			})
		},
		Groups: func() ([]string, error) {
			return administer(library, func(limit context.Context, client *kadm.Client) ([]string, error) {
				groups, err := client.ListGroups(limit)
				return groups.Groups(), err
			})
		},
		GroupState: func(group string) (string, error) {
			return administer(library, func(limit context.Context, client *kadm.Client) (string, error) {
				groups, err := client.DescribeGroups(limit, group)
				if err != nil {
					return "", err
				}
				return groups[group].State, groups[group].Err
			})
		},
		GroupOffsets: func(group, topic string) (map[int32]int64, error) {
			return administer(library, func(limit context.Context, client *kadm.Client) (map[int32]int64, error) {
				offsets, err := client.FetchOffsets(limit, group)
				if err != nil {
					return nil, err
				}
				found := map[int32]int64{}
				for partition, offset := range offsets[topic] {
					found[partition] = offset.At
				}
				return found, offsets.Error()
			})
		},
		AlterGroupOffsets: library.CommitAlone,
		DeleteGroupOffsets: func(group, topic string, partition int32) error {
			return done(library, func(limit context.Context, client *kadm.Client) error {
				var partitions kadm.TopicsSet
				partitions.Add(topic, partition)
				deleted, err := client.DeleteOffsets(limit, group, partitions)
				if err != nil {
					return err
				}
				return deleted.Error()
			})
		},
		DeleteGroup: func(group string) error {
			return done(library, func(limit context.Context, client *kadm.Client) error {
				_, err := client.DeleteGroup(limit, group)
				return err
			})
		},
	}
}
