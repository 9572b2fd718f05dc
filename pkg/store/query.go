package store

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Query says which entries are wanted. The zero value wants all.
type Query struct {
	// Since and Until bound the time at which the stream stored an entry; both belong to the window, zero is no bound.
	Since, Until time.Time
	// Frames wants only what frames tasks and processes: starts, ends, exports, births, beats, deaths, gaps.
	Frames bool
	// Where wants what fulfils the conditions; nil is none. It is not used itself, but cloned.
	Where *cond.Where
	// Words wants entries in which all of these stand, each as a whole word in any case. They are looked for in names, strings and numbers, but
	// not in the entry's time, nor in "dlog" beyond path, errors, stack, caller, func and logger. A text of several words asks for each.
	Words []string
	// Newest hands over the last entry first.
	Newest bool
}

// Read hands the entries that a query wants to fn, in the order of the stream. Blocks that cannot hold any are not read. What fn
// returns ends the reading; ErrStop without an error.
func (r *Reader) Read(ctx context.Context, q Query, fn func(Item) error) error {
	p := newPlan(q)
	s := newScanner(r, q.Newest, p.selector)
	err := r.each(ctx, q.Newest, func(h *handle) error {
		if err := p.enter(h); err != nil {
			return err
		}
		return s.scan(ctx, h, p.prune(h, r.refs(h, p.window)), fn)
	})
	return stopped(err)
}

// plan is a query, made ready for one file after the other.
type plan struct {
	window
	query    Query
	cond     cond.Cond
	words    []uint64 // hashes, all wanted
	texts    [][]alternative
	verdicts map[int64]verdict // of the file's subjects
	subjects map[int64]subject.Subject
}

// verdict is what a subject says of the query; levels is a bit for each level for which an entry of tasks may still be wanted.
type verdict struct {
	cond.Verdict
	levels int64
}

// allLevels: the level in the JSON decides nothing. A block without entries of tasks has no flag of a level.
const allLevels = -1

// alternative is one value that a condition asks for: the words it consists of.
type alternative struct {
	words  []uint64
	number bool // the words are not all there is where a number has an exponent
}

func newPlan(q Query) *plan {
	p := &plan{window: newWindow(q.Since, q.Until), query: q}
	for _, w := range q.Words {
		wordsOf([]byte(w), func(h uint64) { p.words = append(p.words, h) })
	}
	if q.Where != nil {
		p.cond = q.Where.Cond()
		for _, f := range p.cond.FieldTexts() {
			if alts, ok := alternatives(f); ok {
				p.texts = append(p.texts, alts)
			}
		}
	}
	return p
}

// alternatives are the words that one of an equality's values needs; false where the filter does not tell.
func alternatives(f cond.FieldTexts) ([]alternative, bool) {
	switch f.Field {
	case "time", "timestamp", "dlog":
		return nil, false
	case "dlog.path", "dlog.caller", "dlog.func", "dlog.logger", "dlog.stack":
	default:
		if strings.HasPrefix(f.Field, "dlog.") {
			return nil, false
		}
	}
	var out []alternative
	add := func(text string, number bool) bool {
		a := alternative{number: number}
		wordsOf([]byte(text), func(h uint64) { a.words = append(a.words, h) })
		out = append(out, a)
		return len(a.words) > 0 && !strings.ContainsRune(text, '\uFFFD') // which stands for bytes that are not text, too
	}
	for _, t := range f.Texts {
		if !add(t, false) {
			return nil, false
		}
	}
	for _, n := range f.Numbers {
		if n != math.Trunc(n) || math.Abs(n) >= 1e15 || !add(strconv.FormatInt(int64(n), 10), true) {
			return nil, false
		}
	}
	return out, len(out) > 0
}

// enter reads what a file's subjects say.
func (p *plan) enter(h *handle) error {
	p.verdicts, p.subjects = map[int64]verdict{}, map[int64]subject.Subject{}
	if err := h.loadSubjects(); err != nil {
		return nil // selectors ask the lines then
	}
	for id, s := range h.subjects {
		p.verdicts[id], p.subjects[id] = p.verdict(s), s.subj
	}
	return nil
}

func (p *plan) verdict(s *subjectInfo) verdict {
	if p.query.Frames && !s.isTask {
		return verdict{Verdict: cond.No}
	}
	if p.query.Where == nil {
		return verdict{cond.Yes, allLevels}
	}
	v, _ := p.cond.Resolve(s.subj)
	out := verdict{v, allLevels}
	if !s.isTask || v != cond.Maybe {
		return out
	}
	out.levels = 0
	for _, l := range entry.Levels() {
		at := s.subj
		at.Level = l.Token()
		if v, _ := p.cond.Resolve(at); v != cond.No {
			out.levels |= levelBit(l)
		}
	}
	return out
}

// prune leaves out the blocks whose filter says that a word is not there.
func (p *plan) prune(h *handle, refs []ref) []ref {
	if len(p.words) == 0 && len(p.texts) == 0 || len(refs) == 0 {
		return refs
	}
	absent := map[int64]bool{}
	flags := map[int64]int64{}
	for _, b := range refs {
		flags[b.id] = b.flags
	}
	err := h.d.query(func(row []driver.Value) error {
		if id := asInt(row[0]); !p.mayHold(asBytes(row[1]), flags[id]) {
			absent[id] = true
		}
		return nil
	}, "SELECT block, filter FROM words WHERE block BETWEEN ? AND ?", refs[0].id, refs[len(refs)-1].id)
	if err != nil {
		return refs // the lines tell
	}
	return slices.DeleteFunc(refs, func(b ref) bool { return absent[b.id] })
}

func (p *plan) mayHold(filter []byte, flags int64) bool {
	has := func(h uint64) bool { return mayHold(filter, h) }
	for _, w := range p.words {
		if !has(w) {
			return false
		}
	}
	for _, alts := range p.texts {
		if !slices.ContainsFunc(alts, func(a alternative) bool {
			return a.number && flags&flagExponent != 0 || !slices.ContainsFunc(a.words, func(w uint64) bool { return !has(w) })
		}) {
			return false
		}
	}
	return true
}

// querySelector is a plan for one goroutine.
type querySelector struct {
	p     *plan
	where *cond.Where
	slots entry.Slots
	set   hashSet
}

func (p *plan) selector() selector {
	s := &querySelector{p: p, slots: factKeys.NewSlots()}
	if p.query.Where != nil {
		s.where = p.query.Where.Clone()
	}
	return s
}

func (s *querySelector) verdict(r *run) verdict {
	if !s.p.holds(r.time) {
		return verdict{Verdict: cond.No}
	}
	v, ok := s.p.verdicts[r.subject]
	if !ok {
		return verdict{cond.Maybe, allLevels}
	}
	return v
}

func (s *querySelector) heads(u *unpacked, flags int64) bool {
	for i := range u.runs {
		if v := s.verdict(&u.runs[i]); v.Verdict == cond.Yes || v.Verdict == cond.Maybe && (v.levels == allLevels || v.levels&flags != 0) {
			return true
		}
	}
	return false
}

func (s *querySelector) needle(int64) *finder { return nil }

func (s *querySelector) line(line []byte, r *run, _ int64) bool {
	v := s.verdict(r)
	if v.Verdict == cond.No {
		return false
	}
	if len(s.p.words) > 0 && !s.hasWords(line) {
		return false
	}
	if v.Verdict == cond.Yes || s.where == nil {
		return true
	}
	return s.where.Match(s.p.subjects[r.subject], line)
}

// hasWords reports whether all words stand in a line.
func (s *querySelector) hasWords(line []byte) bool {
	s.set.reset()
	if factKeys.Scan(line, s.slots) != nil {
		s.set.addJSON(line)
	} else {
		addWords(&s.set, s.slots, line)
	}
	for _, w := range s.p.words {
		if !s.set.holds(w) {
			return false
		}
	}
	return true
}

// traceSelector wants the entries of some traces.
type traceSelector struct {
	wanted map[task.Trace]bool
	hex    *finder // of the only one
	slots  entry.Slots
	buf    [64]byte
}

func newTraceSelector(traces []task.Trace) *traceSelector {
	s := &traceSelector{wanted: map[task.Trace]bool{}, slots: factKeys.NewSlots()}
	for _, t := range traces {
		s.wanted[t] = true
	}
	if len(s.wanted) == 1 {
		s.hex = newFinder(traces[0].AppendTo(nil))
	}
	return s
}

func (s *traceSelector) heads(*unpacked, int64) bool { return true }

func (s *traceSelector) needle(flags int64) *finder {
	if flags&flagOddTrace != 0 {
		return nil
	}
	return s.hex
}

func (s *traceSelector) line(line []byte, _ *run, _ int64) bool {
	t, ok := traceOfLine(line, s.slots, s.buf[:0])
	return ok && s.wanted[t]
}
