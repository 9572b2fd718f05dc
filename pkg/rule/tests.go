package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// testCase is a test of the file, ready to run. A nil list was not asked for.
type testCase struct {
	name    string
	at      config.Table
	subject subject.Subject
	line    []byte

	to      []string
	rules   []string
	dropped string
	dead    string
	copies  []wantedCopy
}

// TestError is a test whose entry was not decided as expected.
type TestError struct {
	config.Pos
	Test string
	Want string
	Got  string
	Why  []Step // the rules that were to match and did not
}

// Error says in one line what was expected, what happened, and why.
func (e *TestError) Error() string {
	s := fmt.Sprintf("test %q: want %s, got %s", e.Test, e.Want, e.Got)
	for _, step := range e.Why {
		s += "; " + step.String()
	}
	return (&config.Error{File: e.File, Line: e.Line, Msg: s}).Error()
}

// Tests returns how many tests the file holds.
func (s *Set) Tests() int { return len(s.tests) }

// RunTests runs the tests of the file. The error joins a *TestError for each
// that fails.
func (s *Set) RunTests() error {
	var failed []error
	for i := range s.tests {
		if err := s.run(&s.tests[i]); err != nil {
			failed = append(failed, err)
		}
	}
	return config.Join(failed...)
}

func (s *Set) run(t *testCase) error {
	var d Decision
	if err := s.Plan(t.subject).Eval(t.line, &d); err != nil {
		return t.at.Errorf("test %q: %v", t.name, err)
	}
	got := s.outcome(&d)
	got.unlike = s.unlike(t, &d)
	if t.met(got) {
		return nil
	}
	why, err := s.unmet(t, got)
	if err != nil {
		return t.at.Errorf("test %q: %v", t.name, err)
	}
	return &TestError{Pos: t.at.Pos, Test: t.name, Want: t.want(), Got: got.String(d.Default), Why: why}
}

func (s *Set) outcome(d *Decision) outcome {
	o := outcome{rules: s.ruleNames(d.Rules)}
	for _, i := range d.Streams {
		o.to = append(o.to, s.Streams[i].Name)
	}
	if d.Dropped >= 0 {
		o.dropped = s.Rules[d.Dropped].Name
	}
	if d.Dead >= 0 {
		o.dead, o.fault = s.Rules[d.Dead].Name, d.Fault.Error()
	}
	return o
}

// unlike says which copies do not hold what they must, and why.
func (s *Set) unlike(t *testCase, d *Decision) []string {
	var all []string
	for _, w := range t.copies {
		seen := false
		for n, i := range d.Streams {
			if w.stream != allCopies && w.stream != i {
				continue
			}
			seen = true
			if why := w.why(t.subject, d.Copies[n]); why != "" {
				all = append(all, "for "+s.Streams[i].Name+" "+why)
			}
		}
		if !seen {
			all = append(all, "no copy with "+w.cond.String())
		}
	}
	return all
}

// why says why a copy does not fulfil the condition, "" where it does.
func (w *wantedCopy) why(subj subject.Subject, c Copy) string {
	if c.Level != "" {
		subj.Level = c.Level
	}
	var b cond.Binder
	m := b.Bind(w.cond)
	var r cond.Record
	r.Load(b.Layout(), subj, c.Line)
	return m.Why(&r)
}

func (s *Set) ruleNames(rules []int) []string {
	var names []string
	for _, i := range rules {
		names = append(names, s.Rules[i].Name)
	}
	return names
}

// outcome is what became of a test's entry.
type outcome struct {
	to, rules   []string
	dropped     string
	dead, fault string
	unlike      []string // copies that are not as they should be
}

func (o outcome) String(byDefault bool) string {
	var all []string
	switch {
	case byDefault:
		all = append(all, "to "+strings.Join(o.to, ", ")+" by default")
	case len(o.to) > 0:
		all = append(all, "to "+strings.Join(o.to, ", "))
	}
	if o.dropped != "" {
		all = append(all, fmt.Sprintf("dropped by %q", o.dropped))
	}
	if o.dead != "" {
		all = append(all, fmt.Sprintf("dead by %q (%s)", o.dead, o.fault))
	}
	all = append(all, o.unlike...)
	return strings.Join(append(all, matched(o.rules)), " and ")
}

func matched(rules []string) string {
	if len(rules) == 0 {
		return "no rule matched"
	}
	return "rules " + strings.Join(rules, ", ")
}

func (t *testCase) met(got outcome) bool {
	return (t.to == nil || sameNames(t.to, got.to)) && (t.rules == nil || sameNames(t.rules, got.rules)) &&
		(t.dropped == "" || t.dropped == got.dropped) && t.dead == got.dead && len(got.unlike) == 0
}

func sameNames(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func (t *testCase) want() string {
	var all []string
	switch {
	case len(t.to) > 0:
		all = append(all, "to "+strings.Join(t.to, ", "))
	case t.to != nil:
		all = append(all, "to no stream")
	}
	if t.dropped != "" {
		all = append(all, fmt.Sprintf("dropped by %q", t.dropped))
	}
	if t.dead != "" {
		all = append(all, fmt.Sprintf("dead by %q", t.dead))
	}
	for _, w := range t.copies {
		all = append(all, "copies with "+w.cond.String())
	}
	if t.rules != nil {
		all = append(all, matched(t.rules))
	}
	return strings.Join(all, " and ")
}

// unmet lists the rules that the test counted on and that did not match.
func (s *Set) unmet(t *testCase, got outcome) ([]Step, error) {
	x, err := s.Explain(t.subject, t.line)
	if err != nil {
		return nil, err
	}
	var missing []Step
	for i, step := range x.Steps {
		if !step.Matched && s.countedOn(&s.Rules[i], t, got) {
			missing = append(missing, step)
		}
	}
	return missing, nil
}

func (s *Set) countedOn(r *Rule, t *testCase, got outcome) bool {
	if r.Name == t.dropped || r.Name == t.dead || slices.Contains(t.rules, r.Name) {
		return true
	}
	for _, a := range r.actions {
		if to, ok := a.(to); ok {
			return slices.ContainsFunc(to.names, func(n string) bool {
				return slices.Contains(t.to, n) && !slices.Contains(got.to, n)
			})
		}
	}
	return false
}
