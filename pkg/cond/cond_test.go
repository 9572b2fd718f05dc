package cond_test

import (
	"fmt"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/config"
)

func parseBoth(t testing.TB, text string) cond.Cond {
	t.Helper()
	top, err := config.Parse("r.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var tables struct{ Match, Not config.Table }
	if err := top.Decode(&tables); err != nil {
		t.Fatal(err)
	}
	c, err := cond.Parse(tables.Match, tables.Not)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What must hold counts as true without its level, what must not is taken away.
func TestWithoutLevel(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		c := parseBoth(t, text)
		if got := c.WithoutLevel().String(); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
		if has := c.WithoutLevel().String() != c.String(); has != c.HasLevel() {
			t.Errorf("%s: HasLevel is %v", text, c.HasLevel())
		}
	}
	f(`match = {}`, `everything`)
	f(`match = { level = "info" }`, `everything`)
	f(`match = { level = { ne = "info" } }`, `everything`)
	f(`match = { level = ["info", { ne = "debug" }] }`, `everything`)
	f(`match = { level = "info", a = 1 }`, `a = 1`)
	f(`match = { a = 1 }`, `a = 1`)
	f(`match = { b = 2, any = [{ level = "info" }, { a = 1 }] }`, `b = 2`)
	f(`match = { any = [{ level = "info", a = 1 }, { c = 1 }] }`, `a = 1 or c = 1`)
	f(`not = { level = "debug" }`, `everything`)
	f(`not = { level = "debug", region = "test" }`, `not (region = "test")`)
	f(`not = { level = { ne = "debug" } }`, `everything`)
	f(`not = { any = [{ level = "debug" }, { region = "test" }] }`, `not (region = "test")`)
	f(`not = { any = [{ level = "debug" }] }`, `everything`)
	f("match = { a = 1, level = \"info\" }\nnot = { level = \"debug\" }", `a = 1`)
}

// The canonical form does not depend on order and layout.
func TestString(t *testing.T) {
	same := func(a, b, want string) {
		t.Helper()
		x, y := parseBoth(t, a).String(), parseBoth(t, b).String()
		if x != y || x != want {
			t.Errorf("got  %s\nand  %s\nwant %s", x, y, want)
		}
	}
	same(`match = { b = 1, a = ["y", "x"] }`, "[match]\na = [ \"x\", 'y' ] # c\n\"b\" = 1.0", `a = "x" or = "y" and b = 1`)
	same(`match = { user = { id = 5 } }`, `match = { "user.id" = 5 }`, `user.id = 5`)
	same(`match = { level = "warning", n = ">1s" }`, `match = { n = ">1000ms", level = "warn" }`, `level = warn and n > 1s`)
	same(`match = { t = ">2026-11-22T01:00:00+01:00" }`, `match = { t = ">2026-11-22T00:00:00.0Z" }`, `t > 2026-11-22T00:00:00Z`)
	same("match = { service = [\"b\", \"a\"] }\nnot = { y = 1, x = true }", "not = { x = true, y = 1 }\nmatch = { service = [\"a\", \"b\"] }",
		`not (x = true and y = 1) and service = "a" or = "b"`)
	if a, b := parseBoth(t, `match = { a = "1" }`).String(), parseBoth(t, `match = { a = 1 }`).String(); a == b {
		t.Errorf("a text and a number have one form: %s", a)
	}
}

func TestWhy(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		c := parseBoth(t, text)
		var b cond.Binder
		m := b.Bind(c)
		var r cond.Record
		r.Load(b.Layout(), parseSubject(t, inInfo), []byte(shopLine))
		if got := m.Why(&r); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	f(`match = { n = 3 }`, ``)
	f(`match = { n = 3, level = ">=warn" }`, `level >= warn: saw info`)
	f(`match = { service = "a" }`, `service = "a": saw "checkout"`)
	f(`match = { path = "a/**" }`, `path like a/**: saw "place-order/charge"`)
	f(`match = { message = "~^PUT" }`, `message ~ ^PUT: saw "GET /healthz 200"`)
	f(`match = { missing = "*" }`, `missing present: saw nothing`)
	f(`match = { n = [4, 5] }`, `n = 4 or = 5: saw 3`)
	f(`not = { sku = "A-17" }`, `not (sku = "A-17"): saw "A-17"`)
	f(`not = { sku = "A-17", n = 3 }`, `not (n = 3 and sku = "A-17"): all of it holds`)
	f(`match = { any = [{ n = 4 }, { sku = "B", ok = true }] }`, `none of any: n = 4: saw 3; sku = "B": saw "A-17"`)
}

func TestEqualities(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var b cond.Binder
		if got := fmt.Sprint(b.Bind(parseBoth(t, text)).Equalities()); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	f(`match = { a = "x", b = ["y", "7"], c = 4 }`, `[{0 [x] []} {1 [y 7] [7]} {2 [] [4]}]`)
	f(`match = { a = ["x", "*"], b = "true", c = true, d = ">4", any = [{ e = 1 }] }`, `[]`)
	f("match = {}\nnot = { a = 1 }", `[]`)

	services := func(text, want string) {
		t.Helper()
		tokens, ok := parseBoth(t, text).Services()
		if got := fmt.Sprint(tokens, ok); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	services(`match = { service = ["a b", "c"] }`, `[a=20b c] true`)
	services(`match = { service = ["a", "~b"] }`, `[] false`)
	services(`not = { service = "a" }`, `[] false`)
}

// Matching does not allocate, whatever the condition.
func TestMatchAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("allocations are not counted under the race detector")
	}
	f := func(text, subj string) {
		t.Helper()
		var b cond.Binder
		m := b.Bind(parseBoth(t, text))
		l, s, line := b.Layout(), parseSubject(t, subj), []byte(shopLine)
		var r cond.Record
		if n := testing.AllocsPerRun(100, func() {
			r.Load(l, s, line)
			m.Match(&r)
		}); n != 0 {
			t.Errorf("%s under %q: %v allocations", text, subj, n)
		}
	}
	for _, subj := range []string{inInfo, inTask, inLossy, noSubj} {
		f(`match = { level = ">=trace", service = ["x", "~o", "lies"], path = ["place-order/**", "~x"] }`, subj)
		f(`match = { sku = "A-17", n = 3, big = 9007199254740993, ok = true, "user.id" = "*" }`, subj)
		f(`match = { ms = ">1s", when = ">=2026-11-22T16:02:11Z", unix = ">2026-11-22T16:02:11Z" }`, subj)
		f(`match = { severity = ">=warn", esc = "~b", message = "~^(GET|PUT) /h" }`, subj)
		f("match = { any = [{ n = 4 }, { n = 3 }] }\nnot = { sku = [\"B\", \"~^C\"] }", subj)
	}
}

func TestWhereAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("allocations are not counted under the race detector")
	}
	w, err := cond.ParseWhere([]string{"level>=info", "service=checkout", "user.id=u1", "message~^GET"})
	if err != nil {
		t.Fatal(err)
	}
	s, line := parseSubject(t, inInfo), []byte(shopLine)
	if n := testing.AllocsPerRun(100, func() {
		if !w.Match(s, line) {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c := w.Clone(); c.String() != w.String() || !c.Match(s, line) {
		t.Errorf("a clone differs: %v", c)
	}
}

func ExampleParseWhere() {
	w, err := cond.ParseWhere([]string{"level>=warn", "duration_ms>1.5s", "region!=test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w)
	s := parseSubject(nil, "")
	fmt.Println(w.Match(s, []byte(`{"level":"error","duration_ms":1501,"message":"slow"}`)))
	fmt.Println(w.Match(s, []byte(`{"level":"error","duration_ms":1501,"region":"test"}`)))
	// Output:
	// duration_ms > 1.5s and level >= warn and not (region = "test")
	// true
	// false
}

func FuzzParseWhere(f *testing.F) {
	for _, g := range grammar {
		f.Add(g.where, g.subject, shopLine)
	}
	f.Add(`a="b`, inInfo, `{"a":1}`)
	f.Add(`a=">`, inLossy, `{"a":{"b":[1]}}`)
	f.Fuzz(func(t *testing.T, arg, subj, line string) {
		w, err := cond.ParseWhere([]string{arg})
		if err != nil {
			return
		}
		s, err := subjectOrZero(subj)
		if err != nil {
			return
		}
		if got, again := w.Match(s, []byte(line)), bound(t, w.Cond(), s, line); got != again {
			t.Errorf("%q is %v, and %v bound anew", arg, got, again)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, g := range grammar {
		f.Add("match = { "+g.toml+" }\nnot = { a = 1 }", shopLine)
	}
	f.Fuzz(func(t *testing.T, text, line string) {
		top, err := config.Parse("r.toml", []byte(text))
		if err != nil {
			return
		}
		var tables struct{ Match, Not config.Table }
		_ = top.Decode(&tables)
		c, err := cond.Parse(tables.Match, tables.Not)
		if err != nil {
			return
		}
		bound(t, c, parseSubject(t, inLossy), line)
		bound(t, c.WithoutLevel(), parseSubject(t, inTask), line)
	})
}

func BenchmarkWhere(b *testing.B) {
	w, err := cond.ParseWhere([]string{"level>=info", "service=checkout", "user.id=u1", "message~^GET"})
	if err != nil {
		b.Fatal(err)
	}
	s, line := parseSubject(b, inInfo), []byte(shopLine)
	b.ReportAllocs()
	for b.Loop() {
		w.Match(s, line)
	}
}
