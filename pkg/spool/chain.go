package spool

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// chain is the queue itself, the same for memory, mapped and written files: a row of segments, appended to at the end.
//
// Appending takes no lock: one addition on the last segment's state word reserves. Whoever reserves across its end seals it
// (tail), and one of those who find it full puts the next one in its place, under mu. Lock order: rmu before mu.
type chain struct {
	store   store
	journal journal
	counts  counters
	size    int // of a segment
	most    int // number of segments
	block   time.Duration
	key     string
	where   string
	birth   func([]byte) error
	atClose func(drained bool) error

	cur    atomic.Pointer[segment]
	sealed atomic.Int64 // bytes of the live segments before cur
	limits [classes]atomic.Int64
	notify atomic.Pointer[func(entry.Level, bool)]

	lean atomic.Bool // no block is at hand for the next segment
	_    [64]byte    // above is what producers read, below what others write

	unsaved   atomic.Uint64
	abandoned atomic.Uint64
	lastBlock atomic.Int64  // Unix time in ns when somebody last waited for room
	room      chan struct{} // tells the one who waits for room that there is some

	mu        sync.Mutex
	closed    bool          // to producers
	shut      bool          // Close was called
	segs      []*segment    // live, by index
	spares    []*block      // empty ones, at most maxSpares
	preparing chan struct{} // not nil while prepare runs; closed at its end
	short     bool          // the disk was full when a block was last asked for
	retry     time.Time     // no allocation before, after one failed
	work      sync.WaitGroup

	rmu sync.Mutex
	reader
}

// class is what decides how full the queue may be for an entry.
type class int

const (
	low    class = iota // trace, debug: up to 80 %
	middle              // info, none: up to 90 %
	high                // warn and up, task entries: all of it
	classes
)

func classOf(level entry.Level, task bool) class {
	switch {
	case task:
		return high
	case level <= entry.Debug:
		return low
	case level == entry.Info || level == entry.None:
		return middle
	}
	return high
}

// maxSpares is how many acked blocks wait to be used again. With two a queue whose sender keeps up makes no new ones.
const maxSpares = 2

// retryAfter is the pause after the file system had no room for a segment.
const retryAfter = 200 * time.Millisecond

func newChain(s store, j journal, n counters, cfg Config, size int) *chain {
	c := &chain{
		store: s, journal: j, counts: n, size: size, most: int(cfg.Bytes) / size, block: cfg.Block,
		room: make(chan struct{}, 1),
	}
	c.reader.init()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.relimit()
	return c
}

// relimit sets how full the queue may be for each class. mu is held.
//
// Where the disk was full, what there is is all there will be. And while no block is at hand for the next segment, the lower
// classes leave the end of this one to the others: that there is room on the disk is known when the block is there.
func (c *chain) relimit() {
	total := int64(c.most) * int64(c.size)
	if c.short {
		total = int64(max(len(c.segs), 1)) * int64(c.size)
	}
	lean := len(c.spares) == 0 && len(c.segs) < c.most
	end := total
	if lean && !c.short {
		end = c.sealed.Load() + int64(c.size)
	}
	c.lean.Store(lean)
	c.limits[low].Store(min(total/10*8, end-int64(c.size)/10*2))
	c.limits[middle].Store(min(total/10*9, end-int64(c.size)/10))
	c.limits[high].Store(total)
}

// Reserve implements Appender.
func (c *chain) Reserve(subject string, level entry.Level, task bool, max int) (Frame, error) {
	if max < 0 || len(subject) > MaxSubject || max > c.maxLine(subject) {
		c.counts.refuse(level, task, TooBig)
		return Frame{}, ErrTooLarge
	}
	g := c.cur.Load()
	if off, seq, room := c.try(g, level, task, len(subject)+max); room == enough {
		return g.fill(off, seq, subject, level, task, max), nil
	}
	return c.reserve(subject, level, task, max)
}

// reserve is Reserve where the first try had no room.
func (c *chain) reserve(subject string, level entry.Level, task bool, max int) (Frame, error) {
	var deadline time.Time
	for {
		g := c.cur.Load()
		off, seq, room := c.try(g, level, task, len(subject)+max)
		if room == enough {
			return g.fill(off, seq, subject, level, task, max), nil
		}
		why := Full
		if room == atEnd {
			var ok bool
			if why, ok = c.advance(g); ok {
				continue
			}
		} else if c.cur.Load() != g {
			continue // the sum was of two moments
		} else if c.lean.Load() {
			var ok bool
			if why, ok = c.findRoom(g); ok {
				continue
			}
		}
		if why != Closed && classOf(level, task) == high && c.await(&deadline) {
			continue
		}
		return Frame{}, c.refuse(level, task, why)
	}
}

// maxLine is the longest line that fits a segment. One frame must leave the state word a place to stand.
func (c *chain) maxLine(subject string) int {
	return c.size - headerSize - frameSize - align - len(subject)
}

func (c *chain) refuse(level entry.Level, task bool, why Reason) error {
	c.counts.refuse(level, task, why)
	if why == Closed {
		return ErrClosed
	}
	return ErrRefused
}

// space is what try found.
type space int

const (
	enough    space = iota
	overLimit       // the queue is too full for the level
	atEnd           // the segment has no room
)

// try takes the room of a frame with n bytes of subject and line in g.
func (c *chain) try(g *segment, level entry.Level, task bool, n int) (off int, seq uint64, room space) {
	need, size := int64(step(n)), int64(c.size)
	used := int64(g.state.Load() & offsetMask)
	if used > size {
		return 0, 0, atEnd
	}
	if c.sealed.Load()+used+need > c.limits[classOf(level, task)].Load() {
		return 0, 0, overLimit
	}
	s := g.state.Add(uint64(need) + oneFrame)
	if end := int64(s & offsetMask); end > size {
		g.seal(s-uint64(need)-oneFrame, c.size)
		return 0, 0, atEnd
	}
	off = int(int64(s&offsetMask) - need)
	if half := c.size / 2; off < half && off+int(need) >= half {
		c.prepareNext()
	}
	return off, g.base + s>>stateBits - 1, enough
}

// seal notes where the frames of g end. Of all reservations beyond the end exactly one began within the segment, and only that
// one stores.
func (g *segment) seal(before uint64, size int) {
	if int(before&offsetMask) <= size {
		g.tail.Store(before)
	}
}

// advance puts a new segment in the place of g, which is full. Otherwise it says why there is none.
func (c *chain) advance(g *segment) (Reason, bool) {
	for g.tail.Load() == 0 {
		runtime.Gosched() // the one who seals it is between two instructions
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.preparing != nil && len(c.spares) == 0 && c.cur.Load() == g {
		done := c.preparing
		c.mu.Unlock()
		<-done
		c.mu.Lock()
	}
	if c.cur.Load() != g {
		return 0, true
	}
	if c.closed {
		return Closed, false
	}
	b, why := c.takeBlock()
	if b == nil {
		return why, false
	}
	before := g.tail.Load()
	if err := c.install(b, g.index+1, g.base+before>>stateBits); err != nil {
		return NoDisk, false
	}
	return 0, true
}

// takeBlock returns the spare block or a new one. mu is held.
func (c *chain) takeBlock() (*block, Reason) {
	if n := len(c.spares); n > 0 {
		b := c.spares[n-1]
		c.spares = c.spares[:n-1]
		return b, 0
	}
	if len(c.segs) >= c.most {
		return nil, Full
	}
	if time.Now().Before(c.retry) {
		return nil, NoDisk
	}
	b, err := c.store.alloc(c.size)
	if err != nil {
		c.noDisk()
		return nil, NoDisk
	}
	return b, 0
}

// noDisk makes what there is the whole of the queue: the levels share that from now on. mu is held.
func (c *chain) noDisk() {
	c.retry = time.Now().Add(retryAfter)
	c.short = true
	c.relimit()
}

// install makes b the last segment. mu is held.
func (c *chain) install(b *block, index uint32, base uint64) error {
	if err := c.store.stamp(b, header{nonce: b.nonce, index: index, base: base, size: c.size}); err != nil {
		c.store.remove(b, false)
		c.noDisk()
		return err
	}
	g := newSegment(c, b, index, base)
	c.sealed.Store(int64(len(c.segs)) * int64(c.size))
	c.segs = append(c.segs, g)
	c.relimit() // before others see g: a limit that is too high for a moment refuses nobody
	c.cur.Store(g)
	return nil
}

// prepareNext sees to a block for the next segment. It is called when half of the last one is used: by then the one before may
// be acked, and its block is the one. While the sender lags behind, or there is no server, two are kept ready: no block comes back then, and a busy
// disk may need longer to make one than it takes to fill half a segment.
func (c *chain) prepareNext() {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := 1
	if len(c.segs) > 2 {
		want = maxSpares
	}
	if len(c.spares) < want && c.preparing == nil && !c.closed && len(c.segs)+len(c.spares) < c.most && time.Now().After(c.retry) {
		c.preparing = make(chan struct{})
		c.work.Go(c.prepare)
	}
}

// prepare makes a block. Close waits for it.
func (c *chain) prepare() {
	b, err := c.store.alloc(c.size)
	c.mu.Lock()
	close(c.preparing)
	c.preparing = nil
	if err != nil {
		c.noDisk()
	} else {
		c.keepSpare(b)
	}
	c.mu.Unlock()
	c.rest()
}

// keepSpare takes a block for the next segment, and removes it where none is wanted. mu is held.
func (c *chain) keepSpare(b *block) {
	if c.closed || len(c.spares) >= maxSpares || len(c.segs)+len(c.spares) >= c.most {
		c.store.remove(b, false)
		return
	}
	c.spares = append(c.spares, b)
	c.short = false
	c.relimit()
}

// findRoom is for those who come near the end of g while no block is at hand for the next segment: it waits for the one that is
// being made. Where the disk is full, and all that g holds is acked, g makes room itself.
func (c *chain) findRoom(g *segment) (Reason, bool) {
	c.prepareNext()
	c.mu.Lock()
	preparing, short := c.preparing, c.short
	ready := c.cur.Load() != g || len(c.spares) > 0
	c.mu.Unlock()
	switch {
	case ready:
		return 0, true
	case !short && preparing != nil:
		<-preparing
		return 0, true
	case !short:
		return Full, false
	}
	return NoDisk, c.sealAcked(g)
}

// sealAcked ends g before it is full, so that its block can serve again, if the reader has seen and acked all of it.
func (c *chain) sealAcked(g *segment) bool {
	if !c.rmu.TryLock() {
		return false
	}
	defer c.rmu.Unlock()
	if c.seg != g || g.passed || g.open > 0 || int64(c.off) != int64(g.state.Load()&offsetMask) {
		return false
	}
	beyond := uint64(c.size) + oneFrame
	g.seal(g.state.Add(beyond)-beyond, c.size)
	switch v, found := c.look(g); found {
	case frameFound:
		c.unread(v) // somebody was quicker
	case segmentEnd:
		c.pass(g)
	}
	return true
}

// rest lets sealed segments that the reader has not come to out of the memory.
func (c *chain) rest() {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	c.mu.Lock()
	segs := slices.Clone(c.segs) // only the reader's side takes any away
	c.mu.Unlock()
	for _, g := range segs {
		if g != c.cur.Load() && g.index > c.at && !g.resting {
			g.resting = c.store.idle(g)
		}
	}
}

// await waits for room, once a second and until the deadline that it sets.
func (c *chain) await(deadline *time.Time) bool {
	now := time.Now()
	if deadline.IsZero() {
		last := c.lastBlock.Load()
		if c.block <= 0 || now.UnixNano()-last < int64(time.Second) || !c.lastBlock.CompareAndSwap(last, now.UnixNano()) {
			return false
		}
		*deadline = now.Add(c.block)
	}
	t := time.NewTimer(deadline.Sub(now))
	defer t.Stop()
	select {
	case <-c.room:
		return true
	case <-t.C:
		return false
	}
}

// committed tells the sender.
func (c *chain) committed(level entry.Level, task bool) {
	if f := c.notify.Load(); f != nil {
		(*f)(level, task)
	}
}

// again appends the line of a frame that the reader gave up while it was written; the entry keeps its number.
func (c *chain) again(mem []byte, f Frame, n int) {
	off := int(f.token)
	meta := metaAt(mem, off)
	subject := string(mem[off+frameSize : off+frameSize+metaSubject(meta)])
	g, err := c.Reserve(subject, metaLevel(meta), metaTask(meta), n)
	if err != nil {
		return // counted
	}
	copy(g.Line, f.Line[:n])
	if s, ok := g.owner.(*segment); ok {
		putMeta(s.mem, int(g.token), makeMeta(f.Seq, metaLevel(meta), metaTask(meta), len(subject)))
	}
	g.Commit(n)
}

// Notify implements Queue.
func (c *chain) Notify(f func(entry.Level, bool)) {
	if f == nil {
		c.notify.Store(nil)
		return
	}
	c.notify.Store(&f)
}
