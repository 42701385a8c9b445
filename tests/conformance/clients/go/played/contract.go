// Package played plays the scenarios of ../../README.md through a Library: what is sent, asked and
// compared. Each program beside it adapts one library to the interfaces of library.go and calls Main.
//
//	contract.go  the runner's protocol       record.go  records and their hash
//	codecs.go  seek.go  group.go (members in member.go)  admin.go  idempotent.go: a scenario each
//
// What does not hold ends the process at once (Fail): nothing after it could be believed.
package played

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// Patience is how long anything that works may take, on a machine that is busy.
const Patience = 60 * time.Second

// Options are the arguments of the contract; the last four are for a member of a group, which is
// this program again, in a process of its own.
type Options struct {
	Bootstrap, Scenario, Prefix string
	Records, Kills              int
	Topic, Group, Instance      string
	SessionMs                   int
}

func arguments() Options {
	var options Options
	flag.StringVar(&options.Bootstrap, "bootstrap", "", "HOST:PORT")
	flag.StringVar(&options.Scenario, "scenario", "", "what to play")
	flag.StringVar(&options.Prefix, "prefix", "", "of topics and groups")
	flag.IntVar(&options.Records, "records", 0, "how many")
	flag.IntVar(&options.Kills, "kills", 1, "how often the node is killed under the idempotent producer")
	flag.StringVar(&options.Topic, "topic", "", "a member's")
	flag.StringVar(&options.Group, "group", "", "a member's")
	flag.StringVar(&options.Instance, "instance", "", "a static member's name")
	flag.IntVar(&options.SessionMs, "session-ms", 0, "a member's")
	flag.Parse()
	return options
}

// Main plays the scenario that the arguments name.
func Main(of func(bootstrap string) Library) {
	options := arguments()
	library := of(options.Bootstrap)
	scenarios := map[string]func(Library, Options){
		"codecs": codecs, "seek": seek, "group": group, "admin": admin, "idempotent": idempotent,
	}
	if options.Scenario == "member" {
		beMember(library, options)
		return
	}
	play, known := scenarios[options.Scenario]
	if !known {
		Fail("no scenario is called %q", options.Scenario)
	}
	tell(map[string]any{"client": library.Name()})
	play(library, options)
	tell(map[string]any{"passed": true})
}

// VersionOf is the version of a module that this program was built with.
func VersionOf(module string) string {
	built, _ := debug.ReadBuildInfo()
	for _, with := range built.Deps {
		if with.Path == module {
			return strings.TrimPrefix(with.Version, "v")
		}
	}
	return "unknown"
}

// Fail ends the program: the scenario does not hold.
func Fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

// Must ends the program if there is an error.
func Must(err error, doing string, arguments ...any) {
	if err != nil {
		Fail("%s: %v", fmt.Sprintf(doing, arguments...), err)
	}
}

var telling sync.Mutex

func tell(line map[string]any) {
	telling.Lock()
	defer telling.Unlock()
	Must(json.NewEncoder(os.Stdout).Encode(line), "standard output")
}

var input = bufio.NewScanner(os.Stdin)

// ask asks the runner for something; answered waits for it.
func ask(what string) {
	tell(map[string]any{"need": what})
}

func answered(what string) {
	if !input.Scan() || strings.TrimSpace(input.Text()) != "done" {
		Fail("the runner answered %q to need %s", input.Text(), what)
	}
}

func check[T any](text string, expected, found T) {
	if !reflect.DeepEqual(expected, found) {
		Fail("%s: expected %v, found %v", text, expected, found)
	}
	tell(map[string]any{"check": text, "expected": fmt.Sprint(expected), "found": fmt.Sprint(found)})
}
