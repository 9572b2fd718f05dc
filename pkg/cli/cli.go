// Package cli holds the commands of the three programs: flags, signals, exit codes, and nothing else.
//
// A program is a tree of commands over an [Env], so a test can run it in its own process with other streams and another
// environment. Exit codes are part of the contract with scripts: 0 after a clean stop, 2 for a wrong command line or
// configuration (nothing was started), 1 for everything else. An error is one line on standard error (several faults of one
// file are one line each), and it is printed here only: commands return it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes of all programs.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Env is what a command sees of the world.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// OSEnv is the environment of the running process.
func OSEnv() Env {
	return Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
}

// getenv returns the variable's value, or def where it is empty.
func (e Env) getenv(name, def string) string {
	if v := e.Getenv(name); v != "" {
		return v
	}
	return def
}

// Router runs dlog-router with the process's arguments and returns its exit code.
func Router() int { return runProcess(routerCommand, os.Args[1:]) }

// Sink runs dlog-sink (or dlog, its other name) with the process's arguments and returns its exit code.
func Sink() int { return runProcess(sinkCommand, os.Args[1:]) }

// runProcess runs a program until it ends or is told to stop by SIGTERM or SIGINT. A second signal ends it at once, for the
// operator whose drain hangs on a server that is gone.
func runProcess(build func(Env) *cobra.Command, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, build(OSEnv()), OSEnv(), args)
}

// Run executes root with args and returns the exit code.
func Run(ctx context.Context, root *cobra.Command, env Env, args []string) int {
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var silent silentError
	if errors.As(err, &silent) {
		return exitError
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitError // the reader of our output is gone: it asked for no more
	}
	for _, line := range lines(err) {
		fmt.Fprintf(env.Stderr, "%s: %s\n", root.Name(), line)
	}
	if isUsage(err) {
		return exitUsage
	}
	return exitError
}

// lines takes joined errors apart, so that each fault is a line of its own.
func lines(err error) []string {
	var out []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// usageError marks an error that the user has to mend on the command line or in a file: exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usage marks err as a usage error; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// silentError ends a command with exit code 1 after it has said all there is to say.
type silentError struct{ error }

func isUsage(err error) bool {
	var u usageError
	return errors.As(err, &u)
}

// newRoot builds the top command of a program: no usage text after an error, unknown commands with a suggestion, and every
// fault of flags and arguments a usage error.
func newRoot(env Env, name, short, long, example string) *cobra.Command {
	root := &cobra.Command{
		Use:           name,
		Short:         short,
		Long:          long,
		Example:       example,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			msg := fmt.Sprintf("unknown command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				msg += fmt.Sprintf("; did you mean %q?", near[0])
			}
			return usagef("%s; \"%s --help\" lists the commands", msg, name)
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; \"%s --help\" lists the flags", err, cmd.CommandPath())
	})
	return root
}

// noArgs refuses arguments with a line that names the first one.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q; \"%s --help\" shows its flags", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// exactArgs wants n arguments; what names them for the error.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usagef("%s wants %s, got %d arguments; \"%s --help\" has examples", cmd.CommandPath(), what, len(args), cmd.CommandPath())
	}
}

// version is the module's version as the build recorded it, with the revision where there is one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(v, s.Value[:min(12, len(s.Value))]) {
			v += " (" + s.Value[:min(12, len(s.Value))] + ")"
		}
	}
	return v + " " + info.GoVersion
}
