package router

import (
	"maps"
	"sync"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// counters are the states of entries. One mutex for all, so that every reading balances.
type counters struct {
	mu sync.Mutex
	c  counts
}

// counts is one reading. Rules and streams have been named since the start, by any file.
type counts struct {
	received  uint64 // entries taken from IN
	inFlight  int64  // of these, those not settled
	delivered uint64
	byDefault uint64            // of those delivered, the ones that no rule had sent anywhere
	matched   map[string]uint64 // by rule
	failed    map[string]uint64 // by rule that could not be applied
	dropped   map[string]uint64 // by rule
	dead      map[stream.Reason]uint64

	copies     map[string]uint64 // entries stored, by stream
	owed       map[string]uint64 // entries put aside for a stream
	paid       map[string]uint64 // of these, entries stored in it later
	owing      uint64            // messages in the stream of what is owed, of any router
	packs      uint64            // messages taken from IN
	packsOut   uint64            // messages stored
	duplicates uint64            // of these, those that had been stored before
	again      uint64            // redeliveries recognized
}

func newCounters() *counters {
	return &counters{c: counts{
		matched: map[string]uint64{}, failed: map[string]uint64{}, dropped: map[string]uint64{}, copies: map[string]uint64{}, dead: map[stream.Reason]uint64{}, owed: map[string]uint64{}, paid: map[string]uint64{},
	}}
}

// know makes the names of a set show from the start.
func (c *counters) know(set *rule.Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range set.Streams {
		c.c.copies[set.Streams[i].Name] += 0
	}
	for i := range set.Rules {
		name := set.Rules[i].Name
		c.c.matched[name] += 0
		c.c.failed[name] += 0
		c.c.dropped[name] += 0
	}
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
	if p.to.name != "" {
		c.c.copies[p.to.name] += uint64(p.count)
	}
}

// parked counts a delivery that is over because its stream gets it later.
func (c *counters) parked(p *parcel) {
	c.mu.Lock()
	c.c.owed[p.to.name] += uint64(p.count)
	c.mu.Unlock()
}

// paid counts what a stream was owed and got.
func (c *counters) paid(p *payment) {
	c.mu.Lock()
	c.c.paid[p.to.name] += uint64(p.count)
	c.mu.Unlock()
}

func (c *counters) owing(messages uint64) {
	c.mu.Lock()
	c.c.owing = messages
	c.mu.Unlock()
}

// settle moves the entries of a message from in flight to the states they ended in.
func (c *counters) settle(h *hand) {
	t := &h.tally
	lost := t.lost(h.failed)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range t.matched {
		c.c.matched[h.gen.set.Rules[m.rule].Name] += uint64(m.n)
	}
	for _, f := range t.failed {
		c.c.failed[h.gen.set.Rules[f.rule].Name] += uint64(f.n)
	}
	for _, d := range t.dropped {
		c.c.dropped[h.gen.set.Rules[d.rule].Name] += uint64(d.n)
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
	r.matched, r.failed = maps.Clone(c.c.matched), maps.Clone(c.c.failed)
	r.dropped, r.copies, r.dead = maps.Clone(c.c.dropped), maps.Clone(c.c.copies), maps.Clone(c.c.dead)
	r.owed, r.paid = maps.Clone(c.c.owed), maps.Clone(c.c.paid)
	return r
}
