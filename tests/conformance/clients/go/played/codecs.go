package played

const partitions = 3

// codecs sends every kind of record with every codec and reads it back.
func codecs(library Library, options Options) {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic := options.Prefix + "-" + codec
		Must(library.Admin().Create(topic, partitions, keep), "create %s", topic)
		sent := make([]Record, 0, options.Records)
		producer := library.Producer(codec, false)
		for index := range options.Records {
			record := sample(index, partitions)
			producer.Send(topic, record, func(offset int64) {
				record.Offset = offset
				sent = append(sent, record)
			})
		}
		producer.Finish()
		producer.Close()
		check(codec+": acknowledged", options.Records, len(sent))
		reader := library.Reader(topic, []int32{0, 1, 2})
		for partition := range int32(partitions) {
			reader.Beginning(partition)
		}
		found := read(reader, options.Records)
		check(codec+": after the last", 0, more(reader))
		reader.Close()
		compare(codec, sent, found)
	}
}
