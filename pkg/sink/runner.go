package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// RunnerConfig says what a Runner carries where. Conn and Kind are required.
type RunnerConfig struct {
	Spec
	// Conn is the connection to the stream's server. It should reconnect for ever; the runner does not close it.
	Conn *nats.Conn
	// Kind is the destination. The runner opens and closes it.
	Kind Kind
	// Filter lets entries through; nil lets all.
	Filter Filter
	// Log receives what an operator should know: each trouble once, and its end. The zero value discards it.
	Log zerolog.Logger

	meter *meter
}

// Runner carries the entries of one stream to one destination. See the package comment for what it promises.
type Runner struct {
	cfg      RunnerConfig
	src      source
	batching Batching
	dead     deadLetters
	meter    *meter

	infos chan *jetstream.ConsumerInfo // the newest one, from the watch

	// Owned by the goroutine of Run.
	eager   bool      // take the consumer over when nobody holds it, even if nothing waits
	last    Committed // of kinds that keep no position
	trouble string    // the trouble last said
	failing bool      // the last commit failed: the destination works again when one succeeds, not when it opens
	idle    idleness
}

// Trouble has two kinds: that of the stream's side, which is waited for, and that of the destination.
type destinationError struct{ err error }

func (e destinationError) Error() string { return e.err.Error() }
func (e destinationError) Unwrap() error { return e.err }

// errLost says that another client has taken over.
var errLost = errors.New("another client reads for this sink now")

const (
	requestWait = 5 * time.Second        // for one request to the server
	stopWait    = 10 * time.Second       // for the last commit after a stop was asked for
	inUsePause  = pinTTL                 // in which another process may have the consumer
	watchEvery  = 500 * time.Millisecond // how fast a dead active client is noticed where messages cannot tell
)

// NewRunner makes a runner; Run starts it.
func NewRunner(cfg RunnerConfig) (*Runner, error) {
	if cfg.Conn == nil || cfg.Kind == nil {
		return nil, errors.New("make sink: no connection or no destination given")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make sink %s: %w", cfg.Name, err)
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, fmt.Errorf("make sink %s: %w", cfg.Name, err)
	}
	r := &Runner{
		cfg: cfg, meter: cfg.meter, infos: make(chan *jetstream.ConsumerInfo, 1), eager: true,
		src: source{nc: cfg.Conn, js: js, stream: streamOf(cfg.Spec), consumer: cfg.Name},
	}
	if r.meter == nil {
		r.meter = newMeters().of(cfg.Spec)
	}
	if b, ok := cfg.Kind.(Batcher); ok {
		r.batching = b.Batching()
	}
	r.batching = r.batching.orDefaults()
	r.dead = deadLetters{js: js, spec: cfg.Spec, say: r.sayDead}
	return r, nil
}

// streamOf is the JetStream stream of a sink.
func streamOf(s Spec) string {
	switch s.Stream {
	case streamIn, streamDead:
		return subject.StreamName(s.Namespace, s.Stream, "")
	}
	return subject.StreamName(s.Namespace, "to", s.Stream)
}

// Status tells how the sink is doing. It may be called from any goroutine.
func (r *Runner) Status() Status { return r.meter.status() }

// Run carries entries until ctx ends, whatever happens to the stream, the server or the destination: it waits and tries again. What
// is being committed when ctx ends is finished, and a standby may take over at once. The error is that of the last commit or of
// closing the destination; a clean stop returns nil.
func (r *Runner) Run(ctx context.Context) error {
	var watch sync.WaitGroup
	watch.Go(func() { r.watch(ctx) })
	defer watch.Wait()
	for attempt := 0; ; {
		err := r.session(ctx)
		if ctx.Err() != nil {
			r.meter.set(Stopped, "")
			return stopError(err)
		}
		pause := r.judge(err, &attempt)
		r.meter.restarts.Inc()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// stopError is what is left to say of err when a stop was asked for: what the destination did not do.
func stopError(err error) error {
	if dest := (destinationError{}); errors.As(err, &dest) && !errors.Is(err, context.Canceled) {
		return dest.err
	}
	return nil
}

// judge decides how long to wait after a session has ended with err, and says what an operator should know.
func (r *Runner) judge(err error, attempt *int) time.Duration {
	r.eager = true
	if r.meter.took() {
		*attempt = 0
	}
	switch dest := (destinationError{}); {
	case errors.Is(err, ErrInUse):
		r.eager = false
		r.meter.set(Standby, err.Error())
		return inUsePause
	case errors.Is(err, errJump), errors.Is(err, errReconnected), errors.Is(err, ErrConflict), errors.Is(err, errLost):
		r.cfg.Log.Info().Str("sink", r.cfg.Name).Msg("beginning anew at what is committed: " + err.Error())
		r.eager = !errors.Is(err, errLost)
		*attempt++
		return backOff(*attempt, time.Second)
	case errors.As(err, &dest):
		r.meter.errors.Inc()
		r.say(Stalled, err)
		*attempt++
		return backOff(*attempt, 15*time.Second)
	}
	r.say(Waiting, err)
	*attempt++
	return backOff(*attempt, time.Second)
}

// session is one time of reading: from attaching to the consumer until something unexpected happens.
func (r *Runner) session(ctx context.Context) error {
	info, err := r.attach(ctx)
	if err != nil {
		return err
	}
	if free(info, r.eager) {
		return r.active(ctx, "") // without a pull of its own, whose messages would only have to be thrown away
	}
	rd, err := startReader(r.src.nc, r.src.stream, r.src.consumer, "", false)
	if err != nil {
		return err
	}
	r.meter.set(Standby, "")
	err = r.standby(ctx, rd)
	rd.stop()
	if err != nil {
		return err
	}
	return r.active(ctx, rd.pinned())
}

// free reports whether nobody holds the consumer although there is something to do.
func free(info *jetstream.ConsumerInfo, eager bool) bool {
	return pinOf(info) == "" && (eager || info.NumAckPending > 0)
}

func (r *Runner) attach(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	select {
	case <-r.infos: // it is from before
	default:
	}
	return r.src.attach(ctx)
}

// standby returns when this client is to be the active one: it was given a message, or messages hang at a client that is gone.
func (r *Runner) standby(ctx context.Context, rd *reader) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rd.more:
			if n, _ := rd.waiting(); n > 0 {
				return nil
			}
			if _, err := rd.take(0, 0); err != nil {
				return err
			}
		case info := <-r.infos:
			if free(info, false) {
				return nil
			}
		}
	}
}

// watch asks for the consumer's state for as long as the runner runs: the lag, and whether anyone is active.
func (r *Runner) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wait, cancel := context.WithTimeout(ctx, requestWait)
		info, err := r.src.info(wait)
		cancel()
		if err != nil {
			continue // the session notices, and says so
		}
		r.meter.lag(lagOf(info))
		select {
		case <-r.infos:
		default:
		}
		r.infos <- info
	}
}

// active opens the destination, brings the consumer to where that ends, and carries entries.
func (r *Runner) active(ctx context.Context, pin string) (err error) {
	hold, err := startReader(r.src.nc, r.src.stream, r.src.consumer, pin, true)
	if err != nil {
		return err
	}
	defer func() {
		hold.stop()
		err = errors.Join(err, r.leave(ctx, hold.pinned()))
	}()
	held, err := r.cfg.Kind.Open(ctx)
	if err != nil {
		return destinationError{fmt.Errorf("open destination: %w", err)}
	}
	defer func() {
		if e := r.cfg.Kind.Close(); e != nil {
			err = errors.Join(err, destinationError{fmt.Errorf("close destination: %w", e)})
		}
	}()
	in, err := r.begin(ctx, &held)
	if err != nil {
		return err
	}
	hold.stop()
	if err := r.reset(ctx, in); err != nil {
		return err
	}
	rd, err := startReader(r.src.nc, r.src.stream, r.src.consumer, hold.pinned(), false)
	if err != nil {
		return err
	}
	hold = rd
	return r.pump(ctx, rd, in, held)
}

// begin plans where to go on. held becomes what the next commit compares with.
func (r *Runner) begin(ctx context.Context, held *Committed) (*intake, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	info, err := r.src.info(ctx)
	if err != nil {
		return nil, err
	}
	if held.Unknown {
		*held = r.remembered(info)
	}
	in := &intake{spec: r.cfg.Spec, where: r.cfg.Filter, dead: &r.dead, again: info.Delivered.Stream}
	if held.Unknown {
		in.start(*held)
		in.reset = held.Seq + 1
		return in, nil
	}
	st, err := r.src.js.Stream(ctx, r.src.stream)
	if err != nil {
		return nil, fmt.Errorf("ask stream %s: %w", r.src.stream, err)
	}
	p, err := planFrom(ctx, st, *held, time.Now())
	if err != nil {
		return nil, err
	}
	in.start(p.at)
	in.reset, in.note, in.messages = p.next, p.why, st
	if p.why != "" {
		r.cfg.Log.Warn().Str("sink", r.cfg.Name).Uint64("committed", held.Seq).Uint64("next", p.next).
			Msg("stream " + r.src.stream + " was " + p.why + ": going on with what was stored later")
	}
	return in, nil
}

// remembered is the position of a kind that keeps none: what this process has written, else what was acked.
func (r *Runner) remembered(info *jetstream.ConsumerInfo) Committed {
	if r.last.Seq >= info.AckFloor.Stream && r.last.Seq > 0 {
		return r.last
	}
	return Committed{Seq: info.AckFloor.Stream, Unknown: true}
}

func (r *Runner) reset(ctx context.Context, in *intake) error {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	return r.src.reset(ctx, in.reset)
}

// leave gives the consumer free, so that another client need not wait for the pin to expire. Without a pin there is nothing to give.
func (r *Runner) leave(ctx context.Context, pin string) error {
	if pin == "" || r.src.nc.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	info, err := r.src.info(ctx)
	if err != nil || pinOf(info) != pin {
		return nil // not ours any more, or nobody to tell: the pin expires by itself
	}
	if err := r.src.unpin(ctx); err != nil {
		r.cfg.Log.Debug().Err(err).Str("sink", r.cfg.Name).Msg("a standby takes over when the pin expires")
	}
	return nil
}

// say logs a trouble unless it is the one said last.
func (r *Runner) say(s State, err error) {
	r.meter.set(s, err.Error())
	if text := string(s) + err.Error(); text != r.trouble {
		r.trouble = text
		r.cfg.Log.Warn().Str("sink", r.cfg.Name).Str("state", string(s)).Msg(err.Error())
	}
}

// well is called whenever the destination is known to work; it says once that a trouble has ended.
func (r *Runner) well() {
	r.meter.set(Active, "")
	if r.trouble == "" {
		return
	}
	r.trouble = ""
	r.cfg.Log.Info().Str("sink", r.cfg.Name).Msg("goes on")
}

func (r *Runner) sayDead(reason stream.Reason, e Entry, err error) {
	n := max(1, stream.CountLines(e.Line))
	r.meter.dead(string(reason), n)
	r.cfg.Log.Warn().Str("sink", r.cfg.Name).Str("reason", string(reason)).Int("entries", n).Uint64("sequence", e.Seq).Str("subject", e.Subject).
		Msg("not stored, a dead letter now: " + headerText(err.Error()))
}
