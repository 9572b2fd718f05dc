package rule

import (
	"bytes"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Explanation is what became of an entry, and why, rule by rule.
type Explanation struct {
	Steps   []Step // one for each rule, in order
	Default bool   // the copies are those of the default
	Dropped string // the rule that dropped it, ""
	Dead    string // the rule that could not be applied to it, ""
	Fault   string // why
	Copies  []SentCopy
}

// SentCopy is what one stream gets.
type SentCopy struct {
	Stream  string
	Subject string // under which it travels
	Line    []byte
}

// Step is what one rule had to say about an entry.
type Step struct {
	Rule    string
	Matched bool
	Asked   bool     // false: an earlier rule ended the entry
	Why     string   // not matched: the first condition that fails, with the value seen
	Does    string   // the rule's actions: "to payments, pager; last"
	Did     []Deed   // what its actions did, in order
	Sent    []string // the streams that got their copy from it
}

// Deed is what one action did to an entry.
type Deed struct {
	Action  string // "redact"
	Changes []Change
	Fault   string // why it could not be applied, ""
	Dropped bool
}

// Change is a field before and after; nil stands for one that is not there. Both
// are JSON.
type Change struct {
	Field         string
	Before, After []byte
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

// Explain tells for each rule, in order, whether it matches an entry, if not why,
// and if so what it did to it. It asks the rules one by one, without plan and
// index, and is for people: slow. The error says that the line is no JSON object.
func (s *Set) Explain(subj subject.Subject, line []byte) (*Explanation, error) {
	if err := entry.Valid(line); err != nil {
		return nil, err
	}
	x := explainer{set: s, subj: subj}
	x.d.reset(line, subj, len(s.Streams))
	x.d.record.Load(nil, subj, line)
	for i := range s.Rules {
		x.ask(i)
	}
	x.d.finish(s)
	return x.explanation(), nil
}

type explainer struct {
	set   *Set
	subj  subject.Subject
	d     Decision
	ended string // the rule that ended the entry
	steps []Step
}

func (x *explainer) ask(i int) {
	r := &x.set.Rules[i]
	step := Step{Rule: r.Name, Asked: x.ended == ""}
	if x.ended != "" {
		step.Why = "not asked: " + x.ended
	} else if step.Why = r.why(x.subj, &x.d); step.Why == "" {
		x.apply(r, i, &step)
	}
	x.steps = append(x.steps, step)
}

func (x *explainer) apply(r *Rule, i int, step *Step) {
	step.Matched, step.Does = true, r.does()
	x.d.Rules = append(x.d.Rules, i)
	sent := len(x.d.Streams)
	goesOn := true
	for _, a := range r.actions {
		before := x.d.Line
		goesOn = a.apply(&x.d, i)
		deed := Deed{Action: actionKey(a), Dropped: x.d.Dropped >= 0, Changes: diff(before, x.d.Line)}
		if x.d.Dead >= 0 {
			deed.Fault = x.d.Fault.Error()
		}
		step.Did = append(step.Did, deed)
		if !goesOn {
			break
		}
	}
	for _, n := range x.d.Streams[sent:] {
		step.Sent = append(step.Sent, x.set.Streams[n].Name)
	}
	switch {
	case x.d.Dead >= 0:
		x.ended = r.Name + " could not be applied"
	case r.last:
		x.ended = r.Name + " was the last"
	case !goesOn:
		x.ended = r.Name + " dropped it"
	}
}

// actionKey is the key of an action in a file.
func actionKey(a action) string {
	key, _, _ := strings.Cut(a.String(), " ")
	return key
}

func (x *explainer) explanation() *Explanation {
	e := &Explanation{Steps: x.steps, Default: x.d.Default}
	if x.d.Dropped >= 0 {
		e.Dropped = x.set.Rules[x.d.Dropped].Name
	}
	if x.d.Dead >= 0 {
		e.Dead, e.Fault = x.set.Rules[x.d.Dead].Name, x.d.Fault.Error()
	}
	for n, i := range x.d.Streams {
		name, c := x.set.Streams[i].Name, x.d.Copies[n]
		e.Copies = append(e.Copies, SentCopy{name, c.Subject(x.subj, x.set.Namespace, name), c.Line})
	}
	return e
}

// Subject returns the subject of the copy for a stream, given that of the entry.
func (c Copy) Subject(of subject.Subject, ns, stream string) string {
	level, names := of.Level, of.Names
	if c.Level != "" {
		level = c.Level
	}
	if names == "" {
		names = "-"
	}
	return strings.Join([]string{ns, subject.KindTo, stream, of.ServiceToken, level, names}, ".")
}

// why says why the rule does not match the entry as it stands, "" where it does.
func (r *Rule) why(subj subject.Subject, d *Decision) string {
	if r.never && subj.Level == subject.TaskLevel {
		return `it asks for a level and so never drops the entries that frame tasks; task_entries = "filter" would`
	}
	var b cond.Binder
	m := b.Bind(r.forSubject(subj))
	var rec cond.Record
	rec.Load(b.Layout(), subj, d.Line)
	if d.level != "" {
		l, _ := entry.ParseLevel(d.level)
		rec.SetLevel(l)
	}
	return m.Why(&rec)
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

// diff lists the fields that differ between two lines, in the order of the one,
// then of the other.
func diff(before, after []byte) []Change {
	if bytes.Equal(before, after) {
		return nil
	}
	old, now := leaves(before), leaves(after)
	var changes []Change
	for _, b := range old.all {
		if a, ok := now.values[b]; !ok || !bytes.Equal(a, old.values[b]) {
			changes = append(changes, Change{b.key, old.values[b], a})
		}
	}
	for _, a := range now.all {
		if _, ok := old.values[a]; !ok {
			changes = append(changes, Change{a.key, nil, now.values[a]})
		}
	}
	return changes
}

// leaf is a field that is no object; nth counts those of the same key.
type leaf struct {
	key string
	nth int
}

// fieldValues are the fields of a line, those of objects within too.
type fieldValues struct {
	all    []leaf
	values map[leaf][]byte
}

func leaves(line []byte) fieldValues {
	f := fieldValues{values: map[leaf][]byte{}}
	f.add("", line)
	return f
}

func (f *fieldValues) add(prefix string, object []byte) {
	for name, v := range entry.Members(object) {
		l := leaf{key: prefix + string(name.Text(nil))}
		if v.Kind == entry.Object && len(v.Raw) > len("{}") {
			f.add(l.key+".", v.Raw)
			continue
		}
		for f.values[l] != nil {
			l.nth++
		}
		f.all = append(f.all, l)
		f.values[l] = v.Raw
	}
}
