package task

import (
	"math"
	"slices"
	"strings"
	"testing"
)

const testUUID = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"

func TestEliotID(t *testing.T) {
	f := func(pos Position, want string, levels ...uint64) {
		t.Helper()
		trace := mustTrace(t, testTrace)
		id := EliotID(trace, pos)
		if id != testUUID+"@/"+want {
			t.Errorf("EliotID(%q) = %s", pos, id)
		}
		gotTrace, gotPos, err := ParseEliotID(id)
		if err != nil || gotTrace != trace || gotPos != pos {
			t.Errorf("ParseEliotID(%s) = %v, %q, %v", id, gotTrace, gotPos, err)
		}
		if got := pos.Eliot(); !slices.Equal(got, levels) {
			t.Errorf("%q.Eliot() = %v, want %v", pos, got, levels)
		}
	}
	f("", "")
	f("2.3", "2/3", 2, 3)
	f("2.3~aaaab.1", "2/3/4294967297/1", 2, 3, 1<<32+1, 1)
	f("2~77777", "2/4328521727", 2, 1<<32+1<<25-1)
	f("x00f067aa0ba902b7~aaaab.2", "8605689770/8785560247/4294967297/2", 1<<33+0xf067aa, 1<<33+0x0ba902b7, 1<<32+1, 2)
}

func TestPositionFromEliot(t *testing.T) {
	f := func(want Position, levels ...uint64) {
		t.Helper()
		if got, err := PositionFromEliot(levels); err != nil || got != want {
			t.Errorf("PositionFromEliot(%v) = %q, %v; want %q", levels, got, err, want)
		}
	}
	f("")
	f("1", 1)
	f("4294967297", 1<<32+1)                   // nothing stands before it that it could be an attempt of
	f("1~aaaaa.4294967297", 1, 1<<32, 1<<32+1) // one attempt a number
	f("1.4328521728", 1, 1<<32+1<<25)
	f("18446744073709551615", math.MaxUint64)
	f("8589934592.1", 1<<33, 1)
	for _, levels := range [][]uint64{{0}, {1, 0}, make([]uint64, 1<<16), slices.Repeat([]uint64{math.MaxUint64}, 1000)} {
		if p, err := PositionFromEliot(levels); err == nil {
			t.Errorf("PositionFromEliot of %d levels = %.80q", len(levels), p)
		}
	}
}

func TestParseEliotIDSuccess(t *testing.T) {
	f := func(s string, want Position) {
		t.Helper()
		trace, pos, err := ParseEliotID(s)
		if err != nil || trace.String() != testTrace || pos != want {
			t.Errorf("ParseEliotID(%q) = %v, %q, %v", s, trace, pos, err)
		}
	}
	f(testTrace+"@/2/3", "2.3")
	f(strings.ToUpper(testUUID)+"@/2/3", "2.3")
}

func TestParseEliotIDFailure(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if _, pos, err := ParseEliotID(s); err == nil {
			t.Errorf("ParseEliotID(%.80q) = %q", s, pos)
		}
	}
	for _, s := range []string{
		"", "@/", testUUID, testUUID + "@", testUUID + "@2/3", testUUID + "@/0", testUUID + "@/01", testUUID + "@/2/", testUUID + "@//2",
		testUUID + "@/-2", testUUID + "@/2/x", testUUID + "@/18446744073709551616", "x" + testUUID[1:] + "@/2", testUUID + "0@/2",
		strings.ReplaceAll(testUUID, "-", "_") + "@/2", "00000000-0000-0000-0000-000000000000@/1",
		testUUID + "@/" + strings.Repeat("1/", 1<<20) + "1",
	} {
		f(s)
	}
}

func FuzzEliotID(f *testing.F) {
	f.Add(testUUID+"@/2/3", "2.3~k7f3q.1")
	f.Add(testTrace+"@/8605689770/8785560247/4294967297/2", "x00f067aa0ba902b7~k7f3q.12")
	f.Fuzz(func(t *testing.T, id, pos string) {
		if trace, p, err := ParseEliotID(id); err == nil {
			if _, err := ParsePosition(string(p)); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
			trace2, p2, err := ParseEliotID(EliotID(trace, p))
			if err != nil || trace2 != trace || p2 != p {
				t.Fatalf("%q: %v %q became %v %q, %v", id, trace, p, trace2, p2, err)
			}
		}
		p, err := ParsePosition(pos)
		if err != nil || len(pos) > MaxPosition/4 {
			return
		}
		for _, step := range p.Steps() {
			if step.N >= 1<<32 {
				return
			}
		}
		if back, err := PositionFromEliot(p.Eliot()); err != nil || back != p {
			t.Fatalf("%q became %q, %v", p, back, err)
		}
	})
}
