// sarama: its clients and its ClusterAdmin, speaking the newest protocol it knows.
package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"holdfast/conformance/clients/played"
)

func main() {
	played.Main(func(bootstrap string) played.Library { return library{[]string{bootstrap}} })
}

type library struct{ bootstrap []string }

func (library) Name() string {
	return fmt.Sprintf("sarama %s (protocol of %v)", played.VersionOf("github.com/IBM/sarama"), sarama.MaxVersion)
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	return config
}

// named puts Kafka's name of the code, which sarama has not, before the error.
func named(err error) error {
	names := map[sarama.KError]string{
		sarama.ErrUnknownTopicOrPartition: "UNKNOWN_TOPIC_OR_PARTITION",
		sarama.ErrTopicAlreadyExists:      "TOPIC_ALREADY_EXISTS",
		sarama.ErrGroupIDNotFound:         "GROUP_ID_NOT_FOUND",
	}
	var code sarama.KError
	if !errors.As(err, &code) || code == sarama.ErrNoError {
		return err
	}
	return fmt.Errorf("%s %w", names[code], err)
}

func (library library) Producer(codec string, idempotent bool) played.Producer {
	config := config()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	config.Producer.Idempotent = idempotent
	if idempotent {
		// As sarama demands.
		config.Net.MaxOpenRequests = 1
		// The node may be away for seconds, often.
		config.Producer.Retry.Max = 1_000
		// A batch is lost when its partition's leader is not found again in time.
		config.Metadata.Retry.Max = 240
	}
	played.Must(config.Producer.Compression.UnmarshalText([]byte(codec)), "codec")
	async, err := sarama.NewAsyncProducer(library.bootstrap, config)
	played.Must(err, "a producer")
	producer := &producer{async: async}
	producer.answers.Go(func() {
		for message := range async.Successes() {
			message.Metadata.(func(int64))(message.Offset)
			producer.waiting.Done()
		}
	})
	producer.answers.Go(func() {
		for failure := range async.Errors() {
			played.Fail("produce to %s-%d: %v", failure.Msg.Topic, failure.Msg.Partition, failure.Err)
		}
	})
	return producer
}

type producer struct {
	async sarama.AsyncProducer
	// waiting counts records without an answer, answers the goroutines that hear them.
	waiting, answers sync.WaitGroup
}

func (producer *producer) Send(topic string, record played.Record, acknowledged func(int64)) {
	message := &sarama.ProducerMessage{
		Topic: topic, Partition: record.Partition, Timestamp: time.UnixMilli(record.TimestampMs),
		Metadata: acknowledged,
	}
	// An encoder that holds nil would be an empty one.
	if record.Key != nil {
		message.Key = sarama.ByteEncoder(record.Key)
	}
	if record.Value != nil {
		message.Value = sarama.ByteEncoder(record.Value)
	}
	for _, header := range record.Headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
	}
	producer.waiting.Add(1)
	producer.async.Input() <- message
}

func (producer *producer) Finish() { producer.waiting.Wait() }

func (producer *producer) Close() {
	producer.async.AsyncClose()
	producer.answers.Wait()
}

func recordOf(found *sarama.ConsumerMessage) played.Record {
	record := played.Record{
		Partition: found.Partition, Offset: found.Offset, Key: found.Key, Value: found.Value,
		TimestampMs: found.Timestamp.UnixMilli(),
	}
	for _, header := range found.Headers {
		record.Headers = append(record.Headers, played.Header{Name: string(header.Key), Value: header.Value})
	}
	return record
}

func (library library) Reader(topic string, _ []int32) played.Reader {
	client, err := sarama.NewClient(library.bootstrap, config())
	played.Must(err, "a client")
	consumer, err := sarama.NewConsumerFromClient(client)
	played.Must(err, "a consumer")
	return &reader{client, consumer, topic, map[int32]sarama.PartitionConsumer{}}
}

// reader has a consumer per partition, made anew by every seek: sarama has no other.
type reader struct {
	client     sarama.Client
	consumer   sarama.Consumer
	topic      string
	partitions map[int32]sarama.PartitionConsumer
}

func (reader *reader) Seek(partition int32, offset int64) {
	if before := reader.partitions[partition]; before != nil {
		played.Must(before.Close(), "close of %s-%d", reader.topic, partition)
	}
	consumer, err := reader.consumer.ConsumePartition(reader.topic, partition, offset)
	played.Must(err, "%s-%d from offset %d", reader.topic, partition, offset)
	reader.partitions[partition] = consumer
}

func (reader *reader) Beginning(partition int32) { reader.Seek(partition, sarama.OffsetOldest) }
func (reader *reader) End(partition int32)       { reader.Seek(partition, sarama.OffsetNewest) }

func (reader *reader) offset(partition int32, at int64) int64 {
	offset, err := reader.client.GetOffset(reader.topic, partition, at)
	played.Must(err, "offset of %s-%d at %d", reader.topic, partition, at)
	return offset
}

func (reader *reader) OffsetForTime(partition int32, timestampMs int64) int64 {
	return reader.offset(partition, timestampMs)
}

func (reader *reader) Limits(partition int32) (first, end int64) {
	return reader.offset(partition, sarama.OffsetOldest), reader.offset(partition, sarama.OffsetNewest)
}

func (reader *reader) Poll() []played.Record {
	var records []played.Record
	deadline := time.Now().Add(time.Second / 2)
	for len(records) == 0 && time.Now().Before(deadline) {
		for _, partition := range reader.partitions {
			records = append(records, ready(partition)...)
		}
		if len(records) == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return records
}

// ready is what a partition's consumer has at hand.
func ready(partition sarama.PartitionConsumer) []played.Record {
	var records []played.Record
	for {
		select {
		case found := <-partition.Messages():
			records = append(records, recordOf(found))
		case failure := <-partition.Errors():
			played.Fail("fetch: %v", failure)
		default:
			return records
		}
	}
}

func (reader *reader) Close() {
	for _, partition := range reader.partitions {
		played.Must(partition.Close(), "close of a partition")
	}
	played.Must(reader.consumer.Close(), "close of the consumer")
	played.Must(reader.client.Close(), "close of the client")
}
