package subject

import (
	"errors"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/task"
)

func TestToken(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := Token(name); got != want {
			t.Errorf("Token(%q) = %q, want %q", name, got, want)
		}
	}
	f("place-order", "place-order")
	f("-", "=2D")
	f("--", "--")
	f("", "=")
	f("a.b", "a=2Eb")
	f("a b/c=d", "a=20b=2Fc=3Dd")
	f("größe", "gr=C3=B6=C3=9Fe")
	f("*", "=2A")
	f(">", "=3E")

	// ids: 4 digits and more, with the hex digits that follow
	f("order-123", "order-123")
	f("order-1234", "order-=")
	f("order-12345678", "order-=")
	f("order-1234-5678", "order-=-=")
	f("1234", "=")
	f("1234-", "=-")
	f("-1234", "-=")
	f("12341234", "=")
	f("v1234beta", "v=ta")
	f("1234abcg", "=g")
	f("ab1234c", "ab=")
	f("x12.34", "x12=2E34")
	f("1234.5", "==2E5") // a fold, then an escape
	f("1234=41", "==3D41")

	// 8 hex digits and more
	f("abcdefa", "abcdefa")
	f("abcdefab", "=")
	f("x-deadBEEF-y", "x-=-y")
	f("ab1234cd", "=")
	f("ab123cd1", "=")
	f("feedback", "feedback")
	f("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "=-4f89-11d3-9a0c-=")

	// 64 bytes stay, more are cut
	f(strings.Repeat("n", 64), strings.Repeat("n", 64))
	f(strings.Repeat("n", 65), strings.Repeat("n", 55)+"_1e3fb6d5")
	f(strings.Repeat("n", 70)+"-1234", strings.Repeat("n", 55)+"_33b33523")
	f(strings.Repeat("n", 70)+"-5678", strings.Repeat("n", 55)+"_33b33523")
	f(strings.Repeat(" ", 30), strings.Repeat("=20", 18)+"="+"_59a29eb6")
}

func TestServiceToken(t *testing.T) {
	f := func(service, want string) {
		t.Helper()
		if got := ServiceToken(service); got != want {
			t.Errorf("ServiceToken(%q) = %q, want %q", service, got, want)
		}
	}
	f("checkout", "checkout")
	f("checkout-12345", "checkout-12345")
	f("check.out", "check=2Eout")
	f("", "-")
	f("-", "=2D")
	f(strings.Repeat("n", 65), strings.Repeat("n", 55)+"_1e3fb6d5")
}

func TestBuild(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(In("dlog", "checkout", "info", ""), "dlog.in.checkout.info.-")
	f(In("dlog", "checkout", TaskLevel, "place-order"), "dlog.in.checkout.task.place-order")
	f(In("shop", "a.b", "error", "place-order/GET =2Fcards/-"), "shop.in.a=2Eb.error.place-order.GET=20=2Fcards.=2D")
	f(In("dlog", "s", "info", "order-123456/pay"), "dlog.in.s.info.order-=.pay")
	f(In("dlog", "s", "info", "1/2/3/4/5/6/7/8"), "dlog.in.s.info.1.2.3.4.5.6.7.8")
	f(In("dlog", "s", "info", "1/2/3/4/5/6/7/8/9"), "dlog.in.s.info.1.2.3.4.5.6.7.=")
	f(In("dlog", "s", "info", "a/=/b"), "dlog.in.s.info.a.=.b")
	f(To("dlog", "payments", "checkout", "warn", "a/b"), "dlog.to.payments.checkout.warn.a.b")
	f(Dead("dlog", "json", "a.b"), "dlog.dead.json.a=2Eb")
	f(DeadToken("dlog", "json", "a=2Eb"), "dlog.dead.json.a=2Eb")
	f(DeadToken("dlog", "json", ""), "dlog.dead.json.-")
	f(InToTo("dlog.in.checkout.warn.a.b", "dlog", "payments"), "dlog.to.payments.checkout.warn.a.b")
	f(InToTo("other.to.all.checkout.warn.a.b", "dlog", "payments"), "dlog.to.payments.checkout.warn.a.b")
	f(InToTo("dlog", "dlog", "payments"), "dlog.to.payments.-")
	f(StreamName("dlog", "in", ""), "DLOG_IN")
	f(StreamName("dlog", "to", "payments"), "DLOG_TO_payments")
	f(StreamName("my-shop", "ledger", ""), "MY-SHOP_LEDGER")
}

func TestParseSuccess(t *testing.T) {
	f := func(s string, want Subject, service, path string) {
		t.Helper()
		got, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if got != want || got.Service() != service || got.Path() != path {
			t.Errorf("Parse(%q) = %+v, service %q, path %q", s, got, got.Service(), got.Path())
		}
	}
	f("dlog.in.checkout.info.-", Subject{NS: "dlog", Kind: "in", ServiceToken: "checkout", Level: "info"}, "checkout", "")
	f("dlog.in.a=2Eb.task.x.GET=20=2Fy", Subject{NS: "dlog", Kind: "in", ServiceToken: "a=2Eb", Level: "task", Names: "x.GET=20=2Fy"}, "a.b", "x/GET =2Fy")
	f("dlog.in.-.info.=2D", Subject{NS: "dlog", Kind: "in", ServiceToken: "-", Level: "info", Names: "=2D"}, "", "-")
	f("dlog.to.payments.s.warn.a", Subject{NS: "dlog", Kind: "to", Stream: "payments", ServiceToken: "s", Level: "warn", Names: "a"}, "s", "a")
	f("dlog.dead.json.s", Subject{NS: "dlog", Kind: "dead", Reason: "json", ServiceToken: "s"}, "s", "")
	f("dlog.in.s", Subject{NS: "dlog", Kind: "in", ServiceToken: "s", Level: "none"}, "s", "")
	f("dlog.in.s.odd", Subject{NS: "dlog", Kind: "in", ServiceToken: "s", Level: "odd"}, "s", "")
	f("dlog.in.s.info.order-=.pay", Subject{NS: "dlog", Kind: "in", ServiceToken: "s", Level: "info", Names: "order-=.pay", Lossy: true}, "s", "order-=/pay")
	f("dlog.in.s.info.1.2.3.4.5.6.7.=", Subject{NS: "dlog", Kind: "in", ServiceToken: "s", Level: "info", Names: "1.2.3.4.5.6.7.=", Lossy: true}, "s", "1/2/3/4/5/6/7/=")
	f("dlog.in.s.info.é.=C3=A9", Subject{NS: "dlog", Kind: "in", ServiceToken: "s", Level: "info", Names: "é.=C3=A9"}, "s", "é/é")
	cut := Token(strings.Repeat("n", 65))
	f("dlog.in.s.info."+cut, Subject{NS: "dlog", Kind: "in", ServiceToken: "s", Level: "info", Names: cut, Lossy: true}, "s", cut)
}

func TestParseFailure(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if got, err := Parse(s); !errors.Is(err, ErrForeign) || got != (Subject{}) {
			t.Errorf("Parse(%.80q) = %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", ".", "dlog", "dlog.", "dlog.in", "dlog.in.", "dlog.to.x", "dlog.dead.json", "dlog.ctl.verbosity", "dlog.ledger.r1",
		"dlog.in..info.a", ".in.s.info.a", "dlog.in.s.info.a.", "dlog.in.s.info..a", "foo.bar.baz.qux", "_INBOX.abc.def",
		strings.Repeat("x", 1<<16),
	} {
		f(s)
	}
}

func TestCheckNames(t *testing.T) {
	f := func(name string, ns, stream bool) {
		t.Helper()
		if err := CheckNamespace(name); (err == nil) != ns {
			t.Errorf("CheckNamespace(%q) = %v", name, err)
		}
		if err := CheckStream(name); (err == nil) != stream {
			t.Errorf("CheckStream(%q) = %v", name, err)
		}
	}
	f("dlog", true, true)
	f("a", true, true)
	f("a-1", true, true)
	f("in", true, false)
	f("dead", true, false)
	f("to", true, true)
	f("", false, false)
	f("1a", false, false)
	f("A", false, false)
	f("a_b", false, false)
	f("a.b", false, false)
	f("ä", false, false)
	f(strings.Repeat("a", 32), true, true)
	f(strings.Repeat("a", 33), false, false)
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 512)
	pattern, err := ParsePattern("place-order/*/charge/**")
	if err != nil {
		t.Fatal(err)
	}
	f := func(name string, want float64, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, run); n > want {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("AppendIn", 0, func() { buf = AppendIn(buf[:0], "dlog", "check.out", "info", "place-order/order-12345/charge card") })
	f("In", 1, func() { In("dlog", "checkout", "info", "place-order/order-12345/charge") })
	f("Parse", 0, func() { _, _ = Parse("dlog.in.checkout.info.place-order.order-=.charge") })
	f("Match", 0, func() {
		s, _ := Parse("dlog.in.checkout.info.place-order.order-=.charge.=")
		pattern.Match(s, "place-order/order-12345/charge/123=2F45")
	})
}

func FuzzNames(f *testing.F) {
	f.Add("order-12345", "a=41")
	f.Add("deadbeef", "1234=")
	f.Add("-", "")
	f.Add(strings.Repeat("é", 40), "\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		path := task.JoinPath(task.EscapeName(a), b)
		s := In("dlog", a, "info", path)
		sub, err := Parse(s)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if sub.Names != Token(a)+"."+Token(b) || sub.ServiceToken != ServiceToken(a) {
			t.Fatalf("%q of %q, %q: %+v", s, a, b, sub)
		}
		for _, token := range []string{Token(a), Token(b), ServiceToken(a)} {
			checkToken(t, token)
		}
		if !sub.Lossy && sub.Path() != path {
			t.Fatalf("%q: path %q, want %q", s, sub.Path(), path)
		}
		if !wasCut(sub.ServiceToken) && sub.Service() != a {
			t.Fatalf("%q: service %q", s, sub.Service())
		}
		if InToTo(s, "dlog", "x") != To("dlog", "x", a, "info", path) {
			t.Fatalf("InToTo(%q) = %q", s, InToTo(s, "dlog", "x"))
		}
		checkFold(t, a)
	})
}

func checkToken(t *testing.T, token string) {
	t.Helper()
	if len(token) < 1 || len(token) > 64 {
		t.Fatalf("token %q", token)
	}
	for i := range len(token) {
		if !task.IsSafe(token[i]) && token[i] != '=' {
			t.Fatalf("token %q", token)
		}
	}
}

// checkFold holds the folding against the words of the contract, literally.
func checkFold(t *testing.T, name string) {
	t.Helper()
	if want := foldByTheWords(name); string(cut([]byte(want), 0)) != Token(name) {
		t.Fatalf("Token(%q) = %q, want %q", name, Token(name), want)
	}
}

func foldByTheWords(name string) string {
	if name == "" {
		return "="
	}
	if name == "-" {
		return "=2D"
	}
	run := func(s string, set string) int { return len(s) - len(strings.TrimLeft(s, set)) }
	var out strings.Builder
	for name != "" {
		hex := run(name, "0123456789abcdefABCDEF")
		if run(name, "0123456789") >= 4 || hex >= 8 {
			out.WriteByte('=')
			name = name[hex:]
			continue
		}
		c := name[:1]
		name = name[1:]
		if c == "-" {
			out.WriteString(c)
		} else {
			out.Write(task.AppendSafe(nil, c))
		}
	}
	return out.String()
}

func FuzzParse(f *testing.F) {
	f.Add("dlog.in.checkout.info.place-order.=2D")
	f.Add("dlog.to.payments.s.task.-")
	f.Add("dlog.dead.json.s")
	f.Fuzz(func(t *testing.T, s string) {
		sub, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrForeign) || len(err.Error()) > 500 {
				t.Fatalf("Parse(%q): %v", s, err)
			}
			return
		}
		_, _ = sub.Service(), sub.Path()
		pattern, err := ParsePattern(s)
		if err == nil {
			pattern.Match(sub, s)
		}
	})
}

func BenchmarkIn(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		In("dlog", "checkout", "info", "place-order/charge-card/POST =2Fcharges")
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse("dlog.in.checkout.info.place-order.charge-card.POST=20=2Fcharges")
	}
}
