package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync/atomic"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// block is the memory of one segment, and its file where it has one.
type block struct {
	mem     []byte // nil while a file's block is not in memory; guarded by chain.rmu once the segment is sealed
	file    *os.File
	name    string
	size    int
	nonce   uint32
	sync    groupSync
	written bool         // commits go through store.commit
	writing atomic.Int32 // commits that may still look at mem
}

// store makes, keeps and removes blocks. Its methods are called by one goroutine at a time for one block, commit excepted.
type store interface {
	// alloc makes a zeroed block whose room on the disk is certain, with a nonce.
	alloc(size int) (*block, error)
	// stamp writes the header that makes a block a segment of the queue.
	stamp(b *block, h header) error
	// commit stores the head of a frame that its producer has claimed. When it returns, the n bytes at off are as durable as
	// the store is. It is called where block.written says so, by many goroutines.
	commit(g *segment, off, n int, head uint64) error
	// ack notes in the file that the frame at off is acked.
	ack(g *segment, off int)
	// reuse makes an acked block like a new one; false: it removed it instead.
	reuse(b *block, used int) bool
	// remove takes the block's file away; keep says that a producer still holds on to its memory.
	remove(b *block, keep bool)
	// idle lets go of what a sealed segment that nobody reads takes of the memory (true: done), load gets it back.
	idle(g *segment) bool
	load(g *segment) error
	// release lets go of a block and leaves its file.
	release(b *block, keep bool)
}

// segment is one life of a block in the queue. A producer that was late may hold on to it for ever: it is garbage collected,
// its state word says that it is full, and nothing of the block is touched.
type segment struct {
	// state is the end of what is reserved (low 40 bits) and the number of reservations (high 24), so that one addition
	// gives an entry its place and its number.
	state atomic.Uint64
	_     [56]byte // producers write state all the time, and only read what follows

	chain *chain
	mem   []byte
	nonce uint32
	index uint32
	base  uint64 // sequence of the first frame
	block *block
	// tail is the state at which the segment was found full, without the reservation that found it; 0 before.
	tail atomic.Uint64
	// forsaken counts frames that the reader gave up while their producer may still write to them.
	forsaken atomic.Int32

	_ [64]byte // the reader writes what follows all the time

	// Guarded by chain.rmu.
	open    int  // frames read and not acked
	passed  bool // the reader is beyond
	resting bool // store.idle took it
	waste   int  // of an adopted segment: bytes that failed their checksum
}

const (
	stateBits  = 40
	offsetMask = 1<<stateBits - 1
	oneFrame   = 1 << stateBits
)

func newSegment(c *chain, b *block, index uint32, base uint64) *segment {
	g := &segment{chain: c, mem: b.mem, nonce: b.nonce, index: index, base: base, block: b}
	g.state.Store(headerSize)
	return g
}

// place is where a frame of g lies in the queue.
func (g *segment) place(off int) Pos { return Pos(g.index)<<32 | Pos(off) }

func (p Pos) split() (index uint32, off int) { return uint32(p >> 32), int(p & (1<<32 - 1)) }

// counts returns the end of the frames and their number.
func (g *segment) counts() (end int, frames uint64) {
	s := g.tail.Load()
	if s == 0 {
		s = g.state.Load()
	}
	return int(s & offsetMask), s >> stateBits
}

// fill writes what is known of a frame and returns its room.
func (g *segment) fill(off int, seq uint64, subject string, level entry.Level, task bool, max int) Frame {
	n := len(subject) + max
	storeHead(g.mem, off, openHead(g.nonce, n))
	putMeta(g.mem, off, makeMeta(seq, level, task, len(subject)))
	copy(g.mem[off+frameSize:], subject)
	from := off + frameSize + len(subject)
	return Frame{Line: g.mem[from : from+max : from+max], Seq: seq, owner: g, token: uint64(off)}
}

// CommitFrame implements Committer.
func (g *segment) CommitFrame(f Frame, n int) {
	off := int(f.token)
	head := loadHead(g.mem, off)
	if head&flagCommitted != 0 {
		g.late(f, head, n)
		return
	}
	meta, reserved := metaAt(g.mem, off), int(head&lengthMask)
	used := min(metaSubject(meta)+n, reserved)
	if gap := step(reserved) - step(used); gap > 0 {
		storeHead(g.mem, off+step(used), holeHead(g.nonce, gap))
	}
	done := uint64(checksum(g.nonce, g.mem, off, used))<<32 | flagCommitted | flagTaken | uint64(used)
	next := done
	if g.block.written {
		next = mark(g.nonce, uint32(head)|flagClaimed)
	}
	if !swapHead(g.mem, off, head, next) {
		g.late(f, loadHead(g.mem, off), n)
		return
	}
	if g.block.written {
		if err := g.chain.store.commit(g, off, min(step(used)+align, step(reserved)), done); err != nil {
			g.chain.unsaved.Add(1)
		}
	}
	g.chain.committed(metaLevel(meta), metaTask(meta))
}

// AbandonFrame implements Committer.
func (g *segment) AbandonFrame(f Frame) {
	off := int(f.token)
	head := loadHead(g.mem, off)
	if head&flagCommitted != 0 || !swapHead(g.mem, off, head, holeHead(g.nonce, step(int(head&lengthMask)))) {
		g.late(f, loadHead(g.mem, off), -1)
		return
	}
	// A file without the hole holds zero bytes there, which readers pass over as well: nothing to write.
	g.chain.abandoned.Add(1)
}

// late ends a frame that the reader has given up (chain.forsake): the line is appended anew, under its number. A frame that was
// ended twice is left as it is.
func (g *segment) late(f Frame, head uint64, n int) {
	if head&flagHole == 0 || head&flagForsaken == 0 {
		return
	}
	if !swapHead(g.mem, int(f.token), head, mark(g.nonce, uint32(head)&^flagForsaken)) {
		return
	}
	g.chain.abandoned.Add(1)
	if n >= 0 {
		g.chain.again(g.mem, f, n)
	}
	g.forsaken.Add(-1)
}

// header opens a segment's file.
type header struct {
	nonce uint32
	index uint32
	base  uint64
	size  int
}

const (
	segmentMagic = "dlogseg\n"
	version      = 1
)

// ErrVersion says that files were written by a newer version of dlog.
var ErrVersion = errors.New("written by a newer version of dlog")

var errNoSegment = errors.New("not a segment")

func (h header) put(b []byte) {
	clear(b[:headerSize])
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], h.nonce)
	binary.LittleEndian.PutUint32(b[16:], h.index)
	binary.LittleEndian.PutUint32(b[20:], uint32(h.size))
	binary.LittleEndian.PutUint64(b[24:], h.base)
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

// parseHeader reads a header; errNoSegment where there is none, as in a block that was made ready but not used.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize || string(b[:8]) != segmentMagic {
		return header{}, errNoSegment
	}
	if err := checkVersion(b[8:]); err != nil {
		return header{}, err
	}
	if binary.LittleEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return header{}, errNoSegment
	}
	return header{
		nonce: binary.LittleEndian.Uint32(b[12:]), index: binary.LittleEndian.Uint32(b[16:]),
		size: int(binary.LittleEndian.Uint32(b[20:])), base: binary.LittleEndian.Uint64(b[24:]),
	}, nil
}

// checkVersion comes before the checksum: a newer version may have put that elsewhere.
func checkVersion(b []byte) error {
	if v := binary.LittleEndian.Uint32(b); v > version {
		return fmt.Errorf("%w (format %d, this one reads %d)", ErrVersion, v, version)
	}
	return nil
}
