package played

import (
	"fmt"
	"slices"
)

// seek sends records of known times to one partition and finds them by offset, by time and at the
// ends.
func seek(library Library, options Options) {
	const stepMs = 10
	topic, count := options.Prefix+"-times", options.Records
	Must(library.Admin().Create(topic, 1, keep), "create %s", topic)
	producer := library.Producer("none", false)
	var offsets []int64
	value := func(index int) string { return fmt.Sprintf("number-%d", index) }
	send := func(index int) {
		record := Record{Value: []byte(value(index)), TimestampMs: baseTimeMs + int64(index)*stepMs}
		producer.Send(topic, record, func(offset int64) { offsets = append(offsets, offset) })
	}
	for index := range count {
		send(index)
	}
	producer.Finish()
	slices.Sort(offsets)
	expected := make([]int64, count)
	for index := range expected {
		expected[index] = int64(index)
	}
	check("acknowledged offsets are all there are", true, slices.Equal(expected, offsets))
	reader := library.Reader(topic, []int32{0})
	first, end := reader.Limits(0)
	check("first and end offset", [2]int64{0, int64(count)}, [2]int64{first, end})
	nextIs := func(text string, index int) {
		found := read(reader, 1)[0]
		check(text, fmt.Sprint(index, " ", value(index)), fmt.Sprint(found.Offset, " ", string(found.Value)))
	}
	for _, index := range []int{count / 3, count - 1, 0, count / 2} {
		reader.Seek(0, int64(index))
		nextIs(fmt.Sprintf("after seek to offset %d", index), index)
	}
	for _, index := range []int{count / 2, count - 1, 0} {
		at := int64(baseTimeMs + index*stepMs)
		offset := reader.OffsetForTime(0, at)
		check(fmt.Sprintf("offset for the time of record %d", index), int64(index), offset)
		if index > 0 {
			between := reader.OffsetForTime(0, at-stepMs/2)
			check("offset for a time between records", int64(index), between)
		}
		reader.Seek(0, offset)
		nextIs(fmt.Sprintf("after seek to the time of record %d", index), index)
	}
	after := reader.OffsetForTime(0, int64(baseTimeMs+count*stepMs))
	check("offset for a time after the last", -1, after)
	reader.Beginning(0)
	nextIs("after seek to the beginning", 0)
	reader.End(0)
	check("records at the end", 0, more(reader))
	send(count)
	producer.Finish()
	nextIs("after seek to the end, the next one sent", count)
	producer.Close()
	reader.Close()
}
