package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Item is an entry as a reader gets it.
type Item struct {
	// Subject is taken apart already; Text is the subject itself.
	Subject subject.Subject
	Text    string
	// Line is valid until the function that was given it returns.
	Line []byte
	// Seq is the stream sequence of its message, Time when the stream stored that, to the millisecond.
	Seq  uint64
	Time time.Time
}

// Problem is a part of the store that could not be read. What is not named was read.
type Problem struct {
	// File is its name without the directory, Block the block's number, 0 if the trouble is not one block's.
	File  string
	Block int64
	// Entries is how many entries cannot be read for it, -1 if that is not known.
	Entries int64
	Err     error
}

// String is one line for people.
func (p Problem) String() string {
	switch {
	case p.Block == 0:
		return p.Err.Error()
	case p.Entries < 0:
		return fmt.Sprintf("%v: its block %d is lost, what else it holds is read", p.Err, p.Block)
	}
	return fmt.Sprintf("%v: its block %d with %d entries is lost, what else it holds is read", p.Err, p.Block, p.Entries)
}

// maxProblems bounds what a reader remembers.
const maxProblems = 1000

// ErrStop ends a reading without an error when the function that is given the items returns it.
var ErrStop = errors.New("stop reading")

// Reader reads a store while it is written to, or while it is not. It may be used from any number of goroutines. Each reading sees every
// file as it was when the reading came to it.
type Reader struct {
	dir string
	z   *zstd.Decoder

	mu       sync.Mutex // guards what follows
	idle     map[string][]*handle
	problems []Problem
	closed   bool
}

// Open opens a directory for reading. One that holds no files is an empty store; one that is not there is an error.
func Open(dir string) (*Reader, error) {
	if _, err := days(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	z, err := newUnpacker()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Reader{dir: dir, z: z, idle: map[string][]*handle{}}, nil
}

// Close closes the files. No reading may be under way.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, hs := range r.idle {
		for _, h := range hs {
			errs = append(errs, h.d.close())
		}
	}
	r.idle, r.closed = map[string][]*handle{}, true
	r.z.Close()
	return errors.Join(errs...)
}

// Problems returns what could not be read so far, each once.
func (r *Reader) Problems() []Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}

func (r *Reader) problem(p Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.problems {
		if q.File == p.File && q.Block == p.Block {
			return
		}
	}
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, p)
	}
}

// handle is a file open for reading, for one goroutine.
type handle struct {
	day, path string
	d         *db
	info      os.FileInfo
	subjects  map[int64]*subjectInfo
}

// idlePerFile is how many connections to a file are kept for the next reading.
const idlePerFile = 2

// take returns an open file; nil where it is gone, empty, or cannot be read, which is noted.
func (r *Reader) take(day string) *handle {
	path := dayPath(r.dir, day)
	info, err := os.Stat(path)
	if err != nil {
		r.failed(day, err)
		return nil
	}
	r.mu.Lock()
	for len(r.idle[day]) > 0 {
		hs := r.idle[day]
		h := hs[len(hs)-1]
		r.idle[day] = hs[:len(hs)-1]
		if os.SameFile(h.info, info) {
			r.mu.Unlock()
			return h
		}
		_ = h.d.close() // somebody put another file in its place
	}
	r.mu.Unlock()
	d, err := openRead(path)
	if err != nil {
		r.failed(day, err)
		return nil
	}
	return &handle{day: day, path: path, d: d, info: info, subjects: map[int64]*subjectInfo{}}
}

// failed notes why a file cannot be read at all.
func (r *Reader) failed(day string, err error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEmpty) {
		return
	}
	path := dayPath(r.dir, day)
	r.problem(Problem{File: filepath.Base(path), Entries: -1, Err: describe(path, err)})
}

func (r *Reader) put(h *handle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.idle[h.day]) >= idlePerFile {
		_ = h.d.close()
		return
	}
	r.idle[h.day] = append(r.idle[h.day], h)
}

// with runs fn on a file within a transaction, so that all it asks is of one moment. What is wrong with the file is noted, what fn's own
// caller said is returned.
func (r *Reader) with(day string, fn func(*handle) error) error {
	h := r.take(day)
	if h == nil {
		return nil
	}
	if err := h.d.exec("BEGIN"); err != nil {
		_ = h.d.close()
		r.failed(day, err)
		return nil
	}
	err := fn(h)
	end := h.d.exec("COMMIT")
	if code(err) != 0 {
		_ = h.d.close()
		r.failed(day, err)
		return nil
	}
	if end != nil {
		_ = h.d.close()
	} else {
		r.put(h)
	}
	return err
}

// each runs fn on every file, oldest first, or newest first.
func (r *Reader) each(ctx context.Context, newest bool, fn func(*handle) error) error {
	list, err := days(r.dir)
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	if newest {
		slices.Reverse(list)
	}
	for _, day := range list {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.with(day, fn); err != nil {
			return err
		}
	}
	return nil
}

// subject returns a subject of the file, nil where there is none with that number.
func (h *handle) subject(id int64) *subjectInfo {
	if s, ok := h.subjects[id]; ok {
		return s
	}
	if h.loadSubjects() != nil {
		return nil
	}
	return h.subjects[id]
}

func (h *handle) loadSubjects() error {
	return h.d.query(func(row []driver.Value) error {
		id, text := asInt(row[0]), asText(row[1])
		if h.subjects[id] == nil && asInt(row[2]) == checksum(text) {
			h.subjects[id] = newSubject(id, text)
		}
		return nil
	}, "SELECT id, subject, crc FROM subjects")
}

// stopped turns ErrStop into no error.
func stopped(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// window is a time window in the store's milliseconds.
type window struct{ since, until int64 }

func newWindow(since, until time.Time) window {
	w := window{-1 << 62, 1 << 62}
	if !since.IsZero() {
		w.since = since.UnixMilli()
	}
	if !until.IsZero() {
		w.until = until.UnixMilli()
	}
	return w
}

func (w window) holds(ms int64) bool { return w.since <= ms && ms <= w.until }
