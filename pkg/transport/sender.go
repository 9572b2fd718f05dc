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
)

// never is a time that does not come.
const never = math.MaxInt64

// How the sender sleeps, which is what a commit has to do about it.
const (
	deaf  int32 = iota // awake, or nothing that a commit brings can go now
	lazy               // until the tick: warn and up wake it
	eager              // any commit wakes it
)

// A request is what other goroutines ask of the sender.
type request struct {
	stored   chan struct{} // closed when the entries before are stored
	reserved uint64        // frames of the transport's own queue at the time of asking
	adopt    *source
}

// A flush waits for the entries up to a mark.
type flush struct {
	request
	marked bool
	mark   uint64
}

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

	local  Stats
	mu     sync.Mutex // guards shared
	shared Stats
}

func newSender(cfg Config, dial dialer) *sender {
	s := &sender{
		cfg: cfg, dial: dial, wake: make(chan struct{}, 1), base: time.Now(), packs: make(map[uint64]*pack),
		retryAt: never, clockAt: never, own: newSource(cfg.Queue, nil), reports: reports{say: cfg.Report},
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

func (s *sender) ask(r request) {
	s.reqMu.Lock()
	s.reqs = append(s.reqs, r)
	s.reqMu.Unlock()
	s.poke()
}

func (s *sender) takeRequests() {
	s.reqMu.Lock()
	reqs := s.reqs
	s.reqs = nil
	s.reqMu.Unlock()
	for _, r := range reqs {
		if r.stored != nil {
			s.flushes = append(s.flushes, flush{request: r})
		}
		if r.adopt != nil {
			s.sources = append(s.sources, r.adopt)
			s.enlistOld(r.adopt)
		}
	}
}

// refuseRequests answers those that nobody will carry out, once the sender has ended.
func (s *sender) refuseRequests() {
	s.reqMu.Lock()
	reqs := s.reqs
	s.reqs = nil
	s.reqMu.Unlock()
	for _, r := range reqs {
		if r.adopt != nil {
			r.adopt.done(ErrClosed)
		}
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
	s.clock.count(s.took, t)
	s.took, s.urgent = 0, false
	s.resend(t)
	s.send(t)
	s.settle()
	s.share()
}

// connect dials when it is time to. nats.go reconnects by itself later on; the first
// connection, and one that it gave up, are made here, for ever.
func (s *sender) connect(ctx context.Context) {
	t := s.now()
	if s.link != nil || t < s.dialAt {
		return
	}
	l, err := s.dial(ctx, s.poke)
	t = s.now()
	if err != nil {
		if ctx.Err() == nil {
			s.unreachable(err, t)
		}
		s.dials++
		s.dialAt = t + int64(redial(s.dials))
		return
	}
	s.link, s.dials = l, 0
	s.connected(t)
}

func (s *sender) unreachable(err error, t int64) {
	s.reports.begin("connect", fmt.Sprintf("cannot reach %s: %v; entries wait in the queue (%s)", redact(s.cfg.URL), err, s.own.q.Where()), t)
}

// connected resends what is in flight: its answers may have been lost.
func (s *sender) connected(t int64) {
	s.up = true
	s.local.URL = s.link.URL()
	s.askLimit()
	s.reports.over("connect", "connected to "+s.local.URL, t)
	s.reports.forget()
	for _, p := range s.packs {
		p.retryAt, p.waits = t, 0
	}
	s.retryAt = t
}

// askLimit notes the most bytes of a pack that this server takes.
func (s *sender) askLimit() {
	s.limit = maxPack
	if most := int(s.link.MaxPayload()); most > 0 {
		s.limit = min(maxPack, max(most-headerRoom, 1))
	}
}

// takeNews reads what the connection's goroutines left.
func (s *sender) takeNews() {
	if s.link == nil {
		return
	}
	n, closed := s.link.Events().take()
	t := s.now()
	if n.trouble != nil {
		s.unreachable(n.trouble, t)
	}
	if n.noInbox {
		s.reports.begin("inbox", fmt.Sprintf("%s does not allow to receive answers under %q: set the inbox prefix of these credentials", s.local.URL, s.link.Inbox()), t)
	}
	if n.other != nil {
		s.reports.begin("other "+n.other.Error(), fmt.Sprintf("%s: %v", s.local.URL, n.other), t)
	}
	if len(n.denied) > 0 {
		s.denied(n.denied, t)
	}
	switch {
	case closed:
		s.link.Close()
		s.link, s.up, s.dialAt = nil, false, t+int64(redial(1))
	case n.changed && n.up:
		s.connected(t)
	case n.changed:
		s.up = false
	}
}

// denied lets packs stand whose subjects may not be published to. The server says it
// for the subject only, and instead of an answer.
func (s *sender) denied(subjects []string, t int64) {
	for _, p := range s.packs {
		for _, subject := range subjects {
			if p.subj.wire == subject {
				s.meet(p, "denied", fmt.Sprintf("%s does not allow to publish to %q", s.local.URL, subject), t)
				s.postpone(p, t, mostWait)
				break
			}
		}
	}
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
		for !s.refs.full() {
			it, ok := src.q.Next()
			if !ok {
				break
			}
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
	}
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

// settle answers flushes, and ends adopted sources with nothing left.
func (s *sender) settle() {
	if len(s.flushes) > 0 {
		s.settleFlushes()
	}
	if len(s.sources) == 1 {
		return
	}
	stay := s.sources[:1]
	for _, src := range s.sources[1:] {
		if src.empty() {
			src.done(nil)
		} else {
			stay = append(stay, src)
		}
	}
	clear(s.sources[len(stay):])
	s.sources = stay
}

func (s *sender) settleFlushes() {
	waiting := s.own.q.Stats().Waiting
	oldest := s.oldest()
	stay := s.flushes[:0]
	for _, f := range s.flushes {
		// Either as many were read as there had been, or there is nothing to read at all.
		if all := s.own.before + f.reserved; !f.marked && (s.own.read >= all || waiting == s.own.held) {
			f.marked, f.mark = true, min(all, s.own.read)
		}
		if waiting == 0 || f.marked && oldest > f.mark && s.own.pending == 0 {
			close(f.stored)
			continue
		}
		stay = append(stay, f)
	}
	clear(s.flushes[len(stay):])
	s.flushes = stay
}

// oldest is the number of the first entry of the own queue that is not stored.
func (s *sender) oldest() uint64 {
	o := uint64(math.MaxUint64)
	for _, sj := range s.own.subjs {
		if sj.first != 0 {
			o = min(o, s.refs.all[sj.first].count)
		}
		if p := sj.inFlight; p != nil && p.first != 0 {
			o = min(o, s.refs.all[p.first].count)
		}
	}
	return o
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
	at = min(at, s.retryAt, s.clockAt)
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
