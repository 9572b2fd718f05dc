package rule

import (
	"fmt"
	"slices"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Set is a compiled set of rules. It does not change and may be shared; a new
// file makes a new Set.
type Set struct {
	Namespace string
	Streams   []StreamConfig // in the order of the file; Decision speaks of them by index
	Rules     []Rule         // likewise

	defaults []int // streams
	tests    []testCase
	hash     string

	byService map[string]*candidates // by token; of services that rules ask for
	others    *candidates            // of all other services
	plans     *shapes
}

// Hash identifies what the rules decide: 16 hex digits that change with any
// rule, its name and its place, and with the default, but not with comments,
// layout, limits of streams or tests.
func (s *Set) Hash() string { return s.hash }

// candidates are the rules that may match entries of some services, in order.
// Services with the same rules share them.
type candidates struct {
	id    int
	rules []int
}

// index sorts the rules by the services they ask for.
func (s *Set) index() {
	named := map[string][]int{}
	var open []int
	for i := range s.Rules {
		tokens, ok := s.Rules[i].cond.Services()
		if !ok {
			open = append(open, i)
			continue
		}
		slices.Sort(tokens)
		for _, t := range slices.Compact(tokens) {
			named[t] = append(named[t], i)
		}
	}
	s.others = &candidates{rules: open}
	s.byService = make(map[string]*candidates, len(named))
	same := map[string]*candidates{}
	for token, rules := range named {
		key := fmt.Sprint(rules)
		if same[key] == nil {
			all := slices.Sorted(slices.Values(slices.Concat(open, rules)))
			same[key] = &candidates{id: len(same) + 1, rules: all}
		}
		s.byService[token] = same[key]
	}
}

func (s *Set) candidates(subj subject.Subject) *candidates {
	if c := s.byService[subj.ServiceToken]; c != nil {
		return c
	}
	return s.others
}

// forSubject returns the condition under which a rule applies to entries of a
// subject; of those that frame tasks it says nothing where the rule never does.
func (r *Rule) forSubject(subj subject.Subject) cond.Cond {
	if subj.Level == subject.TaskLevel {
		return r.frames
	}
	return r.cond
}

// Decision is what the rules decided about an entry. It is reused from entry to
// entry by one goroutine. Of one that Plan.Whole returned nothing may be changed.
type Decision struct {
	Streams []int  // indices into Set.Streams, each at most once, in the order of sending
	Copies  []Copy // what each of Streams gets; of Whole the pack as it is
	Dropped int    // index into Set.Rules of the rule that dropped it, -1: none
	Dead    int    // likewise of the rule that could not be applied to it, -1: none
	Fault   Fault  // why, where there is such a rule
	Rules   []int  // indices of all rules that matched, in order
	Default bool   // no rule sent, dropped or failed on it: Streams are the default ones
	Line    []byte // the line as the rules left it; of Whole nil

	record cond.Record
	open   []uint64 // candidates to be asked, a bit for each
	sent   []uint64 // streams in Streams, a bit for each
	task   bool     // the subject has the token task for a level
	told   string   // the subject's level
	level  string   // the one it has now, "" the same
	edit
}

// Copy is what one stream gets of an entry.
type Copy struct {
	Line []byte // shares the memory of the entry's line or of the Decision
	// Level is the token that the copy's subject has in the place of the entry's;
	// "" leaves it as it is.
	Level string
}

func (d *Decision) reset(line []byte, subj subject.Subject, streams int) {
	d.Streams, d.Copies, d.Rules, d.Dropped, d.Dead, d.Default = d.Streams[:0], d.Copies[:0], d.Rules[:0], -1, -1, false
	d.Line, d.Fault = line, Fault{}
	d.task, d.told, d.level = subj.Level == subject.TaskLevel, subj.Level, ""
	d.edit.reset()
	n := (streams + 63) / 64
	d.sent = slices.Grow(d.sent[:0], n)[:n]
	clear(d.sent)
}

func (d *Decision) send(stream int) {
	if bit := uint64(1) << (stream & 63); d.sent[stream>>6]&bit == 0 {
		d.sent[stream>>6] |= bit
		d.Streams = append(d.Streams, stream)
		d.Copies = append(d.Copies, Copy{d.Line, d.level})
	}
}

// finish applies the default where nothing else happened.
func (d *Decision) finish(s *Set) {
	if d.Dropped < 0 && d.Dead < 0 && len(d.Streams) == 0 {
		d.Default = true
		for _, i := range s.defaults {
			d.send(i)
		}
	}
}
