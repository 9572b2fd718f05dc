package spool

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// A segment is a header of headerSize bytes and frames, each aligned to 8 bytes, in the machine's byte order turned little
// endian (wordAt):
//
//	u64 head     low half: flags and length; high half: CRC-32C of what follows, or the mark of a head without a CRC
//	u64 meta     sequence (48 bits), level + 1 (3), task (1), length of the subject (12)
//	subject, line, padding to 8
//
// A frame grows in three steps, so that a process may die between any two of them: the head is stored un-committed with the
// whole reserved length, the frame is filled, the head is stored again as committed with the length in use. What a
// reservation left over becomes a hole, which is a head alone. Zero bytes were never reserved, or their producer died before it
// stored the head; readers step over them until a frame verifies.
const (
	headerSize = 64
	frameSize  = 16 // head and meta
	align      = 8

	flagCommitted = 1 << 31
	flagHole      = 1 << 30
	flagAcked     = 1 << 29
	flagForsaken  = 1 << 27 // a hole that its producer does not know of yet
	flagClaimed   = 1 << 26 // un-committed, and its producer is about to commit it: it is not given up
	flagTaken     = 1 << 28 // tells the head of an empty reservation from zero bytes
	lengthMask    = 1<<24 - 1

	maxSeq = 1<<48 - 1
)

// step is how far the next frame is from one with n bytes of subject and line.
func step(n int) int { return (frameSize + n + align - 1) &^ (align - 1) }

// mark fills the high half of heads without a CRC, so that only a head of this segment passes for one.
func mark(nonce, low uint32) uint64 { return uint64(nonce^low)<<32 | uint64(low) }

func openHead(nonce uint32, n int) uint64 { return mark(nonce, flagTaken|uint32(n)) }

// holeHead covers n bytes, its own 8 included.
func holeHead(nonce uint32, n int) uint64 {
	return mark(nonce, flagCommitted|flagHole|flagTaken|uint32(n))
}

func makeMeta(seq uint64, level entry.Level, task bool, subject int) uint64 {
	m := seq&maxSeq<<16 | uint64(level+1)&7<<13 | uint64(subject)
	if task {
		m |= 1 << 12
	}
	return m
}

func metaSeq(m uint64) uint64        { return m >> 16 }
func metaLevel(m uint64) entry.Level { return entry.Level(m>>13&7) - 1 }
func metaTask(m uint64) bool         { return m>>12&1 == 1 }
func metaSubject(m uint64) int       { return int(m & MaxSubject) }

// checksum covers meta, subject and line; the nonce keeps a line that holds the bytes of a frame from being taken for one.
//
// Short of oneChain the processor waits for one step of the CRC after the other. So a frame of that length has the CRCs of its two halves, which a
// processor computes side by side, one turned and added to the other.
func checksum(nonce uint32, mem []byte, off, n int) uint32 {
	b := mem[off+8 : off+frameSize+n]
	if len(b) >= oneChain || len(b) < twoChains {
		return crc32.Update(nonce, castagnoli, b)
	}
	half := len(b) / 2 &^ (align - 1)
	return bits.RotateLeft32(crc32.Update(nonce, castagnoli, b[:half]), 16) ^ crc32.Update(nonce, castagnoli, b[half:])
}

// From oneChain on the standard library computes several chains itself (hash/crc32, crc32_amd64.go); below twoChains the second call costs more
// than it gives.
const (
	oneChain  = 504
	twoChains = 160
)

// loadHead and its two neighbours treat a head as one atomic word. The memory of a segment is aligned to at least 8 bytes.
func loadHead(mem []byte, off int) uint64 {
	return fromDisk(atomic.LoadUint64((*uint64)(unsafe.Pointer(&mem[off : off+8 : off+8][0]))))
}

func storeHead(mem []byte, off int, head uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&mem[off : off+8 : off+8][0])), fromDisk(head))
}

func swapHead(mem []byte, off int, old, head uint64) bool {
	return atomic.CompareAndSwapUint64((*uint64)(unsafe.Pointer(&mem[off : off+8 : off+8][0])), fromDisk(old), fromDisk(head))
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// fromDisk turns a word between the machine's order and little endian.
func fromDisk(w uint64) uint64 {
	if !bigEndian {
		return w
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], w)
	return binary.NativeEndian.Uint64(b[:])
}

// view is one frame as a reader sees it.
type view struct {
	off, n int // place of the frame, length of subject and line
	meta   uint64
}

func (v view) subject(mem []byte) []byte {
	return mem[v.off+frameSize : v.off+frameSize+metaSubject(v.meta)]
}

func (v view) line(mem []byte) []byte {
	from, to := v.off+frameSize+metaSubject(v.meta), v.off+frameSize+v.n
	return mem[from:to:to]
}

func metaAt(mem []byte, off int) uint64 { return binary.LittleEndian.Uint64(mem[off+8:]) }

func putMeta(mem []byte, off int, meta uint64) { binary.LittleEndian.PutUint64(mem[off+8:], meta) }
