package file

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/sink"
)

// Config is the file's part of a [[sink]] table.
type Config struct {
	// Path is the file. Directories that are missing are made.
	Path string `toml:"path"`
	// AgainWindow is how much of the end of the file is read when it is opened, to know what it holds: 128 MiB by default, which takes
	// about half a second.
	AgainWindow config.Size `toml:"again_window"`
	// BatchWait is how long an entry may wait for others before all are written and synced: 50 ms by default.
	BatchWait config.Duration `toml:"batch_wait"`
}

// New is a sink.NewKind.
func New() sink.Settings {
	return &Config{AgainWindow: 128 << 20, BatchWait: config.Duration(50 * time.Millisecond)}
}

// Validate reports what is wrong with the settings.
func (c *Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("path: missing; write the name of the file"))
	}
	if c.BatchWait < 0 || time.Duration(c.BatchWait) > 10*time.Second {
		errs = append(errs, fmt.Errorf("batch_wait %v: write a duration up to 10s", c.BatchWait))
	}
	return errors.Join(errs...)
}

// Destination is the file: two sinks cannot write to one.
func (c *Config) Destination() string {
	if c.Path == "" {
		return ""
	}
	return filepath.Clean(c.Path)
}

// Kind makes the file's sink without touching the file.
func (c *Config) Kind(env sink.Env) (sink.Kind, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &file{cfg: *c, path: filepath.Clean(c.Path), log: env.Log.With().Str("sink", env.Name).Logger()}, nil
}

// file belongs to one runner at a time.
type file struct {
	cfg  Config
	path string
	log  zerolog.Logger

	lock  *os.File // held from Open to Close
	f     *os.File // open for appending
	state state    // what is committed
	seen  *index   // what the file holds; nil where that must be read from it
	buf   bytes.Buffer
}

// Batching lets entries gather for a while, because a commit costs two syncs whatever its size.
func (k *file) Batching() sink.Batching { return sink.Batching{Wait: time.Duration(k.cfg.BatchWait)} }

// Open locks the file, cuts off what was not committed and reads the end of the rest.
func (k *file) Open(ctx context.Context) (sink.Committed, error) {
	if k.f != nil {
		return sink.Committed{}, errors.New("open file: it is open")
	}
	err := k.open(ctx)
	if err != nil {
		return sink.Committed{}, errors.Join(err, k.Close())
	}
	return k.state.Committed, nil
}

func (k *file) open(ctx context.Context) error {
	dir := filepath.Dir(k.path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make directory of %s: %w", k.path, err)
	}
	lock, err := os.OpenFile(k.path+".lock", os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open lock: %w", err)
	}
	k.lock = lock
	if err := tryLock(lock); err != nil {
		return fmt.Errorf("lock %s: %w", k.path, err)
	}
	if k.f, err = os.OpenFile(k.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640); err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	before := k.state
	if err := k.recover(); err != nil {
		return err
	}
	if k.seen != nil && k.state.Committed.Same(before.Committed) && k.state.Length == before.Length {
		return nil // nobody wrote since this process did
	}
	return k.index(ctx)
}

// recover reads the state and brings the file to it.
func (k *file) recover() error {
	info, err := k.f.Stat()
	if err != nil {
		return fmt.Errorf("ask for size of file: %w", err)
	}
	size := info.Size()
	st, err := readState(k.path + stateSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Nothing of what stands there is ours, and nothing of it is cut. The state is written before the first line, or a crash
		// in the first commit would leave lines that no state knows.
		return k.adopt(size, sink.Committed{})
	case err != nil:
		return err
	}
	k.state = st
	if size < st.Length {
		k.log.Warn().Str("file", k.path).Int64("length", size).Int64("committed", st.Length).
			Msg("the file is shorter than what was committed, somebody cut or moved it: going on at its end")
		return k.adopt(size, st.Committed)
	}
	if size > st.Length {
		if err := k.f.Truncate(st.Length); err != nil {
			return fmt.Errorf("cut what was not committed: %w", err)
		}
		k.log.Info().Str("file", k.path).Int64("bytes", size-st.Length).Msg("cut off what was not committed")
	}
	return nil
}

// adopt makes what stands in the file the beginning of what is ours. Its last line may have no end: lines begin on lines of their
// own.
func (k *file) adopt(size int64, c sink.Committed) error {
	last := []byte{'\n'}
	if size > 0 {
		if _, err := k.f.ReadAt(last, size-1); err != nil {
			return fmt.Errorf("read file: %w", err)
		}
	}
	if last[0] != '\n' {
		if _, err := k.f.Write([]byte{'\n'}); err != nil {
			return fmt.Errorf("append to file: %w", err)
		}
		size++
	}
	k.state = state{Version: stateVersion, Length: size, Committed: c}
	return writeState(k.path+stateSuffix, k.state)
}

// index reads the identities at the end of the file.
func (k *file) index(ctx context.Context) error {
	k.seen = newIndex()
	from := max(0, k.state.Length-int64(k.cfg.AgainWindow))
	lines := bufio.NewReaderSize(io.NewSectionReader(k.f, from, k.state.Length-from), 1<<20)
	var scan sink.Scanner
	var long []byte
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			k.seen = nil
			return fmt.Errorf("read file: %w", ctx.Err())
		}
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = long[:0]
		}
		// A line that is no entry (the first one may be half of one) has no identity.
		if id, bad := scan.Scan(line); bad == nil && !id.IsZero() {
			k.seen.add(id)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			k.seen = nil
			return fmt.Errorf("read file: %w", err)
		}
	}
}

// Commit appends the lines, syncs them, and replaces the state.
func (k *file) Commit(ctx context.Context, b sink.Batch) error {
	if k.f == nil || k.seen == nil {
		return errors.New("commit: the file is not open")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := k.compare(b.From); err != nil {
		return err
	}
	k.buf.Reset()
	for i := range b.Entries {
		k.append(&b.Entries[i])
	}
	next := state{Version: stateVersion, Length: k.state.Length + int64(k.buf.Len()), Committed: b.To}
	if err := k.store(next); err != nil {
		k.undo()
		return err
	}
	k.state = next
	return nil
}

// compare makes sure that nobody else has written, although the lock should: not every file system keeps locks.
func (k *file) compare(from sink.Committed) error {
	if !k.state.Committed.Same(from) {
		return fmt.Errorf("commit after %v, the file holds %v: %w", from, k.state.Committed, sink.ErrConflict)
	}
	now, err := readState(k.path + stateSuffix)
	if err != nil {
		return err
	}
	if !now.Committed.Same(from) || now.Length != k.state.Length {
		return fmt.Errorf("commit after %v, the file holds %v: %w", from, now.Committed, sink.ErrConflict)
	}
	info, err := k.f.Stat()
	if err != nil {
		return fmt.Errorf("ask for size of file: %w", err)
	}
	if info.Size() != k.state.Length {
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

func (k *file) store(next state) error {
	if k.buf.Len() > 0 {
		if _, err := k.f.Write(k.buf.Bytes()); err != nil {
			return fmt.Errorf("append to file: %w", err)
		}
		if err := k.f.Sync(); err != nil {
			return fmt.Errorf("sync file: %w", err)
		}
	}
	return writeState(k.path+stateSuffix, next)
}

// undo gives the space of a commit that failed back. The file must be opened anew: what stands in it and what the index says are
// not known any more.
func (k *file) undo() {
	k.seen = nil
	if st, err := readState(k.path + stateSuffix); err == nil {
		_ = k.f.Truncate(st.Length) // the next Open does it, if this does not
	}
}

// Close gives the file free. What it knows stays, in case nobody writes until it is opened again.
func (k *file) Close() error {
	var errs []error
	if k.f != nil {
		errs = append(errs, k.f.Close())
	}
	if k.lock != nil {
		errs = append(errs, k.lock.Close())
	}
	k.f, k.lock = nil, nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close file: %w", err)
	}
	return nil
}
