package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
)

// reader is the sender's side of a chain. All of it is guarded by chain.rmu.
type reader struct {
	at    uint32   // index of the segment that is read
	seg   *segment // the same, nil before the first
	off   int      // of the next frame in it
	lanes map[string]*lane
	packs map[uint64]*fixed
	last  uint64 // greatest pack number

	acked uint64 // entries
	torn  uint64 // frames that a dead process left unfinished
	ended bool   // closed: nothing is read any more

	stuck      Pos // an un-committed frame that holds up the reader since stuckSince
	stuckSince time.Time

	recovered *recovery // of an adopted spool, nil otherwise
}

// lane is a subject and those of its entries that were read and are in no pack yet.
type lane struct {
	name  string
	fresh []Pos
}

// fixed is a pack between Fix and Acked.
type fixed struct {
	Pack
	at   []Pos
	slot int // in the journal
}

// maxLanes bounds the names kept: a process has some hundred subjects, an adopted file may claim any number.
const maxLanes = 4096

// forsakeAfter is how long a frame may stay un-committed before readers pass over it. Between Reserve and Commit lies a copy
// of a line, so a frame this old belongs to a goroutine that panicked or hangs.
const forsakeAfter = time.Second

func (r *reader) init() {
	r.lanes, r.packs = make(map[string]*lane), make(map[uint64]*fixed)
}

// Next implements Queue.
func (c *chain) Next() (Item, bool) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	for !c.ended {
		if c.seg == nil || c.seg.passed {
			if !c.step() {
				return Item{}, false
			}
		}
		v, found := c.look(c.seg)
		switch found {
		case nothing:
			return Item{}, false
		case frameFound:
			return c.item(c.seg, v), true
		}
		c.pass(c.seg)
	}
	return Item{}, false
}

// step goes to the next live segment.
func (c *chain) step() bool {
	for {
		next := c.after()
		if next == nil {
			return false
		}
		err := c.wake(next)
		if err == nil {
			c.seg, c.at, c.off = next, next.index, headerSize
			return true
		}
		if c.recovered == nil {
			return false // it is tried again
		}
		// The adopter goes on with what it can read, and leaves the files.
		c.recovered.failed = errors.Join(c.recovered.failed, fmt.Errorf("read segment %s: %w", next.block.name, err))
		c.seg, c.at, next.passed, next.open = next, next.index, true, 1
	}
}

// after returns the live segment that follows the one that is read.
func (c *chain) after() *segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.segs {
		if c.seg == nil || g.index > c.at {
			return g
		}
	}
	return nil
}

// wake gets a segment back into the memory.
func (c *chain) wake(g *segment) error {
	if !g.resting {
		return nil
	}
	if err := c.store.load(g); err != nil {
		return err
	}
	g.resting = false
	return nil
}

// sight is what look saw.
type sight int

const (
	frameFound sight = iota
	nothing          // yet
	segmentEnd
)

// look finds the next committed frame of g.
func (c *chain) look(g *segment) (view, sight) {
	if c.recovered != nil {
		return c.recovered.look(c, g)
	}
	for {
		if tail := g.tail.Load(); tail != 0 && c.off >= int(tail&offsetMask) {
			return view{}, segmentEnd
		}
		if c.off+align > len(g.mem) {
			return view{}, nothing // full to the last byte, and not sealed yet
		}
		head := loadHead(g.mem, c.off)
		n := int(head & lengthMask)
		switch {
		case head&flagCommitted == 0:
			if !c.forsake(g, head) {
				return view{}, nothing
			}
		case head&flagHole != 0:
			c.off += n
		default:
			v := view{off: c.off, n: n, meta: metaAt(g.mem, c.off)}
			c.off += step(n)
			return v, frameFound
		}
	}
}

// forsake gives up a frame that was un-committed for too long. Its producer sees that when it comes back (segment.late).
func (c *chain) forsake(g *segment, head uint64) bool {
	if head == 0 || head&flagClaimed != 0 {
		return false // its length is not known, or a slow disk is at work
	}
	now := time.Now()
	if at := g.place(c.off); c.stuck != at {
		c.stuck, c.stuckSince = at, now
		return false
	}
	if now.Sub(c.stuckSince) < forsakeAfter {
		return false
	}
	g.forsaken.Add(1)
	low := flagCommitted | flagHole | flagForsaken | flagTaken | uint32(step(int(head&lengthMask)))
	if !swapHead(g.mem, c.off, head, mark(g.nonce, low)) {
		g.forsaken.Add(-1)
	}
	return true
}

// item hands out a frame.
func (c *chain) item(g *segment, v view) Item {
	l := c.lane(v.subject(g.mem))
	at := g.place(v.off)
	l.fresh = append(l.fresh, at)
	g.open++
	return Item{
		At: at, Subject: l.name, Level: metaLevel(v.meta), Task: metaTask(v.meta), Seq: metaSeq(v.meta), Line: v.line(g.mem),
	}
}

func (c *chain) lane(subject []byte) *lane {
	if l := c.lanes[string(subject)]; l != nil {
		return l
	}
	if len(c.lanes) >= maxLanes {
		for name, l := range c.lanes {
			if len(l.fresh) == 0 {
				delete(c.lanes, name)
			}
		}
	}
	l := &lane{name: string(subject)}
	c.lanes[l.name] = l
	return l
}

// pass leaves a segment behind.
func (c *chain) pass(g *segment) {
	g.passed = true
	c.settle(g)
}

// settle frees a segment that holds nothing un-acked.
func (c *chain) settle(g *segment) {
	if g == nil || !g.passed || g.open > 0 {
		return
	}
	c.mu.Lock()
	i := slices.Index(c.segs, g)
	if i < 0 {
		c.mu.Unlock()
		return
	}
	c.segs = slices.Delete(c.segs, i, i+1)
	before := len(c.segs)
	if before > 0 && c.segs[before-1] == c.cur.Load() {
		before--
	}
	c.sealed.Store(int64(before) * int64(c.size))
	c.retry = time.Time{} // removing it makes room
	c.relimit()
	want := !c.closed && len(c.spares) < maxSpares
	c.mu.Unlock()
	c.free(g, want)
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// free gives a block back: as the spare one where that is wanted, else for good.
func (c *chain) free(g *segment, want bool) {
	held := g.forsaken.Load() > 0 || g.block.writing.Load() > 0
	if held || !want {
		c.store.remove(g.block, held)
		return
	}
	end, _ := g.counts()
	if !c.store.reuse(g.block, end) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepSpare(g.block)
}

// Errors of Fix and Bytes.
var (
	errUnknownPack = errors.New("spool: pack is not fixed, or already acked")
	errNotARun     = errors.New("spool: fix pack: its entries are not the next ones that were read of its subject")
	errTornPack    = errors.New("spool: pack cannot be formed again: its bytes have changed")
)

// Fix implements Queue.
func (c *chain) Fix(p Pack) error {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if c.ended {
		return ErrClosed
	}
	if p.Number <= c.last {
		return fmt.Errorf("spool: fix pack: number %d was used before", p.Number)
	}
	l := c.lanes[p.Subject]
	if l == nil || p.Count < 1 || p.Count > len(l.fresh) || l.fresh[0] != p.First || l.fresh[p.Count-1] != p.Last {
		return errNotARun
	}
	slot, err := c.journal.fix(p)
	if err != nil {
		return fmt.Errorf("spool: fix pack: %w", err)
	}
	p.Subject = l.name
	c.packs[p.Number] = &fixed{Pack: p, at: slices.Clone(l.fresh[:p.Count]), slot: slot}
	l.fresh = slices.Delete(l.fresh, 0, p.Count)
	c.last = p.Number
	return nil
}

// Acked implements Queue.
func (c *chain) Acked(number uint64) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	p := c.packs[number]
	if p == nil || c.ended {
		return
	}
	delete(c.packs, number)
	// The frames first: a pack that is still in the journal is sent again whole, one that is not must not come again in parts.
	var touched []*segment
	for i := 0; i < len(p.at); {
		g, n := c.ackRun(p.at[i:])
		touched, i = append(touched, g), i+n
	}
	c.journal.ack(p.slot)
	c.acked += uint64(len(p.at))
	for _, g := range touched {
		c.settle(g)
	}
}

// ackRun acks the first places of at, those that lie in one segment, and returns the segment and their number.
func (c *chain) ackRun(at []Pos) (*segment, int) {
	n := 1
	for n < len(at) && at[n]>>32 == at[0]>>32 {
		n++
	}
	g := c.segment(at[0])
	if g == nil || c.wake(g) != nil {
		return g, n
	}
	for _, p := range at[:n] {
		_, off := p.split()
		c.store.ack(g, off)
		if g.index < c.at || g.index == c.at && off < c.off {
			g.open--
		} else if c.recovered != nil {
			delete(c.recovered.members, p)
		}
	}
	return g, n
}

// segment finds the live segment of a place.
func (c *chain) segment(at Pos) *segment {
	index, _ := at.split()
	c.mu.Lock()
	defer c.mu.Unlock()
	i := sort.Search(len(c.segs), func(i int) bool { return c.segs[i].index >= index })
	if i == len(c.segs) || c.segs[i].index != index {
		return nil
	}
	return c.segs[i]
}

// Pending implements Queue.
func (c *chain) Pending() []Pack {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if c.recovered == nil {
		return nil
	}
	var all []Pack
	for number := range c.recovered.pending {
		if p := c.packs[number]; p != nil {
			all = append(all, p.Pack)
		}
	}
	slices.SortFunc(all, func(a, b Pack) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// LastNumber implements Queue.
func (c *chain) LastNumber() uint64 {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	return c.last
}

// Bytes implements Queue.
func (c *chain) Bytes(p Pack, dst []byte) ([]byte, error) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	f := c.packs[p.Number]
	if f == nil || c.ended {
		return dst, errUnknownPack
	}
	return c.form(f, dst)
}

func (c *chain) form(f *fixed, dst []byte) ([]byte, error) {
	from, crc := len(dst), uint32(0)
	for _, at := range f.at {
		g := c.segment(at)
		if g == nil {
			return dst[:from], errTornPack
		}
		if err := c.wake(g); err != nil {
			return dst[:from], fmt.Errorf("spool: read pack: %w", err)
		}
		_, off := at.split()
		v := view{off: off, n: int(loadHead(g.mem, off) & lengthMask), meta: metaAt(g.mem, off)}
		line := v.line(g.mem)
		crc = Checksum(crc, line)
		dst = append(dst, line...)
	}
	if crc != f.CRC {
		return dst[:from], errTornPack
	}
	return dst, nil
}
