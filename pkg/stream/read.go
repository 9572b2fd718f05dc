package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrStop, returned by the function that Read calls, ends the reading without an error.
var ErrStop = errors.New("stop reading")

// A ReadConfig says what Read reads. Stream is required.
type ReadConfig struct {
	// Stream is the JetStream stream's name ("DLOG_IN").
	Stream string
	// Subjects are filters; none reads all. Filters must not overlap. One that selects more than about a fifth
	// of the stream is slower than none.
	Subjects []string
	// FromSeq is the first sequence read. When it is 0, Since is the earliest store time. Both zero: from the beginning.
	FromSeq uint64
	Since   time.Time
	// Until ends the reading at the first message stored later. Zero: no such end.
	Until time.Time
	// StopAtEnd ends the reading at the last message that the stream held when Read was called. Otherwise Read goes on
	// with what arrives.
	StopAtEnd bool
	// NewOnly begins with the first message that arrives after the call. FromSeq and Since then have no meaning.
	NewOnly bool
	// Limits bound what is decoded.
	Limits Limits
	// Raw gives the messages as they are: subject, headers, body, sequence and time, for what is no pack of lines.
	Raw bool
	// Bad is called, when set, with each message that cannot be decoded; its pack has subject, sequence and time only.
	Bad func(Pack, error)
	// CaughtUp is called, when set, once: when everything that the stream held at the start has been given to the function.
	CaughtUp func()
}

// Read calls f with the packs of a stream, in order, each once, without a gap but for messages that the stream's limits removed: it
// goes on where it was when the connection or the server was away, and waits for them for ever. It returns nil at the
// end asked for or when f returns ErrStop, f's error, or the cause of ctx. A pack's data is valid for as long as the caller
// keeps it. f is called by one goroutine at a time, and never after Read has returned.
func Read(ctx context.Context, js jetstream.JetStream, cfg ReadConfig, f func(Pack) error) error {
	r := &reader{cfg: cfg, js: js, f: f}
	for failures := 0; ; {
		before := r.seen
		err := r.attempt(ctx)
		var end *endError
		switch {
		case errors.As(err, &end):
			return end.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !r.working || errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("read stream %s: %w", cfg.Stream, err)
		}
		if failures++; r.seen > before {
			failures = 1
		}
		if err := backOff(ctx, failures); err != nil {
			return err
		}
	}
}

// endError ends a reading: err is what Read returns.
type endError struct{ err error }

func (e *endError) Error() string { return "reading ended" }

// reader is one call of Read. Its fields belong to the goroutine that handles messages, or to Read between two attempts.
type reader struct {
	cfg ReadConfig
	js  jetstream.JetStream
	f   func(Pack) error

	working bool // a consumer has been made once: what fails later is tried again
	started bool
	end     uint64 // the stream's last sequence at the start
	last    uint64 // sequence of the last message handled; 0 before the first
	seen    uint64 // messages handled
	caught  bool

	delivered atomic.Uint64 // messages of the present consumer that have arrived
}

// idleCheck is how often a reader that hears nothing asks the server whether there is anything left: the stream's limits may
// have removed the messages it waits for.
const idleCheck = 500 * time.Millisecond

// attempt reads through one consumer until the end or a fault of the transport.
func (r *reader) attempt(ctx context.Context) error {
	st, err := r.js.Stream(ctx, r.cfg.Stream)
	if err != nil {
		return err
	}
	last := st.CachedInfo().State.LastSeq
	r.last = min(r.last, last) // an older copy of the stream may have been restored meanwhile
	if !r.started {
		r.started, r.end = true, last
		if r.cfg.NewOnly {
			r.last = r.end
		}
	}
	if err := r.passed(r.last); err != nil {
		return err
	}
	c, err := st.CreateConsumer(ctx, r.consumer())
	if err != nil {
		return err
	}
	defer r.remove(ctx, c)
	r.working = true
	r.delivered.Store(0)
	if c.CachedInfo().NumPending == 0 {
		if err := r.passed(r.end); err != nil {
			return err
		}
	}
	return r.consume(ctx, c)
}

func (r *reader) consumer() jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: 5 * time.Minute, FilterSubjects: r.cfg.Subjects,
	}
	switch {
	case r.last > 0 || r.cfg.NewOnly:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.last+1
	case r.cfg.FromSeq > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.cfg.FromSeq
	case !r.cfg.Since.IsZero():
		since := r.cfg.Since
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	return c
}

// remove deletes the consumer; the server would do it by itself a little later, so a failure does not matter.
func (r *reader) remove(ctx context.Context, c jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if nc := r.js.Conn(); nc.IsConnected() {
		_ = r.js.DeleteConsumer(ctx, r.cfg.Stream, c.CachedInfo().Name)
	}
}

// How much is asked for at a time: large enough that the server never waits for us, small beside the 64 MiB at which nats.go
// drops what a subscription has not handled.
const (
	pullMessages = 4096
	pullBytes    = 8 << 20
)

// consume handles messages until one of them, the idle check, the consumer or ctx ends it.
func (r *reader) consume(ctx context.Context, c jetstream.Consumer) error {
	result := make(chan error, 1)
	finish := func(err error) {
		select {
		case result <- err:
		default: // the first reason counts
		}
	}
	heard := make(chan struct{}, 1)
	done := false // owned by the handler
	cc, err := c.Consume(func(m jetstream.Msg) {
		if done {
			return
		}
		select {
		case heard <- struct{}{}:
		default:
		}
		if err := r.handle(m); err != nil {
			done = true
			finish(err)
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes), jetstream.PullExpiry(30*time.Second),
		jetstream.PullHeartbeat(2*time.Second), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { finish(err) }))
	if err != nil {
		return err
	}
	err = r.wait(ctx, c, heard, result)
	cc.Stop()
	<-cc.Closed()
	return r.conclude(err, result)
}

// conclude prefers the handler's verdict, which may have come while something else ended the waiting.
func (r *reader) conclude(err error, result <-chan error) error {
	select {
	case last := <-result:
		var end *endError
		if errors.As(last, &end) {
			return last
		}
	default:
	}
	if err == errIdleEnd { //nolint:errorlint // a mark of our own, never wrapped
		if end := r.passed(r.end); end != nil {
			return end
		}
	}
	return err
}

var errIdleEnd = errors.New("nothing left")

func (r *reader) wait(ctx context.Context, c jetstream.Consumer, heard <-chan struct{}, result <-chan error) error {
	idle := time.NewTimer(idleCheck)
	defer idle.Stop()
	nc := r.js.Conn()
	connects := nc.Stats().Reconnects
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-result:
			return err
		case <-heard:
			idle.Reset(idleCheck)
		case <-idle.C:
			if nc.Stats().Reconnects != connects {
				return errGap // what was on its way when the connection broke would show only with the next message
			}
			if (r.cfg.StopAtEnd || r.cfg.CaughtUp != nil) && r.nothingLeft(ctx, c) {
				return errIdleEnd
			}
			idle.Reset(idleCheck)
		}
	}
}

// nothingLeft asks whether the server has delivered all there is. It is asked twice a second at most, and only of readers
// that end.
func (r *reader) nothingLeft(ctx context.Context, c jetstream.Consumer) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	info, err := c.Info(ctx)
	return err == nil && info.NumPending == 0 && info.Delivered.Consumer == r.delivered.Load()
}

var errGap = errors.New("messages skipped")

// handle gives one message to the function. The consumer's sequence must go up by one, or something was dropped on the way.
func (r *reader) handle(m jetstream.Msg) error {
	md, err := m.Metadata()
	if err != nil {
		return err
	}
	if md.Sequence.Consumer != r.delivered.Load()+1 {
		return errGap
	}
	r.delivered.Add(1)
	seq := md.Sequence.Stream
	if r.cfg.StopAtEnd && seq > r.end {
		return &endError{}
	}
	if !r.cfg.Until.IsZero() && md.Timestamp.After(r.cfg.Until) {
		return &endError{}
	}
	if seq > r.end {
		if err := r.passed(r.end); err != nil {
			return err
		}
	}
	if err := r.give(m, seq, md.Timestamp); err != nil {
		return err
	}
	r.last, r.seen = seq, r.seen+1
	if md.NumPending == 0 {
		return r.passed(max(seq, r.end))
	}
	return r.passed(seq)
}

func (r *reader) give(m jetstream.Msg, seq uint64, at time.Time) error {
	p, err := Pack{Subject: m.Subject(), Header: nats.Header(m.Headers()), Data: m.Data()}, error(nil)
	if !r.cfg.Raw {
		p, err = DecodePack(m.Subject(), nats.Header(m.Headers()), m.Data(), r.cfg.Limits)
	}
	p.Seq, p.Time = seq, at
	if err != nil {
		if r.cfg.Bad != nil {
			r.cfg.Bad(p, err)
		}
		return nil
	}
	if err := r.f(p); errors.Is(err, ErrStop) {
		return &endError{}
	} else if err != nil {
		return &endError{err: err}
	}
	return nil
}

// passed notes that everything up to seq has been given, and ends the reading where that was asked for.
func (r *reader) passed(seq uint64) error {
	if seq < r.end {
		return nil
	}
	if !r.caught {
		r.caught = true
		if r.cfg.CaughtUp != nil {
			r.cfg.CaughtUp()
		}
	}
	if r.cfg.StopAtEnd {
		return &endError{}
	}
	return nil
}

// backOff waits a little longer after each failure, up to about two seconds, with jitter.
func backOff(ctx context.Context, failures int) error {
	d := min(50*time.Millisecond<<min(failures, 6), 2*time.Second)
	d = d/2 + rand.N(d)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
