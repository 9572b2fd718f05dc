package cond

import (
	"slices"
	"unsafe"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Binder collects the fields that conditions need. Bind all of them, then take
// the Layout.
type Binder struct{ keys []string }

// Bind returns the condition ready to be asked about records of this binder's
// layout.
func (b *Binder) Bind(c Cond) Matcher { return Matcher{c.node().bind(b)} }

// Keys lists the fields bound so far, each once.
func (b *Binder) Keys() []string { return slices.Clone(b.keys) }

// Layout returns the fields bound so far, to load records with. It does not
// change and may be shared.
func (b *Binder) Layout() *Layout { return &Layout{entry.CompileKeys(b.keys)} }

func (b *Binder) slot(key string) int {
	if i := slices.Index(b.keys, key); i >= 0 {
		return i
	}
	b.keys = append(b.keys, key)
	return len(b.keys) - 1
}

// Layout says which field of a line goes into which slot of a record.
type Layout struct{ keys *entry.Keys }

// Matcher is a condition bound to a layout. It may be shared.
type Matcher struct{ root node }

// Match reports whether the record, loaded with the matcher's layout, fulfils
// the condition.
func (m Matcher) Match(r *Record) bool { return m.root.match(r) }

// Why says in words which part of the condition the record does not fulfil,
// with the value it has; "" where it fulfils all. It allocates.
func (m Matcher) Why(r *Record) string { return m.root.why(r) }

// Record is one entry, seen through a layout. It is reused from entry to entry
// by one goroutine and keeps no part of a line beyond the next Load.
type Record struct {
	subj   subject.Subject
	hasSvc bool // the subject names the service
	isIn   bool // the subject holds level and path: it is of the kinds in and to
	isTask bool // its level is the token task
	open   bool // the level is left open, for Resolve
	lvl    entry.Level
	now    entry.Level // the same, or what SetLevel said

	service, path     string // of the subject, made when first asked for
	madeSvc, madePath bool

	layout  *Layout
	line    []byte
	scanned bool
	err     error
	slots   []entry.Value
	buf     []byte // for texts without their escapes
}

// Load makes the record stand for an entry. The line is not looked at before a
// condition needs it, or Scan. Without a subject pass the zero Subject.
func (r *Record) Load(l *Layout, s subject.Subject, line []byte) { r.load(l, s, line) }

func (r *Record) load(l *Layout, s subject.Subject, line []byte) {
	if s != r.subj {
		r.subj, r.madeSvc, r.madePath = s, false, false
		r.hasSvc, r.isIn = s.Kind != "", s.Level != ""
		r.isTask = s.Level == subject.TaskLevel
		r.lvl, _ = entry.ParseLevel(s.Level)
	}
	r.now = r.lvl
	r.layout, r.line, r.scanned, r.err = l, line, false, nil
}

// Change puts another line into the place of the one loaded, for an entry that
// was changed.
func (r *Record) Change(line []byte) { r.line, r.scanned, r.err = line, false, nil }

// SetLevel makes conditions see this level in the place of the subject's, until
// the next Load. An entry that frames a task keeps that of its line.
func (r *Record) SetLevel(l entry.Level) { r.now = l }

// Scan reads the line, if that was not done yet. The error says why the line is
// no JSON object; its fields count as absent then.
func (r *Record) Scan() error {
	if r.scanned {
		return r.err
	}
	r.scanned = true
	n := r.layout.keys.Len()
	r.slots = slices.Grow(r.slots[:0], n)[:n]
	r.err = r.layout.keys.Scan(r.line, r.slots)
	return r.err
}

// Value returns what the line has in a slot.
func (r *Record) Value(slot int) *entry.Value {
	if !r.scanned {
		_ = r.Scan() // of a line that is no object all fields are absent
	}
	return &r.slots[slot]
}

// Text returns a value without quotes and escapes, valid until the next call.
func (r *Record) Text(v *entry.Value) []byte {
	if cap(r.buf) < len(v.Raw) {
		r.buf = make([]byte, 0, 2*len(v.Raw))
	}
	return v.Text(r.buf)
}

// text is Text as a string that shares its memory: for matching only, because a
// copy would have to be allocated for every line.
func (r *Record) text(v *entry.Value) string {
	b := r.Text(v)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// level is the entry's: of the subject, else of the line.
func (r *Record) level(slot int) entry.Level {
	if r.isIn && !r.isTask {
		return r.now
	}
	v := r.Value(slot)
	if v.Kind != entry.String {
		return entry.None
	}
	l, _ := entry.ParseLevel(r.text(v))
	return l
}

func (r *Record) subjectService() string {
	if !r.madeSvc {
		r.service, r.madeSvc = r.subj.Service(), true
	}
	return r.service
}

func (r *Record) subjectPath() string {
	if !r.madePath {
		r.path, r.madePath = r.subj.Path(), true
	}
	return r.path
}

// absent reports whether a value counts as not there.
func absent(v *entry.Value) bool { return v.Kind == entry.Absent || v.Kind == entry.Null }
