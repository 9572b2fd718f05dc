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
