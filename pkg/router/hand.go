package router

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/stream"
)

// Bounds of what one router holds un-acked.
const (
	handPacks  = 4096
	handBytes  = 64 << 20
	owedPacks  = 8192
	owedBytes  = 64 << 20
	packCost   = 1 << 10 // what a pack costs beside its bytes, about
	ackWait    = 1500 * time.Millisecond
	signalWait = 400 * time.Millisecond
)

// hand is one message of IN from its arrival until it is acked. It owns the deliveries made of it.
type hand struct {
	hands *hands
	seq   uint64
	at    time.Time // store time in IN
	size  int

	// The message as it first arrived; only the worker reads data and headers, and lets data go when it has routed it.
	subject string
	headers nats.Header
	data    []byte
	again   bool // it may have been routed before

	// tally and gen are written by the worker, before the first delivery is sent.
	tally tally
	gen   *generation

	mu     sync.Mutex // guards what follows
	open   []*outlet  // of the deliveries that are not stored yet, once each
	routed bool       // the worker has sent all deliveries
	failed []*parcel  // copies that no stream can take
	parked []*parcel  // copies that their streams are owed

	// Guarded by hands.mu.
	msg     jetstream.Msg // the latest delivery of the message: its ack counts
	arrived time.Time
	owed    bool
}

// tally says what the rules made of the entries of one message.
type tally struct {
	entries   int // all
	delivered int // those with at least one copy
	byDefault int // of these, by the default
	copies    int // deliveries to streams, dead letters not included
	to        []outCount
	matched   []ruleCount
	failed    []ruleCount // entries that the rule could not be applied to
	dropped   []ruleCount
	dead      []reasonCount
	withheld  []withheld
}

// sent counts the entries of a delivery.
func (t *tally) sent(to *outlet, n int) {
	t.copies++
	for i := range t.to {
		if t.to[i].to == to {
			t.to[i].n += n
			return
		}
	}
	t.to = append(t.to, outCount{to, n})
}

type outCount struct {
	to *outlet
	n  int
}

type ruleCount struct{ rule, n int }

type reasonCount struct {
	reason stream.Reason
	n      int
}

// parcel is one delivery with what it counts for.
type parcel struct {
	stream.Delivery
	hand  *hand
	to    *outlet
	part  int
	count int // entries
	sole  int // entries that go nowhere else
}

// Done is called by the publisher when the parcel is stored, or when it never can be.
func (p *parcel) Done(_ *stream.Delivery, duplicate bool, err error) {
	h := p.hand
	e := h.hands.engine
	if err != nil && p.to != e.letters {
		h.mu.Lock()
		h.failed = append(h.failed, p)
		h.mu.Unlock()
		e.bury(h, p, err)
	} else {
		e.count.stored(p, duplicate, err)
	}
	h.close(p.to)
}

// close notes that one delivery is done. The last one lets the message be recorded.
func (h *hand) close(to *outlet) {
	h.mu.Lock()
	for i, o := range h.open {
		if o == to {
			h.open = append(h.open[:i], h.open[i+1:]...)
			break
		}
	}
	done := h.routed && len(h.open) == 0
	h.mu.Unlock()
	if done {
		h.hands.engine.books.add(h)
	}
}

// add notes one more delivery before it is sent.
func (h *hand) add(to *outlet) {
	h.mu.Lock()
	h.open = append(h.open, to)
	h.mu.Unlock()
}

// finish notes that all deliveries have been sent.
func (h *hand) finish() {
	h.mu.Lock()
	h.routed = true
	done := len(h.open) == 0
	h.mu.Unlock()
	if done {
		h.hands.engine.books.add(h)
	}
}

// waitsForAside reports whether all that is missing are streams that are set aside.
func (h *hand) waitsForAside() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.routed || len(h.open) == 0 {
		return false
	}
	for _, o := range h.open {
		if !o.aside.Load() {
			return false
		}
	}
	return true
}

// hands is everything that this router has taken from IN and not acked.
type hands struct {
	engine *engine

	mu        sync.Mutex
	room      sync.Cond // signalled when something settles, or closed or late change
	held      map[place]*hand
	recent    map[place]struct{} // settled lately: their redeliveries are acked, not routed
	ring      []place            // the order of recent
	at        int                // next in ring
	bytes     int                // without what is owed
	owed      int
	owedBytes int
	closed    bool
	paused    bool
	late      bool
}

// place is a message of IN. The time tells messages of one sequence apart when the stream was made anew.
type place struct {
	seq uint64
	at  int64
}

func (h *hand) place() place { return place{h.seq, h.at.UnixNano()} }

func newHands(e *engine) *hands {
	hs := &hands{engine: e, held: map[place]*hand{}, recent: map[place]struct{}{}, ring: make([]place, 2*handPacks)}
	hs.room.L = &hs.mu
	return hs
}

// take registers a message that has arrived and waits until there is room for it. It returns nil for a message that is in hand
// already, whose ack is from now on sent for this delivery of it, for one that is recorded, and after stop.
func (hs *hands) take(m jetstream.Msg, md *jetstream.MsgMetadata) *hand {
	h := &hand{
		hands: hs, seq: md.Sequence.Stream, at: md.Timestamp, again: md.NumDelivered > 1,
		subject: m.Subject(), headers: nats.Header(m.Headers()), data: m.Data(),
		msg: m, arrived: time.Now(), size: len(m.Data()) + packCost,
	}
	key := h.place()
	known := (h.again || hs.engine.mayBeKnown(h.seq)) && hs.engine.books.knows(h)
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if old := hs.held[key]; old != nil {
		old.msg = m
		hs.engine.count.redelivered()
		return nil
	}
	if _, ok := hs.recent[key]; ok || known {
		hs.engine.count.redelivered()
		_ = m.Ack() // the first ack was late or lost; if this one is too, it comes once more
		return nil
	}
	hs.held[key] = h // from now on, so that it is kept alive while it waits for room
	for !hs.closed && hs.full() {
		hs.room.Wait()
	}
	if hs.closed {
		delete(hs.held, key)
		_ = m.Nak() // for another router
		return nil
	}
	hs.bytes += h.size
	return h
}

// full reports whether the bounds are reached. A router with nothing in hand takes a message of any size.
func (hs *hands) full() bool {
	inHand := len(hs.held) - hs.owed
	return (inHand > 1 && (inHand > handPacks || hs.bytes >= handBytes)) || hs.standing() || hs.paused
}

// standing reports whether so much is owed that nothing more is taken.
func (hs *hands) standing() bool { return hs.owed >= owedPacks || hs.owedBytes >= owedBytes }

// settle acks a message that is recorded, and counts its entries.
func (hs *hands) settle(h *hand) {
	hs.engine.count.settle(h)
	key := h.place()
	hs.mu.Lock()
	delete(hs.held, key)
	delete(hs.recent, hs.ring[hs.at])
	hs.ring[hs.at], hs.recent[key] = key, struct{}{}
	hs.at = (hs.at + 1) % len(hs.ring)
	if h.owed {
		hs.owed, hs.owedBytes = hs.owed-1, hs.owedBytes-h.size
	} else {
		hs.bytes -= h.size
	}
	m := h.msg
	hs.room.Broadcast()
	hs.mu.Unlock()
	if err := m.Ack(); err != nil {
		hs.engine.log.Debug().Err(err).Uint64("seq", h.seq).Msg("ack not sent; the message comes again and is recognized")
	}
}

// signal tells the server that older messages are being worked on, and moves those that wait for nothing but streams set
// aside out of the bounds of what is in hand.
func (hs *hands) signal(now time.Time, aside bool) {
	for _, m := range hs.sweep(now, aside) {
		// An error means that there is no connection, and then nobody else gets the message either.
		_ = m.InProgress()
	}
}

func (hs *hands) sweep(now time.Time, aside bool) (older []jetstream.Msg) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, h := range hs.held {
		if now.Sub(h.arrived) >= signalWait {
			older = append(older, h.msg)
		}
		if aside && !h.owed && h.waitsForAside() {
			h.owed = true
			hs.owed, hs.owedBytes, hs.bytes = hs.owed+1, hs.owedBytes+h.size, hs.bytes-h.size
		}
	}
	if hs.owed > 0 {
		hs.room.Broadcast()
	}
	return older
}

// pause lets nobody in until it is called with false.
func (hs *hands) pause(on bool) {
	hs.mu.Lock()
	hs.paused = on
	hs.room.Broadcast()
	hs.mu.Unlock()
}

// stop lets nobody in any more.
func (hs *hands) stop() {
	hs.mu.Lock()
	hs.closed = true
	hs.room.Broadcast()
	hs.mu.Unlock()
}

// drain waits until everything but the debts is settled, or the time is over, and hands the rest back: another router gets
// it at once, or this one when it is back.
func (hs *hands) drain(patience time.Duration) (left int) {
	t := time.AfterFunc(patience, func() {
		hs.mu.Lock()
		hs.late = true
		hs.room.Broadcast()
		hs.mu.Unlock()
	})
	defer t.Stop()
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for len(hs.held) > hs.owed && !hs.late {
		hs.room.Wait()
	}
	for _, h := range hs.held {
		_ = h.msg.Nak()
	}
	return len(hs.held)
}

// state is what /metrics and /readyz show.
func (hs *hands) state() (packs, bytes, owed int, standing bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return len(hs.held) - hs.owed, hs.bytes, hs.owed, hs.standing()
}
