package rule

import (
	"strings"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Step is what one rule had to say about an entry.
type Step struct {
	Rule    string
	Matched bool
	Asked   bool   // false: an earlier rule was the last
	Why     string // not matched: the first condition that fails, with the value seen
	Does    string // the rule's actions: "to payments, pager; last"
}

// String is the step in one line.
func (s Step) String() string {
	switch {
	case s.Matched && s.Does != "":
		return s.Rule + ": matched: " + s.Does
	case s.Matched:
		return s.Rule + ": matched"
	}
	return s.Rule + ": " + s.Why
}

// Trail tells for each rule, in order, whether it matches an entry and if not,
// why. It asks the rules one by one, without plan and index, and is for people:
// slow. The error says that the line is no JSON object.
func (s *Set) Trail(subj subject.Subject, line []byte) ([]Step, error) {
	steps := make([]Step, len(s.Rules))
	lastRule := ""
	for i := range s.Rules {
		r := &s.Rules[i]
		steps[i] = Step{Rule: r.Name, Asked: lastRule == ""}
		if lastRule != "" {
			steps[i].Why = "not asked: " + lastRule + " was the last"
			continue
		}
		why, err := r.why(subj, line)
		if err != nil {
			return nil, err
		}
		if steps[i].Why = why; why != "" {
			continue
		}
		steps[i].Matched, steps[i].Does = true, r.does()
		if r.last {
			lastRule = r.Name
		}
	}
	return steps, nil
}

// why says why the rule does not match, "" where it does.
func (r *Rule) why(subj subject.Subject, line []byte) (string, error) {
	var b cond.Binder
	m := b.Bind(r.forSubject(subj))
	var rec cond.Record
	rec.Load(b.Layout(), subj, line)
	if err := rec.Scan(); err != nil {
		return "", err
	}
	if r.never && subj.Level == subject.TaskLevel {
		return `it asks for a level and so never drops the entries that frame tasks; task_entries = "filter" would`, nil
	}
	return m.Why(&rec), nil
}

func (r *Rule) does() string {
	var all []string
	for _, a := range r.actions {
		all = append(all, a.String())
	}
	if r.last && !r.has("drop") {
		all = append(all, "last")
	}
	return strings.Join(all, "; ")
}
