package subject

import (
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/task"
)

func mustPattern(t testing.TB, p string) Pattern {
	t.Helper()
	pattern, err := ParsePattern(p)
	if err != nil {
		t.Fatal(err)
	}
	return pattern
}

func TestPatternOnPaths(t *testing.T) {
	f := func(p, path string, want bool) {
		t.Helper()
		pattern := mustPattern(t, p)
		if got := pattern.MatchPath(path); got != want {
			t.Errorf("%q.MatchPath(%q) = %v", p, path, got)
		}
		sub, err := Parse(In("dlog", "s", "info", path))
		if err != nil {
			t.Fatal(err)
		}
		if got := pattern.Match(sub, path); got != want {
			t.Errorf("%q.Match(%q, %q) = %v", p, sub.Names, path, got)
		}
	}
	f("place-order", "place-order", true)
	f("place-order", "place-order/charge", false)
	f("place-order", "", false)
	f("place-order/**", "place-order", true)
	f("place-order/**", "place-order/charge/card", true)
	f("place-order/**", "place-orders", false)
	f("place-order/**", "other/place-order", false)
	f("place-order/*", "place-order", false)
	f("place-order/*", "place-order/charge", true)
	f("place-order/*", "place-order/charge/card", false)
	f("place-order/*", "place-order/12345", true)
	f("*/charge", "place-order/charge", true)
	f("*/charge/**", "12345/charge/x", true)
	f("*/*", "a", false)
	f("*", "a", true)
	f("*", "", false)
	f("**", "a/b/c", true)
	f("**", "12345", true)
	f("**", "", false)
	f("-", "-", true)
	f("-", "", false)
	f("GET =2Forders", "GET =2Forders", true)
	f("größe/**", "größe/x", true)
	f("=2A", "*", true)
	f("=", "=", true)
	f("=", "12345", false)

	// folded, cut and deep: the path decides
	f("order-12345/**", "order-12345/pay", true)
	f("order-12345/**", "order-99999/pay", false)
	f("order-=/**", "order-12345/pay", false)
	f(strings.Repeat("n", 70), strings.Repeat("n", 70), true)
	f(strings.Repeat("n", 70), strings.Repeat("n", 71), false)
	f("1/2/3/4/5/6/7/8/9/10", "1/2/3/4/5/6/7/8/9/10", true)
	f("1/2/3/4/5/6/7/8/9/10", "1/2/3/4/5/6/7/8/9/11", false)
	f("1/2/3/4/5/6/7/8/9/**", "1/2/3/4/5/6/7/8/9", true)
	f("1/2/3/4/5/6/7/8/9/**", "1/2/3/4/5/6/7/8", false)
	f("1/2/3/4/5/6/7/8", "1/2/3/4/5/6/7/8/9", false)
	f("1/2/3/4/5/6/7/*", "1/2/3/4/5/6/7/8/9", false)
	f("1/2/**", "1/2/3/4/5/6/7/8/9", true)
}

func TestPatternOnSubjects(t *testing.T) {
	f := func(p, names string, want Answer) {
		t.Helper()
		sub, err := Parse("dlog.in.s.info." + names)
		if err != nil {
			t.Fatal(err)
		}
		if got := mustPattern(t, p).Subject(sub); got != want {
			t.Errorf("%q.Subject(%q) = %v, want %v", p, names, got, want)
		}
	}
	f("a/**", "-", No)
	f("a/**", "a.b", Yes)
	f("a/**", "a.=", Yes)
	f("a/b/**", "a.=", Maybe) // a process with very many paths says no more
	f("a/*", "a.=", Maybe)
	f("a/*/**", "a.=", Yes)
	f("a/b", "a.=.c", No)
	f("a/b/c", "a.=.c", Maybe)
	f("order-12345", "order-=", Maybe)
	f("order-12345/**", "order-=.x", Maybe)
	f("order", "order-=", No)
	f("b", "=", Maybe)
	f("a/b", "b.=", No)
}

func TestPatternWithoutPathInTheEntry(t *testing.T) {
	f := func(p, names string, want bool) {
		t.Helper()
		sub, err := Parse("dlog.in.s.info." + names)
		if err != nil {
			t.Fatal(err)
		}
		if got := mustPattern(t, p).Match(sub, ""); got != want {
			t.Errorf("%q.Match(%q) = %v", p, names, got)
		}
	}
	f("order-12345/**", "order-=.x", true)
	f("order-12345", "order-=.x", false)
	f("order-12345/x/y", "order-=.x", false)
	f("a/*", "a.=", true)
	f("a/b", "a.=", false)
	f("12345", "=", true)
}

func TestPatternPathMustBelongToSubject(t *testing.T) {
	sub, err := Parse("dlog.in.s.info.order-=")
	if err != nil {
		t.Fatal(err)
	}
	if mustPattern(t, "admin/**").Match(sub, "admin/secret") {
		t.Error("a path that contradicts its subject was believed")
	}
}

func TestParsePatternFailure(t *testing.T) {
	f := func(p, want string) {
		t.Helper()
		pattern, err := ParsePattern(p)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePattern(%q): %v, want %q", p, err, want)
		}
		if sub, _ := Parse("dlog.in.s.info.a"); pattern.Match(sub, "a") || pattern.MatchPath("a") {
			t.Errorf("the pattern of %q matches", p)
		}
	}
	f("", "a name is empty")
	f("/a", "a name is empty")
	f("a/", "a name is empty")
	f("a//b", "a name is empty")
	f("a/**/b", "must be last")
	f("**/b", "must be last")
	f("a*", "one whole name")
	f("a/b**", "one whole name")
	f("***", "one whole name")
}

// FuzzPattern holds that the subject never contradicts the path.
func FuzzPattern(f *testing.F) {
	f.Add("a/**", "a", "b", "c")
	f.Add("order-1234/*", "order-1234", "b", "c")
	f.Add("*/=2D", "x", "-", "")
	f.Fuzz(func(t *testing.T, p, a, b, c string) {
		pattern, err := ParsePattern(p)
		if err != nil {
			return
		}
		path := task.JoinPath(task.JoinPath(task.EscapeName(a), b), c)
		deep := path + "/1/2/3/4/5/6/7"
		for _, path := range []string{task.EscapeName(a), path, deep} {
			sub, err := Parse(In("dlog", "s", "info", path))
			if err != nil {
				t.Fatal(err)
			}
			want := pattern.MatchPath(path)
			if answer := pattern.Subject(sub); answer == Yes && !want || answer == No && want {
				t.Fatalf("%q on %q: the subject says %v, the path %v", p, path, answer, want)
			}
			if pattern.Match(sub, path) != want {
				t.Fatalf("%q.Match(%q) = %v", p, path, !want)
			}
		}
	})
}

func BenchmarkPatternMatch(b *testing.B) {
	pattern := mustPattern(b, "place-order/**")
	sub, err := Parse("dlog.in.checkout.info.place-order.charge-card.authorize")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		pattern.Match(sub, "")
	}
}
