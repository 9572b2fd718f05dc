package task

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestParsePositionSuccess(t *testing.T) {
	f := func(s string, steps ...Step) {
		t.Helper()
		p, err := ParsePosition(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Steps(); string(p) != s || !slices.Equal(got, steps) || p.Depth() != len(steps) {
			t.Errorf("ParsePosition(%q) = %q, steps %v, depth %d; want %v", s, p, got, p.Depth(), steps)
		}
	}
	f("")
	f("1", Step{N: 1})
	f("2.10.3", Step{N: 2}, Step{N: 10}, Step{N: 3})
	f("2.3~k7f3q", Step{N: 2}, Step{N: 3, Attempt: "k7f3q"})
	f("2~aaaaa.3~77777.1", Step{N: 2, Attempt: "aaaaa"}, Step{N: 3, Attempt: "77777"}, Step{N: 1})
	f("18446744073709551615", Step{N: math.MaxUint64})
	f("x00f067aa0ba902b7~k7f3q", Step{Foreign: "00f067aa0ba902b7", Attempt: "k7f3q"})
	f("x00f067aa0ba902b7~k7f3q.12", Step{Foreign: "00f067aa0ba902b7", Attempt: "k7f3q"}, Step{N: 12})
}

func TestParsePositionFailure(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if p, err := ParsePosition(s); err == nil {
			t.Errorf("ParsePosition(%.80q) = %.80q", s, p)
		} else if len(err.Error()) > 300 {
			t.Errorf("error text of %d bytes", len(err.Error()))
		}
	}
	for _, s := range []string{
		"0", "01", "1.0", "1.", ".1", ".", "1..2", "-1", "+1", " 1", "1 ", "1\n", "a", "1.a", "1e3", "1.2.x",
		"18446744073709551616", "99999999999999999999", "100000000000000000000",
		"1~", "1~abcd", "1~abcdef", "1~ABCDE", "1~abcd1", "1~abcd8", "~abcde", "1~abcde~abcde", "1~abc.e",
		"x", "x00f067aa0ba902b7", "x00f067aa0ba902b7~", "x00F067AA0BA902B7~k7f3q", "x00f067aa0ba902b7~k7f3",
		"x00f067aa0ba902bg~k7f3q", "1.x00f067aa0ba902b7~k7f3q", "x00f067aa0ba902b7~k7f3q~aaaaa", "x1~k7f3q",
		"١", "１", "1\x00",
		strings.Repeat("1.", MaxPosition/2) + "1", strings.Repeat("9", 1<<20),
	} {
		f(s)
	}
}

func TestPositionBuild(t *testing.T) {
	f := func(got, want Position) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, err := ParsePosition(string(got)); err != nil {
			t.Error(err)
		}
	}
	f(Position("").Child(1), "1")
	f(Position("2").Child(10), "2.10")
	f(Position("2").Child(math.MaxUint64), "2.18446744073709551615")
	f(Position("2.3").Claim("k7f3q"), "2.3~k7f3q")
	f(Position("2.3~k7f3q").Claim("aaaaa"), "2.3~aaaaa")
	f(Position("2~k7f3q.3").Claim("aaaaa"), "2~k7f3q.3~aaaaa")
	f(Position("").Claim("aaaaa"), "")
	f(ForeignPosition([8]byte{0, 0xf0, 0x67}, "k7f3q"), "x00f0670000000000~k7f3q")
	f(ForeignPosition([8]byte{1}, "k7f3q").Claim("aaaaa"), "x0100000000000000~aaaaa")
	f(Position("2.3~k7f3q.1").Parent(), "2.3~k7f3q")
	f(Position("7").Parent(), "")
	f(Position("").Parent(), "")
}

func TestPositionSplit(t *testing.T) {
	f := func(p, parent Position, last Step, ok bool) {
		t.Helper()
		gotParent, gotLast, gotOK := p.Split()
		if gotParent != parent || gotLast != last || gotOK != ok {
			t.Errorf("%q.Split() = %q, %v, %v", p, gotParent, gotLast, gotOK)
		}
	}
	f("", "", Step{}, false)
	f("4", "", Step{N: 4}, true)
	f("2.3~k7f3q", "2", Step{N: 3, Attempt: "k7f3q"}, true)
	f("x00f067aa0ba902b7~k7f3q", "", Step{Foreign: "00f067aa0ba902b7", Attempt: "k7f3q"}, true)
}

func TestPositionWithin(t *testing.T) {
	f := func(p, ancestor Position, want bool) {
		t.Helper()
		if got := p.Within(ancestor); got != want {
			t.Errorf("%q.Within(%q) = %v", p, ancestor, got)
		}
	}
	f("2.3", "", true)
	f("", "", true)
	f("2.3", "2", true)
	f("2.3", "2.3", true)
	f("2.30", "2.3", false)
	f("20", "2", false)
	f("2~k7f3q", "2", false)
	f("2~k7f3q.1", "2~k7f3q", true)
	f("2", "2.3", false)
	f("", "1", false)
}

func TestComparePositions(t *testing.T) {
	ordered := []Position{
		"", "1", "2", "2.1", "2.9", "2.10", "2.10.1", "2.10~aaaaa", "2.10~aaaaa.1", "2.10~bbbbb", "2.11", "2.100",
		"2~abcde", "2~abcde.1", "2~abcde.2.3", "2~abcdf", "3", "9", "10", "18446744073709551615",
		"x00f067aa0ba902b7~aaaaa", "x00f067aa0ba902b7~aaaaa.1", "x00f067aa0ba902b7~bbbbb", "x10f067aa0ba902b7~aaaaa",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := ComparePositions(a, b); got != want {
				t.Errorf("ComparePositions(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
	shuffled := slices.Clone(ordered)
	rand.Shuffle(len(shuffled), reflect.Swapper(shuffled))
	if slices.SortFunc(shuffled, ComparePositions); !slices.Equal(shuffled, ordered) {
		t.Errorf("sorted: %q", shuffled)
	}
}

func TestSpanID(t *testing.T) {
	f := func(trace, pos, want string) {
		t.Helper()
		id, err := ParseTrace(trace)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := hex.DecodeString(trace)
		sum := sha256.Sum256(append(raw, pos...))
		got := SpanID(id, Position(pos))
		if fmt.Sprintf("%x", got) != want || !slices.Equal(got[:], sum[:8]) {
			t.Errorf("SpanID(%s, %q) = %x, want %s", trace, pos, got, want)
		}
	}
	// printf '…32 hex…' | xxd -r -p; printf POSITION; both into sha256sum, first 16 digits.
	f("017f22e279b07cc398c4dc0c0c07398f", "", "4e2e22477383ff21")
	f("017f22e279b07cc398c4dc0c0c07398f", "2.3~k7f3q", "38ceb38176bb2659")
	f("017f22e279b07cc398c4dc0c0c07398f", strings.Repeat("2.", 100)+"2", "05909128fff4d623")
}

func TestAttempt(t *testing.T) {
	f := func(bits uint64, want string) {
		t.Helper()
		if got := formatAttempt(bits); got != want || attemptValue(got) != bits {
			t.Errorf("formatAttempt(%d) = %s, back %d", bits, got, attemptValue(got))
		}
	}
	f(0, "aaaaa")
	f(1, "aaaab")
	f(1<<attemptBits-1, "77777")
	f(31<<20, "7aaaa")
	for range 1000 {
		if a := NewAttempt(); !validAttempt(a) {
			t.Fatalf("attempt %q", a)
		}
	}
}

func TestPositionHotPathsDoNotAllocate(t *testing.T) {
	var trace Trace
	buf := make([]byte, 0, 256)
	f := func(name string, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("AppendChild", func() { buf = Position("2.3~k7f3q").AppendChild(buf[:0], 12345) })
	f("Trace.AppendTo", func() { buf = trace.AppendTo(buf[:0]) })
	f("ParsePosition", func() { _, _ = ParsePosition("2.3~k7f3q.1") })
	f("ComparePositions", func() { ComparePositions("2.3~k7f3q.10", "2.3~k7f3q.9") })
	f("Within", func() { _ = Position("2.3.4").Within("2.3") })
	f("SpanID", func() { SpanID(trace, "2.3~k7f3q.10") })
	f("AppendName", func() { buf = AppendName(buf[:0], "a/b=c") })
	f("AppendSafe", func() { buf = AppendSafe(buf[:0], "a/b=c ü") })
}

// grammar is the grammar of the package comment but for the size of numbers.
var grammar = regexp.MustCompile(`\A(?:[1-9][0-9]*(?:~[a-z2-7]{5})?|x[0-9a-f]{16}~[a-z2-7]{5})(?:\.[1-9][0-9]*(?:~[a-z2-7]{5})?)*\z`)

func fits(s string) bool {
	for _, n := range regexp.MustCompile(`(?:^|\.)([0-9]+)`).FindAllStringSubmatch(s, -1) {
		if _, err := strconv.ParseUint(n[1], 10, 64); err != nil {
			return false
		}
	}
	return len(s) <= MaxPosition
}

func FuzzPosition(f *testing.F) {
	for _, s := range []string{"", "1", "2.3~k7f3q.1", "x00f067aa0ba902b7~k7f3q.12", "18446744073709551616", "1..2"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, s, other string) {
		p, err := ParsePosition(s)
		if want := s == "" || grammar.MatchString(s) && fits(s); (err == nil) != want {
			t.Fatalf("ParsePosition(%q): %v, the grammar says %v", s, err, want)
		}
		if err != nil {
			return
		}
		var built Position
		for _, step := range p.Steps() {
			if step.Foreign != "" {
				span, _ := hex.DecodeString(step.Foreign)
				built = ForeignPosition([8]byte(span), step.Attempt)
			} else if built = built.Child(step.N); step.Attempt != "" {
				built = built.Claim(step.Attempt)
			}
		}
		if built != p {
			t.Fatalf("%q was built anew as %q", p, built)
		}
		checkOrder(t, p, other)
	})
}

func checkOrder(t *testing.T, p Position, other string) {
	q, err := ParsePosition(other)
	if err != nil {
		return
	}
	pq, qp := ComparePositions(p, q), ComparePositions(q, p)
	if pq != -qp || (pq == 0) != (p == q) {
		t.Fatalf("order of %q and %q: %d, %d", p, q, pq, qp)
	}
	if q.Within(p) && pq > 0 {
		t.Fatalf("%q is below %q and before it", q, p)
	}
}

func BenchmarkComparePositions(b *testing.B) {
	for b.Loop() {
		ComparePositions("2.3~k7f3q.10.4.12", "2.3~k7f3q.10.4.9")
	}
}
