package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
)

// writtenFiles keeps segments in memory and in files that each commit writes to: a death of the process loses nothing here
// either, at the price of one system call per entry. Adopted spools are read in this way, for a mapped file that somebody cuts
// short would end the process.
type writtenFiles struct {
	root    *os.Root
	fsync   bool
	adopted bool // nobody appends, and files of sleeping segments are closed
	open    func(name string) (*os.File, error)
	names   atomic.Uint32
}

func segmentName(n uint32) string { return fmt.Sprintf("%08d%s", n, segmentFile) }

func (w *writtenFiles) create(name string, size int) (*os.File, error) {
	f, err := w.root.OpenFile(name, createFlags, fileMode)
	if err != nil {
		return nil, err
	}
	if err = allocate(f, int64(size)); err == nil && w.fsync {
		err = errors.Join(f.Sync(), syncDir(w.root))
	}
	if err != nil {
		f.Close()
		_ = w.root.Remove(name) // the error that led here is the one to tell
		return nil, err
	}
	return f, nil
}

func (w *writtenFiles) region(name string, size int) (*region, error) {
	f, err := w.create(name, size)
	if err != nil {
		return nil, err
	}
	return &region{mem: alignedBytes(size), file: f, drop: func() { f.Close() }}, nil
}

func (w *writtenFiles) alloc(size int) (*block, error) {
	name := segmentName(w.names.Add(1))
	f, err := w.create(name, size)
	if err != nil {
		return nil, err
	}
	return &block{mem: alignedBytes(size), file: f, name: name, size: size, nonce: rand.Uint32(), written: true}, nil
}

func (w *writtenFiles) stamp(b *block, h header) error {
	h.put(b.mem)
	_, err := b.file.WriteAt(b.mem[:headerSize], 0)
	return err
}

// frames are buffers for commit.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// commit writes the frame before it commits it in memory: what the reader sees and gets acked is not written any more.
func (w *writtenFiles) commit(g *segment, off, n int, head uint64) error {
	defer storeHead(g.mem, off, head)
	buf, _ := frames.Get().(*[]byte)
	defer frames.Put(buf)
	*buf = binary.LittleEndian.AppendUint64((*buf)[:0], head)
	*buf = append(*buf, g.mem[off+8:off+n]...)
	file := g.block.file
	if _, err := file.WriteAt(*buf, int64(off)); err != nil {
		return err
	}
	if !w.fsync {
		return nil
	}
	return g.block.sync.wait(file.Sync)
}

func (w *writtenFiles) ack(g *segment, off int) {
	var b [8]byte
	head := loadHead(g.mem, off) | flagAcked
	binary.LittleEndian.PutUint64(b[:], head)
	if w.adopted {
		storeHead(g.mem, off, head) // a look of recovery may come to it later
	}
	// Where this fails the entry is sent once more after a restart, as one that may have been stored.
	_, _ = g.block.file.WriteAt(b[:], int64(off))
}

func (w *writtenFiles) reuse(b *block, _ int) bool {
	w.remove(b, false)
	return false
}

func (w *writtenFiles) remove(b *block, _ bool) {
	w.release(b, false)
	// What stays behind holds acked entries only, and goes with its directory.
	_ = w.root.Remove(b.name)
}

func (w *writtenFiles) release(b *block, _ bool) {
	if b.file != nil {
		b.file.Close()
	}
}

func (w *writtenFiles) idle(g *segment) bool {
	if !w.adopted && !g.settled() {
		return false
	}
	g.mem, g.block.mem = nil, nil
	if w.adopted {
		g.block.file.Close()
		g.block.file = nil
	}
	return true
}

func (w *writtenFiles) load(g *segment) error {
	if g.block.file == nil {
		f, err := w.open(g.block.name)
		if err != nil {
			return err
		}
		g.block.file = f
	}
	mem := alignedBytes(g.block.size)
	if _, err := g.block.file.ReadAt(mem, 0); err != nil {
		return err
	}
	g.mem, g.block.mem = mem, mem
	return nil
}

// groupSync lets concurrent commits share one sync.
type groupSync struct {
	tickets atomic.Uint64
	mu      sync.Mutex
	done    uint64 // the greatest ticket that is on the disk; guarded by mu
}

// wait returns when a sync that began after the call has ended.
func (s *groupSync) wait(sync func() error) error {
	mine := s.tickets.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done >= mine {
		return nil
	}
	covers := s.tickets.Load()
	if err := sync(); err != nil {
		return err
	}
	s.done = covers
	return nil
}

// newCounterFile writes counters through; the lock keeps an older value from following a newer one.
func newCounterFile(f *os.File, words []atomic.Uint64) func(i int) {
	var mu sync.Mutex
	return func(i int) {
		mu.Lock()
		defer mu.Unlock()
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], words[i].Load())
		// Counted in memory all the same.
		_, _ = f.WriteAt(b[:], int64(countersAt+8*i))
	}
}
