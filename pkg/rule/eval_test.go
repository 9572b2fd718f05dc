package rule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// shop has a rule of each sort.
const shop = `
[default]
to = ["rest"]
[[stream]]
name = "rest"
[[stream]]
name = "payments"
[[stream]]
name = "pager"
[[stream]]
name = "shop"

[[rule]]
name = "copy-first"
match = { path = "place-order/**" }
to = ["shop"]

[[rule]]
name = "health-noise"
match = { service = "gateway", level = "<=info", message = "~^GET /healthz" }
drop = true

[[rule]]
name = "test-region"
match = { region = "test" }
drop = true

[[rule]]
name = "payments-trouble"
match = { service = ["payments", "billing"], level = ">=warn", duration_ms = ">500" }
not = { region = "eu-test" }
to = ["payments", "pager"]

[[rule]]
name = "all-of-payments"
match = { service = "payments" }
to = ["payments"]

[[rule]]
name = "stop"
match = { stop = true }
last = true

[[rule]]
name = "errors"
match = { level = ">=error" }
to = ["pager"]

[[rule]]
name = "not-debug"
match = { service = "search" }
not = { level = "debug" }
to = ["shop"]

[[rule]]
name = "filtered"
match = { service = "search", level = ">=error" }
task_entries = "filter"
to = ["pager"]
`

func parse(t testing.TB, s string) subject.Subject {
	t.Helper()
	sub, err := subject.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// say writes a decision in one line.
func say(set *rule.Set, d *rule.Decision) string {
	var b strings.Builder
	for _, i := range d.Streams {
		b.WriteString(set.Streams[i].Name + " ")
	}
	if d.Default {
		b.WriteString("(default) ")
	}
	if d.Dropped >= 0 {
		b.WriteString("dropped by " + set.Rules[d.Dropped].Name + " ")
	}
	b.WriteString("|")
	for _, i := range d.Rules {
		b.WriteString(" " + set.Rules[i].Name)
	}
	return b.String()
}

func TestEval(t *testing.T) {
	set := mustCompile(t, shop)
	f := func(subj, line string, whole bool, want string) {
		t.Helper()
		p := set.Plan(parse(t, subj))
		var d rule.Decision
		if err := p.Eval([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		if got := say(set, &d); got != want || string(d.Line) != line {
			t.Errorf("%s %s\ngot  %s\nwant %s", subj, line, got, want)
		}
		w, ok := p.Whole()
		if ok != whole || ok && say(set, &w) != want {
			t.Errorf("%s: whole %v: %s", subj, ok, say(set, &w))
		}
	}
	const in = "dlog.in."
	f(in+"gateway.info.-", `{"message":"GET /healthz 200"}`, false, "dropped by health-noise | health-noise")
	f(in+"gateway.warn.-", `{"message":"GET /healthz 500"}`, false, "rest (default) |")
	f(in+"gateway.none.-", `{"message":"GET /healthz 500"}`, false, "rest (default) |")
	// Copies made before a drop stay; what is dropped never goes to the default.
	f(in+"gateway.info.place-order", `{"message":"GET /healthz"}`, false, "shop dropped by health-noise | copy-first health-noise")
	f(in+"gateway.info.place-order.x", `{"region":"test"}`, false, "shop dropped by test-region | copy-first test-region")
	// Rules fall through; each stream gets one copy.
	f(in+"payments.warn.-", `{"duration_ms":501}`, false, "payments pager | payments-trouble all-of-payments")
	f(in+"payments.error.-", `{"duration_ms":501}`, false, "payments pager | payments-trouble all-of-payments errors")
	f(in+"payments.error.-", `{"duration_ms":500}`, false, "payments pager | all-of-payments errors")
	f(in+"billing.warn.-", `{"duration_ms":501,"region":"eu-test"}`, false, "rest (default) |")
	// last ends it; the default still applies to what went nowhere.
	f(in+"payments.error.-", `{"stop":true}`, false, "payments | all-of-payments stop")
	f(in+"x.error.-", `{"stop":true}`, false, "rest (default) | stop")
	f(in+"x.error.-", `{"stop":"true"}`, false, "pager | errors")
	// Entries that frame tasks: levels are left out of rules that send; rules
	// that drop by level leave them alone.
	f(in+"gateway.task.-", `{"level":"info","message":"GET /healthz"}`, false, "pager | errors")
	f(in+"gateway.task.-", `{"level":"info","region":"test"}`, false, "dropped by test-region | test-region")
	f(in+"search.task.-", `{"level":"debug"}`, false, "pager shop | errors not-debug")
	f(in+"search.task.-", `{"level":"error"}`, false, "pager shop | errors not-debug filtered")
	f(in+"search.debug.-", `{"level":"debug"}`, false, "rest (default) |")
	f(in+"search.info.-", `{"level":"debug"}`, false, "shop | not-debug")
}

// A plan that its subject decides moves packs whole.
func TestWhole(t *testing.T) {
	set := mustCompile(t, `
[default]
to = ["a"]
[[stream]]
name = "a"
[[stream]]
name = "b"
[[rule]]
name = "noise"
match = { service = "noisy", level = "<warn" }
drop = true
[[rule]]
name = "b"
match = { path = "pay/**" }
to = ["b", "a", "b"]
last = true
[[rule]]
name = "inside"
match = { service = ["x", "noisy"], n = 1 }
to = ["b"]
`)
	f := func(subj, want string) {
		t.Helper()
		p := set.Plan(parse(t, subj))
		w, ok := p.Whole()
		got := "look inside"
		if ok {
			got = say(set, &w)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", subj, got, want)
		}
		var d rule.Decision
		if err := p.Eval([]byte(`garbage`), &d); (err == nil) != ok {
			t.Errorf("%s: evaluating garbage: %v", subj, err)
		} else if ok && say(set, &d) != got {
			t.Errorf("%s: whole %s, evaluated %s", subj, got, say(set, &d))
		}
	}
	f("dlog.in.any.info.-", "a (default) |")
	f("dlog.in.noisy.info.pay", "dropped by noise | noise")
	f("dlog.in.noisy.warn.-", "look inside")
	f("dlog.in.noisy.task.-", "look inside")
	f("dlog.in.noisy.task.pay", "b a | b")
	f("dlog.in.x.info.pay.more", "b a | b")
	f("dlog.in.x.info.-", "look inside")
	f("dlog.in.x.info.=", "look inside")
	f("dlog.in.y.info.=", "look inside")
	f("dlog.in.y.info.other", "a (default) |")
}

func TestExplain(t *testing.T) {
	set := mustCompile(t, shop)
	f := func(subj, line, want string) {
		t.Helper()
		x, err := set.Explain(parse(t, subj), []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, s := range x.Steps {
			fmt.Fprintln(&b, s)
		}
		if got := b.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	f("dlog.in.payments.warn.-", `{"duration_ms":501,"stop":true}`, `copy-first: path like place-order/**: saw nothing
health-noise: service = "gateway": saw "payments"
test-region: region = "test": saw nothing
payments-trouble: matched: to payments, pager
all-of-payments: matched: to payments
stop: matched: last
errors: not asked: stop was the last
not-debug: not asked: stop was the last
filtered: not asked: stop was the last
`)
	f("dlog.in.gateway.task.place-order", `{"level":"info","message":"GET /healthz"}`, `copy-first: matched: to shop
health-noise: it asks for a level and so never drops the entries that frame tasks; task_entries = "filter" would
test-region: region = "test": saw nothing
payments-trouble: service = "billing" or = "payments": saw "gateway"
all-of-payments: service = "payments": saw "gateway"
stop: stop = true: saw nothing
errors: matched: to pager
not-debug: service = "search": saw "gateway"
filtered: service = "search": saw "gateway"
`)
	if _, err := set.Explain(parse(t, "dlog.in.a.info.-"), []byte("{")); err == nil {
		t.Error("half a line has a trail")
	}
}

func TestRunTests(t *testing.T) {
	set := mustCompile(t, shop+`
[[test]]
name = "noise vanishes"
in = { service = "gateway", level = "info", message = "GET /healthz 200" }
expect = { dropped_by = "health-noise", to = [], rules = ["health-noise"] }
[[test]]
name = "ends of tasks reach the pager"
in = { service = "search", dlog = { event = "end" }, level = "info" }
expect = { to = ["shop", "pager"] }
[[test]]
name = "objects"
in = { path = "place-order/pay", "user.id" = 5, user.name = "x", at = 2026-11-22T00:00:00Z, tags = [1, { a = "<b>" }], region = "test" }
expect = { dropped_by = "test-region", to = ["shop"] }
`)
	if set.Tests() != 3 {
		t.Errorf("%d tests", set.Tests())
	}
	if err := set.RunTests(); err != nil {
		t.Error(err)
	}
	set = mustCompile(t, shop+`
[[test]]
name = "not noise"
in = { service = "gateway", level = "info", message = "POST /healthz" }
expect = { dropped_by = "health-noise" }
[[test]]
name = "wrong stream"
in = { service = "payments", level = "warn", duration_ms = 900, region = "eu-test" }
expect = { to = ["pager"], rules = ["payments-trouble"] }
[[test]]
name = "nowhere"
in = { region = "test" }
expect = { rules = [] }
`)
	got := fmt.Sprint(set.RunTests())
	want := `r.toml:61: test "not noise": want dropped by "health-noise", got to rest by default and no rule matched; health-noise: message ~ "^GET /healthz": saw "POST /healthz"
r.toml:65: test "wrong stream": want to pager and rules payments-trouble, got to payments and rules all-of-payments; payments-trouble: not (region = "eu-test"): saw "eu-test"; errors: level >= error: saw warn; filtered: service = "search": saw "payments"
r.toml:69: test "nowhere": want no rule matched, got dropped by "test-region" and rules test-region`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEvalAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("allocations are not counted under the race detector")
	}
	set := mustCompile(t, manyRules(100))
	var d rule.Decision
	for _, c := range manyEntries {
		p, line := set.Plan(parse(t, c.subject)), []byte(c.line)
		if n := testing.AllocsPerRun(100, func() {
			if err := p.Eval(line, &d); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s %s: %v allocations", c.subject, c.line, n)
		}
	}
}

// manyRules are n rules of which a quarter ask for neither subject nor an equal
// field and a tenth hold a regexp.
func manyRules(n int) string {
	var b strings.Builder
	b.WriteString("[default]\nto = ['s0']\n")
	for i := range 8 {
		fmt.Fprintf(&b, "[[stream]]\nname = 's%d'\n", i)
	}
	for i := range n {
		fmt.Fprintf(&b, "[[rule]]\nname = 'r%d'\nto = ['s%d']\n", i, i%8)
		switch {
		case i < 2:
			fmt.Fprintf(&b, "match = { duration_ms = '>%d', level = '>=warn' }\n", 500+100*i)
		case i < 4:
			fmt.Fprintf(&b, "match = { message = '~(timeout|refused) .*%d' }\n", i)
		case i%3 == 0:
			fmt.Fprintf(&b, "match = { customer = 'c%d', message = '~order' }\n", i)
		case i%3 == 1:
			fmt.Fprintf(&b, "match = { service = 'svc-%d', duration_ms = '>500' }\n", i)
		default:
			fmt.Fprintf(&b, "match = { tenant = %d, level = '>=info', region = ['eu', 'us'] }\n", i)
		}
	}
	return b.String()
}

var manyEntries = []struct{ subject, line string }{
	{"dlog.in.svc-7.error.place-order", `{"level":"error","time":"2026-11-22T10:00:00.000Z","host":"node-28","status":503,"duration_ms":857,"customer":"c6","tenant":5,"region":"eu","retry":false,"message":"timeout waiting for lock for customer order in zone-a seq=12345","dlog":{"svc":"svc-7","trace":"01932b6e5d3a7c4e8f1a2b3c4d5e6fe1","path":"place-order","pos":"2.4","proc":"9f00112233445566","seq":812}}`},
	{"dlog.in.svc-9.info.-", `{"level":"info","duration_ms":3,"customer":"c9","tenant":11,"region":"us","message":"stored\u0020order","dlog":{"svc":"svc-9","proc":"9f00112233445566","seq":1}}`},
	{"dlog.in.svc-10.task.=", `{"level":"info","duration_ms":3,"dlog":{"path":"order 4711","pos":"2"}}`},
}

func BenchmarkEval(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			set := mustCompile(b, manyRules(n))
			p, line := set.Plan(parse(b, manyEntries[0].subject)), []byte(manyEntries[0].line)
			var d rule.Decision
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Eval(line, &d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			set, s := mustCompile(b, manyRules(n)), parse(b, manyEntries[0].subject)
			b.ReportAllocs()
			for b.Loop() {
				set.Plan(s)
			}
		})
	}
}
