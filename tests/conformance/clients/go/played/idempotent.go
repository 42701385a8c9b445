package played

import "fmt"

// idempotent produces while the node is killed: every record is there once, in order.
func idempotent(library Library, options Options) {
	topic := options.Prefix + "-once"
	Must(library.Admin().Create(topic, partitions, keep), "create %s", topic)
	kills := map[int]bool{}
	for kill := range options.Kills {
		kills[options.Records*(kill+1)/(options.Kills+1)] = true
	}
	value := func(index int) string { return fmt.Sprintf("number-%09d", index) }
	var sent []Record
	producer := library.Producer("none", true)
	waiting := false
	for index := range options.Records {
		if kills[index] {
			if waiting {
				answered("kill9")
			}
			ask("kill9")
			waiting = true
		}
		record := Record{Partition: int32(index % partitions), Value: []byte(value(index))}
		record.TimestampMs = baseTimeMs + int64(index)
		producer.Send(topic, record, func(offset int64) {
			record.Offset = offset
			sent = append(sent, record)
		})
	}
	if waiting {
		answered("kill9")
	}
	producer.Finish()
	producer.Close()
	check("acknowledged", options.Records, len(sent))
	reader := library.Reader(topic, []int32{0, 1, 2})
	for partition := range int32(partitions) {
		reader.Beginning(partition)
	}
	found := read(reader, options.Records)
	check("after the last", 0, more(reader))
	reader.Close()
	next := [partitions]int{0, 1, 2}
	offsets := map[int64]int64{}
	for _, record := range found {
		if expected := value(next[record.Partition]); expected != string(record.Value) {
			Fail("partition %d, offset %d: expected %s, found %s", record.Partition, record.Offset,
				expected, record.Value)
		}
		next[record.Partition] += partitions
		offsets[record.TimestampMs] = record.Offset
	}
	check("each once and in order", options.Records, len(found))
	// A library may not learn the offset of a batch that was stored but answered only as a duplicate.
	wrong := 0
	for _, record := range sent {
		if record.Offset >= 0 && offsets[record.TimestampMs] != record.Offset {
			wrong++
		}
	}
	check("acknowledged offsets that are others", 0, wrong)
}
