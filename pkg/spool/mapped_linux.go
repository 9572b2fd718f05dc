package spool

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mappedFiles keeps segments in mapped files: an entry is as safe from the death of the process as the page cache is, without
// a system call. The blocks of a file are allocated before it is mapped: without, a full disk ends the process by SIGBUS.
type mappedFiles struct {
	root  *os.Root
	fsync bool
	names atomic.Uint32
}

// mapNew makes a file and maps it.
func (m *mappedFiles) mapNew(name string, size int) ([]byte, error) {
	f, err := m.root.OpenFile(name, createFlags, fileMode)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays
	mem, err := mapFile(f, size)
	if err == nil && m.fsync {
		err = errors.Join(f.Sync(), syncDir(m.root))
	}
	if err != nil {
		_ = m.root.Remove(name) // the error that led here is the one to tell
		return nil, err
	}
	return mem, nil
}

func mapFile(f *os.File, size int) ([]byte, error) {
	if err := retryInterrupted(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, int64(size)) }); err != nil {
		return nil, os.NewSyscallError("fallocate", err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// All page faults at once are cheaper than one by one, and not in a logger call; and what would be a SIGBUS there is an
	// error here. Kernels before 5.14 do not know it.
	if err := unix.Madvise(mem, unix.MADV_POPULATE_WRITE); errors.Is(err, unix.EFAULT) || errors.Is(err, unix.ENOMEM) {
		_ = unix.Munmap(mem)
		return nil, os.NewSyscallError("madvise", err)
	}
	return mem, nil
}

func retryInterrupted(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func (m *mappedFiles) region(name string, size int) (*region, error) {
	mem, err := m.mapNew(name, size)
	if err != nil {
		return nil, err
	}
	return &region{mem: mem, drop: func() { _ = unix.Munmap(mem) }}, nil
}

func (m *mappedFiles) alloc(size int) (*block, error) {
	name := segmentName(m.names.Add(1))
	mem, err := m.mapNew(name, size)
	if err != nil {
		return nil, err
	}
	return &block{mem: mem, name: name, size: size, nonce: rand.Uint32(), written: m.fsync}, nil
}

func (m *mappedFiles) stamp(b *block, h header) error {
	h.put(b.mem)
	return nil
}

func (m *mappedFiles) commit(g *segment, off, _ int, head uint64) error {
	b := g.block
	b.writing.Add(1)
	defer b.writing.Add(-1)
	storeHead(g.mem, off, head)
	return b.sync.wait(func() error { return unix.Msync(b.mem, unix.MS_SYNC) })
}

func (m *mappedFiles) ack(g *segment, off int) {
	storeHead(g.mem, off, loadHead(g.mem, off)|flagAcked)
}

// reuse empties a block. The header goes first: a process that dies meanwhile leaves something that is no segment.
func (m *mappedFiles) reuse(b *block, used int) bool {
	binary.LittleEndian.PutUint64(b.mem, 0)
	clear(b.mem[headerSize:min(used, len(b.mem))])
	b.nonce = rand.Uint32()
	return true
}

func (m *mappedFiles) remove(b *block, keep bool) {
	m.release(b, keep)
	// What stays behind holds acked entries only, and goes with its directory.
	_ = m.root.Remove(b.name)
}

func (m *mappedFiles) release(b *block, keep bool) {
	if !keep {
		_ = unix.Munmap(b.mem)
	}
}

// idle takes the pages out of the process; they stay in the page cache, and come back by themselves.
func (m *mappedFiles) idle(g *segment) bool {
	_ = unix.Madvise(g.mem, unix.MADV_DONTNEED)
	return true
}

func (m *mappedFiles) load(*segment) error { return nil }
