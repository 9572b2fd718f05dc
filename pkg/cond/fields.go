package cond

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// The fields that come from the subject.
const (
	keyService = "service"
	keyLevel   = "level"
	keyPath    = "path"
)

// field is a condition on a field of the line: one of its tests has to hold.
type field struct {
	key   string
	slot  int
	tests []test
}

func (f field) match(r *Record) bool {
	v := r.Value(f.slot)
	for _, t := range f.tests {
		if t.holds(v, r) {
			return true
		}
	}
	return false
}

func (f field) bind(b *Binder) node {
	f.slot = b.slot(f.key)
	return f
}

func (f field) resolve(*Record) (Verdict, node) { return Maybe, f }
func (f field) why(r *Record) string            { return whyLeaf(f, r) }
func (f field) String() string                  { return word(f.key) + " " + alternatives(f.tests) }

func (f field) seen(r *Record) string {
	v := r.Value(f.slot)
	if absent(v) {
		return "nothing"
	}
	return short(string(v.Raw))
}

func whyLeaf(l leaf, r *Record) string {
	if l.match(r) {
		return ""
	}
	return l.String() + ": saw " + l.seen(r)
}

// short keeps what is shown of a value on one line.
func short(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// alternatives writes tests in one order.
func alternatives[T interface{ String() string }](tests []T) string {
	texts := make([]string, len(tests))
	for i, t := range tests {
		texts[i] = t.String()
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), " or ")
}

// word puts quotes around what would not be seen as one word, so that no two
// conditions have one text.
func word(s string) string {
	odd := func(r rune) bool { return r <= ' ' || r == '"' || !strconv.IsPrint(r) }
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

// level is a condition on the entry's level: the set of levels that fulfil it.
type level struct {
	levels uint16 // bit 0 is trace, the last none
	said   string
	slot   int
}

func levelBit(l entry.Level) uint16 { return 1 << (l - entry.Trace) }

func (l level) match(r *Record) bool { return l.levels&levelBit(r.level(l.slot)) != 0 }

func (l level) bind(b *Binder) node {
	l.slot = b.slot(keyLevel)
	return l
}

func (l level) resolve(r *Record) (Verdict, node) {
	if !r.isIn || r.isTask || r.open {
		return Maybe, l
	}
	return verdict(l.match(r)), nil
}

func (l level) why(r *Record) string  { return whyLeaf(l, r) }
func (l level) String() string        { return keyLevel + " " + l.said }
func (l level) seen(r *Record) string { return r.level(l.slot).String() }

// service is a condition on the service that wrote the entry.
type service struct {
	tests    []nameTest
	svc, alt int // slots, for entries without a subject
}

// nameTest is one condition on a service or an exact path.
type nameTest struct {
	kind  nameKind
	want  string
	token string // want as a subject has it; services longer than a token match by it
	re    matcher
}

type nameKind uint8

const (
	nameEquals nameKind = iota
	nameMatches
	nameAbsent
	namePresent
)

func (t nameTest) String() string {
	switch t.kind {
	case nameAbsent:
		return "absent"
	case namePresent:
		return "present"
	case nameMatches:
		return "~ " + word(t.want)
	}
	return "= " + strconv.Quote(t.want)
}

func (t nameTest) holds(name string) bool {
	switch t.kind {
	case nameAbsent:
		return name == ""
	case namePresent:
		return name != ""
	case nameMatches:
		return name != "" && t.re.matchString(name)
	}
	return name == t.want
}

func (s service) match(r *Record) bool {
	for i := range s.tests {
		if t := &s.tests[i]; r.hasSvc && t.kind == nameEquals {
			if r.subj.ServiceToken == t.token {
				return true
			}
		} else if t.holds(s.name(r)) {
			return true
		}
	}
	return false
}

func (s service) name(r *Record) string {
	if r.hasSvc {
		return r.subjectService()
	}
	if v := r.Value(s.svc); v.Kind == entry.String {
		return r.text(v)
	}
	if v := r.Value(s.alt); v.Kind == entry.String {
		return r.text(v)
	}
	return ""
}

func (s service) bind(b *Binder) node {
	s.svc, s.alt = b.slot("dlog.svc"), b.slot(keyService)
	return s
}

func (s service) resolve(r *Record) (Verdict, node) {
	if !r.hasSvc {
		return Maybe, s
	}
	return verdict(s.match(r)), nil
}

func (s service) why(r *Record) string  { return whyLeaf(s, r) }
func (s service) String() string        { return keyService + " " + alternatives(s.tests) }
func (s service) seen(r *Record) string { return seenName(s.name(r)) }

func seenName(name string) string {
	if name == "" {
		return "nothing"
	}
	return strconv.Quote(short(strings.Clone(name)))
}

// path is a condition on the path of the task that the entry belongs to.
type path struct {
	tests []pathTest
	slot  int // of dlog.path
}

// pathTest is a pattern of names, else a condition on the path's text.
type pathTest struct {
	pattern   subject.Pattern
	isPattern bool
	nameTest
}

func (t pathTest) String() string {
	if t.isPattern {
		return "like " + word(t.pattern.String())
	}
	return t.nameTest.String()
}

func (p path) match(r *Record) bool {
	for i := range p.tests {
		if p.holds(&p.tests[i], r) {
			return true
		}
	}
	return false
}

func (p path) holds(t *pathTest, r *Record) bool {
	switch {
	case t.isPattern && r.isIn:
		if a := t.pattern.Subject(r.subj); a != subject.Maybe {
			return a == subject.Yes
		}
		return t.pattern.Match(r.subj, p.ofLine(r))
	case t.isPattern:
		return t.pattern.MatchPath(p.ofLine(r))
	}
	return t.nameTest.holds(p.text(r))
}

// ofLine is dlog.path, which no subject cuts.
func (p path) ofLine(r *Record) string {
	if v := r.Value(p.slot); v.Kind == entry.String {
		return r.text(v)
	}
	return ""
}

// text is the path of the subject, or of the line where the subject has none or
// holds less than it.
func (p path) text(r *Record) string {
	if r.isIn && !r.subj.Lossy {
		return r.subjectPath()
	}
	if s := p.ofLine(r); s != "" || !r.isIn {
		return s
	}
	return r.subjectPath()
}

func (p path) bind(b *Binder) node {
	p.slot = b.slot("dlog.path")
	return p
}

func (p path) resolve(r *Record) (Verdict, node) {
	if !r.isIn {
		return Maybe, p
	}
	answer := No
	for i := range p.tests {
		switch p.bySubject(&p.tests[i], r) {
		case Yes:
			return Yes, nil
		case Maybe:
			answer = Maybe
		}
	}
	if answer == No {
		return No, nil
	}
	return Maybe, p
}

func (p path) bySubject(t *pathTest, r *Record) Verdict {
	if t.isPattern {
		switch t.pattern.Subject(r.subj) {
		case subject.Yes:
			return Yes
		case subject.No:
			return No
		}
		return Maybe
	}
	switch {
	case t.kind == nameAbsent, t.kind == namePresent:
		return verdict(r.subj.InTask() == (t.kind == namePresent))
	case r.subj.Lossy:
		return Maybe
	}
	return verdict(t.nameTest.holds(r.subjectPath()))
}

func (p path) why(r *Record) string  { return whyLeaf(p, r) }
func (p path) String() string        { return keyPath + " " + alternatives(p.tests) }
func (p path) seen(r *Record) string { return seenName(p.text(r)) }
