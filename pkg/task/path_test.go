package task

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscapeName(t *testing.T) {
	f := func(name, path, safe string) {
		t.Helper()
		if got := EscapeName(name); got != path {
			t.Errorf("EscapeName(%q) = %q, want %q", name, got, path)
		}
		if got := string(AppendSafe(nil, name)); got != safe {
			t.Errorf("AppendSafe(%q) = %q, want %q", name, got, safe)
		}
		if got := UnescapeName(path); got != name {
			t.Errorf("UnescapeName(%q) = %q, want %q", path, got, name)
		}
		if got := UnescapeName(safe); got != name {
			t.Errorf("UnescapeName(%q) = %q, want %q", safe, got, name)
		}
	}
	f("place-order", "place-order", "place-order")
	f("GET /orders/{id}", "GET =2Forders=2F{id}", "GET=20=2Forders=2F=7Bid=7D")
	f("a=b", "a=3Db", "a=3Db")
	f("=2F", "=3D2F", "=3D2F")
	f("größe", "größe", "gr=C3=B6=C3=9Fe")
	f("日本", "日本", "=E6=97=A5=E6=9C=AC")
	f("a.b*c>d", "a.b*c>d", "a=2Eb=2Ac=3Ed")
	f("-", "-", "=2D")
	f("", "=", "=")
	f("\x00\n\x7f", "=00=0A=7F", "=00=0A=7F")
	f("a\u0085b", "a=C2=85b", "a=C2=85b")
	f("\xff\xc3", "=FF=C3", "=FF=C3")
	f("\ufffd", "\ufffd", "=EF=BF=BD")
}

func TestUnescapeNameTakesWhatIsNoEscape(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := UnescapeName(s); got != want {
			t.Errorf("UnescapeName(%q) = %q, want %q", s, got, want)
		}
	}
	f("a=", "a=")
	f("a=2", "a=2")
	f("a=2f", "a=2f")
	f("a=zz", "a=zz")
	f("a==2F", "a=/")
}

func TestPaths(t *testing.T) {
	path := JoinPath(JoinPath("", "place-order"), "GET /cards")
	if path != "place-order/GET =2Fcards" {
		t.Errorf("path %q", path)
	}
	if got := SplitPath(path); !slices.Equal(got, []string{"place-order", "GET /cards"}) {
		t.Errorf("SplitPath = %q", got)
	}
	if got := BaseName(path); got != "GET /cards" {
		t.Errorf("BaseName = %q", got)
	}
	if got := SplitPath(""); got != nil {
		t.Errorf("SplitPath of nothing = %q", got)
	}
	if got := BaseName("one"); got != "one" {
		t.Errorf("BaseName = %q", got)
	}
}

func FuzzName(f *testing.F) {
	f.Add("GET /orders/{id}", "a")
	f.Add("\xff=2F\u0085", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		path := JoinPath(EscapeName(a), b)
		if got := SplitPath(path); !slices.Equal(got, []string{a, b}) || BaseName(path) != b {
			t.Fatalf("%q and %q: path %q, split %q", a, b, path, got)
		}
		if !utf8.ValidString(path) || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("path %q", path)
		}
		safe := string(AppendSafe(nil, a))
		if UnescapeName(safe) != a || !isSafeName(safe) {
			t.Fatalf("%q: %q", a, safe)
		}
	})
}

func TestOutcome(t *testing.T) {
	ended := 0
	for _, o := range Outcomes() {
		if got, ok := ParseOutcome(string(o)); !ok || got != o {
			t.Errorf("ParseOutcome(%q) = %q, %v", o, got, ok)
		}
		if o.Ended() {
			ended++
		}
	}
	if ended != 4 || Running.Ended() || Abandoned.Ended() || Outcome("").Ended() {
		t.Errorf("%d outcomes have ended", ended)
	}
	if o, ok := ParseOutcome("Failed"); ok || o != "" {
		t.Errorf("ParseOutcome takes %q", o)
	}
}
