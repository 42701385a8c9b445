package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"holdfast/conformance/clients/played"
)

// member is a ConsumerGroup and its handler: sarama runs a session per rebalance.
type member struct {
	group  sarama.ConsumerGroup
	stop   context.CancelFunc
	over   chan struct{}
	queue  chan *sarama.ConsumerMessage
	topic  string
	faults chan error

	mutex      sync.Mutex
	session    sarama.ConsumerGroupSession
	rebalances int
}

func (library library) Member(group, topic, instance string, sessionMs int) played.Member {
	config := config()
	config.Consumer.Group.Session.Timeout = time.Duration(sessionMs) * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = time.Second
	config.Consumer.Group.InstanceId = instance
	client, err := sarama.NewConsumerGroup(library.bootstrap, group, config)
	played.Must(err, "a member")
	context, stop := context.WithCancel(context.Background())
	member := &member{
		group: client, stop: stop, over: make(chan struct{}), topic: topic,
		queue: make(chan *sarama.ConsumerMessage), faults: make(chan error, 100),
	}
	go func() {
		for fault := range client.Errors() {
			member.faults <- fault
		}
	}()
	go func() {
		defer close(member.over)
		for context.Err() == nil {
			err := client.Consume(context, []string{topic}, member)
			if err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				played.Fail("consume: %v", err)
			}
		}
	}()
	return member
}

// Setup is the beginning of a session, Cleanup its end.
func (member *member) Setup(session sarama.ConsumerGroupSession) error {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	member.session = session
	member.rebalances++
	return nil
}

func (member *member) Cleanup(sarama.ConsumerGroupSession) error {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	member.session = nil
	return nil
}

func (member *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for found := range claim.Messages() {
		select {
		case member.queue <- found:
			session.MarkMessage(found, "")
		case <-session.Context().Done():
			return nil
		}
	}
	return nil
}

func (member *member) Poll() []played.Record {
	var records []played.Record
	late := time.After(time.Second / 10)
	for len(records) < 500 {
		select {
		case found := <-member.queue:
			records = append(records, recordOf(found))
		case <-late:
			return records
		}
	}
	return records
}

func (member *member) Assignment() []int32 {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	if member.session == nil {
		return nil
	}
	return append([]int32(nil), member.session.Claims()[member.topic]...)
}

func (member *member) Rebalances() int {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	return member.rebalances
}

func (member *member) Commit() {
	member.mutex.Lock()
	session := member.session
	member.mutex.Unlock()
	if session == nil {
		played.Fail("commit: there is no session")
	}
	session.Commit()
	select {
	case fault := <-member.faults:
		played.Fail("commit: %v", fault)
	default:
	}
}

func (member *member) Close() {
	member.stop()
	played.Must(member.group.Close(), "close")
	<-member.over
}
