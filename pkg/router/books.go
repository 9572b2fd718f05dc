package router

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
)

const (
	// batchWait is how long the first message that is done waits for others before it is recorded. A batch costs the server and the
	// router about as much as a message; what waits is stored already, and only its ack is late.
	batchWait = 20 * time.Millisecond
	// batchPacks is from how many messages on a batch does not wait; what comes while one is on its way makes the next, up to
	// mostPacks: the slower the server answers, the larger batches are.
	batchPacks = 256
	mostPacks  = handPacks
	batchBytes = 512 << 10 // of a batch, about; a server takes 1 MiB
	// expiryEvery is how often IN is asked for what its limits removed.
	expiryEvery = 2 * time.Second
)

// books records what became of messages in the ledger, and settles them after that.
type books struct {
	engine *engine
	spec   stream.Spec
	chain  *ledger.Chain

	mu    sync.Mutex // guards what follows
	done  []*hand    // what waits to be recorded
	paid  []*payment // likewise
	since time.Time  // the ledger has taken nothing since; zero while all is well
	why   error

	wake chan struct{} // holds a token while done may not be empty
	full chan struct{} // the same once a batch is complete

	// Owned by run.
	connects uint64 // reconnections when the chain was last read
	records  []ledger.Record
}

func newBooks(e *engine) *books {
	return &books{engine: e, wake: make(chan struct{}, 1), full: make(chan struct{}, 1)}
}

// open reads where the ledger ends. floor is the sequence of IN up to which the consumer has acks.
func (b *books) open(ctx context.Context, floor, last uint64) (err error) {
	b.connects = b.engine.nc.Stats().Reconnects
	if b.chain, err = ledger.Open(ctx, b.engine.js, b.engine.ns, b.engine.name); err != nil {
		return err
	}
	b.chain.Forget(last)
	b.chain.Begin(floor)
	return nil
}

// knows reports whether a message that comes again is recorded: then only its ack was lost.
func (b *books) knows(h *hand) bool { return b.chain != nil && b.chain.Knows(h.seq, h.at) }

// add takes a message whose deliveries are all stored. It never waits.
func (b *books) add(h *hand) {
	b.mu.Lock()
	b.done = append(b.done, h)
	n := len(b.done)
	b.mu.Unlock()
	signal(b.wake)
	if n >= batchPacks {
		signal(b.full)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run records until ctx ends.
func (b *books) run(ctx context.Context) {
	t := time.NewTicker(expiryEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
			b.gather(ctx)
			for hands := b.take(); len(hands) > 0; hands = b.take() {
				b.record(ctx, hands, 0)
			}
			b.settleDebts(ctx)
		case <-t.C:
			if gone := b.gone(ctx); gone > 0 {
				b.record(ctx, nil, gone)
			}
		}
	}
}

// gather waits for more to come.
func (b *books) gather(ctx context.Context) {
	t := time.NewTimer(batchWait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-b.full:
	}
}

// take removes the next batch from what is done.
func (b *books) take() []*hand {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, 0
	for n < len(b.done) && n < mostPacks {
		size += b.done[n].tally.recordSize()
		if n > 0 && size > batchBytes {
			break
		}
		n++
	}
	hands := append([]*hand(nil), b.done[:n]...)
	left := copy(b.done, b.done[n:])
	clear(b.done[left:])
	b.done = b.done[:left]
	return hands
}

// record appends a batch and settles what is in it. It tries until that is stored or ctx ends.
func (b *books) record(ctx context.Context, hands []*hand, gone uint64) {
	b.records = b.records[:0]
	for _, h := range hands {
		b.records = append(b.records, h.record())
	}
	if !b.persist(ctx, func() error { return b.chain.Append(ctx, b.records, gone) }) {
		return // they come again, and are routed again
	}
	clear(b.records)
	for _, h := range hands {
		b.engine.hands.settle(h)
	}
}

// settleDebts records what was paid, and acks it.
func (b *books) settleDebts(ctx context.Context) {
	b.mu.Lock()
	paid := b.paid
	b.paid = nil
	b.mu.Unlock()
	if len(paid) == 0 {
		return
	}
	var records []ledger.Record
	for _, p := range paid {
		records = append(records, ledger.Record{Seq: p.seq, At: p.at, Counts: addCount(nil, ledger.Paid, p.to.name, p.count)})
	}
	if !b.persist(ctx, func() error { return b.chain.Pay(ctx, records) }) {
		return // they are paid again, and recognized
	}
	for _, p := range paid {
		p.settle()
	}
}

// persist tries until it has worked, or ctx has ended: then it returns false.
func (b *books) persist(ctx context.Context, f func() error) bool {
	for failures := 0; ; failures++ {
		err := b.current(ctx)
		if err == nil {
			err = f()
		}
		if err == nil {
			b.mu.Lock()
			b.since, b.why = time.Time{}, nil
			b.mu.Unlock()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		b.fail(ctx, err, failures)
	}
}

// current reads the ledger anew after a reconnection: the server may have lost its last second.
func (b *books) current(ctx context.Context) error {
	if n := b.engine.nc.Stats().Reconnects; n != b.connects {
		if err := b.resume(ctx); err != nil {
			return err
		}
		b.connects = n
	}
	return nil
}

func (b *books) resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := b.engine.ensure(ctx, b.spec); err != nil {
		return err
	}
	in, err := b.engine.js.Stream(ctx, b.engine.in.Name)
	if err != nil {
		return fmt.Errorf("look for stream %s: %w", b.engine.in.Name, err)
	}
	if err := b.chain.Resume(ctx); err != nil {
		return err
	}
	b.chain.Forget(in.CachedInfo().State.LastSeq)
	b.chain.Begin(in.CachedInfo().State.FirstSeq - 1)
	return nil
}

// fail notes that the ledger takes nothing, looks after it, and waits before the next try.
func (b *books) fail(ctx context.Context, why error, failures int) {
	b.mu.Lock()
	if b.why = why; b.since.IsZero() {
		b.since = time.Now()
	}
	b.mu.Unlock()
	b.engine.faults.say(b.engine.log, "recording", why)
	if failures > 0 && b.engine.nc.IsConnected() {
		if err := b.resume(ctx); err != nil {
			b.engine.faults.say(b.engine.log, "looking after the ledger", err)
		}
	}
	t := time.NewTimer(min(50*time.Millisecond<<min(failures, 6), 2*time.Second))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// gone is the last sequence of IN that its limits removed and that no router has in hand; 0 where nobody can tell.
func (b *books) gone(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := b.engine.js.Consumer(ctx, b.engine.in.Name, durable)
	if err != nil {
		return 0
	}
	in, err := b.engine.js.Stream(ctx, b.engine.in.Name)
	if err != nil || in.CachedInfo().State.FirstSeq == 0 {
		return 0
	}
	floor := c.CachedInfo().AckFloor.Stream
	last := min(in.CachedInfo().State.FirstSeq-1, floor)
	if len(b.chain.Recorded().Gaps(last)) == 0 {
		return 0
	}
	return last
}

// refusing says since when and why the ledger takes nothing; "" while all is well.
func (b *books) refusing() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		return ""
	}
	return fmt.Sprintf("the ledger takes nothing since %s, so nothing is acked: %v", b.since.UTC().Format(time.RFC3339), b.why)
}

// recordSize is about how many bytes the record of a message takes.
func (t *tally) recordSize() int {
	return 32 + 4*(len(t.to)+len(t.dropped)+len(t.dead)) + 14*len(t.withheld)
}

// record says what became of the message. All its deliveries are done.
func (h *hand) record() ledger.Record {
	t := &h.tally
	h.mu.Lock()
	lost := t.lost(h.failed)
	counts := make([]ledger.Count, 0, len(t.to)+len(t.dropped)+len(t.dead)+1)
	for _, c := range t.to {
		n := c.n
		for _, p := range h.failed {
			if p.to == c.to {
				n -= p.count
			}
		}
		owed := 0
		for _, p := range h.parked {
			if p.to == c.to {
				owed += p.count
			}
		}
		counts = addCount(counts, ledger.Stored, c.to.name, n-owed)
		counts = addCount(counts, ledger.Owed, c.to.name, owed)
	}
	h.mu.Unlock()
	rules := h.gen.set.Rules
	for _, c := range t.dropped {
		counts = addCount(counts, ledger.Dropped, rules[c.rule].Name, c.n)
	}
	for _, c := range t.dead {
		counts = addCount(counts, ledger.Dead, string(c.reason), c.n)
	}
	counts = addCount(counts, ledger.Dead, string(stream.ReasonStream), lost)
	r := ledger.Record{
		Seq: h.seq, At: h.at, Entries: uint64(t.entries), Delivered: uint64(t.delivered - lost), ByDefault: uint64(t.byDefault), Counts: counts,
	}
	for _, w := range t.withheld {
		r.Withheld = append(r.Withheld, ledger.Withheld{Rule: rules[w.rule].Name, Task: w.task, First: w.first, Last: w.last})
	}
	return r
}

// addCount adds to the counts; what is 0 is left out.
func addCount(counts []ledger.Count, kind ledger.Kind, name string, n int) []ledger.Count {
	if n == 0 {
		return counts
	}
	for i := range counts {
		if counts[i].Kind == kind && counts[i].Name.Name == name {
			counts[i].N += uint64(n)
			return counts
		}
	}
	return append(counts, ledger.Count{Name: ledger.Name{Kind: kind, Name: name}, N: uint64(n)})
}

// pay takes a debt that is paid.
func (b *books) pay(p *payment) {
	b.mu.Lock()
	b.paid = append(b.paid, p)
	b.mu.Unlock()
	signal(b.wake)
}
