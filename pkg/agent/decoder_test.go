package agent

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// usual are lines of the kinds that come by the million.
var usual = []struct{ name, line string }{
	{"zerolog", `{"level":"info","sku":"A-17","n":3,"time":"2026-11-22T19:25:35.123456Z","message":"reserved"}`},
	{"slog", `{"time":"2026-11-22T19:25:35.089327371Z","level":"INFO","msg":"reserved","sku":"A-17"}`},
	{"pino", `{"level":30,"time":1795375541830,"pid":26749,"hostname":"vm","sku":"A-17","msg":"reserved"}`},
	{"zap", `{"level":"info","ts":1795375535.0947285,"caller":"shop/main.go:16","msg":"reserved","sku":"A-17"}`},
	{"logfmt", `time=2026-11-22T19:25:35.089Z level=INFO msg="reserved it" sku="A 17" n=3 ok=true`},
	{"klog", `I1122 19:25:35.108963   26511 main.go:23] "Pod status updated" pod="kube-system/dns" n=3`},
	{"text", `2026-11-22 16:02:11,482 - shop - WARNING - slow`},
	{"plain", `nothing that is known`},
}

// TestNoAllocations holds the way of the usual lines through the decoder.
func TestNoAllocations(t *testing.T) {
	for _, u := range usual {
		count := 0
		dec := newDecoder(Auto, frozen, "stdout", func(*draft) { count++ })
		line := []byte(u.line)
		dec.line(line, 0) // buffers grow once
		dec.line(line, 0)
		if n := testing.AllocsPerRun(100, func() { dec.line(line, 0) }); n > 0 {
			t.Errorf("%s: %v allocations a line", u.name, n)
		}
	}
}

func BenchmarkDecoder(b *testing.B) {
	for _, u := range usual {
		b.Run(u.name, func(b *testing.B) {
			dec := newDecoder(Auto, frozen, "", func(*draft) {})
			line := []byte(u.line)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				dec.line(line, 0)
			}
		})
	}
}

func TestGrades(t *testing.T) {
	f := func(word string, want entry.Level, exact bool) {
		t.Helper()
		if g, _ := gradeOf([]byte(word)); g.level != want || g.exact != exact {
			t.Errorf("%q is %v, want %s (exact: %v)", word, g, want, exact)
		}
	}
	f("INFO", entry.Info, true)
	f(" Warning ", entry.Warn, true)
	f("\x1b[31merror\x1b[0m", entry.Error, true)
	f("crit", entry.Fatal, true)
	f("notice", entry.Info, false)
	f("emerg", entry.Fatal, false)
	f("DEBUG-4", entry.Trace, false)
	f("INFO+2", entry.Info, false)
	f("INFO+4", entry.Warn, false)
	f("ERROR+4", entry.Fatal, false)
	f("Level(-5)", entry.Trace, false)
	f("Level(5)", entry.None, false)
	f("Level 30", entry.Warn, true)
	f("30", entry.Info, true)
	f("35", entry.Info, false)
	f("5", entry.None, false)
	f("FATAL+999999999999", entry.None, false)
	f("", entry.None, false)
	f("none", entry.None, false)
	f(strings.Repeat("x", 1000), entry.None, false)
}

func TestTimes(t *testing.T) {
	f := func(text, want string, rest string) {
		t.Helper()
		cal := frozen
		at, n, ok := cal.leading([]byte(text))
		got := ""
		if ok {
			got = string(appendTime(nil, at))
		}
		if got != want || ok && text[n:] != rest {
			t.Errorf("%q is %q before %q, want %q", text, got, text[n:], want)
		}
	}
	f("2026-11-22T16:02:11Z x", "2026-11-22T16:02:11Z", " x")
	f("2026-11-22 16:02:11,5 x", "2026-11-22T15:02:11.5Z", " x")
	f("2026-11-22 16:02:11.1234567891", "2026-11-22T15:02:11.123456789Z", "")
	f("2026-11-22T16:02:11-0530]", "2026-11-22T21:32:11Z", "]")
	f("2026/11/22 16:02:11 +01 x", "2026-11-22T15:02:11Z", " +01 x") // two digits behind a blank may be anything
	f("2026-11-22 16:02:11 UTC", "2026-11-22T16:02:11Z", "")
	f("2026-11-22 16:02:11 UTCX", "2026-11-22T15:02:11Z", " UTCX")
	f("2026-11-22T16:02:11x", "", "")
	f("2026-11/22 16:02:11", "", "")
	f("0001-01-01T00:00:00Z", "", "")
	f("2024-02-29 00:00:00", "2024-02-28T23:00:00Z", "")
	f("2026-02-29 00:00:00", "", "")
	f("Nov  2 16:02:11 h", "2026-11-02T15:02:11Z", " h")
	f("Nov 23 16:02:11 h", "2026-11-23T15:02:11Z", " h") // a clock that is ahead
	f("Nov 26 16:02:11 h", "2025-11-26T15:02:11Z", " h")
	f("Feb 29 16:02:11 h", "2024-02-29T15:02:11Z", " h") // the last year that had one
	f("12:00AM", "2026-11-21T23:00:00Z", "")
	f("13:00AM", "", "")
	f("22:30:00 later today is yesterday", "2026-11-21T21:30:00Z", " later today is yesterday")
}

// TestHeldEntries: an entry of text waits for what belongs to it, within bounds.
func TestHeldEntries(t *testing.T) {
	var got []int
	dec := newDecoder(Auto, frozen, "", func(r *draft) { got = append(got, len(r.body)+len(r.keys)) })
	dec.line([]byte("panic: x"), 0)
	if len(got) != 0 {
		t.Fatal("a panic does not wait for its stack")
	}
	frame := []byte(strings.Repeat("f", 1000))
	for range 1000 {
		dec.line(frame, 0)
	}
	dec.flush()
	if len(got) < 2 {
		t.Error("a stack has no bound")
	}
	for _, size := range got {
		if size > 2*maxRest {
			t.Errorf("an entry of %d bytes", size)
		}
	}
	n := len(got)
	if dec.flush(); len(got) != n {
		t.Error("an entry is written twice")
	}
}

// TestSplitter keeps the beginning of what is too long.
func TestSplitter(t *testing.T) {
	type piece struct{ kept, size int }
	f := func(want []piece, parts ...string) {
		t.Helper()
		var got []piece
		s := splitter{line: func(line []byte, size int) { got = append(got, piece{len(line), size}) }}
		for _, p := range parts {
			s.write([]byte(p))
		}
		s.end()
		s.end()
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%v, want %v", got, want)
			}
		}
		if cap(s.part) > keptBuffer {
			t.Errorf("%d bytes are kept", cap(s.part))
		}
	}
	long := strings.Repeat("x", maxTextLine)
	f(nil, "")
	f([]piece{{1, 0}, {0, 0}, {2, 0}}, "a\n\nbc")
	f([]piece{{2, 0}}, "a", "b", "\n")
	f([]piece{{maxTextLine, maxTextLine + 3}, {1, 0}}, long, "abc", "\n", "d")
	f([]piece{{maxTextLine + 1, 0}}, " {", long[1:], "\n")
	f([]piece{{maxJSONLine, maxJSONLine + 1}}, "{", strings.Repeat("x", maxJSONLine), "\n")
}

func TestSubjects(t *testing.T) {
	var said []string
	s := subjects{ns: "dlog", say: func(line string) { said = append(said, line) }}
	f := func(path, want string) {
		t.Helper()
		r := draft{level: entry.Info, meta: entry.Meta{Path: path}}
		for range 2 {
			if got := s.of("svc", &r); got != want {
				t.Errorf("%q: %s, want %s", path, got, want)
			}
		}
	}
	f("", "dlog.in.svc.info.-")
	f("a/b", "dlog.in.svc.info.a.b")
	for i := range maxPaths {
		r := draft{level: entry.Info, meta: entry.Meta{Path: "many/" + string(rune('a'+i%26)) + string(rune('a'+i/26))}}
		s.of("svc", &r)
	}
	f("a/b", "dlog.in.svc.info.a.b")
	f("a/new", "dlog.in.svc.info.a.=")
	f("new", "dlog.in.svc.info.=")
	f("", "dlog.in.svc.info.-")
	f("1/2/3/4/5/6/7/8/9", "dlog.in.svc.info.1.2.3.4.5.6.7.=")
	if len(said) != 1 {
		t.Errorf("said %q", said)
	}
}

func TestFormat(t *testing.T) {
	for i, name := range formatNames {
		if f, err := ParseFormat(name); err != nil || f != Format(i) || f.String() != name {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), "auto, json, logfmt, text or eliot") {
		t.Errorf("xml: %v", err)
	}
}

// TestPackerCuts ends a text at a whole character, escapes included.
func TestPackerCuts(t *testing.T) {
	for _, text := range []string{strings.Repeat("é", maxText), strings.Repeat("\x01", maxText), "x" + strings.Repeat("😀", maxText), strings.Repeat("\xff", maxText)} {
		var p packer
		p.begin()
		p.message([]byte(text))
		body := p.end(nil)
		if !p.cut || len(body) > maxText+64 || len(body) < maxText/2 || entry.Valid(body) != nil {
			t.Errorf("%d bytes, cut %v", len(body), p.cut)
		}
		if text[0] != 0xff && bytes.Contains(body, []byte("\ufffd")) {
			t.Error("a character is torn")
		}
	}
}
