// Command dlog-agent brings what programs already write into dlog: lines on a pipe, and whole programs as tasks.
package main

import (
	"os"

	"github.com/dlog-fabric/dlog/pkg/cli"
)

func main() { os.Exit(cli.Agent()) }
