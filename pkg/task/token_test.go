package task

import (
	"regexp"
	"strings"
	"testing"
)

const testTrace = "017f22e279b07cc398c4dc0c0c07398f"

func mustTrace(t testing.TB, s string) Trace {
	t.Helper()
	trace, err := ParseTrace(s)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

func TestTokenSuccess(t *testing.T) {
	f := func(pos Position, path, want string) {
		t.Helper()
		token := Token{Trace: mustTrace(t, testTrace), Pos: pos, Path: path}
		text := token.String()
		if text != "01-"+testTrace+"-"+want {
			t.Errorf("token %+v: %s", token, text)
		}
		if back, err := ParseToken(text); err != nil || back != token {
			t.Errorf("ParseToken(%s) = %+v, %v", text, back, err)
		}
	}
	f("2.3", "place-order", "2.3-place-order")
	f("3", "place-order/charge-card", "3-place-order/charge-card")
	f("2.3~k7f3q.4", "a/b", "2.3~k7f3q.4-a/b")
	f("x00f067aa0ba902b7~k7f3q.2", "a", "x00f067aa0ba902b7~k7f3q.2-a")
	f("3", "GET =2Forders=2F{id}", "3-GET=20=2Forders=2F=7Bid=7D")
	f("3", "größe", "3-gr=C3=B6=C3=9Fe")
	f("3", "-/a", "3-=2D/a")
	f("3", "=/a", "3-=/a") // a task without a name
	f("3", "order-12345678/"+strings.Repeat("n", 100), "3-order-12345678/"+strings.Repeat("n", 100))
	f("3", "", "3-")
}

func TestParseTokenFailure(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if token, err := ParseToken(s); err == nil {
			t.Errorf("ParseToken(%.80q) = %+v", s, token)
		} else if token != (Token{}) || len(err.Error()) > 400 {
			t.Errorf("ParseToken(%.80q) = %+v, error of %d bytes", s, token, len(err.Error()))
		}
	}
	for _, s := range []string{
		"", "01", "01-", "garbage", "01-" + testTrace, "01-" + testTrace + "-", "01-" + testTrace + "-2.3", "01-" + testTrace + "--a",
		"02-" + testTrace + "-2.3-a", "00-" + testTrace + "-00f067aa0ba902b7-01",
		"01-" + strings.ToUpper(testTrace) + "-2.3-a", "01-" + strings.Repeat("0", 32) + "-2.3-a",
		"01-" + testTrace + "-2.03-a", "01-" + testTrace + "-2.3-/a", "01-" + testTrace + "-2.3-a/", "01-" + testTrace + "-2.3-a//b",
		"01-" + testTrace + "-2.3-a b", "01-" + testTrace + "-2.3-a=2", "01-" + testTrace + "-2.3-a=2f", "01-" + testTrace + "-2.3-a=",
		"01-" + testTrace + "-2.3-é", "01-" + testTrace + "-2.3-a\r\nX: y", " 01-" + testTrace + "-2.3-a",
		"01-" + testTrace + "-2.3-" + strings.Repeat("a", MaxToken), strings.Repeat("01-", 1<<20),
	} {
		f(s)
	}
}

func TestTraceparent(t *testing.T) {
	token := Token{Trace: mustTrace(t, testTrace), Pos: "2.3", Path: "a"}
	text := token.Traceparent()
	if !regexp.MustCompile(`^00-` + testTrace + `-[0-9a-f]{16}-01$`).MatchString(text) {
		t.Fatalf("traceparent %s", text)
	}
	trace, span, err := ParseTraceparent(text)
	if err != nil || trace != token.Trace || span != SpanID(trace, "2") {
		t.Errorf("ParseTraceparent(%s) = %v, %x, %v", text, trace, span, err)
	}
}

func TestParseTraceparentSuccess(t *testing.T) {
	f := func(s string) {
		t.Helper()
		trace, span, err := ParseTraceparent(s)
		if err != nil || trace.String() != "4bf92f3577b34da6a3ce929d0e0e4736" || span != [8]byte{0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7} {
			t.Errorf("ParseTraceparent(%s) = %v, %x, %v", s, trace, span, err)
		}
	}
	f("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") // the recommendation's own example
	f("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
	f("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like")
}

func TestParseTraceparentFailure(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	f := func(s string) {
		t.Helper()
		if _, _, err := ParseTraceparent(s); err == nil {
			t.Errorf("ParseTraceparent(%.80q) succeeded", s)
		}
	}
	f("")
	f("00")
	f("ff" + good[2:])
	f("0g" + good[2:])
	f(good + "-extra")
	f(good + "0")
	f("cc" + good[2:] + ".extra")
	f(good[:54])
	f(strings.ToUpper(good))
	f(strings.ReplaceAll(good, "-", "_"))
	f("00-00000000000000000000000000000000-00f067aa0ba902b7-01")
	f("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01")
	f(good[:53] + "zz")
	f(strings.Repeat("00-", 1<<20))
}

func FuzzToken(f *testing.F) {
	f.Add("01-"+testTrace+"-2.3-place-order", "2.3", "place-order")
	f.Add("01-"+testTrace+"-x00f067aa0ba902b7~k7f3q.2-a/=/=2D", "2", "a/=2F\xff/=")
	f.Fuzz(func(t *testing.T, s, pos, name string) {
		if token, err := ParseToken(s); err == nil {
			back, err := ParseToken(token.String())
			if err != nil || back != token {
				t.Fatalf("%q: %+v became %+v, %v", s, token, back, err)
			}
		}
		p, err := ParsePosition(pos)
		if err != nil || p == "" || len(name) > 1000 {
			return
		}
		token := Token{Trace: Trace{1}, Pos: p, Path: JoinPath("a", name)}
		if back, err := ParseToken(token.String()); err != nil || back != token {
			t.Fatalf("%+v: %v, %+v", token, err, back)
		}
	})
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x")
	valid := regexp.MustCompile(`\A(00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?s:-.*)?)\z`)
	f.Fuzz(func(t *testing.T, s string) {
		trace, span, err := ParseTraceparent(s)
		want := valid.MatchString(s) && !strings.HasPrefix(s, "ff") &&
			s[3:35] != strings.Repeat("0", 32) && s[36:52] != strings.Repeat("0", 16)
		if strings.HasPrefix(s, "00") && len(s) != traceparentLen {
			want = false
		}
		if (err == nil) != want {
			t.Fatalf("ParseTraceparent(%q): %v, want %v", s, err, want)
		}
		if err == nil && (trace.String() != s[3:35] || string(appendHex(nil, span[:])) != s[36:52]) {
			t.Fatalf("ParseTraceparent(%q) = %v, %x", s, trace, span)
		}
	})
}
