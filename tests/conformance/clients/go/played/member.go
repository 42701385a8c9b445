package played

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
)

// A member of a group is a process, so that it can be killed without leaving.
//
//	parent ── commit, close ──▶ member     (standard input)
//	parent ◀── told, a line ─── member     (standard output)

// place is where a record sits.
type place struct {
	Partition int32
	Offset    int64
}

// seen is a record that a member consumed.
type seen struct {
	place
	Hash string
}

// told is what a member tells: always its state, and what is new.
type told struct {
	Assigned   []int32
	Rebalances int
	Records    []seen `json:",omitempty"`
	// Done are the commands carried out so far.
	Done []string
}

func hashOf(record Record) string {
	hash := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", record.Key, record.Value, record.TimestampMs))
	return hex.EncodeToString(hash[:8])
}

// beMember polls until told otherwise.
func beMember(library Library, options Options) {
	commands := make(chan string)
	go func() {
		for input.Scan() {
			commands <- input.Text()
		}
		// The parent is gone.
		os.Exit(1)
	}()
	member := library.Member(options.Group, options.Topic, options.Instance, options.SessionMs)
	out := json.NewEncoder(os.Stdout)
	var now told
	for {
		records := member.Poll()
		assigned := member.Assignment()
		slices.Sort(assigned)
		changed := !slices.Equal(assigned, now.Assigned) || now.Rebalances != member.Rebalances()
		now.Assigned, now.Rebalances, now.Records = assigned, member.Rebalances(), nil
		for _, record := range records {
			now.Records = append(now.Records, seen{place{record.Partition, record.Offset}, hashOf(record)})
		}
		select {
		case command := <-commands:
			if command == "commit" {
				member.Commit()
			} else {
				member.Close()
			}
			now.Done = append(now.Done, command)
			changed = true
		default:
		}
		if changed || len(records) > 0 {
			Must(out.Encode(now), "standard output")
		}
		if slices.Contains(now.Done, "close") {
			return
		}
	}
}

// process is the parent's end of a member.
type process struct {
	command *exec.Cmd
	input   io.Writer
	// ended is closed when the member's output is over; fault is then its failure.
	ended chan struct{}
	fault error

	mutex sync.Mutex
	state told
	seen  map[place]string
	first map[int32]int64
	last  map[int32]int64
}

func startMember(options Options, topic, group string, sessionMs int, instance string) *process {
	command := exec.Command(os.Args[0], "--scenario", "member", "--bootstrap", options.Bootstrap,
		"--topic", topic, "--group", group, "--session-ms", fmt.Sprint(sessionMs), "--instance", instance)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	Must(err, "a member's standard input")
	output, err := command.StdoutPipe()
	Must(err, "a member's standard output")
	Must(command.Start(), "start of a member")
	started := &process{
		command: command, input: input, ended: make(chan struct{}),
		seen: map[place]string{}, first: map[int32]int64{}, last: map[int32]int64{},
	}
	go started.listen(output)
	return started
}

func (member *process) listen(output io.Reader) {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		var state told
		if err != nil || json.Unmarshal(line, &state) != nil {
			break
		}
		member.mutex.Lock()
		member.state = state
		for _, record := range state.Records {
			if _, known := member.first[record.Partition]; !known {
				member.first[record.Partition] = record.Offset
			}
			member.last[record.Partition] = record.Offset
			member.seen[record.place] = record.Hash
		}
		member.mutex.Unlock()
	}
	member.fault = member.command.Wait()
	close(member.ended)
}

func (member *process) now() told {
	member.mutex.Lock()
	defer member.mutex.Unlock()
	return member.state
}

func (member *process) say(command string) {
	_, err := fmt.Fprintln(member.input, command)
	Must(err, "a member's standard input")
}

// kill is SIGKILL: the socket closes, no LeaveGroup is sent.
func (member *process) kill() {
	Must(member.command.Process.Kill(), "kill of a member")
	<-member.ended
}
