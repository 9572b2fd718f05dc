package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/console"
	"github.com/dlog-fabric/dlog/pkg/sink/file"
	"github.com/dlog-fabric/dlog/pkg/sink/store"
)

// sinkKinds are the kinds of sinks that dlog-sink knows: a new kind is a package and a line here.
func sinkKinds() map[string]sink.NewKind {
	return map[string]sink.NewKind{
		"console": console.New,
		"file":    file.New,
		"store":   store.New,
	}
}

// Default addresses of the programs' HTTP servers.
const sinkHTTP = "127.0.0.1:4282"

type sinkRunFlags struct {
	config, http, ready string
	nats, creds, ca     string
}

func sinkRunCommand(env Env) *cobra.Command {
	var f sinkRunFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run all sinks of a file",
		Long: `run carries the entries of streams to destinations, one for each [[sink]] of the file, until it is stopped. Each entry
reaches its destination once; a sink that was down goes on where it was. One destination that fails does not hold up another.

SIGTERM finishes the commit in hand and lets a standby take over at once. SIGHUP opens files anew that were moved away.`,
		Example: `  dlog-sink run
  dlog-sink run --config sink.toml
  dlog-sink run --config sink.toml --http 127.0.0.1:0 --ready-file /run/sink.ready`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.config, "config", "", "`FILE` with the sinks; without it the stream \"all\" goes into the store ./dlog-store")
	fl.StringVar(&f.http, "http", sinkHTTP, "loopback `ADDR` of /healthz, /readyz, /status and /metrics; \"off\" serves nothing")
	fl.StringVar(&f.ready, "ready-file", "", "write the bound addresses to this `FILE` as JSON once everything runs")
	fl.StringVar(&f.nats, "nats", "", "`URL` of the router, before the file's (DLOG_URL)")
	fl.StringVar(&f.creds, "creds", "", "credentials `FILE` of NATS, before the file's (DLOG_CREDS)")
	fl.StringVar(&f.ca, "ca", "", "certificate authority `FILE`, before the file's (DLOG_CA)")
	return cmd
}

func (f *sinkRunFlags) run(ctx context.Context, env Env) error {
	cfg, err := f.load()
	if err != nil {
		return usage(err)
	}
	group, err := sink.New(cfg, sink.Options{
		URL: first(f.nats, env.Getenv("DLOG_URL")), Creds: first(f.creds, env.Getenv("DLOG_CREDS")), CA: first(f.ca, env.Getenv("DLOG_CA")),
		Log: ownLog(env), Stdout: env.Stdout, Stderr: env.Stderr,
	})
	if err != nil {
		return usage(err)
	}
	defer group.ReopenOnHangup()()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	addr, err := serveHTTP(ctx, f.http, group.Handler(), served)
	if err == nil {
		err = writeReady(f.ready, addrs("http", addr))
	}
	if err != nil {
		cancel() // Run gives the group free, and ends at once
	}
	runErr := group.Run(ctx)
	cancel()
	return errors.Join(err, runErr, <-served)
}

// defaultSinks is what run does without a file: the stream that a router without a file makes, into the embedded store.
const defaultSinks = `
[[sink]]
name   = "store"
type   = "store"
stream = "all"
`

func (f *sinkRunFlags) load() (sink.Config, error) {
	if f.config == "" {
		return sink.Decode("the sink without a file", []byte(defaultSinks), sinkKinds())
	}
	return sink.Load(f.config, sinkKinds())
}

func sinkCheckCommand(env Env) *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE",
		Short:   "Check a file of sinks without running it",
		Example: "  dlog-sink check sink.toml",
		Args:    exactArgs(1, "the file to check"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := sink.Load(args[0], sinkKinds())
			if err != nil {
				return usage(err)
			}
			fmt.Fprintf(env.Stdout, "%s: %s, good\n", args[0], plural(len(cfg.Sinks), "sink"))
			return nil
		},
	}
}

// ownLog is the programs' own log: to standard error, never through dlog.
func ownLog(env Env) zerolog.Logger {
	return zerolog.New(zerolog.ConsoleWriter{Out: env.Stderr, NoColor: true, TimeFormat: time.RFC3339, PartsOrder: []string{"time", "level", "message"}}).
		Level(zerolog.InfoLevel).With().Timestamp().Logger()
}

// serveHTTP serves h on a loopback address until ctx ends, then reports on done. It returns the address that was bound, ""
// where there is none to serve.
func serveHTTP(ctx context.Context, addr string, h http.Handler, done chan<- error) (string, error) {
	if addr == "off" {
		done <- nil
		return "", nil
	}
	ln, err := listenLoopback(addr)
	if err != nil {
		done <- nil
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() {
		err := srv.Serve(ln)
		stop()
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		done <- err
	}()
	return "http://" + ln.Addr().String(), nil
}

// listenLoopback refuses addresses that other machines reach: what is served there has no authentication.
func listenLoopback(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, usagef("--http %q: want host:port", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("--http %s: only loopback addresses are served, there is no authentication", addr)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve HTTP on %s: %w; --http 127.0.0.1:0 picks a free port", addr, cause(err))
	}
	return ln, nil
}

// cause strips what net adds to a bind error: the address is said already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// addrs pairs names and addresses for the ready file, without the empty ones.
func addrs(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
