package cli

import (
	"github.com/spf13/cobra"
)

func sinkCommand(env Env) *cobra.Command {
	root := newRoot(env, "dlog-sink",
		"Stores and shows log entries: sinks of teams, a live view, and the trees of tasks",
		`dlog-sink runs the sinks of a team and answers questions about what was logged: which tasks failed, and the whole
story of one of them over all processes.

The readers (tail, tasks, tree, find, gaps) ask a router's JetStream (--nats or DLOG_URL) or read files (--file).`,
		`  dlog-sink run --config sink.toml
  dlog-sink tasks --outcome failed --since 1h
  dlog-sink tree 0193e1a2
  dlog-sink find --where 'level>=warn' --where service=payments --since 14:30
  dlog-sink tail --where 'path=place-order/**'`)
	run := sinkRunCommand(env)
	root.AddCommand(run, sinkCheckCommand(env), tailCommand(env), tasksCommand(env), treeCommand(env), findCommand(env), gapsCommand(env), backupCommand(env))
	root.RunE = run.RunE
	root.Flags().AddFlagSet(run.Flags())
	return root
}
