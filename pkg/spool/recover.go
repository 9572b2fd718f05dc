package spool

import (
	"slices"
	"sort"
)

// recovery is what a chain knows that was made from the files of a dead process. chain.rmu guards it.
type recovery struct {
	pending map[uint64]bool  // packs that the dead process had fixed
	members map[Pos]struct{} // their frames, which Next does not return; those that were acked before it came to them are gone
	entries uint64           // un-acked entries found: those of the packs at once, the others as they are read
	lastSeq uint64           // greatest number found
	failed  error            // a segment could not be read: the files stay
}

// Bounds of what an adopter believes. A pack that is larger than the sender makes them is dissolved: its entries are entries
// again.
const (
	maxFiles     = 8192
	maxFileSize  = 64 << 20
	maxPackBytes = 1 << 20
	maxMembers   = 1 << 20
	// maxWaste is how many bytes may fail a checksum, as a multiple of the segment: a torn file has few such frames, one that
	// was made to keep an adopter busy would have very many.
	maxWaste = 4
)

// finder walks the frames of a segment that nobody writes to any more and trusts nothing in it.
type finder struct {
	mem   []byte
	nonce uint32
	off   int
	waste int
	torn  uint64
}

// next returns the next whole frame, acked ones included.
func (f *finder) next() (v view, acked, ok bool) {
	for f.off+frameSize <= len(f.mem) {
		head := loadHead(f.mem, f.off)
		low, n := uint32(head), int(head&lengthMask)
		switch {
		case low&flagTaken == 0 || f.waste > maxWaste*len(f.mem):
			f.off += align
		case low&flagCommitted == 0:
			f.skip(head == mark(f.nonce, low), step(n), 1)
		case low&flagHole != 0:
			f.skip(head == mark(f.nonce, low) && n >= align && n%align == 0, n, 0)
		default:
			if v, ok := f.check(head, n); ok {
				f.off += step(n)
				return v, low&flagAcked != 0, true
			}
			f.off += align
		}
	}
	return view{}, false, false
}

// skip goes over a frame without content, or one step where its head is not one.
func (f *finder) skip(genuine bool, n int, torn uint64) {
	if !genuine {
		f.off += align
		return
	}
	f.off += n
	f.torn += torn
}

// check verifies a committed frame.
func (f *finder) check(head uint64, n int) (view, bool) {
	if n > len(f.mem)-f.off-frameSize {
		return view{}, false
	}
	v := view{off: f.off, n: n, meta: metaAt(f.mem, f.off)}
	if metaSubject(v.meta) > n || uint32(head>>32) != checksum(f.nonce, f.mem, f.off, n) || !validSubject(v.subject(f.mem)) {
		f.waste += n
		return view{}, false
	}
	return v, true
}

// validSubject: a subject from a file is published by the adopter, so it must not be able to say anything else to a server.
func validSubject(s []byte) bool {
	for _, b := range s {
		if b <= ' ' || b >= 0x7f || b == '*' || b == '>' {
			return false
		}
	}
	return len(s) > 0 && s[0] != '.' && s[len(s)-1] != '.'
}

// look finds the next frame to deliver.
func (r *recovery) look(c *chain, g *segment) (view, sight) {
	f := finder{mem: g.mem, nonce: g.nonce, off: c.off, waste: g.waste}
	defer func() { c.off, g.waste = f.off, f.waste }()
	for {
		v, acked, ok := f.next()
		c.torn += f.torn
		f.torn = 0
		if !ok {
			return view{}, segmentEnd
		}
		r.lastSeq = max(r.lastSeq, metaSeq(v.meta))
		if _, member := r.members[g.place(v.off)]; member {
			g.open++ // until its pack is acked: that the frame already is means that the process died while it acked the pack
			continue
		}
		if !acked {
			r.entries++
			return v, frameFound
		}
	}
}

// restorePacks takes up the packs of the journal whose frames are there and make the same bytes. The others are dissolved:
// their slots are free again.
func (c *chain) restorePacks(found map[int]Pack) {
	r := c.recovered
	by := c.packSubjects(found)
	for _, g := range c.segs {
		if !within(by, g.index) || c.wake(g) != nil {
			continue
		}
		c.gather(g, by)
		g.resting = c.store.idle(g)
	}
	for _, packs := range by {
		for _, p := range packs {
			if p.Count != len(p.at) || p.CRC != p.sum || p.bytes > maxPackBytes || len(r.members)+len(p.at) > maxMembers || c.packs[p.Number] != nil {
				continue
			}
			for _, at := range p.at {
				r.members[at] = struct{}{}
			}
			c.packs[p.Number], r.pending[p.Number] = &p.fixed, true
			r.entries += uint64(len(p.at))
		}
	}
}

// found is a pack of the journal while its frames are looked for.
type found struct {
	fixed
	sum   uint32
	bytes int
}

// packSubjects reads the subject of each pack from its first frame.
func (c *chain) packSubjects(packs map[int]Pack) map[string][]*found {
	by := make(map[string][]*found)
	for slot, p := range packs {
		c.last = max(c.last, p.Number)
		g := c.segment(p.First)
		if g == nil || c.wake(g) != nil {
			continue
		}
		_, off := p.First.split()
		if off < headerSize || off%align != 0 || off+frameSize > len(g.mem) {
			continue
		}
		f := finder{mem: g.mem, nonce: g.nonce, off: off}
		head := loadHead(g.mem, off)
		v, ok := f.check(head, int(head&lengthMask))
		if !ok || head&flagCommitted == 0 || head&flagHole != 0 {
			continue
		}
		p.Subject = string(v.subject(g.mem))
		by[p.Subject] = append(by[p.Subject], &found{fixed: fixed{Pack: p, slot: slot}})
	}
	for _, list := range by {
		slices.SortFunc(list, func(a, b *found) int { return int(int64(a.First - b.First)) })
	}
	return by
}

// within says whether a pack may have frames in a segment.
func within(by map[string][]*found, index uint32) bool {
	for _, list := range by {
		for _, p := range list {
			if uint32(p.First>>32) <= index && index <= uint32(p.Last>>32) {
				return true
			}
		}
	}
	return false
}

// gather adds the frames of a segment to the packs they belong to.
func (c *chain) gather(g *segment, by map[string][]*found) {
	f := finder{mem: g.mem, nonce: g.nonce, off: headerSize}
	for v, _, ok := f.next(); ok; v, _, ok = f.next() {
		list, at := by[string(v.subject(g.mem))], g.place(v.off)
		i := sort.Search(len(list), func(i int) bool { return list[i].First > at }) - 1
		if i < 0 || at > list[i].Last || len(list[i].at) >= list[i].Count {
			continue
		}
		p, line := list[i], v.line(g.mem)
		p.at = append(p.at, at)
		p.sum = Checksum(p.sum, line)
		p.bytes += len(line)
	}
}
