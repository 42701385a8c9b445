package played

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Header is one of a record's; names may repeat.
type Header struct {
	Name  string
	Value []byte
}

// Record as it is sent, and as it comes back. A nil key or value is null, an empty one is empty.
type Record struct {
	Partition   int32
	Offset      int64
	Key, Value  []byte
	Headers     []Header
	TimestampMs int64
}

const (
	largeBytes = 900_000
	// November 2023: old enough that a broker which takes its own clock for the record's is found.
	baseTimeMs = 1_700_000_000_000
)

// Those old records must outlive the broker's retention.
var keep = map[string]string{"retention.ms": "-1"}

// sample is the record of that number: nulls, empties and one large among them.
func sample(index int, partitions int) Record {
	record := Record{Partition: int32(index % partitions), TimestampMs: baseTimeMs + int64(index)}
	if index%7 != 0 {
		record.Key = fmt.Appendf(nil, "key-%d", index%101)
	}
	switch {
	case index%11 == 0:
	case index%13 == 0:
		record.Value = []byte{}
	case index == 17:
		pattern := make([]byte, 1000)
		for at := range pattern {
			pattern[at] = byte((index*31 + at*7) % 251)
		}
		record.Value = bytes.Repeat(pattern, largeBytes/len(pattern))
	default:
		record.Value = fmt.Appendf(nil, "value-%d-%s", index, strings.Repeat("x", index%200))
	}
	if index%5 == 0 {
		number := fmt.Appendf(nil, "%d", index)
		record.Headers = []Header{{"number", number}, {"same", []byte("1")}, {"same", []byte("2")}}
	}
	return record
}

// digest is the sha256 over records in order of partition and offset; it tells null from empty.
func digest(records []Record) string {
	records = append([]Record(nil), records...)
	sort.Slice(records, func(a, b int) bool {
		if records[a].Partition != records[b].Partition {
			return records[a].Partition < records[b].Partition
		}
		return records[a].Offset < records[b].Offset
	})
	hash := sha256.New()
	number := func(value int64) {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(value)))
	}
	content := func(bytes []byte) {
		if bytes == nil {
			number(-1)
			return
		}
		number(int64(len(bytes)))
		hash.Write(bytes)
	}
	for _, record := range records {
		number(int64(record.Partition))
		number(record.Offset)
		number(record.TimestampMs)
		content(record.Key)
		content(record.Value)
		number(int64(len(record.Headers)))
		for _, header := range record.Headers {
			content([]byte(header.Name))
			content(header.Value)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// compare fails unless everything sent came back, once, in offset order, byte by byte.
func compare(text string, sent, found []Record) {
	check(text+": count", len(sent), len(found))
	next := map[int32]int64{}
	for _, record := range found {
		if record.Offset != next[record.Partition] {
			Fail("%s: partition %d: offset %d where %d follows", text, record.Partition, record.Offset,
				next[record.Partition])
		}
		next[record.Partition]++
	}
	check(text+": sha256", digest(sent), digest(found))
}

// read returns the next count records.
func read(reader Reader, count int) []Record {
	var records []Record
	deadline := time.Now().Add(Patience)
	for len(records) < count {
		if time.Now().After(deadline) {
			Fail("%d of %d records came within %v", len(records), count, Patience)
		}
		batch := reader.Poll()
		if len(batch) > 0 {
			deadline = time.Now().Add(Patience)
		}
		records = append(records, batch...)
	}
	return records
}

// more is what a few polls bring: nothing, or the count above was wrong.
func more(reader Reader) int {
	count := 0
	for range 3 {
		count += len(reader.Poll())
	}
	return count
}
