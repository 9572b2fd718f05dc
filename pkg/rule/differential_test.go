package rule_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// slowEntry is an entry as the slow evaluator sees it: nothing of it is taken
// from a subject or a scanner.
type slowEntry struct {
	service string
	level   string // of the subject
	names   []string
	frame   bool // it frames a task
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
	}
}

func (s *slow) eval(e *slowEntry) string {
	var to, rules []string
	dropped := ""
	for _, r := range s.Rule {
		mode := ""
		if e.frame && r.TaskEntries != "filter" {
			mode = "leave out"
			if r.Drop && (asksLevel(r.Match) || asksLevel(r.Not)) {
				continue
			}
		}
		if !slowAll(e, r.Match, mode) || len(r.Not) > 0 && slowExcept(e, r.Not, mode) {
			continue
		}
		rules = append(rules, r.Name)
		for _, name := range r.To {
			if !slices.Contains(to, name) {
				to = append(to, name)
			}
		}
		if r.Drop {
			dropped = r.Name
		}
		if r.Drop || r.Last {
			break
		}
	}
	if dropped == "" && len(to) == 0 {
		to = s.Default.To
	}
	return fmt.Sprint(to, dropped, rules)
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
			return e.fields["level"]
		}
		if e.level == "none" {
			return nil
		}
		return e.level
	}
	var v any = e.fields
	for _, k := range strings.Split(key, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

// dice draws rules and entries from few values, so that they meet.
type dice struct{ *rand.Rand }

func (d dice) pick(from ...string) string { return from[d.IntN(len(from))] }

func (d dice) scalar() string {
	return d.pick(`"a"`, `"b"`, `"5"`, `5`, `5.5`, `0`, `-3`, `true`, `false`, `""`, `"*"`, `"true"`, `"a b"`, `">4"`, `"<=5"`, `">=-3"`, `"<5ms"`,
		`"~^a"`, `"~b$"`, `"~(a|5)"`, `"~"`, `'~^a"$'`)
}

func (d dice) literal() string {
	return d.pick(`"a"`, `"b"`, `5`, `"5"`, `true`, `"*"`, `""`, `["a", 5]`, `[true, "a b"]`)
}

func (d dice) condition() string {
	switch d.IntN(8) {
	case 0:
		return "level = " + d.pick(`"info"`, `">=warn"`, `"<info"`, `"none"`, `["debug", ">=error"]`, `"*"`, `""`, `{ ne = "warn" }`, `"~^(w|e)"`)
	case 1:
		return "service = " + d.pick(`"pay"`, `["pay", "shop"]`, `"~^sh"`, `"my svc"`, `{ ne = "pay" }`, `"*"`, `""`, `"nobody"`)
	case 2:
		return "path = " + d.pick(`"order/**"`, `"order"`, `"*/charge"`, `"order 4711/**"`, `"*"`, `""`, `"~charge$"`, `"~4711"`, `"a=3Db/*"`, `["x", "order/charge"]`,
			`{ ne = "order/charge" }`, `"order/*/*/*/*/*/*/*/**"`)
	case 3:
		return fmt.Sprintf("%s = { %s = %s }", d.key(), d.pick("eq", "ne"), d.literal())
	case 4:
		return fmt.Sprintf("%s = [%s, %s]", d.key(), d.scalar(), d.scalar())
	}
	return d.key() + " = " + d.scalar()
}

func (d dice) key() string {
	return d.pick("a", "b", "c", "user.id", `"user.id"`, "user.name", "message")
}

func (d dice) table(deep bool) string {
	seen := map[string]bool{}
	var all []string
	for range 1 + d.IntN(3) {
		c := d.condition()
		key, _, _ := strings.Cut(strings.ReplaceAll(c, `"`, ""), " ")
		if first, _, _ := strings.Cut(key, "."); !seen[first] {
			all = append(all, c)
			seen[first] = true
		}
	}
	if deep && d.IntN(3) == 0 {
		all = append(all, fmt.Sprintf("any = [{ %s }, { %s }]", d.table(false), d.table(d.IntN(4) == 0)))
	}
	return strings.Join(all, ", ")
}

func (d dice) rules(n int) string {
	var b strings.Builder
	b.WriteString("[default]\nto = ['s0', 's1']\n[[stream]]\nname = 's0'\n[[stream]]\nname = 's1'\n[[stream]]\nname = 's2'\n[[stream]]\nname = 's3'\n")
	for i := range n {
		fmt.Fprintf(&b, "[[rule]]\nname = 'r%d'\n", i)
		if d.IntN(8) > 0 {
			fmt.Fprintf(&b, "match = { %s }\n", d.table(true))
		} else {
			b.WriteString("match = {}\n")
		}
		if d.IntN(3) == 0 {
			fmt.Fprintf(&b, "not = { %s }\n", d.table(true))
		}
		b.WriteString(d.pick("drop = true\n", "to = ['s1']\n", "to = ['s2', 's0']\n", "to = ['s3']\nlast = true\n", "to = ['s2']\n"))
		if d.IntN(5) == 0 {
			b.WriteString("task_entries = 'filter'\n")
		}
	}
	return b.String()
}

func (d dice) entry() slowEntry {
	e := slowEntry{service: d.pick("pay", "shop", "my svc", ""), level: d.pick("debug", "info", "warn", "error", "none"), fields: map[string]any{}}
	for range d.IntN(4) {
		e.names = append(e.names, d.pick("order", "charge", "order 4711", "a=b", "x"))
	}
	if d.IntN(10) == 0 {
		e.names = []string{"order", "1", "2", "3", "4", "5", "6", "7", "charge"}
	}
	e.frame = d.IntN(5) == 0
	if d.IntN(6) > 0 {
		e.fields["level"] = d.pick("debug", "info", "warn", "error")
	}
	values := []any{"a", "b", "a b", "5", 5.0, 5.5, 0.0, -3.0, true, false, nil, "", "*", `a"`, []any{"a"}, map[string]any{"k": "b"}}
	for _, key := range []string{"a", "b", "c", "message"} {
		if d.IntN(4) > 0 {
			e.fields[key] = values[d.IntN(len(values))]
		}
	}
	if d.IntN(2) == 0 {
		e.fields["user"] = map[string]any{"id": values[d.IntN(len(values))], "name": values[d.IntN(len(values))]}
	}
	return e
}

// wire makes of an entry what a router sees.
func (e *slowEntry) wire(t testing.TB) (subject.Subject, []byte) {
	path := ""
	for _, n := range e.names {
		path = task.JoinPath(path, n)
	}
	token := e.level
	if e.frame {
		token = subject.TaskLevel
	}
	meta := map[string]any{"svc": "liar", "path": path}
	if len(e.names) == 0 {
		delete(meta, "path")
	}
	line := map[string]any{"dlog": meta}
	for k, v := range e.fields {
		line[k] = v
	}
	b, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, subject.In("dlog", e.service, token, path)), b
}

// Random rules decide about random entries as a slow evaluator does that shares
// no code with them.
func TestAgainstSlowEvaluator(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	matched := 0
	for range 120 {
		text := d.rules(1 + d.IntN(30))
		set, err := compile(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		var s slow
		if _, err := toml.Decode(text, &s); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			matched += compare(t, d, set, &s, text)
		}
		if t.Failed() {
			return
		}
	}
	if matched < 1000 {
		t.Errorf("only %d rules matched: the dice are not worth much", matched)
	}
}

// compare asks both about one entry, and returns how many rules matched.
func compare(t *testing.T, d dice, set *rule.Set, s *slow, text string) int {
	t.Helper()
	e := d.entry()
	subj, line := e.wire(t)
	var dec rule.Decision
	p := set.Plan(subj)
	if err := p.Eval(line, &dec); err != nil {
		t.Fatal(err)
	}
	got, want := names(set, &dec), s.eval(&e)
	if got != want {
		t.Errorf("%+v %s\ngot  %s\nwant %s\n%s", subj, line, got, want, text)
	}
	if w, ok := p.Whole(); ok && names(set, &w) != got {
		t.Errorf("%+v: whole %s, evaluated %s", subj, names(set, &w), got)
	}
	steps, err := set.Trail(subj, line)
	if err != nil {
		t.Fatal(err)
	}
	var rules []int
	for i, step := range steps {
		if step.Matched {
			rules = append(rules, i)
		}
	}
	if !slices.Equal(rules, dec.Rules) {
		t.Errorf("%+v %s: the trail says %v, evaluation %v", subj, line, rules, dec.Rules)
	}
	return len(rules)
}

func names(set *rule.Set, d *rule.Decision) string {
	var to, rules []string
	dropped := ""
	for _, i := range d.Streams {
		to = append(to, set.Streams[i].Name)
	}
	for _, i := range d.Rules {
		rules = append(rules, set.Rules[i].Name)
	}
	if d.Dropped >= 0 {
		dropped = set.Rules[d.Dropped].Name
	}
	return fmt.Sprint(to, dropped, rules)
}

func FuzzCompile(f *testing.F) {
	d := dice{rand.New(rand.NewPCG(1, 2))}
	f.Add(shop, "dlog.in.payments.warn.-", `{"duration_ms":501,"stop":true}`)
	for range 20 {
		e := d.entry()
		_, line := e.wire(f)
		f.Add(d.rules(3), "dlog.in.pay.task.order.=", string(line))
	}
	f.Fuzz(func(t *testing.T, text, subj, line string) {
		set, err := compile(text)
		if err != nil {
			return
		}
		s, err := subject.Parse(subj)
		if err != nil {
			return
		}
		_ = set.RunTests()
		var dec rule.Decision
		if set.Plan(s).Eval([]byte(line), &dec) != nil {
			return
		}
		if dec.Dropped < 0 && len(dec.Streams) == 0 {
			t.Error("an entry is neither sent nor dropped")
		}
		if len(dec.Streams) > len(set.Streams) {
			t.Errorf("%d copies to %d streams", len(dec.Streams), len(set.Streams))
		}
	})
}
