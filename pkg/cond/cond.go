package cond

import (
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Cond is a compiled condition. It does not change and may be shared. The zero
// Cond holds for every entry.
type Cond struct{ root node }

// node is one condition or a combination of them.
type node interface {
	match(r *Record) bool
	// bind returns the node with slots for the fields it needs.
	bind(b *Binder) node
	// resolve decides what the record's subject alone decides. Where the verdict
	// is Maybe, the node returned is what remains to be asked.
	resolve(r *Record) (Verdict, node)
	// why says in words why a bound node does not match; "" where it does.
	why(r *Record) string
	// String is the condition in one canonical form, whatever the order and
	// layout it was written in.
	String() string
}

// Verdict is what a subject alone says about a condition.
type Verdict uint8

// The verdicts.
const (
	No Verdict = iota
	Yes
	Maybe // the line decides
)

func verdict(yes bool) Verdict {
	if yes {
		return Yes
	}
	return No
}

func (c Cond) node() node {
	if c.root == nil {
		return all{}
	}
	return c.root
}

// String returns the condition in one canonical form: two conditions that were
// written differently only in order and layout have the same.
func (c Cond) String() string { return c.node().String() }

// Resolve decides what the subject alone decides. Where the verdict is Maybe,
// the condition returned is what the line has to be asked.
func (c Cond) Resolve(s subject.Subject) (Verdict, Cond) {
	var r Record
	r.load(nil, s, nil)
	v, n := c.node().resolve(&r)
	return v, Cond{n}
}

// ResolveButLevel is Resolve for an entry whose level may have been changed: what
// asks for the level is left open.
func (c Cond) ResolveButLevel(s subject.Subject) (Verdict, Cond) {
	var r Record
	r.load(nil, s, nil)
	r.open = true
	v, n := c.node().resolve(&r)
	return v, Cond{n}
}

// Keys lists the fields of the line that the condition may ask for.
func (c Cond) Keys() []string {
	var b Binder
	b.Bind(c)
	return b.keys
}

// HasLevel reports whether the condition asks for the level anywhere.
func (c Cond) HasLevel() bool { return hasLevel(c.node()) }

// WithoutLevel returns the condition with all that asks for the level left out,
// as rules that only send or change are applied to the entries of tasks: in what
// must hold it counts as true, in what must not hold it is taken away, and a
// not that has nothing else is left out with it.
func (c Cond) WithoutLevel() Cond {
	n, gone := withoutLevel(c.node(), false)
	if gone {
		return Cond{}
	}
	return Cond{n}
}

// all holds if each of its nodes does, and so if it has none.
type all []node

func (a all) match(r *Record) bool {
	for _, n := range a {
		if !n.match(r) {
			return false
		}
	}
	return true
}

func (a all) bind(b *Binder) node {
	bound := make(all, len(a))
	for i, n := range a {
		bound[i] = n.bind(b)
	}
	return bound
}

func (a all) resolve(r *Record) (Verdict, node) {
	var rest all
	for _, n := range a {
		switch v, left := n.resolve(r); v {
		case No:
			return No, nil
		case Maybe:
			rest = append(rest, left)
		}
	}
	if len(rest) == 0 {
		return Yes, nil
	}
	return Maybe, rest
}

func (a all) why(r *Record) string {
	for _, n := range a {
		if s := n.why(r); s != "" {
			return s
		}
	}
	return ""
}

func (a all) String() string {
	if len(a) == 0 {
		return "everything"
	}
	return join(a, " and ")
}

// anyOf holds if one of its nodes does.
type anyOf []node

func (a anyOf) match(r *Record) bool {
	for _, n := range a {
		if n.match(r) {
			return true
		}
	}
	return false
}

func (a anyOf) bind(b *Binder) node {
	bound := make(anyOf, len(a))
	for i, n := range a {
		bound[i] = n.bind(b)
	}
	return bound
}

func (a anyOf) resolve(r *Record) (Verdict, node) {
	var rest anyOf
	for _, n := range a {
		switch v, left := n.resolve(r); v {
		case Yes:
			return Yes, nil
		case Maybe:
			rest = append(rest, left)
		}
	}
	if len(rest) == 0 {
		return No, nil
	}
	return Maybe, rest
}

func (a anyOf) why(r *Record) string {
	reasons := make([]string, len(a))
	for i, n := range a {
		if reasons[i] = n.why(r); reasons[i] == "" {
			return ""
		}
	}
	return "none of any: " + strings.Join(reasons, "; ")
}

func (a anyOf) String() string { return join(a, " or ") }

// not holds if its node does not.
type not struct{ of node }

func (n not) match(r *Record) bool { return !n.of.match(r) }

func (n not) bind(b *Binder) node { return not{n.of.bind(b)} }

func (n not) resolve(r *Record) (Verdict, node) {
	switch v, left := n.of.resolve(r); v {
	case Yes:
		return No, nil
	case No:
		return Yes, nil
	default:
		return Maybe, not{left}
	}
}

func (n not) why(r *Record) string {
	if n.match(r) {
		return ""
	}
	if l, ok := n.of.(leaf); ok {
		return n.String() + ": saw " + l.seen(r)
	}
	return n.String() + ": all of it holds"
}

func (n not) String() string { return "not (" + n.of.String() + ")" }

// leaf is a condition on one field.
type leaf interface {
	node
	seen(r *Record) string // the value, for people
}

// join writes nodes in one order, whatever order they were written in. Nested
// combinations get parentheses.
func join[N ~[]node](nodes N, with string) string {
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		texts[i] = n.String()
		switch n.(type) {
		case all, anyOf:
			texts[i] = "(" + texts[i] + ")"
		}
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), with)
}

func hasLevel(n node) bool {
	switch n := n.(type) {
	case level:
		return true
	case not:
		return hasLevel(n.of)
	case all:
		return slices.ContainsFunc(n, hasLevel)
	case anyOf:
		return slices.ContainsFunc(n, hasLevel)
	}
	return false
}

// withoutLevel reports gone where nothing is left of a node. negative says that
// the node stands under a not: there an alternative without a rest must not
// hold, elsewhere it does.
func withoutLevel(n node, negative bool) (rest node, gone bool) {
	switch n := n.(type) {
	case level:
		return nil, true
	case not:
		of, gone := withoutLevel(n.of, !negative)
		return not{of}, gone
	case all:
		left := keep(n, negative)
		return single(left), len(left) == 0 && len(n) > 0
	case anyOf:
		left := anyOf(keep(n, negative))
		return left, len(left) == 0 || !negative && len(left) < len(n)
	}
	return n, false
}

func keep[N ~[]node](nodes N, negative bool) all {
	var left all
	for _, n := range nodes {
		if rest, gone := withoutLevel(n, negative); !gone {
			left = append(left, rest)
		}
	}
	return left
}
