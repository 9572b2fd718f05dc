package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/rule"
)

// Addrs are the addresses that a router has bound, with the ports that were really free.
type Addrs struct {
	NATS string // nats://host:port
	HTTP string // http://host:port; "" without HTTP
}

// Options are what a caller adds to the configuration.
type Options struct {
	// Ready is called once, when entries are taken and routed.
	Ready func(Addrs)
	// Log receives the router's own messages; the zero value discards them. It must not lead back into dlog.
	Log zerolog.Logger
	// AsideAfter is for how long a stream may refuse everything before the others stop waiting for it; 0 means AsideAfter.
	AsideAfter time.Duration
	// Load reads the configuration anew, and new rules take over from the old ones: at each receive from Reload, and when one of
	// Files changes. What it returns is checked as at the start, and its tests are run; a configuration with faults changes
	// nothing, and the log, /readyz and a metric say why. Nil: the rules stay as they are.
	Load   func() (Config, error)
	Files  []string
	Reload <-chan struct{}
	// Consumer is the durable of a sink, as package sink wants it. With it the router makes the durables that a stream's
	// sinks = […] names, for sinks whose credentials do not allow them to; one that exists is left as it is.
	Consumer func(sink string) jetstream.ConsumerConfig
}

// Run routes until ctx ends, then finishes what it has in hand, stops what it has started and returns nil. An error before
// Ready is about the configuration or the surroundings and fits on one line per fault.
func Run(ctx context.Context, cfg Config, opts Options) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	set, err := rule.Compile(cfg.File)
	if err != nil {
		return err
	}
	if err := set.RunTests(); err != nil {
		return err
	}
	r := &run{cfg: cfg, set: set, opts: opts, log: opts.Log, cleanup: func() {}}
	defer func() { r.cleanup() }()
	if err := r.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while starting
		}
		return err
	}
	return r.route(ctx)
}

// run is one call of Run. Cleanups run in the opposite order, whatever step failed.
type run struct {
	cfg  Config
	set  *rule.Set
	opts Options
	log  zerolog.Logger

	host    *host // nil with a server that exists already
	nc      *nats.Conn
	closed  chan struct{} // closed when the connection is given up
	engine  *engine
	web     *web
	reloads reloads
	cleanup func()
}

// later adds a cleanup.
func (r *run) later(f func()) {
	before := r.cleanup
	r.cleanup = func() {
		f()
		before()
	}
}

// open starts the server, or finds the one that exists, and prepares the streams.
func (r *run) open(ctx context.Context) (err error) {
	if r.web, err = listenHTTP(r.cfg.Server.HTTP); err != nil {
		return err
	}
	r.later(r.web.close)
	if len(r.cfg.NATS.URLs) == 0 {
		r.host, err = startHost(ctx, natsd.Config{Listen: r.cfg.Server.Listen, Data: r.cfg.Server.Data, Log: r.log.With().Str("part", "nats").Logger()}, r.log)
		if err != nil {
			return err
		}
		r.later(r.host.close)
	}
	if r.nc, err = r.connect(); err != nil {
		return err
	}
	r.later(r.nc.Close)
	r.engine, err = newEngine(r.cfg, r.nc, r.opts)
	return err
}

// connect makes the connection. It never gives up once it has worked, and keeps nothing while the server is away: what is not
// stored is the publisher's to repeat.
func (r *run) connect() (*nats.Conn, error) {
	r.closed = make(chan struct{})
	opts := []nats.Option{
		nats.Name("dlog-router"), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ClosedHandler(func(*nats.Conn) { close(r.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { r.log.Warn().Err(err).Msg("NATS connection") }),
		nats.ReconnectHandler(func(nc *nats.Conn) { r.log.Info().Str("server", nc.ConnectedUrlRedacted()).Msg("NATS server back") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				r.log.Warn().Err(err).Msg("NATS server away")
			}
		}),
	}
	if r.host != nil {
		return r.host.server().Connect(opts...)
	}
	if r.cfg.NATS.Creds != "" {
		opts = append(opts, nats.UserCredentials(r.cfg.NATS.Creds))
	}
	if r.cfg.NATS.CA != "" {
		opts = append(opts, nats.RootCAs(r.cfg.NATS.CA))
	}
	urls := strings.Join(r.cfg.NATS.URLs, ",")
	nc, err := nats.Connect(urls, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", redact(r.cfg.NATS.URLs), err)
	}
	return nc, nil
}

// route works until ctx ends or the server is lost for good.
func (r *run) route(ctx context.Context) error {
	e := r.engine
	consumer, err := e.prepare(ctx, r.set, r.most())
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	cc, err := e.start(consumer)
	if err != nil {
		return err
	}
	// The housekeeping goes on while the engine stops: what is in hand must be kept alive until it is settled.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { e.housekeep(inner) })
	wg.Go(func() { e.repair(inner) })
	wg.Go(func() { r.follow(inner) })
	wg.Go(func() { e.books.run(inner) })
	wg.Go(func() { e.payDebts(inner) })
	if r.host != nil {
		wg.Go(func() { r.host.watch(inner, e) })
	}
	r.web.serve(r)
	if r.opts.Ready != nil {
		r.opts.Ready(r.addrs())
	}
	select {
	case <-ctx.Done():
		err = nil
	case <-r.closed:
		err = errors.New("NATS connection lost for good: " + reasonFor(r.nc))
	}
	r.web.leave()
	e.stop(cc)
	cancel()
	wg.Wait()
	if err == nil {
		_ = r.nc.FlushTimeout(2 * time.Second) // the last acks; without them the messages come again and are recognized
	}
	return err
}

func (r *run) addrs() Addrs {
	a := Addrs{NATS: strings.Join(r.cfg.NATS.URLs, ","), HTTP: r.web.url()}
	if r.host != nil {
		a.NATS = r.host.server().URL()
	}
	return a
}

func reasonFor(nc *nats.Conn) string {
	if err := nc.LastError(); err != nil {
		return err.Error()
	}
	return "closed"
}
