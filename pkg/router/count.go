package router

import (
	"sync"

	"github.com/dlog-fabric/dlog/pkg/stream"
)

// counters are the states of entries. One mutex for all, so that every reading balances.
type counters struct {
	mu sync.Mutex
	c  counts
}

// counts is one reading. Slices are indexed like the rule set's streams and rules.
type counts struct {
	received  uint64 // entries taken from IN
	inFlight  int64  // of these, those not settled
	delivered uint64
	byDefault uint64 // of those delivered, the ones that no rule had sent anywhere
	dropped   []uint64
	dead      map[stream.Reason]uint64

	copies     []uint64 // entries stored, by stream
	packs      uint64   // messages taken from IN
	packsOut   uint64   // messages stored
	duplicates uint64   // of these, those that had been stored before
	again      uint64   // redeliveries recognized
}

func newCounters(streams, rules int) *counters {
	return &counters{c: counts{
		dropped: make([]uint64, rules), copies: make([]uint64, streams), dead: map[stream.Reason]uint64{},
	}}
}

// arrived counts a message and the entries in it.
func (c *counters) arrived(entries int) {
	c.mu.Lock()
	c.c.packs++
	c.c.received += uint64(entries)
	c.c.inFlight += int64(entries)
	c.mu.Unlock()
}

func (c *counters) redelivered() {
	c.mu.Lock()
	c.c.again++
	c.mu.Unlock()
}

// stored counts a delivery that is over. Dead letters have no stream to count for, and err is set only for those of them
// that cannot be stored either.
func (c *counters) stored(p *parcel, duplicate bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return
	}
	c.c.packsOut++
	if duplicate {
		c.c.duplicates++
	}
	if p.lane < len(c.c.copies) {
		c.c.copies[p.lane] += uint64(p.count)
	}
}

// settle moves the entries of a message from in flight to the states they ended in.
func (c *counters) settle(h *hand) {
	t := &h.tally
	lost := t.lost(h.failed)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range t.dropped {
		c.c.dropped[d.rule] += uint64(d.n)
	}
	for _, d := range t.dead {
		c.c.dead[d.reason] += uint64(d.n)
	}
	c.c.byDefault += uint64(t.byDefault)
	c.c.delivered += uint64(t.delivered - lost)
	if lost > 0 {
		c.c.dead[stream.ReasonStream] += uint64(lost)
	}
	c.c.inFlight -= int64(t.entries)
}

// lost is how many entries no stream has taken because all their copies failed for good.
func (t *tally) lost(failed []*parcel) (n int) {
	if len(failed) == 0 {
		return 0
	}
	if len(failed) == t.copies {
		return t.delivered
	}
	for _, p := range failed {
		n += p.sole
	}
	return n
}

// read takes a reading.
func (c *counters) read() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.c
	r.dropped = append([]uint64(nil), c.c.dropped...)
	r.copies = append([]uint64(nil), c.c.copies...)
	r.dead = make(map[stream.Reason]uint64, len(c.c.dead))
	for k, v := range c.c.dead {
		r.dead[k] = v
	}
	return r
}
