package transport

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// never is a time that does not come.
const never = math.MaxInt64

// lookAgain is after how long a queue is read once more after the last commit: one that
// waits for a frame that somebody reserved and never finished passes over it after 1 s,
// when it is asked.
const lookAgain = 1200 * time.Millisecond

// How the sender sleeps, which is what a commit has to do about it.
const (
	deaf  int32 = iota // awake, or nothing that a commit brings can go now
	lazy               // until the tick: warn and up wake it
	eager              // any commit wakes it
)

// sender is the goroutine that reads queues and publishes. Fields without another
// owner are its own.
type sender struct {
	cfg  Config
	dial dialer

	wake     chan struct{} // capacity 1
	sleeping atomic.Int32

	reqMu sync.Mutex // guards requests
	reqs  []request

	base     time.Time // zero of the sender's time
	own      *source
	sources  []*source // own is the first
	refs     refs
	gathered int64 // bytes of lines in no pack
	took     int   // entries read and not yet in the clock's count
	urgent   bool  // one of them is warn or up
	heavy    int   // subjects in flight that have a full pack waiting
	lastSubj *subj
	ready    [classes][]*subj
	clock    clock
	clockAt  int64 // when the clock lets something go
	packs    map[uint64]*pack
	nextID   uint64
	unacked  int64
	retryAt  int64 // not later than that of any pack
	fixAt    int64 // when the journal is tried again
	lookAt   int64 // when the queue is looked at though nothing was committed
	link     link
	up       bool
	limit    int // bytes of a pack
	dials    int
	dialAt   int64
	flushes  []flush

	msg     nats.Msg // used again for each pack, like the buffers
	body    []byte
	cut     []byte
	reply   []byte
	reports reports
	refusals

	local  Stats
	mu     sync.Mutex // guards shared
	shared Stats
}

func newSender(cfg Config, dial dialer) *sender {
	s := &sender{
		cfg: cfg, dial: dial, wake: make(chan struct{}, 1), base: time.Now(), packs: make(map[uint64]*pack),
		retryAt: never, clockAt: never, lookAt: never, own: newSource(cfg.Queue, nil), reports: reports{say: cfg.Report},
	}
	s.local.URL = redact(cfg.URL)
	s.sources = []*source{s.own}
	s.enlistOld(s.own)
	s.share()
	return s
}

// now is the monotonic time that all of the sender's times are of.
func (s *sender) now() int64 { return int64(time.Since(s.base)) }

// notify is called after each commit, in the application's goroutine.
func (s *sender) notify(level entry.Level, task bool) {
	mode := s.sleeping.Load()
	if mode == deaf || mode == lazy && classOf(level, task) != urgent {
		return
	}
	if s.sleeping.CompareAndSwap(mode, deaf) {
		s.poke()
	}
}

func (s *sender) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx is done, and then closes the connection.
func (s *sender) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.connect(ctx)
		s.turn()
		s.rest(ctx, timer)
	}
	if s.link != nil {
		s.link.Close()
	}
	for _, src := range s.sources {
		if src.done != nil {
			src.done(ErrClosed)
		}
	}
	s.local.Connected = false
	s.share()
}

// turn does all that can be done now.
func (s *sender) turn() {
	s.takeRequests()
	s.takeNews()
	s.takeAnswers()
	s.gather()
	t := s.now()
	if t >= s.lookAt {
		s.lookAt = never
	}
	s.clock.count(s.took, t)
	s.took, s.urgent = 0, false
	s.resend(t)
	s.send(t)
	s.settle()
	s.sayRefusals(t)
	s.share()
}

// takeAnswers reads all that came.
func (s *sender) takeAnswers() {
	if s.link == nil {
		return
	}
	t := s.now()
	for {
		select {
		case m := <-s.link.Events().acks:
			s.answer(m, t)
		default:
			return
		}
	}
}

// gather reads what was committed.
func (s *sender) gather() {
	for _, src := range s.sources {
		src.dry = false
		for s.refs.used < src.room() {
			it, ok := src.q.Next()
			if !ok {
				src.dry = true
				break
			}
			s.keep(src, it)
		}
	}
}

// keep puts an entry behind those of its subject.
func (s *sender) keep(src *source, it spool.Item) {
	s.took++
	src.read++
	src.held++
	k := classOf(it.Level, it.Task)
	s.urgent = s.urgent || k == urgent
	sj := s.lastSubj
	if sj == nil || sj.src != src || sj.name != it.Subject {
		src.forget()
		sj = src.subject(it.Subject, k)
		s.lastSubj = sj
	}
	if !sj.ready {
		sj.class = max(sj.class, k) // made by a pack of an earlier run, it knew no level
	}
	i := s.refs.add(it, src.read)
	if sj.last != 0 {
		s.refs.all[sj.last].next = i
	} else {
		sj.first = i
	}
	sj.last = i
	sj.bytes += len(it.Line)
	s.gathered += int64(len(it.Line))
	s.weigh(sj)
	s.enlist(sj)
}

// enlist puts a subject that has something to send, and nothing in flight, in line.
func (s *sender) enlist(sj *subj) {
	if !sj.ready && sj.waits() {
		sj.ready = true
		s.ready[sj.class] = append(s.ready[sj.class], sj)
	}
}

func (s *sender) enlistOld(src *source) {
	for _, sj := range src.subjs {
		s.enlist(sj)
	}
}

// weigh notes whether a subject's answer should wake the sender between ticks, because
// a full pack waits for it.
func (s *sender) weigh(sj *subj) {
	if heavy := sj.inFlight != nil && sj.bytes >= fullPack; heavy != sj.heavy {
		if sj.heavy = heavy; heavy {
			s.heavy++
		} else {
			s.heavy--
		}
	}
}

// send lets go what the clock and the limits allow, warn and up first.
func (s *sender) send(t int64) {
	s.clockAt = never
	if !s.up || t < s.fixAt {
		return
	}
	for k := int(classes) - 1; k >= 0; k-- {
		s.ready[k] = s.sendClass(s.ready[k], class(k), t)
	}
	s.clock.endTurn(t)
}

// sendClass returns the subjects that stay in line.
func (s *sender) sendClass(line []*subj, k class, t int64) []*subj {
	stay := line[:0]
	tick, at := s.clock.may(k, t)
	for _, sj := range line {
		full := s.unacked >= maxUnacked || len(s.packs) >= maxPacks || !s.up || t < s.fixAt
		due := tick || sj.bytes >= fullPack || len(sj.old) > 0 || len(s.flushes) > 0
		switch {
		case full: // an answer wakes the sender
			stay = append(stay, sj)
		case !due:
			s.clockAt = min(s.clockAt, at)
			stay = append(stay, sj)
		case s.sendNext(sj, t):
			s.clock.sent(k)
			sj.ready = false
		default:
			stay = append(stay, sj)
		}
	}
	clear(line[len(stay):])
	return stay
}

// sendNext puts a subject's next pack in flight: one of an earlier run, or a new one.
func (s *sender) sendNext(sj *subj, t int64) bool {
	if len(sj.old) > 0 {
		p := sj.old[0]
		sj.old = sj.old[1:]
		s.launch(p)
		s.republish(p, t)
		return true
	}
	p, err := s.form(sj)
	if err != nil {
		s.reports.begin("journal", fmt.Sprintf("cannot write the journal of the queue (%s): %v", sj.src.q.Where(), err), t)
		s.fixAt = t + int64(time.Second)
		return false
	}
	s.reports.over("journal", "the journal of the queue can be written again", t)
	s.launch(p)
	s.publish(p, t)
	return true
}

// rest sleeps until there is something to do.
func (s *sender) rest(ctx context.Context, timer *time.Timer) {
	mode, at := s.plan(s.now())
	s.sleeping.Store(mode)
	if mode != deaf {
		// What was committed between the last look and the Store woke nobody.
		if s.gather(); s.took > 0 && (mode == eager || s.urgent) {
			s.sleeping.Store(deaf)
			return
		}
	}
	timer.Reset(max(time.Duration(min(at-s.now(), int64(time.Hour))), 0))
	var acks chan *nats.Msg
	if s.link != nil && (mode != lazy || s.heavy > 0 || s.unacked >= maxUnacked || s.refs.full()) {
		acks = s.link.Events().acks
	}
	select {
	case <-s.wake:
		s.lookAt = s.now() + int64(lookAgain)
	case <-timer.C:
	case m := <-acks:
		s.answer(m, s.now())
	case <-ctx.Done():
	}
	s.sleeping.Store(deaf)
}

// plan says how to sleep, and until when.
func (s *sender) plan(t int64) (mode int32, at int64) {
	at = never
	if s.link == nil {
		at = s.dialAt
	}
	if !s.up || s.refs.full() {
		if s.up {
			at = min(at, s.retryAt, s.clockAt)
		}
		return deaf, at
	}
	at = min(at, s.retryAt, s.clockAt, s.lookAt)
	if s.fixAt > t {
		at = min(at, s.fixAt)
	}
	moving := len(s.packs) > 0 || s.gathered > 0 || s.clock.n > 0
	if s.clock.busy && moving && len(s.flushes) == 0 {
		return lazy, min(at, tick(t, int64(grid)))
	}
	return eager, at
}

func (s *sender) share() {
	s.local.Connected, s.local.InFlight = s.up, s.unacked
	s.local.LastError, s.local.LastSaid = s.reports.last, s.reports.at
	s.mu.Lock()
	s.shared = s.local
	s.mu.Unlock()
}

func (s *sender) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shared
}
