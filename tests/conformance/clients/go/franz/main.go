// franz: franz-go, its client (kgo) and its administrative calls (kadm).
package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"holdfast/conformance/clients/played"
)

func main() {
	played.Main(func(bootstrap string) played.Library { return library{bootstrap} })
}

type library struct{ bootstrap string }

func (library) Name() string {
	return "franz-go " + played.VersionOf("github.com/twmb/franz-go") +
		" (kadm " + played.VersionOf("github.com/twmb/franz-go/pkg/kadm") + ")"
}

func (library library) client(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(library.bootstrap))...)
	played.Must(err, "a client")
	return client
}

func (library library) Producer(codec string, idempotent bool) played.Producer {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
	}
	if !idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	return producer{library.client(options...)}
}

type producer struct{ client *kgo.Client }

func (producer producer) Send(topic string, record played.Record, acknowledged func(int64)) {
	sent := &kgo.Record{
		Topic: topic, Partition: record.Partition, Key: record.Key, Value: record.Value,
		Timestamp: time.UnixMilli(record.TimestampMs),
	}
	for _, header := range record.Headers {
		sent.Headers = append(sent.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
	}
	producer.client.Produce(context.Background(), sent, func(sent *kgo.Record, err error) {
		played.Must(err, "produce to %s-%d", topic, record.Partition)
		acknowledged(sent.Offset)
	})
}

func (producer producer) Finish() {
	limit, cancel := context.WithTimeout(context.Background(), 150*time.Second)
	defer cancel()
	played.Must(producer.client.Flush(limit), "flush")
}

func (producer producer) Close() { producer.client.Close() }

// poll waits at most that long; errors of partitions end the program.
func poll(client *kgo.Client, wait time.Duration) []played.Record {
	limit, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	fetches := client.PollFetches(limit)
	fetches.EachError(func(topic string, partition int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			played.Fail("fetch of %s-%d: %v", topic, partition, err)
		}
	})
	var records []played.Record
	fetches.EachRecord(func(found *kgo.Record) {
		record := played.Record{
			Partition: found.Partition, Offset: found.Offset, Key: found.Key, Value: found.Value,
			TimestampMs: found.Timestamp.UnixMilli(),
		}
		for _, header := range found.Headers {
			record.Headers = append(record.Headers, played.Header{Name: header.Key, Value: header.Value})
		}
		if found.Attrs.TimestampType() != 0 {
			played.Fail("timestamp of type %d", found.Attrs.TimestampType())
		}
		records = append(records, record)
	})
	return records
}

func (library library) Reader(topic string, _ []int32) played.Reader {
	client := library.client(kgo.ConsumePartitions(nil))
	return &reader{library, client, topic}
}

// reader has the partitions that the scenario places somewhere.
type reader struct {
	library library
	client  *kgo.Client
	topic   string
}

func (reader *reader) from(partition int32, offset kgo.Offset) {
	reader.client.RemoveConsumePartitions(map[string][]int32{reader.topic: {partition}})
	reader.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{reader.topic: {partition: offset}})
}

func (reader *reader) Seek(partition int32, offset int64) {
	reader.from(partition, kgo.NewOffset().At(offset))
}
func (reader *reader) Beginning(partition int32) { reader.from(partition, kgo.NewOffset().AtStart()) }
func (reader *reader) End(partition int32)       { reader.from(partition, kgo.NewOffset().AtEnd()) }
func (reader *reader) Poll() []played.Record     { return poll(reader.client, time.Second/2) }
func (reader *reader) Close()                    { reader.client.Close() }

func (library library) Member(group, topic, instance string, sessionMs int) played.Member {
	member := &member{assigned: map[int32]bool{}}
	gone := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { member.give(parts[topic], false) }
	options := []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(time.Second),
		kgo.SessionTimeout(time.Duration(sessionMs) * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			member.give(parts[topic], true)
		}),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone),
	}
	if instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	member.client = library.client(options...)
	return member
}
