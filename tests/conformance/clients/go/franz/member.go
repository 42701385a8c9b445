package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"holdfast/conformance/clients/played"
)

type member struct {
	client *kgo.Client

	mutex    sync.Mutex
	assigned map[int32]bool
}

func (member *member) give(partitions []int32, added bool) {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	for _, partition := range partitions {
		if added {
			member.assigned[partition] = true
		} else {
			delete(member.assigned, partition)
		}
	}
}

func (member *member) Assignment() []int32 {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	return slices.Collect(maps.Keys(member.assigned))
}

func (member *member) Poll() []played.Record { return poll(member.client, time.Second/10) }

// Rebalances: every one has a generation of its own.
func (member *member) Rebalances() int {
	_, generation := member.client.GroupMetadata()
	return int(generation)
}

func (member *member) Commit() {
	limit, cancel := context.WithTimeout(context.Background(), played.Patience)
	defer cancel()
	played.Must(member.client.CommitUncommittedOffsets(limit), "commit")
}

func (member *member) Close() { member.client.Close() }
