package rule_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

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
	b.WriteString("[redact]\nkey = '" + testKey + "'\n[default]\nto = ['s0', 's1']\n[[stream]]\nname = 's0'\n[[stream]]\nname = 's1'\n[[stream]]\nname = 's2'\n[[stream]]\nname = 's3'\n")
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
		if d.IntN(2) == 0 {
			b.WriteString(d.pick("drop = true\n", "to = ['s1']\n", "to = ['s2', 's0']\n", "to = ['s3']\nlast = true\n", "to = ['s2']\n"))
		} else {
			b.WriteString(d.actions())
		}
		if d.IntN(5) == 0 {
			b.WriteString("task_entries = 'filter'\n")
		}
	}
	return b.String()
}

// actions are some that change an entry, and a stream perhaps.
func (d dice) actions() string {
	var all []string
	add := func(one ...string) { all = append(all, d.pick(one...)) }
	for range 1 + d.IntN(2) {
		switch d.IntN(6) {
		case 0:
			add("set = { a = 'b', user.name = 5.5 }", "set = { level = 'warn' }", "set = { level = 'debug', c = true }", "set = { new.deep.x = ['a', 5] }", "set = { user.id.x = 1 }", "set = { user.id = 'a' }")
		case 1:
			add("remove = ['a']", "remove = ['user.id', 'b']", "remove = ['user']", "remove = ['level', 'c']")
		case 2:
			add("rename = { a = 'b' }", "rename = { user.id = 'user.name' }", "rename = { c = 'user.id' }", "rename = { user.id = 'a', b = 'c' }", "rename = { a = 'level' }", "rename = { user.name = 'message' }")
		case 3:
			add("redact = { a = 'mask', user.id = 'remove' }", "redact = { b = 'last4', message = 'mask' }", "redact = { a = 'hash' }", "redact = { user.name = 'hash', c = 'remove' }", "redact = { user = 'mask' }")
		case 4:
			add("parse = { message = 'json' }", "parse = { a = 'json' }", "parse = { message = { as = 'json', into = 'user' } }", "parse = { b = { as = 'json', into = 'new.x' } }", "parse = { message = '~(?P<b>[a-z])(?P<c>[0-9]+)?' }")
		case 5:
			add("sample = '50%'", "sample = 0.8")
		}
	}
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(a[:4], b[:4]) })
	all = slices.CompactFunc(all, func(a, b string) bool { return a[:4] == b[:4] })
	all = append(all, d.pick("", "to = ['s1']", "to = ['s2', 's0']", "to = ['s3']\nlast = true"))
	return strings.Join(all, "\n") + "\n"
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
	e.trace = d.pick("", "0193a5e1c0007a1b8c2d3e4f5a6b7c8d", "0193a5e1c0007a1b8c2d3e4f5a6b7c8e", "0193a5e1c0007a1b8c2d3e4f5a6b7c8f")
	e.seq = d.IntN(8)
	values := []any{
		"a", "b", "a b", "5", 5.0, 5.5, 0.0, -3.0, true, false, nil, "", "*", `a"`,
		[]any{"a"},
		map[string]any{"k": "b"},
		"long enough", "größer als ſ",
		`{"a":"b","level":"error","user":{"id":5.5}}`, `{"dlog":1,"c":["x"],"user.id":"a"}`, "a5", 12345678.0,
	}
	for _, key := range []string{"a", "b", "c", "message"} {
		if d.IntN(4) > 0 {
			e.fields[key] = values[d.IntN(len(values))]
		}
	}
	if d.IntN(2) == 0 {
		e.fields["user"] = map[string]any{"id": values[d.IntN(len(values))], "name": values[d.IntN(len(values))]}
	}
	if d.IntN(8) == 0 {
		e.fields["user.id"] = values[d.IntN(len(values))]
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
	meta := map[string]any{"svc": "liar", "path": path, "trace": e.trace, "proc": "9f00112233445566", "seq": e.seq}
	if len(e.names) == 0 {
		delete(meta, "path")
	}
	if e.trace == "" {
		delete(meta, "trace")
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
	r := s.eval(&e)
	got, want := names(set, &dec), r.String()
	if got != want {
		t.Errorf("%+v %s\ngot  %s\nwant %s\n%s", subj, line, got, want, text)
	} else {
		r.compare(t, set, &dec, subj.Level, line, text)
	}
	if w, ok := p.Whole(); ok && names(set, &w) != got {
		t.Errorf("%+v: whole %s, evaluated %s", subj, names(set, &w), got)
	}
	x, err := set.Explain(subj, line)
	if err != nil {
		t.Fatal(err)
	}
	var rules []int
	for i, step := range x.Steps {
		if step.Matched {
			rules = append(rules, i)
		}
	}
	if !slices.Equal(rules, dec.Rules) {
		t.Errorf("%+v %s: the explanation says %v, evaluation %v", subj, line, rules, dec.Rules)
	}
	for n, c := range x.Copies {
		if string(c.Line) != string(dec.Copies[n].Line) {
			t.Errorf("%s: the explanation sends %s, evaluation %s", line, c.Line, dec.Copies[n].Line)
		}
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
	dead := ""
	if d.Dead >= 0 {
		dead = set.Rules[d.Dead].Name
	}
	return fmt.Sprint(to, dropped, dead, rules)
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
		if dec.Dropped < 0 && dec.Dead < 0 && len(dec.Streams) == 0 {
			t.Error("an entry is neither sent nor dropped nor dead")
		}
		for _, c := range dec.Copies {
			if err := entry.Valid(c.Line); err != nil && entry.Valid([]byte(line)) == nil {
				t.Errorf("%q became %q: %v", line, c.Line, err)
			}
		}
		if len(dec.Streams) > len(set.Streams) {
			t.Errorf("%d copies to %d streams", len(dec.Streams), len(set.Streams))
		}
	})
}
