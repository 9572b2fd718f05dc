package spool

import (
	"math/rand/v2"
	"unsafe"
)

// Sizes of queues and of their segments: small enough that the three segments at work are little memory, large enough for the
// longest entry (entry.MaxLine).
const (
	defaultMemory = 16 << 20
	defaultFiles  = 256 << 20
	leastSegment  = 512 << 10
	mostSegment   = 2 << 20
	leastSegments = 4
)

// segmentSize divides a queue of total bytes.
func segmentSize(total int64) int {
	size := min(max(total/16, leastSegment), mostSegment)
	size = min(size, total/leastSegments)
	return int(max(size, 4<<10)) &^ 4095
}

// NewMemory makes a bounded queue in memory: what is un-sent dies with the process. It is the fallback where no directory can
// be written. Entries longer than a segment, which is a sixteenth of Config.Bytes but at least 512 KiB where a quarter of it
// allows that, are refused as ErrTooLarge.
func NewMemory(cfg Config) Queue {
	cfg.setDefaults(defaultMemory)
	c := newChain(heapStore{}, noJournal{}, newCounters(), cfg, segmentSize(cfg.Bytes))
	c.key = newKey()
	c.where = "memory: un-sent entries are lost with the process"
	c.mu.Lock()
	defer c.mu.Unlock()
	// A block of memory and its header cannot fail.
	_ = c.install(newHeapBlock(c.size), 0, 1)
	return c
}

func (cfg *Config) setDefaults(bytes int64) {
	if cfg.Bytes <= 0 {
		cfg.Bytes = bytes
	}
	cfg.Bytes = max(cfg.Bytes, 16<<10)
	if cfg.Block == 0 {
		cfg.Block = defaultBlock
	}
}

// heapStore keeps segments in the memory of the process.
type heapStore struct{}

func newHeapBlock(size int) *block {
	return &block{mem: alignedBytes(size), nonce: rand.Uint32()}
}

// alignedBytes makes memory whose words can be loaded atomically.
func alignedBytes(size int) []byte {
	words := make([]uint64, (size+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)
}

func (heapStore) alloc(size int) (*block, error)          { return newHeapBlock(size), nil }
func (heapStore) stamp(*block, header) error              { return nil }
func (heapStore) commit(*segment, int, int, uint64) error { return nil }
func (heapStore) ack(*segment, int)                       {}
func (heapStore) remove(*block, bool)                     {}
func (heapStore) idle(*segment) bool                      { return false }
func (heapStore) load(*segment) error                     { return nil }
func (heapStore) release(*block, bool)                    {}
func (heapStore) reuse(b *block, used int) bool           { clear(b.mem[:used]); return true }

// noJournal is the journal of a queue that nobody can read after its process.
type noJournal struct{}

func (noJournal) fix(Pack) (int, error) { return 0, nil }
func (noJournal) ack(int)               {}
func (noJournal) close()                {}
