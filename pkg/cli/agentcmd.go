package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/agent"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Agent runs dlog-agent with the process's arguments and returns its exit code: that of the program it ran, if it ran one.
func Agent() int {
	var code int
	rc := runProcess(func(env Env) *cobra.Command { return agentCommand(env, &code) }, os.Args[1:])
	if rc == exitOK || code != 0 {
		return code
	}
	return rc
}

// agentCommand builds dlog-agent. code gets the exit code of a program that it runs.
func agentCommand(env Env, code *int) *cobra.Command {
	root := newRoot(env, "dlog-agent",
		"Brings logs that exist already into dlog: lines on a pipe, and whole programs as tasks",
		`dlog-agent makes entries of what programs write already, without a change to them: JSON of the usual loggers, logfmt, klog,
text with leading times and levels, and Eliot. docs/agent.md says what is recognised, and what is kept as it is.`,
		`  myprogram 2>&1 | dlog-agent pipe --service checkout
  dlog-agent exec --service backup --name nightly-backup -- ./backup.sh /data`)
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.AddCommand(pipeCommand(env), execCommand(env, code))
	return root
}

// agentFlags say where the entries of pipe and exec go.
type agentFlags struct {
	connection
	service, namespace, spool string
	format                    string
	drain                     time.Duration
}

func (a *agentFlags) addFlags(cmd *cobra.Command, env Env, service string) {
	f := cmd.Flags()
	f.StringVar(&a.service, "service", first(env.Getenv("DLOG_SERVICE"), env.Getenv("OTEL_SERVICE_NAME")),
		"`NAME` of the service whose lines these are (DLOG_SERVICE, OTEL_SERVICE_NAME; default "+service+")")
	f.StringVar(&a.format, "format", "auto", "`FORMAT` of the lines: auto, json, logfmt, text or eliot; what does not match is kept as text")
	f.StringVar(&a.url, "nats", env.getenv("DLOG_URL", defaultURL), "`URL` of the router (DLOG_URL)")
	f.StringVar(&a.creds, "creds", env.Getenv("DLOG_CREDS"), "credentials `FILE` of NATS (DLOG_CREDS)")
	f.StringVar(&a.ca, "ca", env.Getenv("DLOG_CA"), "certificate authority `FILE` to trust (DLOG_CA)")
	f.StringVar(&a.namespace, "namespace", "dlog", "`NAME` that all subjects begin with")
	f.StringVar(&a.spool, "spool", env.Getenv("DLOG_SPOOL"), "`DIR` where entries wait until they are sent, so that they outlive a kill; memory for none (DLOG_SPOOL; default where there is a place for it)")
	f.DurationVar(&a.drain, "drain", 10*time.Second, "how `LONG` to wait at the end until everything is stored")
}

// open starts the outlet; service is the name where none was given.
func (a *agentFlags) open(env Env, service string) (*agent.Outlet, agent.Format, error) {
	format, err := agent.ParseFormat(a.format)
	if err != nil {
		err = fmt.Errorf("--format: %w", err)
	}
	if nsErr := subject.CheckNamespace(a.namespace); nsErr != nil {
		err = errors.Join(err, fmt.Errorf("--namespace: %w", nsErr))
	}
	if a.drain < 0 {
		err = errors.Join(err, fmt.Errorf("--drain %s: must not be negative", a.drain))
	}
	if err != nil {
		return nil, format, usage(err)
	}
	place := spool.Place(func(name string) string {
		if name == "DLOG_SPOOL" {
			return a.spool
		}
		return env.Getenv(name)
	})
	o, err := agent.Open(agent.Config{
		Service: first(a.service, service), URL: a.url, Creds: a.creds, CA: a.ca, Namespace: a.namespace, Spool: place.Dir, Stderr: env.Stderr,
	})
	return o, format, usage(err)
}

// close sends what waits, at most as long as --drain says.
func (a *agentFlags) close(o *agent.Outlet) error {
	ctx, cancel := context.WithTimeout(context.Background(), a.drain)
	defer cancel()
	return o.Close(ctx)
}
