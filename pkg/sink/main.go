package sink

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Main is the main function of a program with sinks of a team's own, in a module of its own. It takes the kinds that the program
// knows, by type, has the commands and flags of dlog-sink run and check, and ends the process: 0 after SIGTERM or SIGINT,
// 2 for a wrong command line or configuration, 1 otherwise. SIGHUP reopens files; a second SIGTERM ends it at once.
func Main(kinds map[string]NewKind) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	p := program{
		name: strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"), kinds: kinds,
		stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
	}
	os.Exit(p.main(ctx, os.Args[1:]))
}

// defaultHTTP is where dlog-sink serves, too.
const defaultHTTP = "127.0.0.1:4282"

// Exit codes, the same as of dlog's own programs.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// program is one run of Main.
type program struct {
	name           string
	kinds          map[string]NewKind
	stdout, stderr io.Writer
	getenv         func(string) string

	config, http, ready string
	nats, creds, ca     string
	version             bool
}

// usageError is the user's to mend: nothing was started.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func (p *program) main(ctx context.Context, args []string) int {
	err := p.command(ctx, args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(p.stderr, "%s: %s\n", p.name, line)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitError
}

func (p *program) command(ctx context.Context, args []string) error {
	command := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	rest, err := p.parse(args)
	if err != nil {
		return err
	}
	switch {
	case p.version:
		fmt.Fprintf(p.stdout, "%s %s\n", p.name, buildVersion())
		return nil
	case command == "run" && len(rest) == 0:
		return p.run(ctx)
	case command == "run":
		return usageError{fmt.Errorf("run takes no arguments, got %q; --help shows the flags", rest[0])}
	case command == "check" && len(rest) == 1:
		return p.check(rest[0])
	case command == "check":
		return usageError{errors.New("check wants one file")}
	}
	return usageError{fmt.Errorf("unknown command %q; there are run and check", command)}
}

func (p *program) parse(args []string) (rest []string, err error) {
	fl := flag.NewFlagSet(p.name, flag.ContinueOnError)
	fl.SetOutput(p.stdout)
	fl.Usage = func() {
		fmt.Fprintf(p.stdout, "%s run --config FILE   runs all sinks of a file (run may be left out)\n%s check FILE          checks a file without running it\n\n", p.name, p.name)
		fl.PrintDefaults()
	}
	fl.StringVar(&p.config, "config", "", "`FILE` with the sinks (required)")
	fl.StringVar(&p.http, "http", defaultHTTP, "loopback `ADDR` of /healthz, /readyz, /status and /metrics; \"off\" serves nothing")
	fl.StringVar(&p.ready, "ready-file", "", "write the bound addresses to this `FILE` as JSON once everything runs")
	fl.StringVar(&p.nats, "nats", "", "`URL` of the router, before the file's (DLOG_URL)")
	fl.StringVar(&p.creds, "creds", "", "credentials `FILE` of NATS, before the file's (DLOG_CREDS)")
	fl.StringVar(&p.ca, "ca", "", "certificate authority `FILE`, before the file's (DLOG_CA)")
	fl.BoolVar(&p.version, "version", false, "print the version")
	err = parseQuietly(fl, args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		err = usageError{fmt.Errorf("%w; --help shows the flags", err)}
	}
	return fl.Args(), err
}

// parseQuietly leaves it to the caller to say what is wrong, in one line; package flag would add all flags.
func parseQuietly(fl *flag.FlagSet, args []string) error {
	usage, out := fl.Usage, fl.Output()
	fl.Usage = func() {}
	fl.SetOutput(io.Discard)
	err := fl.Parse(args)
	fl.SetOutput(out)
	if errors.Is(err, flag.ErrHelp) {
		usage()
	}
	return err
}

func (p *program) check(path string) error {
	cfg, err := Load(path, p.kinds)
	if err != nil {
		return usageError{err}
	}
	fmt.Fprintf(p.stdout, "%s: %d sinks, good\n", path, len(cfg.Sinks))
	return nil
}

func (p *program) run(ctx context.Context) error {
	if p.config == "" {
		return usageError{errors.New("run needs --config FILE, a file with [[sink]] tables")}
	}
	cfg, err := Load(p.config, p.kinds)
	if err != nil {
		return usageError{err}
	}
	log := zerolog.New(zerolog.ConsoleWriter{Out: p.stderr, NoColor: true, TimeFormat: time.RFC3339}).
		Level(zerolog.InfoLevel).With().Timestamp().Logger()
	g, err := New(cfg, Options{
		URL: or(p.nats, p.getenv("DLOG_URL")), Creds: or(p.creds, p.getenv("DLOG_CREDS")), CA: or(p.ca, p.getenv("DLOG_CA")),
		Log: log, Stdout: p.stdout, Stderr: p.stderr,
	})
	if err != nil {
		return usageError{err}
	}
	defer g.ReopenOnHangup()()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	addr, err := serve(ctx, p.http, g.Handler(), served)
	if err == nil {
		err = writeReady(p.ready, addr)
	}
	if err != nil {
		cancel() // Run gives the group free, and ends at once
	}
	ran := g.Run(ctx)
	cancel()
	return errors.Join(err, ran, <-served)
}

// serve serves h until ctx ends, then reports on done. It returns the URL, "" where there is none.
func serve(ctx context.Context, addr string, h http.Handler, done chan<- error) (string, error) {
	ln, err := listen(addr)
	if ln == nil {
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

// listen refuses addresses that other machines reach: what is served there has no authentication.
func listen(addr string) (net.Listener, error) {
	if addr == "off" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, usageError{fmt.Errorf("--http %q: want host:port", addr)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usageError{fmt.Errorf("--http %s: only loopback addresses are served, there is no authentication", addr)}
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve HTTP: %w; --http 127.0.0.1:0 picks a free port", err)
	}
	return ln, nil
}

// writeReady writes the ready file as a whole: who waits for it never reads half of it.
func writeReady(path, addr string) error {
	if path == "" {
		return nil
	}
	addrs := map[string]string{}
	if addr != "" {
		addrs["http"] = addr
	}
	b, err := json.Marshal(addrs)
	if err == nil {
		err = os.WriteFile(path+".new", append(b, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

// buildVersion is that of the program's own module, and of dlog in it.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	out := info.Main.Version
	for _, d := range info.Deps {
		if d.Path == "github.com/dlog-fabric/dlog" {
			out += " (dlog " + d.Version + ")"
		}
	}
	return out + " " + info.GoVersion
}
