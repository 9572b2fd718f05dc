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
	Dropped int    // index into Set.Rules of the rule that dropped it, -1: none
	Rules   []int  // indices of all rules that matched, in order
	Default bool   // no rule sent or dropped it: Streams are the default ones
	Line    []byte // what the streams get; of Whole nil, the pack as it is

	record cond.Record
	open   []uint64 // candidates to be asked, a bit for each
	sent   []uint64 // streams in Streams, a bit for each
}

func (d *Decision) reset(line []byte, streams int) {
	d.Streams, d.Rules, d.Dropped, d.Default, d.Line = d.Streams[:0], d.Rules[:0], -1, false, line
	n := (streams + 63) / 64
	d.sent = slices.Grow(d.sent[:0], n)[:n]
	clear(d.sent)
}

func (d *Decision) send(stream int) {
	if bit := uint64(1) << (stream & 63); d.sent[stream>>6]&bit == 0 {
		d.sent[stream>>6] |= bit
		d.Streams = append(d.Streams, stream)
	}
}

// finish applies the default where nothing else happened.
func (d *Decision) finish(s *Set) {
	if d.Dropped < 0 && len(d.Streams) == 0 {
		d.Default = true
		d.Streams = append(d.Streams, s.defaults...)
	}
}
