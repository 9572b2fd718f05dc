package cond

import (
	"slices"
	"strings"
)

// Implies reports whether whatever fulfils c fulfils of, too. It sees what is
// plain to see and answers false where it is not sure.
func (c Cond) Implies(of Cond) bool { return implies(c.node(), of.node()) }

// Excludes reports whether nothing can fulfil both conditions, with the same
// reserve as Implies.
func (c Cond) Excludes(other Cond) bool { return excludes(c.node(), other.node()) }

func implies(n, of node) bool {
	if n.String() == of.String() {
		return true
	}
	switch of := of.(type) {
	case all:
		return !slices.ContainsFunc(of, func(part node) bool { return !implies(n, part) })
	case not:
		if in, ok := n.(not); ok {
			return implies(of.of, in.of)
		}
		return excludes(n, of.of)
	}
	switch n := n.(type) {
	case all:
		if slices.ContainsFunc(n, func(part node) bool { return implies(part, of) }) {
			return true
		}
	case anyOf:
		return len(n) > 0 && !slices.ContainsFunc(n, func(alt node) bool { return !implies(alt, of) })
	}
	if alts, ok := of.(anyOf); ok {
		return slices.ContainsFunc(alts, func(alt node) bool { return implies(n, alt) })
	}
	return leafImplies(n, of)
}

// leafImplies compares conditions on one field: each alternative of the one has
// to stand for something that the other takes.
func leafImplies(n, of node) bool {
	switch n := n.(type) {
	case level:
		o, ok := of.(level)
		return ok && n.levels&^o.levels == 0
	case service:
		o, ok := of.(service)
		return ok && covers(n.tests, o.tests, nameImplies)
	case path:
		o, ok := of.(path)
		return ok && covers(n.tests, o.tests, pathImplies)
	case field:
		o, ok := of.(field)
		return ok && n.key == o.key && covers(n.tests, o.tests, testImplies)
	}
	return false
}

func covers[T any](tests, of []T, implies func(a, b T) bool) bool {
	for _, a := range tests {
		if !slices.ContainsFunc(of, func(b T) bool { return implies(a, b) }) {
			return false
		}
	}
	return len(tests) > 0
}

func nameImplies(a, b nameTest) bool {
	switch {
	case a.String() == b.String():
		return true
	case b.kind == namePresent:
		return a.kind == nameMatches || a.kind == nameEquals && a.want != ""
	case b.kind == nameMatches && a.kind == nameEquals:
		return b.holds(a.want)
	}
	return false
}

func pathImplies(a, b pathTest) bool {
	switch {
	case a.String() == b.String():
		return true
	case !a.isPattern && !b.isPattern:
		return nameImplies(a.nameTest, b.nameTest)
	case a.isPattern && b.isPattern:
		return narrower(a.pattern.String(), b.pattern.String())
	case b.isPattern:
		return a.kind == nameEquals && b.pattern.MatchPath(a.want)
	}
	return b.kind == namePresent
}

// narrower reports whether the pattern a matches no more than b.
func narrower(a, b string) bool {
	for {
		if b == "**" {
			return true
		}
		nameA, restA, moreA := strings.Cut(a, "/")
		nameB, restB, moreB := strings.Cut(b, "/")
		if nameA == "**" || nameB != "*" && nameA != nameB {
			return false
		}
		if !moreA {
			return !moreB || restB == "**"
		}
		if !moreB {
			return false
		}
		a, b = restA, restB
	}
}

func testImplies(a, b test) bool {
	if a.String() == b.String() {
		return true
	}
	if _, ok := b.(isPresent); ok {
		_, absent := a.(isAbsent)
		return !absent
	}
	than, ok := b.(thanNumber)
	if !ok {
		return false
	}
	switch a := a.(type) {
	case isNumber:
		return holdsOf(than.op, a.f, than.with)
	case thanNumber:
		if a.op[0] != than.op[0] {
			return false
		}
		return holdsOf(than.op, a.with, than.with) || a.with == than.with && len(a.op) == 1
	}
	return false
}

func holdsOf(op order, x, with float64) bool {
	switch {
	case x < with:
		return op.holds(-1)
	case x > with:
		return op.holds(1)
	}
	return op.holds(0)
}

func excludes(n, other node) bool {
	for _, pair := range [][2]node{{n, other}, {other, n}} {
		a, b := pair[0], pair[1]
		switch a := a.(type) {
		case all:
			if slices.ContainsFunc(a, func(part node) bool { return excludes(part, b) }) {
				return true
			}
		case anyOf:
			if len(a) > 0 && !slices.ContainsFunc(a, func(alt node) bool { return !excludes(alt, b) }) {
				return true
			}
		case not:
			if implies(b, a.of) {
				return true
			}
		}
	}
	return leafExcludes(n, other)
}

func leafExcludes(n, other node) bool {
	switch a := n.(type) {
	case level:
		b, ok := other.(level)
		return ok && a.levels&b.levels == 0
	case service:
		b, ok := other.(service)
		return ok && apart(a.tests, b.tests, namesApart)
	case field:
		b, ok := other.(field)
		return ok && a.key == b.key && apart(a.tests, b.tests, testsApart)
	}
	return false
}

func apart[T any](as, bs []T, excludes func(a, b T) bool) bool {
	for _, a := range as {
		if slices.ContainsFunc(bs, func(b T) bool { return !excludes(a, b) && !excludes(b, a) }) {
			return false
		}
	}
	return len(as) > 0 && len(bs) > 0
}

func namesApart(a, b nameTest) bool {
	switch a.kind {
	case nameEquals:
		return b.kind == nameEquals && a.token != b.token || b.kind == nameMatches && !b.holds(a.want)
	case nameAbsent:
		return b.kind == namePresent || b.kind == nameMatches
	}
	return false
}

func testsApart(a, b test) bool {
	switch a := a.(type) {
	case isAbsent:
		_, absent := b.(isAbsent)
		return !absent
	case isNumber:
		switch b := b.(type) {
		case isNumber:
			return a.number != b.number
		case thanNumber:
			return !holdsOf(b.op, a.f, b.with)
		}
	case isText:
		b, ok := b.(isText)
		return ok && a.want != b.want && a.number == nil && b.number == nil
	}
	return false
}
