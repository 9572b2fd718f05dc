package cli

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/agent"
)

type execFlags struct {
	agentFlags
	name   string
	linger time.Duration
}

func execCommand(env Env, code *int) *cobra.Command {
	var f execFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] -- CMD [ARG]…",
		Short: "Run a program as a task",
		Long: `exec runs a program as a task: its exit code is the outcome, and the lines of its output are entries in the task, told apart as pipe
tells them. The output is still shown, at once and unchanged, and signals are passed on.

The program finds DLOG_TASK and TRACEPARENT in its environment: what it logs with dlog or OpenTelemetry stands below the task.
Where DLOG_TASK is set already, the task continues that one, so exec may run inside of exec.

The exit code is the program's; 128 and the signal's number where a signal ended it; 127 where it was not found and 126 where it could not be
run. It does not depend on whether entries could be sent; that is said on standard error.`,
		Example: `  dlog-agent exec -- ./backup.sh /data
  dlog-agent exec --service backup --name nightly-backup -- ./backup.sh /data
  dlog-agent exec --format json -- java -jar shop.jar
  dlog-agent exec --name release -- sh -c 'make && make install'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("exec needs a program to run: dlog-agent exec -- CMD [ARG]…; \"%s --help\" has examples", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return f.run(env, args, code) },
	}
	cmd.Flags().SetInterspersed(false) // flags behind the program are the program's
	f.addFlags(cmd, env, "the program's name")
	cmd.Flags().StringVar(&f.name, "name", "", "`NAME` of the task: what is being achieved (default the program's name)")
	cmd.Flags().DurationVar(&f.linger, "linger", time.Second, "how `LONG` to read on after the program's end where something that it started holds its output open")
	return cmd
}

// run does not look at the context: signals are the program's business, and it ends when the program does.
func (f *execFlags) run(env Env, args []string, code *int) error {
	if f.linger <= 0 {
		return usagef("--linger %s: must be more than nothing", f.linger)
	}
	program := filepath.Base(args[0])
	o, format, err := f.open(env, program)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, agent.Signals()...)
	defer signal.Stop(signals)
	defer keepBrokenPipes()()
	*code, err = o.Exec(agent.Exec{
		Name: f.name, Args: args, Env: os.Environ(), Format: format,
		Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stderr, Signals: signals, Linger: f.linger,
	})
	f.close(env, o)
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	return nil
}

// close says on standard error what was not stored; the exit code is the program's all the same.
func (f *execFlags) close(env Env, o *agent.Outlet) {
	if err := f.agentFlags.close(o); err != nil {
		for _, line := range lines(err) {
			fmt.Fprintf(env.Stderr, "dlog-agent: %s\n", line)
		}
	}
}
