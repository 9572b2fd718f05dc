package router

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// durable is the consumer of IN that all routers share.
const durable = "router"

// AsideAfter is how long a stream may refuse everything before the others stop waiting for it.
const AsideAfter = 30 * time.Second

// engine moves messages from IN into the streams, over one connection.
type engine struct {
	cfg  Config
	ns   string
	name string // of this run, in Dlog-Total and in the ledger
	log  zerolog.Logger

	nc      *nats.Conn
	js      jetstream.JetStream
	pub     *stream.Publisher
	in      stream.Spec
	letters *outlet // the dead letters, one of outs
	owed    stream.Spec
	debts   *stream.Lane // into the stream of what is owed
	rules   atomic.Pointer[generation]

	mu   sync.Mutex // guards outs, and spec and sinks of each
	outs []*outlet

	// horizon is the last sequence of IN that may have been routed before this router, or this connection, began: a
	// server that was killed forgets the last deliveries, so their number does not tell.
	horizon atomic.Uint64
	looked  atomic.Uint64 // reconnections when it was set

	hands   *hands
	books   *books
	count   *counters
	workers []*worker
	working sync.WaitGroup
	seed    maphash.Seed
	faults  faults

	asideAfter time.Duration
	consumer   func(sink string) jetstream.ConsumerConfig
}

func newEngine(cfg Config, nc *nats.Conn, opts Options) (*engine, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	e := &engine{
		cfg: cfg, ns: cfg.Namespace, name: task.NewProcess().String(), log: opts.Log, nc: nc, js: js, count: newCounters(), seed: maphash.MakeSeed(),
	}
	if e.asideAfter = opts.AsideAfter; e.asideAfter <= 0 {
		e.asideAfter = AsideAfter
	}
	e.consumer = opts.Consumer
	e.hands, e.books = newHands(e), newBooks(e)
	e.in = stream.SpecIn(e.ns, cfg.In.keep())
	e.letters = &outlet{spec: stream.SpecDead(e.ns, stream.Keep{})}
	e.outs = []*outlet{e.letters}
	return e, nil
}

// prepare makes the streams and the consumer. most caps a stream's bytes, given those it has already.
func (e *engine) prepare(ctx context.Context, set *rule.Set, most func(own uint64) int64) (jetstream.Consumer, error) {
	var err error
	if e.in, err = e.makeWithin(ctx, e.in, most); err != nil {
		return nil, err
	}
	little := func(own uint64) int64 { return most(own) / 4 } // the server reserves the sum of all limits
	if _, err = e.makeWithin(ctx, stream.SpecControl(e.ns), little); err != nil {
		return nil, err
	}
	if e.books.spec, err = e.makeWithin(ctx, stream.SpecLedger(e.ns, e.in.Keep), little); err != nil {
		return nil, err
	}
	if e.owed, err = e.makeWithin(ctx, stream.SpecOwed(e.ns, stream.Keep{}), little); err != nil {
		return nil, err
	}
	if e.letters.spec, err = e.makeWithin(ctx, e.letters.spec, most); err != nil {
		return nil, err
	}
	if err := e.obey(ctx, set, most); err != nil {
		return nil, err
	}
	c, err := e.js.CreateOrUpdateConsumer(ctx, e.in.Name, jetstream.ConsumerConfig{
		Durable: durable, Description: "dlog: the routers", DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: handPacks + owedPacks,
	})
	if err != nil {
		return nil, fmt.Errorf("make consumer %s of stream %s: %w", durable, e.in.Name, err)
	}
	last, err := e.endOfIn(ctx)
	if err != nil {
		return nil, err
	}
	if c.CachedInfo().Delivered.Stream > 0 {
		e.horizon.Store(last)
	}
	return c, e.books.open(ctx, c.CachedInfo().AckFloor.Stream, last)
}

// makeWithin makes a stream that keeps no more than it may.
func (e *engine) makeWithin(ctx context.Context, s stream.Spec, most func(own uint64) int64) (stream.Spec, error) {
	own, err := e.bytesOf(ctx, s.Name)
	if err != nil {
		return s, err
	}
	s.Keep = s.Keep.Cap(most(own))
	return s, e.ensure(ctx, s)
}

// furnish makes what is not there of an outlet's stream and the consumers of its sinks.
func (e *engine) furnish(ctx context.Context, o *outlet) error {
	spec, sinks := e.wanted(o)
	if err := e.ensure(ctx, spec); err != nil {
		return err
	}
	return e.durables(ctx, spec.Name, sinks)
}

// durables makes the consumers of the sinks of a stream.
func (e *engine) durables(ctx context.Context, stream string, sinks []string) error {
	if e.consumer == nil {
		return nil
	}
	for _, sink := range sinks {
		_, err := e.js.CreateConsumer(ctx, stream, e.consumer(sink))
		if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
			return fmt.Errorf("make consumer %s of stream %s: %w", sink, stream, err)
		}
	}
	return nil
}

// look sets the horizon to the end of IN.
func (e *engine) look(ctx context.Context) error {
	connects := e.nc.Stats().Reconnects
	last, err := e.endOfIn(ctx)
	if err != nil {
		return err
	}
	e.horizon.Store(last)
	e.looked.Store(connects)
	return nil
}

// endOfIn is the last sequence of IN.
func (e *engine) endOfIn(ctx context.Context) (uint64, error) {
	s, err := e.js.Stream(ctx, e.in.Name)
	if err != nil {
		return 0, fmt.Errorf("look for stream %s: %w", e.in.Name, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// mayBeKnown reports whether a message may have been routed by somebody before. After a reconnection that holds for all until
// somebody has looked.
func (e *engine) mayBeKnown(seq uint64) bool {
	return seq <= e.horizon.Load() || e.nc.Stats().Reconnects != e.looked.Load()
}

// bytesOf is the size of a stream, 0 when there is none.
func (e *engine) bytesOf(ctx context.Context, name string) (uint64, error) {
	s, err := e.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for stream %s: %w", name, err)
	}
	return s.CachedInfo().State.Bytes, nil
}

// ensure makes a stream as wanted. What an existing one keeps beyond that is said, and no reason to stop.
func (e *engine) ensure(ctx context.Context, s stream.Spec) error {
	err := stream.Ensure(ctx, e.js, s)
	var conflict *stream.Conflict
	if errors.As(err, &conflict) && !conflict.Blocks() {
		e.log.Warn().Msg(conflict.Error())
		return nil
	}
	return err
}

// start begins routing what the consumer gives. The caller calls stop afterwards.
func (e *engine) start(c jetstream.Consumer) (jetstream.ConsumeContext, error) {
	var err error
	if e.pub, err = stream.NewPublisher(e.nc, stream.PublisherConfig{}); err != nil {
		return nil, err
	}
	for _, o := range e.outlets() {
		o.lane = e.pub.Lane(o.spec.Name)
	}
	e.debts = e.pub.Lane(e.owed.Name)
	for range workersFor(runtime.GOMAXPROCS(0)) {
		w := newWorker(e)
		e.workers = append(e.workers, w)
		e.working.Go(w.run)
	}
	cc, err := c.Consume(e.take, jetstream.PullMaxMessagesWithBytesLimit(1024, 8<<20), jetstream.PullExpiry(30*time.Second),
		jetstream.PullHeartbeat(5*time.Second), jetstream.ConsumeErrHandler(e.consumeError))
	if err != nil {
		e.stop(nil)
		return nil, fmt.Errorf("read stream %s: %w", c.CachedInfo().Stream, err)
	}
	return cc, nil
}

// workersFor leaves half of the processors to the server, which has the larger half of the work.
func workersFor(procs int) int { return max(1, procs/2) }

// take gives an arrived message to the worker of its subject.
func (e *engine) take(m jetstream.Msg) {
	md, err := m.Metadata()
	if err != nil {
		e.log.Error().Err(err).Msg("a message without JetStream's metadata is left alone")
		return
	}
	if h := e.hands.take(m, md); h != nil {
		h.again = h.again || e.mayBeKnown(h.seq)
		i := maphash.String(e.seed, h.subject) % uint64(len(e.workers))
		e.workers[i].in <- h
	}
}

func (e *engine) consumeError(_ jetstream.ConsumeContext, err error) {
	e.faults.say(e.log, "reading from IN", err)
}

// housekeep keeps messages in hand alive and watches the lanes, until ctx ends.
func (e *engine) housekeep(ctx context.Context) {
	every(ctx, signalWait, func(now time.Time) {
		some := e.setAside(now)
		if some {
			e.parkAll()
		}
		e.hands.signal(now, some)
	})
}

// every calls f at each tick until ctx ends.
func every(ctx context.Context, d time.Duration, f func(now time.Time)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			f(now)
		}
	}
}

// drainWait bounds how long a stopping router waits for what it has in hand.
const drainWait = 10 * time.Second

// stop ends routing: what is in hand is finished or handed back.
func (e *engine) stop(cc jetstream.ConsumeContext) {
	if cc != nil {
		e.hands.stop()
		cc.Stop()
		<-cc.Closed()
	}
	for _, w := range e.workers {
		close(w.in)
	}
	e.working.Wait()
	if left := e.hands.drain(drainWait); left > 0 {
		e.log.Warn().Int("messages", left).Msg("handed back un-acked; they are routed again")
	}
	e.pub.Close()
}
