// Command dlog-sink stores and shows log entries: sinks, a live view, and the trees of tasks.
package main

import (
	"os"

	"github.com/dlog-fabric/dlog/pkg/cli"
)

func main() { os.Exit(cli.Sink()) }
