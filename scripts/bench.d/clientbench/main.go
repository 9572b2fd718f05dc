// Command clientbench measures what logging through dlog costs an application, beside other loggers, in one run.
//
// Machines are noisy, and this one is shared: everything is CPU time of the whole process (background goroutines are charged), rounds are short
// and interleaved, each round compares with zerolog to nowhere in the same round, and medians over the rounds are printed.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
)

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		if err := runApp(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	rounds := flag.Int("rounds", 60, "interleaved rounds of the call tables")
	calls := flag.Int("calls", 4096, "calls a round")
	apps := flag.Int("apps", 5, "runs of each whole application")
	only := flag.String("only", "calls,tasks,app", "what to measure")
	flag.Parse()
	fmt.Printf("%s, %s/%s, %d CPUs\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, part := range strings.Split(*only, ",") {
		var err error
		switch part {
		case "calls":
			err = benchCalls(*rounds, *calls)
		case "tasks":
			err = benchTasks(*rounds, *calls)
		case "app":
			err = benchApps(*apps)
		default:
			err = fmt.Errorf("nothing called %q: there are calls, tasks, app", part)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "clientbench:", err)
			os.Exit(1)
		}
	}
}
