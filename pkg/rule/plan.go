package rule

import (
	"math/bits"
	"strconv"
	"sync"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Plan is what remains of the rules for the entries of one subject. It does not
// change and may be shared.
type Plan struct {
	set  *Set
	subj subject.Subject
	*shape
}

// shape is the part of a plan that subjects share which leave the same open.
type shape struct {
	whole      *Decision // the subject decides everything
	layout     *cond.Layout
	candidates []candidate
	index      index
}

// candidate is a rule that may match.
type candidate struct {
	rule    int
	always  bool // the subject says that it does
	reopens bool // it may change what others ask for
	match   cond.Matcher
}

// Plan resolves what the subject decides. It takes some microseconds, more with
// many rules: keep the plan for the next entries of the subject. It may be
// called by many goroutines.
func (s *Set) Plan(subj subject.Subject) *Plan {
	var r cond.Record
	r.Load(nil, subj, nil)
	c := s.candidates(subj)
	key := strconv.AppendInt(make([]byte, 0, 256), int64(c.id), 10)
	if subj.Level == subject.TaskLevel {
		key = append(key, 't')
	}
	key = append(key, ' ')
	for _, i := range c.rules {
		if rule := &s.Rules[i]; rule.asksSubject {
			key = rule.forSubject(subj).AppendVerdicts(key, &r)
		}
	}
	return &Plan{s, subj, s.plans.get(key, func() *shape { return s.shape(s.openRules(subj, c.rules)) })}
}

// openRules lists the rules that the subject does not rule out.
func (s *Set) openRules(subj subject.Subject, rules []int) []openRule {
	var open []openRule
	resolve := cond.Cond.Resolve
	for _, i := range rules {
		r := &s.Rules[i]
		if r.never && subj.Level == subject.TaskLevel {
			continue
		}
		v, rest := resolve(r.forSubject(subj), subj)
		if v == cond.No {
			continue
		}
		open = append(open, openRule{i, v == cond.Yes, rest})
		if v == cond.Yes && r.last {
			break // no later rule is ever asked
		}
		if r.touches([]string{levelKey}) {
			resolve = cond.Cond.ResolveButLevel
		}
	}
	return open
}

// openRule is a rule that the subject does not rule out.
type openRule struct {
	rule   int
	always bool
	rest   cond.Cond
}

func (s *Set) shape(open []openRule) *shape {
	sh := &shape{}
	var b cond.Binder
	sure := true
	for _, o := range open {
		c := candidate{rule: o.rule, always: o.always}
		if !o.always {
			c.match = b.Bind(o.rest)
		}
		sure = sure && o.always && !s.Rules[o.rule].looks()
		sh.candidates = append(sh.candidates, c)
	}
	if sure {
		sh.whole = s.decide(sh.candidates)
		return sh
	}
	asked := b.Keys()
	for i := range sh.candidates[:len(sh.candidates)-1] {
		c := &sh.candidates[i]
		c.reopens = s.Rules[c.rule].touches(asked)
	}
	sh.layout = b.Layout()
	sh.index = newIndex(sh.candidates)
	return sh
}

// decide applies rules that are all sure to match.
func (s *Set) decide(sure []candidate) *Decision {
	d := &Decision{}
	d.reset(nil, subject.Subject{}, len(s.Streams))
	for _, c := range sure {
		s.Rules[c.rule].apply(d, c.rule)
	}
	d.finish(s)
	d.Copies = nil
	return d
}

// Whole returns the decision about every entry of the subject, if it needs no
// look inside. The decision is shared and must not be changed.
func (p *Plan) Whole() (Decision, bool) {
	if p.whole == nil {
		return Decision{Dropped: -1, Dead: -1}, false
	}
	return *p.whole, true
}

// Eval decides about one entry. d is overwritten; what it holds of the line shares
// the line's memory, or is valid until the next Eval. The error, an *entry.LineError, says that the line is no JSON
// object; then nothing was decided. Where the subject decides everything, the
// line is not looked at. Eval does not allocate once d has grown.
func (p *Plan) Eval(line []byte, d *Decision) error {
	d.reset(line, p.subj, len(p.set.Streams))
	if p.whole != nil {
		for _, i := range p.whole.Streams {
			d.send(i)
		}
		d.Rules = append(d.Rules, p.whole.Rules...)
		d.Dropped, d.Default = p.whole.Dropped, p.whole.Default
		return nil
	}
	d.record.Load(p.layout, p.subj, line)
	if err := d.record.Scan(); err != nil {
		return err
	}
	d.open = p.index.open(d.open, &d.record)
	p.ask(d)
	d.finish(p.set)
	return nil
}

// ask asks the candidates in the order of the file.
func (p *Plan) ask(d *Decision) {
	for w := range d.open {
		for d.open[w] != 0 {
			bit := bits.TrailingZeros64(d.open[w])
			d.open[w] &^= 1 << bit
			c := &p.candidates[w<<6+bit]
			if !c.always && !c.match.Match(&d.record) {
				continue
			}
			r := &p.set.Rules[c.rule]
			if !r.apply(d, c.rule) || r.last {
				return
			}
			if d.changed && (c.reopens || d.cut) {
				d.record.Change(d.Line)
				d.open = p.index.open(d.open, &d.record)
				clear(d.open[:w])
				d.open[w] &^= 2<<bit - 1 // those asked already
			}
			d.changed = false
		}
	}
}

// shapes keeps shapes by what subjects leave open: a million subjects have few.
type shapes struct {
	mu         sync.Mutex
	byKey      map[string]*shape // guarded by mu
	candidates int               // in all of byKey; guarded by mu
}

// maxCandidates bounds the memory of shapes, at some hundred bytes for each
// candidate: beyond it they are made anew.
const maxCandidates = 1 << 17

func newShapes() *shapes { return &shapes{byKey: map[string]*shape{}} }

func (s *shapes) get(key []byte, build func() *shape) *shape {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh := s.byKey[string(key)]; sh != nil {
		return sh
	}
	if s.candidates > maxCandidates {
		clear(s.byKey)
		s.candidates = 0
	}
	sh := build()
	s.byKey[string(key)] = sh
	s.candidates += 1 + len(sh.candidates)
	return sh
}
