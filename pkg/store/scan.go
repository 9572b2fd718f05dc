package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// ref is a block that may hold what is looked for.
type ref struct {
	id      int64
	entries int // -1: not known
	flags   int64
}

// selector decides about the entries of blocks, for one goroutine.
type selector interface {
	// heads reports whether the lines of a block are wanted.
	heads(u *unpacked, flags int64) bool
	// needle is a text that stands in every line that is wanted; nil where there is none.
	needle(flags int64) *finder
	// line reports whether an entry is wanted.
	line(line []byte, r *run, flags int64) bool
}

// job is one block on its way: fetched, unpacked and searched beside others, then handed over in its turn.
type job struct {
	ref
	sel  selector
	u    unpacked
	hits []hit
	err  error
}

type hit struct {
	line []byte
	run  *run
}

func (j *job) work(r *Reader, heads, lines []byte) {
	j.hits = j.hits[:0]
	if j.err != nil {
		return
	}
	if j.err = j.u.unpackHeads(r.z, heads); j.err != nil || !j.sel.heads(&j.u, j.flags) {
		return
	}
	if j.err = j.u.unpackLines(r.z, lines); j.err != nil {
		return
	}
	candidates := j.u.each()
	if needle := j.sel.needle(j.flags); needle != nil {
		candidates = j.u.with(needle)
	}
	for line, run := range candidates {
		if j.sel.line(line, run, j.flags) {
			j.hits = append(j.hits, hit{line, run})
		}
	}
}

// scanner reads blocks of files. Its jobs are used again from chunk to chunk and from file to file.
type scanner struct {
	r      *Reader
	newest bool // last entry first
	jobs   []*job
}

// newScanner makes a scanner that reads as many blocks at a time as pays on this machine; newSelector is called for each.
func newScanner(r *Reader, newest bool, newSelector func() selector) *scanner {
	s := &scanner{r: r, newest: newest}
	for range 2 * min(runtime.GOMAXPROCS(0), 8) {
		s.jobs = append(s.jobs, &job{sel: newSelector()})
	}
	return s
}

// scan hands over the entries of the blocks that the selectors want. refs are in the order of the stream.
func (s *scanner) scan(ctx context.Context, h *handle, refs []ref, fn func(Item) error) error {
	if s.newest {
		slices.Reverse(refs)
	}
	for chunk := range slices.Chunk(refs, len(s.jobs)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var running sync.WaitGroup
		for i, ref := range chunk {
			j := s.jobs[i]
			j.ref = ref
			var heads, lines []byte
			heads, lines, j.err = h.fetch(ref.id)
			running.Go(func() { j.work(s.r, heads, lines) })
		}
		running.Wait()
		for _, j := range s.jobs[:len(chunk)] {
			if j.err != nil {
				s.r.lost(h, j.ref, j.err)
				continue
			}
			if err := s.deliver(h, j, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *scanner) deliver(h *handle, j *job, fn func(Item) error) error {
	if s.newest {
		slices.Reverse(j.hits)
	}
	for _, hit := range j.hits {
		it := Item{Line: hit.line, Seq: hit.run.seq, Time: time.UnixMilli(hit.run.time).UTC()}
		if subj := h.subject(hit.run.subject); subj != nil {
			it.Subject, it.Text = subj.subj, subj.text
		} else {
			s.r.failed(h.day, damaged("subject %d is lost, its entries are read without", hit.run.subject))
		}
		if err := fn(it); err != nil {
			return err
		}
	}
	return nil
}

// lost notes a block that cannot be read.
func (r *Reader) lost(h *handle, b ref, err error) {
	r.problem(Problem{File: filepath.Base(h.path), Block: b.id, Entries: int64(b.entries), Err: describe(h.path, err)})
}

func (h *handle) fetch(id int64) (heads, lines []byte, err error) {
	row, err := h.d.one("SELECT heads, lines FROM data WHERE block = ?", id)
	if err != nil {
		return nil, nil, err
	}
	if row == nil {
		return nil, nil, damaged("it is not there")
	}
	return asBytes(row[0]), asBytes(row[1]), nil
}

// refs lists the blocks of a file whose time overlaps the window. Where the list of blocks is damaged it is gone through one by one, and
// what stands nowhere in it is read as if it could hold anything.
func (r *Reader) refs(h *handle, w window) []ref {
	var out []ref
	err := h.d.query(func(row []driver.Value) error {
		out = append(out, ref{id: asInt(row[0]), entries: int(asInt(row[1])), flags: asInt(row[2])})
		return nil
	}, "SELECT id, entries, flags FROM blocks WHERE last_time >= ? AND first_time <= ? ORDER BY id", w.since, w.until)
	if err == nil {
		return out
	}
	r.failed(h.day, fmt.Errorf("the list of its blocks: %w", err))
	return h.rescue(w)
}

// rescue finds the blocks of a file whose list of blocks cannot be read as a whole.
func (h *handle) rescue(w window) []ref {
	var last int64
	for _, q := range []string{"SELECT last_block FROM state", "SELECT max(id) FROM blocks", "SELECT max(block) FROM data", "SELECT max(block) FROM words"} {
		if n, err := h.d.number(q); err == nil {
			last = max(last, n)
		}
	}
	// Nobody has more blocks than entries, and a number that a flipped bit made is not worth the time.
	last = min(last, 1<<24)
	var out []ref
	for id := int64(1); id <= last; id++ {
		row, err := h.d.one("SELECT entries, flags, last_time >= ? AND first_time <= ? FROM blocks WHERE id = ?", w.since, w.until, id)
		switch {
		case err != nil:
			out = append(out, ref{id: id, entries: -1, flags: -1})
		case row != nil && asInt(row[2]) != 0:
			out = append(out, ref{id: id, entries: int(asInt(row[0])), flags: asInt(row[1])})
		}
	}
	return out
}
