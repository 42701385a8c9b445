package played

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	shares = 6
	// The least that Kafka allows: how long a killed member keeps its partitions.
	sessionMs = 6_000
	// The static member's: it starts again well inside it, on a slow machine too.
	staticSessionMs = 45_000
	fresh           = 60
)

// group is the life of a group of three: one killed, one static that starts again, all gone and
// back after the node restarted.
func group(library Library, options Options) {
	topic, name := options.Prefix+"-work", options.Prefix+"-group"
	Must(library.Admin().Create(topic, shares, keep), "create %s", topic)
	sent := map[place]string{}
	producer := library.Producer("none", false)
	send := func(count int) {
		for index := len(sent); count > 0; index, count = index+1, count-1 {
			record := Record{Partition: int32(index % shares), TimestampMs: baseTimeMs + int64(index)}
			record.Key, record.Value = fmt.Append(nil, "key-", index), fmt.Append(nil, "value-", index)
			sent[place{record.Partition, int64(index / shares)}] = hashOf(record)
			producer.Send(topic, record, func(int64) {})
		}
		producer.Finish()
	}
	start := func(instance string) *process {
		session := sessionMs
		if instance != "" {
			session = staticSessionMs
		}
		return startMember(options, topic, name, session, instance)
	}

	// A multiple of the partitions, so that every partition has as many.
	send(options.Records / shares * shares)
	first, second, static := start(""), start(""), start("static-1")
	three := []*process{first, second, static}
	wait("three members share the partitions", three, func() bool { return shared(three) })
	for _, member := range three {
		check("partitions of one of three", 2, len(member.now().Assigned))
	}
	wait("every record consumed", three, func() bool { return len(consumed(three)) == len(sent) })
	check("every record consumed, none changed", true, maps.Equal(consumed(three), sent))

	second.kill()
	two := []*process{first, static}
	wait("the killed member's partitions go to the others", two, func() bool { return shared(two) })
	for _, member := range two {
		check("partitions of one of the two that stay", 3, len(member.now().Assigned))
	}

	kept, rebalances := static.now().Assigned, first.now().Rebalances
	static.kill()
	again := start("static-1")
	two = []*process{first, again}
	wait("the static member is back", two, func() bool { return len(again.now().Assigned) > 0 })
	check("the static member's partitions", kept, again.now().Assigned)
	send(fresh * shares)
	everyone := []*process{first, second, static, again}
	wait("new records consumed after that", two, func() bool { return len(consumed(everyone)) == len(sent) })
	check("every record consumed, none changed, after that", true, maps.Equal(consumed(everyone), sent))
	check("rebalances seen by the other member meanwhile", rebalances, first.now().Rebalances)
	committed := int64(len(sent) / shares)
	for _, partition := range kept {
		again.mutex.Lock()
		last := again.last[partition]
		again.mutex.Unlock()
		check(fmt.Sprintf("partition %d still with the static member", partition), committed-1, last)
	}

	// Both commit before either goes: the one that stays is assigned anew then, and has read nothing.
	for _, command := range []string{"commit", "close"} {
		for _, member := range two {
			member.say(command)
			done := func() bool { return slices.Contains(member.now().Done, command) }
			wait(command, []*process{member}, done)
		}
	}
	for _, member := range two {
		<-member.ended
	}
	send(fresh * shares)
	ask("restart")
	answered("restart")
	// A static member does not leave when it closes, so it is its name that comes back.
	resumed := start("static-1")
	alone := []*process{resumed}
	left := map[place]string{}
	expected := map[int32]int64{}
	for at, hash := range sent {
		if at.Offset >= committed {
			left[at] = hash
			expected[at.Partition] = committed
		}
	}
	wait("resumed after the restart", alone, func() bool { return len(consumed(alone)) >= len(left) })
	check("first offset after the restart, by partition", expected, resumed.first)
	check("what was consumed after the restart", true, maps.Equal(consumed(alone), left))
	resumed.say("close")
	<-resumed.ended
	Must(resumed.fault, "the last member's end")
	producer.Close()
}

func wait(text string, members []*process, holds func() bool) {
	deadline := time.Now().Add(Patience)
	for !holds() {
		for _, member := range members {
			select {
			case <-member.ended:
				if !holds() {
					Fail("%s: a member ended: %v", text, member.fault)
				}
			default:
			}
		}
		if time.Now().After(deadline) {
			state := ""
			for _, member := range members {
				now := member.now()
				state += fmt.Sprint(" ", now.Assigned, " in rebalance ", now.Rebalances, ";")
			}
			Fail("%s: not within %v; %d records consumed; members have%s", text, Patience,
				len(consumed(members)), state)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// shared: every partition has exactly one of these members, every member some.
func shared(members []*process) bool {
	var all []int32
	for _, member := range members {
		assigned := member.now().Assigned
		if len(assigned) == 0 {
			return false
		}
		all = append(all, assigned...)
	}
	slices.Sort(all)
	return slices.Equal(all, []int32{0, 1, 2, 3, 4, 5})
}

func consumed(members []*process) map[place]string {
	all := map[place]string{}
	for _, member := range members {
		member.mutex.Lock()
		maps.Copy(all, member.seen)
		member.mutex.Unlock()
	}
	return all
}
