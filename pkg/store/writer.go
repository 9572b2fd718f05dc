package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// Errors of writers.
var (
	// ErrInUse means that another writer has the directory.
	ErrInUse = errors.New("the store is in use by another process")
	// ErrConflict means that the file was written by somebody else in spite of the lock: not every file system keeps locks.
	ErrConflict = errors.New("the store was written by another process")
	// ErrClosed means that the writer is closed, or a commit has failed and it must be opened anew.
	ErrClosed = errors.New("the store is not open for writing")
)

// FullError means that nothing was tried because too little space is left on the disk.
type FullError struct {
	Dir        string
	Free, Need int64 // bytes
}

// Error says how much there is and how much there has to be.
func (e *FullError) Error() string {
	return fmt.Sprintf("disk of %s is nearly full: %d MiB are free, nothing is written below %d MiB", e.Dir, e.Free>>20, e.Need>>20)
}

// Config says how a writer keeps its directory. The zero value keeps everything.
type Config struct {
	// MaxAge removes files whose day ended longer ago than this; 0 keeps them.
	MaxAge time.Duration
	// MaxBytes removes the oldest files while all together are larger; 0 keeps them. The file that is written to always stays.
	MaxBytes int64
	// MinFree is the free space in bytes below which nothing is written; 0 means 64 MiB, a negative number that it is not looked at.
	MinFree int64
	// Warn is told what goes on in spite of a trouble: a damaged file of another day, a file that cannot be removed. It must not call the
	// writer. Nil discards.
	Warn func(error)
	// Now tells the time for MaxAge; nil means time.Now.
	Now func() time.Time
}

const defaultMinFree = 64 << 20

// Entry is an entry to store.
type Entry struct {
	// Line is one JSON object without a line end; its bytes are not kept beyond Commit.
	Line []byte
	// Subject, Seq and Time are those of the message it came in. Times are kept to the millisecond.
	Subject string
	Seq     uint64
	Time    time.Time
	// Again is set where an entry with the identity that the line has ("dlog.proc", "dlog.seq") may be stored already; then it is left out.
	// A number above 2^63-1 is no identity.
	Again bool
}

// Batch is what one Commit stores: all of it or nothing.
type Batch struct {
	// Entries in the order of the stream. All go to the file of Time's day.
	Entries []Entry
	// Position is the text that Writer.Position returns from now on: JSON that says how far in the stream this is.
	Position []byte
	// Time is the store time of the last message, and says which day's file is written to.
	Time time.Time
}

// Writer writes a store. There is one at a time for a directory, over all processes. It is for one goroutine.
type Writer struct {
	dir      string
	cfg      Config
	lock     *os.File
	file     *dayFile // nil before the first commit of an empty store
	commits  int64
	position []byte
	builders []*builder
	earlier  *earlier
	broken   error
	checked  time.Time // when retention was last looked at
}

// OpenWriter opens a directory for writing and makes it where it is missing. Entries of commits that did not finish are gone.
func OpenWriter(dir string, cfg Config) (*Writer, error) {
	if cfg.MinFree == 0 {
		cfg.MinFree = defaultMinFree
	}
	if cfg.Warn == nil {
		cfg.Warn = func(error) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	w := &Writer{dir: dir, cfg: cfg, earlier: newEarlier(dir, cfg.Warn)}
	if err := w.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", dir, err), w.Close())
	}
	return w, nil
}

func (w *Writer) open() error {
	if err := os.MkdirAll(w.dir, 0o750); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(w.dir, lockName), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	w.lock = lock
	if err := tryLock(lock); err != nil {
		return err
	}
	for range min(runtime.GOMAXPROCS(0), 4) {
		b, err := newBuilder()
		if err != nil {
			return err
		}
		w.builders = append(w.builders, b)
	}
	day, err := w.newest()
	if err != nil || day == "" {
		return err
	}
	return w.use(day)
}

// newest finds the day whose file holds the position.
func (w *Writer) newest() (string, error) {
	list, err := days(w.dir)
	if err != nil {
		return "", err
	}
	found := ""
	for i, day := range list {
		st, err := w.peek(day)
		switch newer := (*VersionError)(nil); {
		case errors.As(err, &newer):
			return "", err
		case err != nil && i == len(list)-1:
			return "", fmt.Errorf("%w; it holds the position in the stream. Moved out of the directory, the stream is read again from where the file before it ends", err)
		case err != nil:
			w.cfg.Warn(err)
		case st.commits > w.commits:
			w.commits, w.position, found = st.commits, st.position, day
		}
	}
	return found, nil
}

// peek reads the state of a file.
func (w *Writer) peek(day string) (fileState, error) {
	path := dayPath(w.dir, day)
	d, err := openDB(path, "rw") // a log that a killed writer left is taken in by who may write
	if err != nil {
		return fileState{}, describe(path, err)
	}
	v, err := version(d, path)
	var st fileState
	if err == nil && v > 0 {
		st, err = readState(d)
	}
	if e := d.close(); err == nil {
		err = e
	}
	if err != nil {
		return st, describe(path, err)
	}
	return st, nil
}

// Position returns what the last commit said, nil where there was none.
func (w *Writer) Position() []byte { return w.position }

// Close gives the directory free. What was committed is committed.
func (w *Writer) Close() error {
	if w.broken == nil {
		w.broken = ErrClosed
	}
	errs := []error{w.file.close(), w.earlier.close()}
	if w.lock != nil {
		errs = append(errs, w.lock.Close())
	}
	w.file, w.lock = nil, nil
	for _, b := range w.builders {
		_ = b.pack.Close()
	}
	w.builders = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store %s: %w", w.dir, err)
	}
	return nil
}

// use makes a day's file the one that is written to.
func (w *Writer) use(day string) error {
	if w.file != nil && w.file.day == day {
		return nil
	}
	w.earlier.forget(day)
	f, err := openDay(w.dir, day, w.cfg.Warn, w.builders)
	if err != nil {
		return err
	}
	if err := w.file.seal(); err != nil {
		w.cfg.Warn(err)
	}
	w.file = f
	return nil
}

// Commit stores a batch and its position, both or nothing: after nil they are on the disk. The error is ErrConflict, a *FullError, or the
// trouble of the disk or the file. After any error but a *FullError the writer takes nothing more and has to be opened anew.
func (w *Writer) Commit(ctx context.Context, b Batch) error {
	if w.broken != nil {
		return fmt.Errorf("commit: %w", w.broken)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := w.room(); err != nil {
		return err
	}
	if err := w.commit(b); err != nil {
		w.broken = ErrClosed
		return fmt.Errorf("commit to store %s: %w", w.dir, err)
	}
	w.keep()
	return nil
}

// room makes sure that the disk is not nearly full.
func (w *Writer) room() error {
	if w.cfg.MinFree < 0 {
		return nil
	}
	free, err := freeSpace(w.dir)
	if err == nil && free < w.cfg.MinFree {
		return &FullError{Dir: w.dir, Free: free, Need: w.cfg.MinFree}
	}
	return nil // where that cannot be asked, writing will tell
}

func (w *Writer) commit(b Batch) error {
	day := Day(b.Time)
	if b.Time.IsZero() {
		day = Day(w.cfg.Now())
		if w.file != nil {
			day = w.file.day
		}
	}
	if err := w.use(day); err != nil {
		return err
	}
	records, err := w.records(b.Entries)
	if err != nil {
		return err
	}
	if err := w.file.store(w.builders, records, w.commits+1, b.Position); err != nil {
		return describe(w.file.path, err)
	}
	w.commits++
	w.position = append([]byte(nil), b.Position...)
	return nil
}

// records turns entries into records, without those that are stored already.
func (w *Writer) records(entries []Entry) ([]record, error) {
	dup, err := w.duplicates(entries)
	if err != nil {
		return nil, err
	}
	records := make([]record, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		if dup != nil && dup[i] {
			continue
		}
		records = append(records, record{line: e.Line, subject: w.file.subject(e.Subject), seq: e.Seq, ms: e.Time.UnixMilli()})
	}
	return records, nil
}

// maxNumber is the greatest number that SQLite's integers hold in their order.
const maxNumber = 1<<63 - 1

// buildAll makes blocks of the records, as many at a time as there are builders, and hands them to insert in their order.
func buildAll(builders []*builder, parts [][]record, insert func(*built) error) error {
	if len(parts) == 1 {
		return insert(builders[0].build(parts[0], true))
	}
	done := make([]chan *built, len(parts))
	for i := range done {
		done[i] = make(chan *built, 1)
	}
	next := make(chan int, len(parts))
	for i := range parts {
		next <- i
	}
	close(next)
	var running sync.WaitGroup
	for _, b := range builders {
		running.Go(func() {
			for i := range next {
				done[i] <- b.build(parts[i], false)
			}
		})
	}
	defer running.Wait()
	for i := range done {
		if err := insert(<-done[i]); err != nil {
			for range next { // what was not begun
				continue
			}
			return err
		}
	}
	return nil
}

// split divides records into parts of about a block's size.
func split(records []record) [][]record {
	if len(records) == 0 {
		return nil
	}
	size := 0
	for i := range records {
		size += len(records[i].line) + 1
	}
	n := max(1, (len(records)+blockEntries/2)/blockEntries, (size+blockBytes-1)/blockBytes)
	parts := make([][]record, 0, n)
	perPart, perBytes := (len(records)+n-1)/n, max(size/n, blockBytes/4)
	for start := 0; start < len(records); {
		end, bytes := start, 0
		for end < len(records) && end-start < perPart && (end == start || bytes+len(records[end].line) <= 2*perBytes) {
			bytes += len(records[end].line) + 1
			end++
		}
		parts = append(parts, records[start:end])
		start = end
	}
	return parts
}

func procKey(p task.Process) driver.Value {
	var n uint64
	for _, c := range p {
		n = n<<8 | uint64(c)
	}
	return int64(n)
}
