package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrManyDead says that dead processes left so much in a spool directory that Open adds nothing: a program that crashes again
// and again while nobody takes its entries away must not fill the disk.
var ErrManyDead = errors.New("entries of dead processes wait there for a server or dlog-agent")

var errLocked = errors.New("its process lives")

// Open makes the queue of this process in a new directory below Config.Dir; "" is NewMemory. Entries that other processes left
// there are not touched (Adopt). Open works as often as it is called.
//
// On ext4, xfs and tmpfs of Linux files are mapped, elsewhere written (Where tells). An error says why neither is possible:
// the caller may go on with NewMemory, as OpenOrMemory does.
func Open(cfg Config) (Queue, error) {
	if cfg.Dir == "" {
		return NewMemory(cfg), nil
	}
	c, err := openFiles(cfg)
	if err != nil {
		return nil, fmt.Errorf("spool: open %s: %w", cfg.Dir, err)
	}
	return c, nil
}

// OpenOrMemory is Open, with a queue in memory where that fails. The queue works in either case; the error, if any, is for the
// one line at the start that says why entries are kept in memory.
func OpenOrMemory(cfg Config) (Queue, error) {
	q, err := Open(cfg)
	if err != nil {
		cfg.Bytes = 0
		return NewMemory(cfg), err
	}
	return q, nil
}

func openFiles(cfg Config) (*chain, error) {
	cfg.setDefaults(defaultFiles)
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkSpoolDir(dir); err != nil {
		return nil, err
	}
	on := diskOf(dir)
	if on.memory {
		cfg.Bytes = min(cfg.Bytes, max(memoryLimit()/10, leastSegments*leastSegment))
	}
	if dead := bytesOfDead(dir); dead >= cfg.Bytes {
		return nil, fmt.Errorf("%w: %d MiB, as much as a process may use", ErrManyDead, dead>>20)
	}
	p, err := newProcess(dir)
	if err != nil {
		return nil, err
	}
	p.fsync = cfg.Fsync
	if on.maps && !cfg.NoMap {
		c, err := p.open(openMapped(p.root, cfg.Fsync), cfg, on, "mapped")
		if err == nil {
			return c, nil
		}
		if isNoSpace(err) {
			p.discard()
			return nil, err
		}
	}
	c, err := p.open(&writtenFiles{root: p.root, fsync: cfg.Fsync}, cfg, on, "written")
	if err != nil {
		p.discard()
		return nil, err
	}
	return c, nil
}

// open makes the chain, the head last of all files.
func (p *process) open(f files, cfg Config, on disk, how string) (*chain, error) {
	size := segmentSize(cfg.Bytes)
	key := newKey()
	first, err := f.alloc(size)
	if err != nil {
		return nil, fmt.Errorf("make segment: %w", err)
	}
	j := &journalFiles{make: f.region, note: p.setNumber}
	if err := j.grow(); err != nil {
		f.remove(first, false)
		return nil, fmt.Errorf("make journal: %w", err)
	}
	if err := p.writeHead(f, key, size); err != nil {
		f.remove(first, false)
		j.close()
		return nil, errors.Join(err, ignoreMissing(p.root.Remove(journalName(0))))
	}
	c := newChain(f, j, p.counters(), cfg, size)
	c.key, c.birth, c.atClose = key, p.setBirth, p.close
	c.where = fmt.Sprintf("%s (%s, %s, %d MiB): %s", p.path, on.name, how, cfg.Bytes>>20, on.survives(cfg.Fsync))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.install(first, 0, 1); err != nil {
		return nil, fmt.Errorf("write segment: %w", err)
	}
	if p.fsync {
		return c, p.sync()
	}
	return c, nil
}

// survives says what un-sent entries outlive.
func (d disk) survives(fsync bool) string {
	switch {
	case d.memory:
		return "un-sent entries outlive the process, not the machine or the end of its container"
	case d.name == "overlay":
		return "un-sent entries outlive the process and a restart of the container, not its removal"
	case fsync:
		return "un-sent entries outlive the process and a power loss"
	}
	return "un-sent entries outlive the process, and a power loss but for the last 30 s or so"
}

// sync makes the names of the directory durable, and its own.
func (p *process) sync() error {
	if err := syncDir(p.root); err != nil {
		return fmt.Errorf("sync process directory: %w", err)
	}
	parent, err := os.OpenRoot(filepath.Dir(p.path))
	if err != nil {
		return fmt.Errorf("sync spool directory: %w", err)
	}
	defer parent.Close()
	if err := syncDir(parent); err != nil {
		return fmt.Errorf("sync spool directory: %w", err)
	}
	return nil
}

// writeZeros takes the room of a file where the system cannot allocate it.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, 256<<10)
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}
