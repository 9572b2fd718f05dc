package rule

import (
	"fmt"
	"slices"
	"strings"
)

// Warnings lists what a file says and can hardly mean, each a *config.Error with
// its line: rules that no entry reaches, and a redaction that comes after copies
// were sent. What it does not see plainly it does not say.
func (s *Set) Warnings() []error {
	var all []error
	for i := range s.Rules {
		if err := s.shadowed(i); err != nil {
			all = append(all, err)
		}
		if err := s.redactsLate(i); err != nil {
			all = append(all, err)
		}
	}
	return all
}

// shadowed warns of a rule whose entries an earlier one ends.
func (s *Set) shadowed(i int) error {
	b := &s.Rules[i]
	for j := range s.Rules[:i] {
		a := &s.Rules[j]
		if !a.last || !b.cond.Implies(a.cond) || s.changesBetween(j, i) {
			continue
		}
		does := "is the last for"
		if a.has("drop") {
			does = "drops"
		}
		if b.never || !a.never && b.frames.Implies(a.frames) {
			return b.at.Errorf("rule %q never matches: rule %q in line %d %s all that it asks for", b.Name, a.Name, a.at.Line, does)
		}
		return b.at.Errorf("rule %q matches nothing but the entries that frame tasks: rule %q in line %d %s the others", b.Name, a.Name, a.at.Line, does)
	}
	return nil
}

// changesBetween reports whether a rule between the two may change what the first
// one asked for: then the second sees something else.
func (s *Set) changesBetween(j, i int) bool {
	keys := s.Rules[j].cond.Keys()
	return slices.ContainsFunc(s.Rules[j+1:i], func(r Rule) bool { return r.touches(keys) })
}

// redactsLate warns of a rule that redacts what copies made earlier still hold.
func (s *Set) redactsLate(i int) error {
	r := &s.Rules[i]
	red, ok := actionOf[redact](r)
	if !ok {
		return nil
	}
	var left, by []string
	for j := range s.Rules[:i] {
		e := &s.Rules[j]
		if _, sends := actionOf[to](e); !sends || !e.meets(r) {
			continue
		}
		open := slices.DeleteFunc(keysOf(red.fields), func(f string) bool { return s.redactedBefore(f, j, r) })
		if len(open) > 0 {
			by = append(by, fmt.Sprintf("%q", e.Name))
			left = append(left, open...)
		}
	}
	if len(by) == 0 {
		return nil
	}
	slices.Sort(left)
	return r.at.Fault("redact", -1, "comes after copies that %s may have sent: they keep %s as it was; to redact those too, put rule %q before",
		listed("rule", by), strings.Join(slices.Compact(left), ", "), r.Name)
}

func listed(what string, names []string) string {
	if len(names) > 1 {
		what += "s"
	}
	const most = 4
	if len(names) > most {
		return fmt.Sprintf("%s %s and %d others", what, strings.Join(names[:most-1], ", "), len(names)-most+1)
	}
	return what + " " + strings.Join(names, ", ")
}

// meets reports whether an entry may match both rules.
func (r *Rule) meets(other *Rule) bool {
	return !r.cond.Excludes(other.cond) || !r.never && !other.never && !r.frames.Excludes(other.frames)
}

// redactedBefore reports whether a rule up to the jth has taken care of a field of
// all entries that both the jth and the later one match.
func (s *Set) redactedBefore(field string, j int, later *Rule) bool {
	return slices.ContainsFunc(s.Rules[:j+1], func(k Rule) bool {
		return k.takesAway(field) && (k.covers(&s.Rules[j]) || k.covers(later))
	})
}

// covers reports whether every entry that matches the other rule matches this one.
func (r *Rule) covers(other *Rule) bool {
	return other.cond.Implies(r.cond) && (other.never || !r.never && other.frames.Implies(r.frames))
}

func (r *Rule) takesAway(field string) bool {
	within := func(key string) bool { return field == key || strings.HasPrefix(field, key+".") }
	if red, ok := actionOf[redact](r); ok && slices.ContainsFunc(keysOf(red.fields), within) {
		return true
	}
	rem, ok := actionOf[remove](r)
	return ok && slices.ContainsFunc(keysOf(rem.fields), within)
}

func actionOf[A action](r *Rule) (found A, ok bool) {
	for _, a := range r.actions {
		if found, ok = a.(A); ok {
			return found, true
		}
	}
	return found, false
}
