package rule_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// slowEntry is an entry as the slow evaluator sees it: nothing of it is taken
// from a subject or a scanner.
type slowEntry struct {
	service string
	level   string // of the subject
	names   []string
	frame   bool // it frames a task
	trace   string
	seq     int
	fields  map[string]any
}

// slow evaluates the rules of a file as docs/rules.md tells, from maps alone.
type slow struct {
	Default struct{ To []string }
	Rule    []struct {
		Name        string
		Match, Not  map[string]any
		To          []string
		Drop, Last  bool
		TaskEntries string `toml:"task_entries"`
		slowActions
	}
}

// slowResult is what became of an entry.
type slowResult struct {
	to, rules     []string
	dropped, dead string
	copies        []slowEntry // of to
}

func (r *slowResult) String() string { return fmt.Sprint(r.to, r.dropped, r.dead, r.rules) }

func (r *slowResult) send(e *slowEntry, to []string) {
	for _, name := range to {
		if !slices.Contains(r.to, name) {
			r.to, r.copies = append(r.to, name), append(r.copies, e.clone())
		}
	}
}

func (s *slow) eval(original *slowEntry) slowResult {
	var res slowResult
	now := original.clone()
	e := &now
	for _, r := range s.Rule {
		mode := ""
		if e.frame && r.TaskEntries != "filter" {
			mode = "leave out"
			if (r.Drop || r.Sample != nil) && (asksLevel(r.Match) || asksLevel(r.Not)) {
				continue
			}
		}
		if !slowAll(e, r.Match, mode) || len(r.Not) > 0 && slowExcept(e, r.Not, mode) {
			continue
		}
		res.rules = append(res.rules, r.Name)
		if r.Sample != nil && !slowSample(e, r.Sample) {
			res.dropped = r.Name
			break
		}
		if !r.change(e) {
			res.dead = r.Name
			break
		}
		res.send(e, r.To)
		if r.Drop {
			res.dropped = r.Name
		}
		if r.Drop || r.Last {
			break
		}
	}
	if res.dropped == "" && res.dead == "" && len(res.to) == 0 {
		res.send(e, s.Default.To)
	}
	return res
}

func asksLevel(table map[string]any) bool {
	for k, v := range table {
		if k == "level" {
			return true
		}
		if k == "any" && slices.ContainsFunc(alternatives(v), asksLevel) {
			return true
		}
	}
	return false
}

// alternatives is what stands behind any: the TOML library has two forms of it.
func alternatives(v any) []map[string]any {
	if alts, ok := v.([]map[string]any); ok {
		return alts
	}
	var alts []map[string]any
	for _, a := range v.([]any) {
		alts = append(alts, a.(map[string]any))
	}
	return alts
}

// slowExcept is slowAll for a not: what is left out is taken away, and a not
// without a rest excludes nothing.
func slowExcept(e *slowEntry, not map[string]any, mode string) bool {
	rest := not
	if mode != "" {
		rest, _ = without(not)
	}
	return len(rest) > 0 && slowAll(e, rest, "")
}

// without takes level conditions away, alternatives that were nothing else too.
func without(table map[string]any) (map[string]any, bool) {
	rest := map[string]any{}
	for k, v := range table {
		switch k {
		case "level":
		case "any":
			var left []map[string]any
			for _, a := range alternatives(v) {
				if r, some := without(a); some {
					left = append(left, r)
				}
			}
			if len(left) > 0 {
				rest[k] = left
			}
		default:
			rest[k] = v
		}
	}
	return rest, len(rest) > 0
}

func slowAll(e *slowEntry, table map[string]any, mode string) bool {
	for k, v := range table {
		if k == "level" && mode != "" {
			continue
		}
		if k == "any" {
			if !slices.ContainsFunc(alternatives(v), func(a map[string]any) bool { return slowAll(e, a, mode) }) {
				return false
			}
			continue
		}
		if !slowValue(e, k, v) {
			return false
		}
	}
	return true
}

func slowValue(e *slowEntry, key string, v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return slowValue(e, key, x) })
	case map[string]any:
		if x, ok := v["ne"]; ok {
			return !slowLiteral(e, key, x)
		}
		if x, ok := v["eq"]; ok {
			return slowLiteral(e, key, x)
		}
		for k, x := range v {
			if !slowValue(e, key+"."+k, x) {
				return false
			}
		}
		return true
	case string:
		return slowString(e, key, v)
	}
	return slowLiteral(e, key, v)
}

func slowString(e *slowEntry, key, s string) bool {
	got := e.field(key)
	switch {
	case s == "":
		return got == nil
	case s == "*":
		return got != nil
	case s[0] == '~':
		text, ok := got.(string)
		if !ok && got != nil {
			b, _ := json.Marshal(got)
			text = string(b)
		}
		return got != nil && regexp.MustCompile(s[1:]).MatchString(text)
	case s[0] == '<' || s[0] == '>':
		return slowOrdered(key, got, s)
	case key == "path":
		return slowPattern(e.names, strings.Split(s, "/"))
	}
	return slowLiteral(e, key, s)
}

func slowOrdered(key string, got any, s string) bool {
	op := strings.TrimRight(s[:2], "0123456789-abcdefghijklmnopqrstuvwxyz")
	operand := s[len(op):]
	var cmp float64
	if levels := []string{"trace", "debug", "info", "warn", "error", "fatal", "panic"}; key == "level" {
		have, want := slices.Index(levels, fmt.Sprint(got)), slices.Index(levels, operand)
		if have < 0 {
			return false
		}
		cmp = float64(have - want)
	} else {
		f, ok := got.(float64)
		if !ok {
			return false
		}
		want, err := strconv.ParseFloat(operand, 64)
		if err != nil {
			d, _ := time.ParseDuration(operand)
			want = float64(d) / 1e6
		}
		cmp = f - want
	}
	switch op {
	case "<":
		return cmp < 0
	case "<=":
		return cmp <= 0
	case ">":
		return cmp > 0
	}
	return cmp >= 0
}

func slowLiteral(e *slowEntry, key string, want any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(x any) bool { return slowLiteral(e, key, x) })
	}
	got := e.field(key)
	switch want := want.(type) {
	case int64:
		return got == float64(want)
	case float64:
		return got == want
	case bool:
		return got == want
	}
	text := want.(string)
	switch got := got.(type) {
	case string:
		return got == text
	case bool:
		return strconv.FormatBool(got) == text
	case float64:
		f, err := strconv.ParseFloat(text, 64)
		return err == nil && f == got
	}
	return key == "level" && got == nil && text == "none"
}

func slowPattern(names, pattern []string) bool {
	for i, p := range pattern {
		if p == "**" {
			return len(names) >= i && len(names) > 0
		}
		if i >= len(names) || p != "*" && task.UnescapeName(p) != names[i] {
			return false
		}
	}
	return len(names) == len(pattern)
}

// field returns nil for what is absent.
func (e *slowEntry) field(key string) any {
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	switch key {
	case "service":
		return text(e.service)
	case "path":
		var escaped []string
		for _, n := range e.names {
			escaped = append(escaped, task.EscapeName(n))
		}
		return text(strings.Join(escaped, "/"))
	case "level":
		if e.frame {
			return slowLevel(e.fields["level"])
		}
		if e.level == "none" {
			return nil
		}
		return e.level
	}
	v, _ := e.lookup(key)
	return v
}
