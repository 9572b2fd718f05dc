package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

// file belongs to one runner at a time.
type file struct {
	cfg   Config
	mode  fs.FileMode
	disk  disk
	now   func() time.Time
	meter *meter
	wake  chan struct{} // there is something to compress or remove

	// Owned by Open and Close, which nobody calls at the same time.
	stop    context.CancelFunc
	helpers sync.WaitGroup

	mu    sync.Mutex // guards what follows
	path  string     // of FILE; where links lead to, once it was open
	names names
	lock  *os.File // held from Open to Close
	f     *os.File // open for appending
	state state    // what is committed
	tail  tail     // the end of it
	seen  *index   // what the files hold; nil when f must be opened anew
	buf   bytes.Buffer

	notBefore time.Time // of the next rotation
}

// Batching lets entries gather for a while, because a commit costs two syncs whatever its size.
func (k *file) Batching() sink.Batching { return sink.Batching{Wait: time.Duration(k.cfg.BatchWait)} }

// Open locks the file, cuts off what was not committed, reads the end of the rest, and begins to look after the rotated files.
func (k *file) Open(ctx context.Context) (sink.Committed, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.f != nil {
		return sink.Committed{}, errors.New("open file: it is open")
	}
	if err := k.open(ctx); err != nil {
		return sink.Committed{}, errors.Join(full(k.path, err), k.release())
	}
	k.start()
	return k.state.Committed, nil
}

// open is Open without its goroutines.
func (k *file) open(ctx context.Context) error {
	if err := k.place(); err != nil {
		return err
	}
	lock, err := k.disk.open(k.path+".lock", os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open lock: %w", err)
	}
	k.lock = lock
	if err := tryLock(lock); err != nil {
		return fmt.Errorf("lock %s: %w", k.path, err)
	}
	if k.f, err = k.openFile(); err != nil {
		return err
	}
	before := k.state.Committed
	if err := k.recover(); err != nil {
		return err
	}
	if k.seen != nil && k.state.Committed.Same(before) {
		return nil // nobody wrote since this process did
	}
	return k.index(ctx)
}

// place makes the directory and follows links, so that what is renamed is the file.
func (k *file) place() error {
	k.path = filepath.Clean(k.cfg.Path)
	if err := os.MkdirAll(filepath.Dir(k.path), 0o750); err != nil {
		return fmt.Errorf("make directory of %s: %w", k.path, err)
	}
	if info, err := os.Lstat(k.path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if k.path, err = filepath.EvalSymlinks(k.path); err != nil {
			return fmt.Errorf("follow link: %w", err)
		}
	}
	k.names = namesOf(k.path)
	return nil
}

// openFile opens FILE, and makes it where it is not there.
func (k *file) openFile() (*os.File, error) {
	if info, err := os.Stat(k.path); err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its reader
		return nil, fmt.Errorf("open file: %s is not a regular file", k.path)
	}
	f, err := k.disk.open(k.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, k.mode)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	return f, nil
}

// Commit appends the lines, syncs them, and replaces the state.
func (k *file) Commit(ctx context.Context, b sink.Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.f == nil || k.seen == nil {
		return errors.New("commit: the file is not open")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := k.compare(b.From); err != nil {
		return err
	}
	if err := errors.Join(k.settle(), k.foreign()); err != nil {
		return full(k.path, err)
	}
	k.buf.Reset()
	for i := range b.Entries {
		k.append(&b.Entries[i])
	}
	if err := k.store(b.To); err != nil {
		k.undo()
		return full(k.path, err)
	}
	return nil
}

// compare makes sure that nobody else has committed, although the lock should: not every file system keeps locks.
func (k *file) compare(from sink.Committed) error {
	if !k.state.Committed.Same(from) {
		return fmt.Errorf("commit after %v, the file holds %v: %w", from, k.state.Committed, sink.ErrConflict)
	}
	now, err := readState(k.path + stateSuffix)
	if err != nil {
		return err
	}
	if !now.Committed.Same(from) || now.Length != k.state.Length || now.Number != k.state.Number {
		return fmt.Errorf("commit after %v, the file holds %v: %w", from, now.Committed, sink.ErrConflict)
	}
	return nil
}

// foreign finds out whether somebody else appends. Open would cut his lines off; here they are only not mixed with ours.
func (k *file) foreign() error {
	info, err := k.f.Stat()
	if err != nil {
		return fmt.Errorf("ask for size of file: %w", err)
	}
	if info.Size() > k.state.Length {
		return fmt.Errorf("commit: %s has %d bytes, %d are committed: somebody else writes to it", k.path, info.Size(), k.state.Length)
	}
	return nil
}

// append adds a line to the buffer unless the file holds it.
func (k *file) append(e *sink.Entry) {
	if !e.ID.IsZero() {
		if e.Again && k.seen.has(e.ID) {
			return
		}
		k.seen.add(e.ID)
	}
	k.buf.Write(e.Line)
	k.buf.WriteByte('\n')
}

// store writes the buffer and then what it means.
func (k *file) store(to sink.Committed) error {
	lines := k.buf.Bytes()
	if k.due(len(lines)) {
		if err := k.rotate(); err != nil {
			return err
		}
	}
	next, end := k.state, k.tail
	next.Committed = to
	if len(lines) > 0 {
		length, err := k.write(lines)
		if err != nil {
			return err
		}
		end = k.tail.then(lines)
		next.Length, next.Tail = length, end.sum()
		if next.Begun.IsZero() {
			next.Begun = k.now().UTC()
		}
	}
	if err := writeState(k.disk, k.path+stateSuffix, next); err != nil {
		return err
	}
	k.state, k.tail = next, end
	k.meter.bytes.Add(float64(len(lines)))
	return nil
}

// write appends lines, syncs them, and returns how long the file is then. Somebody may have cut the file short in the meantime: that is
// fine if the lines were written behind the cut.
func (k *file) write(lines []byte) (int64, error) {
	if err := k.disk.write(k.f, lines); err != nil {
		return 0, fmt.Errorf("append to %s: %w", k.path, cause(err))
	}
	if err := k.disk.sync(k.f); err != nil {
		return 0, fmt.Errorf("sync %s: %w", k.path, cause(err))
	}
	info, err := k.f.Stat()
	if err != nil {
		return 0, fmt.Errorf("ask for size of file: %w", err)
	}
	length := info.Size()
	if length == k.state.Length+int64(len(lines)) {
		return length, nil
	}
	there := make([]byte, len(lines))
	if _, err := k.f.ReadAt(there, length-int64(len(lines))); err != nil || !bytes.Equal(there, lines) {
		return 0, fmt.Errorf("append to file: somebody else changes %s", k.path)
	}
	k.cut(length - int64(len(lines)))
	return length, nil
}

// undo gives the space of a commit that failed back. The file must be opened anew: what stands in it and what the index says are
// not known any more.
func (k *file) undo() {
	k.seen = nil
	st, err := readState(k.path + stateSuffix)
	if err != nil || k.f == nil {
		return // the next Open does it
	}
	if mine, err := st.speaksOf(k.f); err == nil && mine {
		_ = k.disk.truncate(k.f, st.Length) // the same
	}
}

// Close gives the file free. What it knows stays, in case nobody writes until it is opened again.
func (k *file) Close() error {
	if k.stop != nil {
		k.stop()
		k.helpers.Wait()
		k.stop = nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.release(); err != nil {
		return fmt.Errorf("close file: %w", err)
	}
	return nil
}

func (k *file) release() error {
	var errs []error
	if k.f != nil {
		errs = append(errs, k.f.Close())
	}
	if k.lock != nil {
		errs = append(errs, k.lock.Close())
	}
	k.f, k.lock = nil, nil
	return errors.Join(errs...)
}

// cause strips the name from an error of an open file, which may have had another name when it was opened.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
