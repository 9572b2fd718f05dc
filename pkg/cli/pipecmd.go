package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/agent"
)

// pipeService is the service of lines nobody gave a name.
const pipeService = "dlog-agent"

type pipeFlags struct {
	agentFlags
	echo bool
}

func pipeCommand(env Env) *cobra.Command {
	var f pipeFlags
	cmd := &cobra.Command{
		Use:   "pipe",
		Short: "Make entries of the lines on standard input",
		Long: `pipe reads standard input to its end and sends an entry for each line. What a line is, is told by the line alone, so formats may
be mixed: JSON of zerolog, slog, zap, pino, bunyan, winston, logrus and Python's logging, logfmt, klog, text with leading time and
level, Eliot. Levels and times are brought into one form; what nothing matches is kept as it is.

The program that writes into the pipe waits for a server that stores what it is sent, and hardly for one that does not: then entries
that find no room in the queue are refused, debug first, and counted.

SIGINT and SIGTERM end it once what is on its way was read, and sent. The exit code is 1 where entries were refused or left behind.`,
		Example: `  myprogram 2>&1 | dlog-agent pipe --service checkout
  myprogram 2>&1 | dlog-agent pipe --service checkout --echo     # and still see it
  tail -F /var/log/app.log | dlog-agent pipe --service app
  dlog-agent pipe --format eliot --service linkcheck < eliot.log`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	f.addFlags(cmd, env, pipeService)
	cmd.Flags().BoolVar(&f.echo, "echo", false, "pass what is read on to standard output, unchanged")
	return cmd
}

func (f *pipeFlags) run(ctx context.Context, env Env) error {
	o, format, err := f.open(env, pipeService)
	if err != nil {
		return err
	}
	p := agent.Pipe{Format: format, In: env.Stdin}
	if f.echo {
		p.Echo = env.Stdout
		defer keepBrokenPipes()()
	}
	err = o.Pipe(ctx, p)
	return errors.Join(notPipe(err), f.close(o))
}

// keepBrokenPipes makes writing to a pipe that nobody reads an error and not the end of this process, until it is called back.
func keepBrokenPipes() (undo func()) {
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return func() { signal.Stop(broken) }
}

// notPipe drops the error of an output that nobody reads any more: the entries were sent all the same.
func notPipe(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
