package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/sink"
)

type devFlags struct {
	listen, data, ready string
	quiet               bool
}

func devCommand(env Env) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Router, store and live view in one terminal: the first five minutes",
		Long: `dev runs a router without rules and a sink into the embedded store, prints the lines to paste into a Go program, and then
every entry as it arrives. Where 127.0.0.1:4222 is taken it picks a free port and says so. Its data lies in a directory of its own
and stays there.`,
		Example: `  dlog-router dev
  dlog-router dev --listen 127.0.0.1:0 --data /tmp/dlog-dev`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.listen, "listen", "", "`ADDR` to listen on (default 127.0.0.1:4222, or a free port where that is taken)")
	fl.StringVar(&f.data, "data", "", "`DIR` of streams and store (default dlog/dev in the user's cache directory)")
	fl.StringVar(&f.ready, "ready-file", "", "write the bound addresses to this `FILE` as JSON once everything runs")
	fl.BoolVar(&f.quiet, "quiet", false, "do not print the entries")
	return cmd
}

func (f *devFlags) run(ctx context.Context, env Env) error {
	cfg, err := f.configure()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shown := make(chan error, 1)
	var readyErr error // written before Run returns
	err = router.Run(ctx, cfg, router.Options{
		Log: ownLog(env),
		Ready: func(a router.Addrs) {
			fmt.Fprintf(env.Stdout, devText, a.NATS, f.data, devURL(a.NATS), f.storeDir())
			if readyErr = writeReady(f.ready, addrs("nats", a.NATS, "http", a.HTTP)); readyErr != nil {
				cancel()
			}
			go func() {
				err := f.serve(ctx, env, a.NATS)
				cancel()
				shown <- err
			}()
		},
	})
	cancel()
	if err != nil {
		return err // Ready was not called, or the server is lost and the view ends with it
	}
	return errors.Join(readyErr, <-shown)
}

// serve stores and shows the entries until ctx ends, or one of the two fails.
func (f *devFlags) serve(ctx context.Context, env Env, url string) error {
	group, err := sink.Decode("the store of dev", fmt.Appendf(nil, "[[sink]]\nname = \"dev\"\ntype = \"store\"\nstream = \"all\"\npath = %q\n", f.storeDir()), sinkKinds())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	stored := make(chan error, 1)
	go func() {
		err := sink.Run(ctx, group, sink.Options{URL: url, Log: ownLog(env).Level(zerolog.WarnLevel)})
		cancel()
		stored <- err
	}()
	err = f.show(ctx, env, url)
	cancel()
	return errors.Join(err, <-stored)
}

func (f *devFlags) storeDir() string { return filepath.Join(f.data, "store") }

// show prints the entries until ctx ends.
func (f *devFlags) show(ctx context.Context, env Env, url string) error {
	if f.quiet {
		<-ctx.Done()
		return nil
	}
	t := tailFlags{source: sourceFlags{connection: connection{url: url}, stream: "in", namespace: router.DefaultNamespace}}
	t.out = output{format: "pretty", forms: []string{"pretty"}}
	return t.run(ctx, env)
}

// configure is the configuration without a file, at an address that is free.
func (f *devFlags) configure() (router.Config, error) {
	cfg := router.DefaultConfig()
	cfg.Server.HTTP = "127.0.0.1:0"
	cfg.Server.Listen = f.listen
	if f.listen == "" {
		cfg.Server.Listen = freeOr(natsd.DefaultListen)
	}
	if f.data == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return cfg, usagef("find a directory for the data: %w; name one with --data", err)
		}
		f.data = filepath.Join(dir, "dlog", "dev")
	}
	cfg.Server.Data = filepath.Join(f.data, "streams")
	if err := cfg.Validate(); err != nil {
		return cfg, usage(err)
	}
	return cfg, os.MkdirAll(f.data, 0o700)
}

// freeOr returns the address if nobody listens there, else one whose port the system picks.
func freeOr(addr string) string {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = ln.Close() // it held nothing
	return addr
}

// devURL is the line that programs need where the address is not the usual one.
func devURL(url string) string {
	if url == defaultURL {
		return ""
	}
	return "    export DLOG_URL=" + url + "\n\n"
}

// devText is what dev prints before the entries: address, data, and the lines to paste.
const devText = `dlog listens on %s; its streams and its store lie below %s

In a Go program:

    d, err := dlog.Open(dlog.Config{Service: "hello"}) // import "github.com/dlog-fabric/dlog/pkg/dlog"
    if err != nil { log.Fatal(err) }
    defer d.Close(context.Background())
    ctx, t := d.Start(context.Background(), "say-hello")
    zerolog.Ctx(ctx).Info().Msg("hello")
    t.End(nil)

In another terminal:

%s    dlog-sink tasks             what was being achieved, and whether it succeeded
    dlog-sink tree ID           the whole story of one task
    dlog-sink tasks --store %s

Entries, as they arrive (Ctrl-C ends):

`
