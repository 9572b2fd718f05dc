package cond

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// keyAny heads a list of alternatives; keyNot is kept out of tables so that it
// cannot be mistaken for a field.
const (
	keyAny = "any"
	keyNot = "not"
)

// Parse compiles the table of a rule's match, and of its not where it has one:
// all of match has to hold, and not all of except. Tables that are not in the
// file stand for no condition. All faults are in the error, each a
// *config.Error with its line.
func Parse(match, except config.Table) (Cond, error) {
	var p parser
	root := p.table(match)
	if except.Present() {
		if len(except.Items) == 0 {
			p.fault(except.Errorf("is empty, so nothing would ever match; write a condition or leave it out"))
		}
		root = append(root, not{single(p.table(except))})
	}
	if len(p.faults) > 0 {
		return Cond{}, errors.Join(p.faults...)
	}
	return Cond{root}, nil
}

type parser struct{ faults []error }

func (p *parser) fault(err error) { p.faults = append(p.faults, err) }

func (p *parser) table(t config.Table) all {
	var nodes all
	for _, item := range t.Items {
		switch item.Key {
		case keyAny:
			nodes = append(nodes, p.alternatives(item)...)
		case keyNot:
			p.fault(item.Errorf("stands beside match, not inside of a condition; for one field write { ne = … }"))
		default:
			nodes = append(nodes, p.item(item.Key, item)...)
		}
	}
	return nodes
}

// single takes the wrapping off one condition, so that messages name its field.
func single(nodes all) node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return nodes
}

func (p *parser) alternatives(item config.Item) all {
	elems, ok := item.Value.([]config.Item)
	if !ok || len(elems) == 0 {
		p.fault(item.Errorf(`expected alternatives like [{ card = "*" }, { email = "*" }], found %s`, item.Describe()))
		return nil
	}
	var alts anyOf
	for _, e := range elems {
		t, ok := e.Value.(config.Table)
		switch {
		case !ok:
			p.fault(e.Errorf(`each alternative is a table like { card = "*" }, found %s`, e.Describe()))
		case len(t.Items) == 0:
			p.fault(e.Errorf("an empty alternative would match every entry; leave any out instead"))
		default:
			alts = append(alts, single(p.table(t)))
		}
	}
	return all{alts}
}

// item compiles what stands under a key: a value, a list of them, { eq = … },
// { ne = … }, or the fields of an object.
func (p *parser) item(key string, item config.Item) all {
	t, isTable := item.Value.(config.Table)
	if !isTable || isLiteral(t) {
		n, err := p.value(key, item)
		if err != nil {
			p.fault(item.Errorf("%v", err))
			return nil
		}
		return all{n}
	}
	if len(t.Items) == 0 {
		p.fault(item.Errorf("an empty table says nothing; write a condition"))
	}
	var nodes all
	for _, sub := range t.Items {
		nodes = append(nodes, p.item(key+"."+sub.Key, sub)...)
	}
	return nodes
}

// isLiteral reports whether a table is { eq = … } or { ne = … }.
func isLiteral(t config.Table) bool {
	return len(t.Items) == 1 && (t.Items[0].Key == "eq" || t.Items[0].Key == "ne")
}

func (p *parser) value(key string, item config.Item) (node, error) {
	switch v := item.Value.(type) {
	case config.Table:
		n, err := p.literal(key, v.Items[0])
		if err == nil && v.Items[0].Key == "ne" {
			return not{n}, nil
		}
		return n, err
	case []config.Item:
		return p.list(key, v, p.value)
	case string:
		return parseText(key, v)
	}
	return parseScalar(key, item)
}

// literal compiles what stands after eq or ne: no operators.
func (p *parser) literal(key string, item config.Item) (node, error) {
	switch v := item.Value.(type) {
	case []config.Item:
		return p.list(key, v, p.literal)
	case string:
		return equalTo(key, v)
	}
	return parseScalar(key, item)
}

func (p *parser) list(key string, items []config.Item, one func(string, config.Item) (node, error)) (node, error) {
	if len(items) == 0 {
		return nil, errors.New("an empty list matches nothing; write at least one value")
	}
	var nodes anyOf
	for _, item := range items {
		n, err := one(key, item)
		if _, nested := item.Value.([]config.Item); nested && err == nil {
			err = errors.New("a list within a list; write one list")
		}
		if err != nil {
			p.fault(item.Errorf("%v", err))
			n = anyOf{}
		}
		nodes = append(nodes, n)
	}
	return merge(nodes), nil
}

// merge makes one leaf of alternatives on one field.
func merge(nodes anyOf) node {
	first := nodes[0]
	for _, n := range nodes[1:] {
		switch a := first.(type) {
		case field:
			b, ok := n.(field)
			if !ok {
				return nodes
			}
			a.tests = append(a.tests, b.tests...)
			first = a
		case service:
			b, ok := n.(service)
			if !ok {
				return nodes
			}
			a.tests = append(a.tests, b.tests...)
			first = a
		case path:
			b, ok := n.(path)
			if !ok {
				return nodes
			}
			a.tests = append(a.tests, b.tests...)
			first = a
		case level:
			b, ok := n.(level)
			if !ok {
				return nodes
			}
			first = level{levels: a.levels | b.levels, said: a.said + " or " + b.said}
		default:
			return nodes
		}
	}
	return first
}

// parseScalar compiles a value without quotes.
func parseScalar(key string, item config.Item) (node, error) {
	switch key {
	case keyService, keyLevel, keyPath:
		return nil, fmt.Errorf("%s is a text: expected one in quotes, found %s", key, item.Describe())
	}
	switch v := item.Value.(type) {
	case int64:
		return one(key, isNumber{integer(v)}), nil
	case float64:
		if v != v || v-v != 0 { // JSON knows neither NaN nor Inf
			return nil, errors.New("no entry holds such a number")
		}
		return one(key, isNumber{float(v)}), nil
	case bool:
		return one(key, isBool(v)), nil
	case time.Time:
		return nil, fmt.Errorf(`write a time with an operator and in quotes, like ">=%s"`, v.Format(time.RFC3339))
	}
	return nil, fmt.Errorf(`expected a value, a list of values or { eq = "text" }, found %s`, item.Describe())
}

func one(key string, t test) field { return field{key: key, tests: []test{t}} }

// parseText compiles a string in TOML: an operator with its operand, or a text.
func parseText(key, s string) (node, error) {
	switch {
	case s == "":
		return exists(key, false), nil
	case s == "*":
		return exists(key, true), nil
	case s[0] == '~':
		return matching(key, s[1:])
	case s[0] == '<' || s[0] == '>':
		op := s[:1]
		if strings.HasPrefix(s[1:], "=") {
			op = s[:2]
		}
		return ordered(key, order(op), strings.TrimSpace(s[len(op):]))
	case key == keyPath:
		return like(s)
	}
	return equalTo(key, s)
}

func exists(key string, present bool) node {
	kind := nameAbsent
	if present {
		kind = namePresent
	}
	name := nameTest{kind: kind}
	switch {
	case key == keyService:
		return service{tests: []nameTest{name}}
	case key == keyPath:
		return path{tests: []pathTest{{nameTest: name}}}
	case key == keyLevel && present:
		return level{levels: allLevels &^ levelBit(entry.None), said: name.String()}
	case key == keyLevel:
		return level{levels: levelBit(entry.None), said: name.String()}
	case present:
		return one(key, isPresent{})
	}
	return one(key, isAbsent{})
}

func matching(key, re string) (node, error) {
	m, err := compileRegexp(re)
	if err != nil {
		return nil, err
	}
	name := nameTest{kind: nameMatches, want: re, re: m}
	switch key {
	case keyService:
		return service{tests: []nameTest{name}}, nil
	case keyPath:
		return path{tests: []pathTest{{nameTest: name}}}, nil
	case keyLevel:
		return levelsWhere(name.String(), func(l entry.Level) bool { return m.matchString(l.String()) }), nil
	}
	return one(key, matches{m, re}), nil
}

func like(s string) (node, error) {
	pattern, err := subject.ParsePattern(s)
	if err != nil {
		return nil, err
	}
	return path{tests: []pathTest{{pattern: pattern, isPattern: true}}}, nil
}

func equalTo(key, s string) (node, error) {
	name := nameTest{kind: nameEquals, want: s}
	switch key {
	case keyService:
		name.token = subject.ServiceToken(s)
		return service{tests: []nameTest{name}}, nil
	case keyPath:
		return path{tests: []pathTest{{nameTest: name}}}, nil
	case keyLevel:
		l, err := parseLevel(s)
		if err != nil {
			return nil, err
		}
		return level{levels: levelBit(l), said: "= " + l.String()}, nil
	}
	return one(key, newText(s)), nil
}

// ordered compiles < <= > >=. The operand's form says what is compared.
func ordered(key string, op order, s string) (node, error) {
	switch key {
	case keyLevel:
		l, err := parseLevel(s)
		if err == nil && l == entry.None {
			err = errors.New("none stands for no level and is neither below nor above any; write level = \"none\"")
		}
		if err != nil {
			return nil, err
		}
		return levelsWhere(string(op)+" "+l.String(), func(x entry.Level) bool {
			cmp, ok := x.Compare(l)
			return ok && op.holds(cmp)
		}), nil
	case keyService, keyPath:
		return nil, fmt.Errorf("%s is a text and has no order; use a name, a list or \"~regexp\"", key)
	}
	if n, ok := parseNumber(s); ok {
		return one(key, thanNumber{op, n.f, n.text()}), nil
	}
	if d, err := config.ParseDuration(s); err == nil {
		return one(key, thanNumber{op, float64(d) / float64(time.Millisecond), d.String()}), nil
	}
	if t, ok := parseTime([]byte(s)); ok {
		return one(key, thanTime{op, t}), nil
	}
	if l, ok := entry.ParseLevel(s); ok && l != entry.None {
		return one(key, thanLevel{op, l}), nil
	}
	return nil, fmt.Errorf("%q is neither a level, a number, a duration nor an RFC 3339 time; the text itself is { eq = %q }", s, string(op)+s)
}

const allLevels = 1<<8 - 1

func levelsWhere(said string, holds func(entry.Level) bool) level {
	l := level{said: said}
	for _, x := range entry.Levels() {
		if holds(x) {
			l.levels |= levelBit(x)
		}
	}
	return l
}

func parseLevel(s string) (entry.Level, error) {
	l, ok := entry.ParseLevel(s)
	if ok {
		return l, nil
	}
	if s == subject.TaskLevel {
		return l, errors.New("task is not a level; the entries that frame tasks are those with dlog.event = \"*\"")
	}
	var names []string
	for _, l := range entry.Levels() {
		names = append(names, l.String())
	}
	if near, ok := config.Nearest(s, names); ok {
		return l, fmt.Errorf("%q is not a level; did you mean %q?", s, near)
	}
	return l, fmt.Errorf("%q is not a level; they are %s", s, strings.Join(names, ", "))
}
