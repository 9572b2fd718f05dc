package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/sink"
)

func routerCommand(env Env) *cobra.Command {
	root := newRoot(env, "dlog-router",
		"Takes in the log entries of all applications, applies rules and republishes them",
		`dlog-router is the one place that all entries come to: an embedded NATS server stores everything as it was said, rules decide
which streams get a copy, and any number of sinks read those streams.

Without a file it listens on 127.0.0.1:4222, stores below ./dlog-data, and sends everything to one stream, "all".`,
		`  dlog-router
  dlog-router run --config router.toml
  dlog-router check router.toml`)
	run := routerRunCommand(env)
	root.AddCommand(run, devCommand(env), routerCheckCommand(env), routerExplainCommand(env), topCommand(env))
	root.RunE = run.RunE
	root.Flags().AddFlagSet(run.Flags())
	return root
}

type routerRunFlags struct {
	config, listen, data, http, ready string
}

func routerRunCommand(env Env) *cobra.Command {
	var f routerRunFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the server and the rules",
		Long: `run starts the embedded NATS server (or uses the one that [nats] names), makes the streams and routes until it is stopped.

SIGTERM routes what is in hand, then stops the server. What was not routed by then is routed after the next start.

When the file changes, or on SIGHUP, new rules take over: they are checked and their tests run first, and a file with faults changes
nothing; the log, /readyz and /metrics say why. [server], [nats] and [in] are read at the start only.`,
		Example: `  dlog-router run
  dlog-router run --config router.toml
  dlog-router run --listen 127.0.0.1:0 --data /var/lib/dlog --ready-file /run/dlog/router.ready`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.config, "config", "", "`FILE` with streams and rules; without it everything goes to the stream \"all\"")
	fl.StringVar(&f.listen, "listen", "", "`ADDR` of the embedded NATS server (default 127.0.0.1:4222; port 0 picks a free one)")
	fl.StringVar(&f.data, "data", "", "`DIR` of the streams (default dlog-data)")
	fl.StringVar(&f.http, "http", "", "loopback `ADDR` of /healthz, /readyz and /metrics (default 127.0.0.1:4281; \"off\": none)")
	fl.StringVar(&f.ready, "ready-file", "", "write the bound addresses to this `FILE` as JSON once everything runs")
	return cmd
}

func (f *routerRunFlags) run(ctx context.Context, env Env) error {
	cfg, err := f.load()
	if err != nil {
		return usage(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := ownLog(env)
	reload, stop := hangups()
	defer stop()
	var files []string
	if f.config != "" {
		files = []string{f.config}
	}
	var readyErr error // written before Run returns
	err = router.Run(ctx, cfg, router.Options{
		Log:  log,
		Load: f.load, Files: files, Reload: reload,
		Consumer: sink.ConsumerConfig, // the router makes the durables that a stream's sinks may not make themselves
		Ready: func(a router.Addrs) {
			log.Info().Msg("ready: " + readyText(a, cfg))
			if readyErr = writeReady(f.ready, addrs("nats", a.NATS, "http", a.HTTP)); readyErr != nil {
				cancel()
			}
		},
	})
	return errors.Join(err, readyErr)
}

// readyText says where the router can be reached and what it does, in one line.
func readyText(a router.Addrs, cfg router.Config) string {
	text := "entries at " + a.NATS
	if a.HTTP != "" {
		text += ", health and metrics at " + a.HTTP
	}
	if len(cfg.NATS.URLs) == 0 {
		text += ", streams below " + cfg.Server.Data
	}
	return text + "; " + plural(len(cfg.Streams), "stream") + ", " + plural(len(cfg.Rules), "rule")
}

// load reads the file, or takes the defaults, and puts the flags over it.
func (f *routerRunFlags) load() (router.Config, error) {
	cfg := router.DefaultConfig()
	if f.config != "" {
		var err error
		if cfg, err = router.Load(f.config); err != nil {
			return cfg, err
		}
	}
	override := func(to *string, flag string) {
		if flag != "" {
			*to = flag
		}
	}
	override(&cfg.Server.Listen, f.listen)
	override(&cfg.Server.Data, f.data)
	override(&cfg.Server.HTTP, f.http)
	return cfg, cfg.Validate()
}

func routerCheckCommand(env Env) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a file of rules and run the tests in it",
		Long: `check reads the file as run would, reports every fault with its line, and runs its [[test]]s. Exit code 2 and one line
for each fault; nothing is started. What can hardly be meant, such as a rule that no entry reaches, is a warning: a line on
standard error, exit code 0.`,
		Example: "  dlog-router check router.toml",
		Args:    exactArgs(1, "the file to check"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := router.Check(args[0]); err != nil {
				return usage(err)
			}
			cfg, err := router.Load(args[0])
			if err != nil {
				return usage(err)
			}
			if err := printWarnings(env, cfg); err != nil {
				return usage(err)
			}
			fmt.Fprintf(env.Stdout, "%s: %s, %s, %s, good\n", args[0],
				plural(len(cfg.Streams), "stream"), plural(len(cfg.Rules), "rule"), plural(len(cfg.Tests), "test"))
			return nil
		},
	}
}
