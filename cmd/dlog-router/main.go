// Command dlog-router takes in the log entries of all applications, applies a set of rules and republishes them.
package main

import (
	"os"

	"github.com/dlog-fabric/dlog/pkg/cli"
)

func main() { os.Exit(cli.Router()) }
