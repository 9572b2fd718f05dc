package spool

import (
	"crypto/rand"
	"encoding/hex"
	"runtime"
	"time"
)

const defaultBlock = 5 * time.Millisecond

// newKey makes a pack key: 64 random bits, so that nobody who reads entries can guess message ids.
func newKey() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// Key implements Queue.
func (c *chain) Key() string { return c.key }

// Where implements Queue.
func (c *chain) Where() string { return c.where }

// SetBirth implements Queue.
func (c *chain) SetBirth(line []byte) error {
	if c.birth == nil {
		return nil
	}
	return c.birth(line)
}

// Stats implements Queue.
func (c *chain) Stats() Stats {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{
		Limit: int64(c.most) * int64(c.size), Reserved: c.reserved(), Acked: c.acked, Unsaved: c.unsaved.Load(),
		Holes: c.abandoned.Load() + c.torn, Refused: c.counts.list(),
	}
	for _, g := range c.segs {
		end, _ := g.counts()
		s.Bytes += int64(min(end, c.size))
	}
	gone := s.Acked
	if c.recovered == nil {
		gone += s.Holes
	}
	if s.Reserved > gone { // the three are of different moments
		s.Waiting = s.Reserved - gone
	}
	return s
}

// reserved counts the frames taken.
func (c *chain) reserved() uint64 {
	if c.recovered != nil {
		return c.recovered.entries
	}
	g := c.cur.Load()
	for {
		if s := g.tail.Load(); s != 0 {
			return g.base - 1 + s>>stateBits
		}
		if s := g.state.Load(); int(s&offsetMask) <= c.size {
			return g.base - 1 + s>>stateBits
		}
		runtime.Gosched() // it is being sealed
	}
}

// closeGrace is how long Close waits for frames that are reserved and not committed.
const closeGrace = 100 * time.Millisecond

// Close implements Queue.
func (c *chain) Close() error {
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return nil
	}
	c.shut, c.closed = true, true
	g := c.cur.Load()
	c.mu.Unlock()
	// A reservation that nothing can hold: whoever comes later finds the segment full, and the queue closed.
	beyond := uint64(c.size) + oneFrame
	g.seal(g.state.Add(beyond)-beyond, c.size)
	c.work.Wait()

	c.rmu.Lock()
	defer c.rmu.Unlock()
	held := !c.quiet()
	drained := c.drained()
	c.ended = true
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.segs {
		// Memory that a producer or the sender may still look at is left mapped.
		keep := held || s.open > 0 || s.forsaken.Load() > 0
		if drained {
			c.store.remove(s.block, keep)
		} else {
			c.store.release(s.block, keep)
		}
	}
	for _, b := range c.spares {
		c.store.remove(b, false)
	}
	c.segs, c.spares = nil, nil
	c.journal.close()
	if c.atClose == nil {
		return nil
	}
	return c.atClose(drained)
}

// quiet waits a little for the producers that are between Reserve and Commit; false: some still are. Nothing is reserved any more.
func (c *chain) quiet() bool {
	if c.recovered != nil {
		return true
	}
	c.mu.Lock()
	segs := c.segs
	c.mu.Unlock()
	deadline := time.Now().Add(closeGrace)
	for _, g := range segs {
		for !g.settled() {
			if time.Now().After(deadline) {
				return false
			}
			time.Sleep(closeGrace / 1000)
		}
	}
	return true
}

// settled says whether all frames of a sealed segment are committed, and written where they are written. rmu is held.
func (g *segment) settled() bool {
	if g.passed || g.mem == nil {
		return true
	}
	tail := g.tail.Load()
	if tail == 0 {
		return false
	}
	for off := headerSize; off < int(tail&offsetMask); {
		head := loadHead(g.mem, off)
		n := int(head & lengthMask)
		switch {
		case head&flagCommitted == 0:
			return false
		case head&flagHole == 0:
			n = step(n)
		}
		off += n
	}
	return g.block.writing.Load() == 0
}

// drained says whether every entry is acked. rmu is held.
func (c *chain) drained() bool {
	if len(c.packs) > 0 {
		return false
	}
	for _, l := range c.lanes {
		if len(l.fresh) > 0 {
			return false
		}
	}
	return !c.more()
}

// unread makes v the next frame again.
func (c *chain) unread(v view) {
	c.off = v.off
	if c.recovered != nil {
		c.recovered.entries--
	}
}

// more says whether there is an entry that Next has not returned, or one that it cannot read. rmu is held.
func (c *chain) more() bool {
	if c.recovered != nil && c.recovered.failed != nil {
		return true
	}
	for {
		if c.seg == nil || c.seg.passed {
			if !c.step() {
				return c.recovered != nil && c.recovered.failed != nil
			}
		}
		switch v, found := c.look(c.seg); found {
		case nothing:
			return true
		case frameFound:
			c.unread(v)
			return true
		}
		c.pass(c.seg)
	}
}
