package task

import (
	"strings"
	"testing"
	"time"
)

func TestNewTrace(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	last := ""
	for range 10000 {
		trace := NewTrace()
		made, ok := trace.Time()
		if !ok || made.Before(before) || made.After(time.Now().Add(10*time.Second)) {
			t.Fatalf("trace %s: time %v, %v", trace, made, ok)
		}
		s := trace.String()
		if s <= last {
			t.Fatalf("%s is not after %s", s, last)
		}
		if back, err := ParseTrace(s); err != nil || back != trace {
			t.Fatalf("ParseTrace(%s) = %v, %v", s, back, err)
		}
		last = s
	}
}

func TestTraceTime(t *testing.T) {
	f := func(hex, want string) {
		t.Helper()
		trace, err := ParseTrace(hex)
		if err != nil {
			t.Fatal(err)
		}
		made, ok := trace.Time()
		if got := made.Format(time.RFC3339Nano); ok != (want != "") || ok && got != want {
			t.Errorf("%s.Time() = %s, %v; want %s", hex, got, ok, want)
		}
	}
	f("017f22e279b07cc398c4dc0c0c07398f", "2022-02-22T19:22:22Z") // RFC 9562, appendix A.6
	f("919108f752d133205bacf847db4148a8", "")                     // RFC 9562, appendix A.3: version 4
}

func TestNextTickFraction(t *testing.T) {
	// One millisecond and a half is 1.5 * 4096 ticks, given that no later one was handed out.
	if got := nextTick(time.Unix(0, 0)); got <= 0 {
		t.Errorf("nextTick = %d", got)
	}
	far := time.Date(2200, 1, 1, 0, 0, 0, 500_000, time.UTC)
	defer lastTick.Store(lastTick.Load())
	want := uint64(far.UnixMilli())<<12 + 2048
	if got := nextTick(far); got != want {
		t.Errorf("nextTick = %d, want %d", got, want)
	}
	if got := nextTick(far); got != want+1 {
		t.Errorf("nextTick at the same time = %d, want %d", got, want+1)
	}
}

func TestParseIDFailure(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if _, err := ParseTrace(s); err == nil {
			t.Errorf("ParseTrace(%.80q) succeeded", s)
		} else if len(err.Error()) > 200 {
			t.Errorf("error text of %d bytes", len(err.Error()))
		}
		if _, err := ParseProcess(s); err == nil {
			t.Errorf("ParseProcess(%.80q) succeeded", s)
		}
	}
	f("")
	f("0123")
	f(strings.Repeat("0", 32))
	f(strings.Repeat("0", 16))
	f("017F22e279b07cc398c4dc0c0c07398f")
	f("017F22e279b07cc3")
	f("017f22e279b07cc398c4dc0c0c07398g")
	f("017f22e279b07cc3\n")
	f(strings.Repeat("a", 1<<20))
}

func TestProcess(t *testing.T) {
	p := NewProcess()
	if p.IsZero() || p == NewProcess() {
		t.Fatalf("process %v", p)
	}
	if back, err := ParseProcess(p.String()); err != nil || back != p {
		t.Errorf("ParseProcess(%s) = %v, %v", p, back, err)
	}
}

func BenchmarkNewTrace(b *testing.B) {
	for b.Loop() {
		NewTrace()
	}
}
