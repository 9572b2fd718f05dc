package spool

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unsafe"
)

// A spool directory holds one directory per process, 16 hex digits as the name, mode 0700. In it:
//
//	lock       locked (flock) as long as its process lives: the kernel lets go of it at any death
//	head       key, time, counters, birth entry; it is made after the lock was taken, so that a head without a lock is an orphan
//	journal.N  the packs that are fixed and not acked
//	N.seg      segments; a header says their order
//	adopted    empty, made by the first adopter: the process is dead, whoever has the lock
//
// The lock decides who may read and write, never the pid.
const (
	lockFile    = "lock"
	headFile    = "head"
	journalFile = "journal."
	segmentFile = ".seg"
	adoptedFile = "adopted"

	headMagic   = "dloghead"
	headSize    = birthAt + 8 + maxBirth
	numberAt    = 64  // greatest pack number
	lastSeqAt   = 72  // greatest number of an entry, noted by adopters
	countersAt  = 128 // counterWords words
	birthAt     = 1024
	maxBirth    = 32 << 10
	headSummed  = 60 // bytes that the checksum after them covers
	dirMode     = 0o700
	fileMode    = 0o600
	createFlags = os.O_RDWR | os.O_CREATE | os.O_EXCL
)

// process is the open directory of one process.
type process struct {
	root  *os.Root
	path  string
	lock  *os.File
	head  *region
	fsync bool
}

// region is the memory of a small file; it is mapped, or flush writes it.
type region struct {
	mem  []byte
	file *os.File // nil: mapped, or closed
	drop func()
}

func (r *region) flush(off, n int) error {
	if r.file == nil {
		return nil
	}
	_, err := r.file.WriteAt(r.mem[off:off+n], int64(off))
	return err
}

func (r *region) close() {
	if r.drop != nil {
		r.drop()
	}
}

// files makes regions and blocks in one of the two ways.
type files interface {
	store
	region(name string, size int) (*region, error)
}

// checkSpoolDir makes the spool directory where it is missing. What others may write must be sticky, or they could put another
// directory in the place of ours.
func checkSpoolDir(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make spool directory: %w", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at spool directory: %w", err)
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("spool directory %s is a symbolic link", dir)
	}
	if !st.IsDir() {
		return fmt.Errorf("spool directory %s is not a directory", dir)
	}
	if st.Mode().Perm()&0o002 != 0 && st.Mode()&fs.ModeSticky == 0 && hasModes {
		return fmt.Errorf("spool directory %s can be written by everybody and is not sticky: chmod +t it", dir)
	}
	return nil
}

// newProcess makes the directory of this process and takes its lock.
func newProcess(dir string) (*process, error) {
	path := filepath.Join(dir, fmt.Sprintf("%016x", rand.Uint64()))
	if err := os.Mkdir(path, dirMode); err != nil {
		return nil, fmt.Errorf("make process directory: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open process directory: %w", err)
	}
	p := &process{root: root, path: path}
	p.lock, err = root.OpenFile(lockFile, createFlags, fileMode)
	if err == nil {
		err = tryLock(p.lock)
	}
	if err != nil {
		p.discard()
		return nil, fmt.Errorf("lock process directory: %w", err)
	}
	return p, nil
}

// writeHead makes the head file, which completes the directory.
func (p *process) writeHead(f files, key string, segment int) error {
	r, err := f.region(headFile, headSize)
	if err != nil {
		return fmt.Errorf("make head: %w", err)
	}
	p.head = r
	b := r.mem
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], uint32(os.Getpid()))
	binary.LittleEndian.PutUint64(b[16:], uint64(time.Now().UnixNano()))
	if _, err := hex.Decode(b[24:32], []byte(key)); err != nil {
		return fmt.Errorf("write head: %w", err)
	}
	binary.LittleEndian.PutUint32(b[32:], uint32(segment))
	copy(b, headMagic)
	binary.LittleEndian.PutUint32(b[headSummed:], crc32.Checksum(b[:headSummed], castagnoli))
	if err := r.flush(0, headSize); err != nil {
		return fmt.Errorf("write head: %w", err)
	}
	return nil
}

// setBirth writes the birth entry; its length comes last.
func (p *process) setBirth(line []byte) error {
	if len(line) > maxBirth {
		return fmt.Errorf("spool: store birth entry: %d bytes are more than %d", len(line), maxBirth)
	}
	b := p.head.mem[birthAt:]
	binary.LittleEndian.PutUint32(b, 0)
	copy(b[8:], line)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(line, castagnoli))
	binary.LittleEndian.PutUint32(b, uint32(len(line)))
	if err := p.head.flush(birthAt, 8+len(line)); err != nil {
		return fmt.Errorf("spool: store birth entry: %w", err)
	}
	return nil
}

// setNumber notes the greatest pack number.
func (p *process) setNumber(n uint64) error {
	binary.LittleEndian.PutUint64(p.head.mem[numberAt:], n)
	return p.head.flush(numberAt, 8)
}

// counters are the refusals where they lie in the head.
func (p *process) counters() counters {
	words := unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&p.head.mem[countersAt])), counterWords)
	c := counters{words: words}
	if p.head.file != nil {
		c.saved = newCounterFile(p.head.file, words)
	}
	return c
}

// close lets go of the directory: drained removes it.
func (p *process) close(drained bool) error {
	if p.head != nil && p.head.file != nil {
		p.head.close() // a mapped head stays: its counters are counted on
	}
	var err error
	if drained {
		err = p.remove()
	}
	p.lock.Close()
	p.root.Close()
	return err
}

// remove takes the directory away, the lock last: until then nobody else takes it for an orphan.
func (p *process) remove() error {
	names, err := p.list()
	if err != nil {
		return fmt.Errorf("spool: remove %s: %w", p.path, err)
	}
	for _, name := range names {
		if _, ok := parseName(name); ok {
			err = errors.Join(err, p.root.Remove(name))
		}
	}
	err = errors.Join(err, ignoreMissing(p.root.Remove(headFile)), ignoreMissing(p.root.Remove(adoptedFile)))
	if removeOpen {
		err = errors.Join(err, ignoreMissing(p.root.Remove(lockFile)))
	} else {
		p.lock.Close()
		err = errors.Join(err, ignoreMissing(p.root.Remove(lockFile)))
		p.root.Close()
	}
	if err = errors.Join(err, ignoreMissing(os.Remove(p.path))); err != nil {
		return fmt.Errorf("spool: remove %s: %w", p.path, err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// discard removes a directory that was never complete.
func (p *process) discard() {
	if p.lock == nil {
		p.root.Close()
		_ = os.Remove(p.path) // empty, and whoever adopts removes it otherwise
		return
	}
	_ = p.close(true) // the error that led here is the one to tell
}

func (p *process) list() ([]string, error) {
	d, err := p.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(maxFiles)
}
