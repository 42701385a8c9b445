package played

// Library is a client library, in the few words that the scenarios need.
type Library interface {
	// Name and version, for the matrix.
	Name() string
	Producer(codec string, idempotent bool) Producer
	// Reader reads by assignment, without a group.
	Reader(topic string, partitions []int32) Reader
	// Member subscribes in a group; a dynamic member has no instance.
	Member(group, topic, instance string, sessionMs int) Member
	Admin() Admin
	// CommitAlone commits without being a member.
	CommitAlone(group, topic string, offsets map[int32]int64) error
}

// Producer waits for all replicas in sync.
type Producer interface {
	// Send calls acknowledged with the offset once there is one, maybe in another goroutine, one
	// call at a time; a failure ends the program.
	Send(topic string, record Record, acknowledged func(offset int64))
	// Finish waits until everything sent so far is acknowledged.
	Finish()
	Close()
}

// Reader reads partitions assigned to it. It starts nowhere: the scenario says where.
type Reader interface {
	Seek(partition int32, offset int64)
	Beginning(partition int32)
	End(partition int32)
	// OffsetForTime is the first offset of that time or later, or -1.
	OffsetForTime(partition int32, timestampMs int64) int64
	// Limits are the first offset and the end.
	Limits(partition int32) (first, end int64)
	// Poll waits half a second at most.
	Poll() []Record
	Close()
}

// Member is one of a group; it starts at the earliest record where nothing is committed.
type Member interface {
	Poll() []Record
	Assignment() []int32
	// Rebalances grows with each that the member took part in.
	Rebalances() int
	// Commit commits what Poll returned.
	Commit()
	// Close leaves the group, unless the member is static.
	Close()
}

// Admin are the administrative calls; those that the library lacks are nil. Errors of the broker
// carry Kafka's name of the code.
type Admin struct {
	Create             func(topic string, partitions int32, configs map[string]string) error
	Delete             func(topic string) error
	Topics             func() ([]string, error)
	Partitions         func(topic string) (int, error)
	Configs            func(topic string) (map[string]string, error)
	AlterConfigs       func(topic string, configs map[string]string) error
	CreatePartitions   func(topic string, count int32) error
	DeleteRecords      func(topic string, partition int32, before int64) error
	Groups             func() ([]string, error)
	GroupState         func(group string) (string, error)
	GroupOffsets       func(group, topic string) (map[int32]int64, error)
	AlterGroupOffsets  func(group, topic string, offsets map[int32]int64) error
	DeleteGroupOffsets func(group, topic string, partition int32) error
	DeleteGroup        func(group string) error
}
