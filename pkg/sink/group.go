package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// Options are what a program gives besides the file. The zero value is complete.
type Options struct {
	// URL, Creds and CA go before those of the file. Several URLs are separated by commas.
	URL, Creds, CA string
	// Conn, when set, is used instead of a connection of the group's own, and not closed.
	Conn *nats.Conn
	// Log receives the group's own messages. The zero value discards them.
	Log zerolog.Logger
	// Stdout and Stderr are for kinds that write there; nil means the process's.
	Stdout, Stderr io.Writer
}

// Group runs the sinks of one file. They share a connection and nothing else.
type Group struct {
	runners []*Runner
	conn    *nats.Conn
	own     bool
	meters  *meters
	log     zerolog.Logger
}

// New makes the destinations and connects, or begins to: a server that is away is waited for while the group runs. Who gets a Group
// must Run it, which also gives it free.
func New(cfg Config, opt Options) (*Group, error) {
	if len(cfg.Sinks) == 0 {
		return nil, errors.New("make sinks: there is none")
	}
	g := &Group{conn: opt.Conn, meters: newMeters(), log: opt.Log}
	kinds, err := kindsOf(cfg, opt, g.meters.registry)
	if err != nil {
		return nil, err
	}
	if g.conn == nil {
		if g.conn, err = connect(cfg.NATS, opt); err != nil {
			return nil, err
		}
		g.own = true
	}
	for i, s := range cfg.Sinks {
		r, err := NewRunner(RunnerConfig{Spec: s.Spec, Conn: g.conn, Kind: kinds[i], Filter: s.Filter, Log: opt.Log, meter: g.meters.of(s.Spec)})
		if err != nil {
			g.close()
			return nil, err
		}
		g.runners = append(g.runners, r)
	}
	return g, nil
}

// Run is New and Group.Run in one, for programs that serve nothing over HTTP.
func Run(ctx context.Context, cfg Config, opt Options) error {
	g, err := New(cfg, opt)
	if err != nil {
		return err
	}
	return g.Run(ctx)
}

func kindsOf(cfg Config, opt Options, registry prometheus.Registerer) ([]Kind, error) {
	env := Env{Log: opt.Log, Stdout: opt.Stdout, Stderr: opt.Stderr}
	if env.Stdout == nil {
		env.Stdout = os.Stdout
	}
	if env.Stderr == nil {
		env.Stderr = os.Stderr
	}
	var kinds []Kind
	var errs []error
	for _, s := range cfg.Sinks {
		env.Spec, env.Metrics = s.Spec, prometheus.WrapRegistererWith(prometheus.Labels{"sink": s.Name}, registry)
		k, err := s.Settings.Kind(env)
		if err != nil {
			errs = append(errs, fmt.Errorf("make sink %s: %w", s.Name, err))
		}
		kinds = append(kinds, k)
	}
	return kinds, errors.Join(errs...)
}

// Run runs all sinks until ctx ends; none of them ends before, and the trouble of one does not touch the others. The error joins what
// their last commits failed with.
func (g *Group) Run(ctx context.Context) error {
	defer g.close()
	errs := make([]error, len(g.runners))
	var all sync.WaitGroup
	for i, r := range g.runners {
		all.Go(func() {
			if err := r.Run(ctx); err != nil {
				errs[i] = fmt.Errorf("sink %s: %w", r.cfg.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (g *Group) close() {
	if g.own {
		g.conn.Close()
	}
}

// Reopen asks every destination that holds files (see Reopener) to open them anew, as after SIGHUP. It may be called from any
// goroutine. The error joins what could not be opened; there the old files are kept.
func (g *Group) Reopen() error {
	var errs []error
	for _, r := range g.runners {
		if k, ok := r.cfg.Kind.(Reopener); ok {
			if err := k.Reopen(); err != nil {
				errs = append(errs, fmt.Errorf("reopen sink %s: %w", r.cfg.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Status tells how each sink is doing, in the order of the file.
func (g *Group) Status() []Status {
	out := make([]Status, len(g.runners))
	for i, r := range g.runners {
		out[i] = r.Status()
	}
	return out
}

// Ready reports whether every sink is active or stands by, and if not, what is wrong.
func (g *Group) Ready() error {
	var errs []error
	for _, s := range g.Status() {
		if s.State != Active && s.State != Standby {
			errs = append(errs, fmt.Errorf("sink %s is %s: %s", s.Name, s.State, s.Error))
		}
	}
	return errors.Join(errs...)
}

// Handler serves /healthz (200 while the process lives), /readyz (503 with the reasons until every sink is active or stands by), /status
// (one JSON object a line) and /metrics.
func (g *Group) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { g.serveStatus(w, http.StatusOK) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { g.serveStatus(w, http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		code := http.StatusOK
		if g.Ready() != nil {
			code = http.StatusServiceUnavailable
		}
		g.serveStatus(w, code)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.meters.registry, promhttp.HandlerOpts{}))
	return mux
}

func (g *Group) serveStatus(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	for _, s := range g.Status() {
		if enc.Encode(s) != nil {
			return // the asker is gone
		}
	}
}

// connect connects for ever: the first time too, so that the order in which programs start does not matter.
func connect(file NATS, opt Options) (*nats.Conn, error) {
	url := nats.DefaultURL
	if len(file.URLs) > 0 {
		url = strings.Join(file.URLs, ",")
	}
	url, creds, ca := or(opt.URL, url), or(opt.Creds, file.Creds), or(opt.CA, file.CA)
	options := []nats.Option{
		nats.Name("dlog-sink"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(func(attempts int) time.Duration { return backOff(attempts, 2*time.Second) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				opt.Log.Warn().Err(err).Msg("connection to NATS lost, connecting again")
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { opt.Log.Info().Str("url", c.ConnectedUrlRedacted()).Msg("connected to NATS") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { opt.Log.Warn().Err(err).Msg("NATS") }),
	}
	if creds != "" {
		options = append(options, nats.UserCredentials(creds))
	}
	if ca != "" {
		options = append(options, nats.RootCAs(ca))
	}
	c, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if !c.IsConnected() {
		opt.Log.Warn().Msg("NATS is not there yet, connecting until it is")
	}
	return c, nil
}

func or(first, second string) string {
	if first != "" {
		return first
	}
	return second
}
