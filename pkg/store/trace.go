package store

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// Trace hands the entries of the one trace whose id begins with prefix to fn, in the order of the stream, and after them what tells of the lives
// of the processes that said them: births, last signs, deaths. Dashes and upper case, as in a UUID, are accepted. The error is
// tree.ErrNotFound, a *tree.AmbiguousError, what fn returned, or that of the store.
func (r *Reader) Trace(ctx context.Context, prefix string, fn func(Item) error) (task.Trace, error) {
	t, err := r.FindTrace(ctx, prefix)
	if err != nil {
		return t, err
	}
	return t, r.ReadTraces(ctx, []task.Trace{t}, fn)
}

// named is how many traces an AmbiguousError names.
const named = 10

// FindTrace completes the id of a trace. The errors are those of Trace.
func (r *Reader) FindTrace(ctx context.Context, prefix string) (task.Trace, error) {
	from, to, err := prefixRange(prefix)
	if err != nil {
		return task.Trace{}, err
	}
	found := map[task.Trace]bool{}
	err = r.each(ctx, true, func(h *handle) error {
		return h.d.query(func(row []driver.Value) error {
			var t task.Trace
			if copy(t[:], asBytes(row[0])) == len(t) {
				found[t] = true
			}
			return nil
		}, "SELECT DISTINCT trace FROM traces WHERE trace >= ? AND trace <= ?", from[:], to[:])
	})
	if err != nil {
		return task.Trace{}, err
	}
	var all []task.Trace
	for t := range found {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b task.Trace) int { return bytes.Compare(a[:], b[:]) })
	switch len(all) {
	case 0:
		return task.Trace{}, tree.ErrNotFound
	case 1:
		return all[0], nil
	}
	many := &tree.AmbiguousError{Prefix: prefix, Count: len(all)}
	for _, t := range all[:min(named, len(all))] {
		many.Traces = append(many.Traces, t.String())
	}
	return task.Trace{}, many
}

// prefixRange returns the first and the last id that begin with a prefix.
func prefixRange(prefix string) (from, to task.Trace, err error) {
	digits := strings.ToLower(strings.ReplaceAll(prefix, "-", ""))
	if digits == "" || len(digits) > 32 {
		return from, to, fmt.Errorf("trace %q: want up to 32 hex digits", prefix)
	}
	low, err1 := hex.DecodeString((digits + strings.Repeat("0", 32))[:32])
	high, err2 := hex.DecodeString((digits + strings.Repeat("f", 32))[:32])
	if err1 != nil || err2 != nil {
		return from, to, fmt.Errorf("trace %q: want up to 32 hex digits", prefix)
	}
	return task.Trace(low), task.Trace(high), nil
}

// ReadTraces hands the entries of the traces to fn, each block unpacked once for all of them, and after them the signs of life of their
// processes as Trace does.
func (r *Reader) ReadTraces(ctx context.Context, traces []task.Trace, fn func(Item) error) error {
	s := newScanner(r, false, func() selector { return newTraceSelector(traces) })
	procs := map[task.Process]bool{}
	slots := identityKeys.NewSlots()
	err := r.each(ctx, false, func(h *handle) error {
		return s.scan(ctx, h, r.traceRefs(h, traces), func(it Item) error {
			if p, _ := identityOf(it.Line, slots); !p.IsZero() {
				procs[p] = true
			}
			return fn(it)
		})
	})
	if err == nil {
		err = r.signs(ctx, procs, fn)
	}
	return stopped(err)
}

// traceRefs are the blocks of a file that hold entries of the traces. Where the index is damaged, all are.
func (r *Reader) traceRefs(h *handle, traces []task.Trace) []ref {
	var out []ref
	for i := range traces {
		err := h.d.query(func(row []driver.Value) error {
			out = append(out, ref{id: asInt(row[0]), entries: int(asInt(row[1])), flags: asInt(row[2])})
			return nil
		}, "SELECT id, blocks.entries, flags FROM traces CROSS JOIN blocks ON id = block WHERE trace = ?", traces[i][:])
		if err != nil {
			r.failed(h.day, fmt.Errorf("the index of its traces: %w", err))
			return r.refs(h, newWindow(time.Time{}, time.Time{}))
		}
	}
	slices.SortFunc(out, func(a, b ref) int { return int(a.id - b.id) })
	return slices.Compact(out)
}

// Signs hands over what tells of the lives of processes: for each the birth entry, the last sign of life, and the death entry, as far as there
// are any. The last sign is a beat, else the birth, whose Time says when the process last said anything at all.
func (r *Reader) Signs(ctx context.Context, procs []task.Process, fn func(Item) error) error {
	set := map[task.Process]bool{}
	for _, p := range procs {
		set[p] = true
	}
	return stopped(r.signs(ctx, set, fn))
}

func (r *Reader) signs(ctx context.Context, procs map[task.Process]bool, fn func(Item) error) error {
	all := map[task.Process]*life{}
	for p := range procs {
		all[p] = &life{}
	}
	err := r.each(ctx, false, func(h *handle) error {
		for p, l := range all {
			if err := h.life(p, l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range sortedProcs(all) {
		if err := all[p].tell(fn); err != nil {
			return err
		}
	}
	return nil
}

func sortedProcs(m map[task.Process]*life) []task.Process {
	var out []task.Process
	for p := range m {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b task.Process) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// life is what all files say of a process.
type life struct {
	subject              *subjectInfo
	seen                 int64
	birth, beat, death   []byte
	birthTime, deathTime int64
}

func (h *handle) life(p task.Process, l *life) error {
	row, err := h.d.one("SELECT subject, seen, birth, birth_time, beat, death, death_time FROM processes WHERE proc = ?", procKey(p))
	if err != nil || row == nil {
		return err
	}
	l.subject, l.seen = h.subject(asInt(row[0])), max(l.seen, asInt(row[1]))
	if b := asBytes(row[2]); b != nil {
		l.birth, l.birthTime = b, asInt(row[3])
	}
	if b := asBytes(row[4]); b != nil {
		l.beat = b
	}
	if b := asBytes(row[5]); b != nil {
		l.death, l.deathTime = b, asInt(row[6])
	}
	return nil
}

func (l *life) tell(fn func(Item) error) error {
	if l.subject == nil {
		return nil
	}
	it := Item{Subject: l.subject.subj}
	it.Subject.Level, it.Subject.Names, it.Subject.Lossy = subject.TaskLevel, "", false
	it.Text = signSubject(it.Subject)
	say := func(line []byte, ms int64) error {
		if line == nil {
			return nil
		}
		it.Line, it.Time = line, time.UnixMilli(ms).UTC()
		return fn(it)
	}
	last := l.beat
	if last == nil {
		last = l.birth
	}
	if err := say(l.birth, l.birthTime); err != nil {
		return err
	}
	if err := say(last, l.seen); err != nil {
		return err
	}
	return say(l.death, l.deathTime)
}

// signSubject is where a process's signs of life travel.
func signSubject(s subject.Subject) string {
	if s.Kind == subject.KindTo {
		return subject.To(s.NS, s.Stream, s.Service(), subject.TaskLevel, "")
	}
	return subject.In(s.NS, s.Service(), subject.TaskLevel, "")
}

// Process hands over the entries of a process with numbers from first to last, in the order of the stream: the neighbours of an entry.
func (r *Reader) Process(ctx context.Context, proc task.Process, first, last uint64, fn func(Item) error) error {
	last = min(last, maxNumber)
	s := newScanner(r, false, func() selector {
		return &processSelector{proc: proc, first: first, last: last, slots: identityKeys.NewSlots()}
	})
	return stopped(r.each(ctx, false, func(h *handle) error {
		var refs []ref
		err := h.d.query(func(row []driver.Value) error {
			refs = append(refs, ref{id: asInt(row[0]), entries: int(asInt(row[1])), flags: asInt(row[2])})
			return nil
		}, "SELECT id, entries, flags FROM identities CROSS JOIN blocks ON id = block WHERE proc = ? AND last >= ? AND first <= ? ORDER BY id",
			procKey(proc), int64(first), int64(last))
		if err != nil {
			return err
		}
		return s.scan(ctx, h, refs, fn)
	}))
}

type processSelector struct {
	proc        task.Process
	first, last uint64
	slots       entry.Slots
}

func (s *processSelector) heads(*unpacked, int64) bool { return true }

func (s *processSelector) needle(int64) *finder { return nil }

func (s *processSelector) line(line []byte, _ *run, _ int64) bool {
	p, n := identityOf(line, s.slots)
	return p == s.proc && s.first <= n && n <= s.last
}
