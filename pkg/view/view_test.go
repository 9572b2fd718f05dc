package view

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

func TestEscape(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(Escape(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	f("plain, größer, 日本語 🚀", "plain, größer, 日本語 🚀")
	f("\x1b[2J", `\x1b[2J`)
	f("\x1b]8;;http://x\x07", `\x1b]8;;http://x\x07`)
	f("\x00\x7f", `\x00\x7f`)
	f("a\nb\tc\rd", `a\nb\tc\rd`)
	f("\u0085\u009b", `\u0085\u009b`)
	f("\u202e\u2066\u2069\u200f\u061c\ufeff", `\u202e\u2066\u2069\u200f\u061c\ufeff`)
	f("\u2028\u2029", `\u2028\u2029`)
	f("\xff\xc3(", `\xff\xc3(`)
	f("\ufffd", "\ufffd")
}

// harmless reports the first thing in s, but for dlog's own colours and line
// ends, that a terminal may obey.
func harmless(s string) error {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r != '\n' && escaped(r, n, s[i]) != "" {
			return fmt.Errorf("%q at %d", s[i:i+n], i)
		}
		i += n
	}
	return nil
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b]0;title\x07 \u009b31m \u202e \u2028 \xff\x00")
	f.Add("日本語 🚀 e\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		got := string(Escape(nil, s))
		if err := harmless(got); err != nil || strings.Contains(got, "\n") {
			t.Fatalf("%q: got %q: %v", s, got, err)
		}
		if Width(s) != Width(got) {
			t.Fatalf("%q is %d columns, escaped %d", s, Width(s), Width(got))
		}
		p := &pen{width: 10, color: true}
		p.text(red, s)
		p.text(bold, s)
		p.end()
		line := strings.TrimSuffix(string(p.dst), "\n")
		for _, code := range []string{"\x1b[31m", "\x1b[1m", "\x1b[0m"} {
			line = strings.ReplaceAll(line, code, "")
		}
		if err := harmless(line); err != nil || Width(line) > 10 {
			t.Fatalf("%q: %q is %d columns: %v", s, line, Width(line), err)
		}
	})
}

// FuzzLines writes hostile entries in every way and wants text that no
// terminal obeys.
func FuzzLines(f *testing.F) {
	f.Add(`{"level":"info","message":"\u001b[2J","k\u202e":"v","dlog":{"svc":"a\u0000","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"\u001b","pos":"2.1","event":"end","outcome":"panicked","stack":"\u001b"}}`)
	f.Add("{\"a\":\"\xff\x7f\",\"n\":[\"\u2028\"]}")
	f.Fuzz(func(t *testing.T, line string) {
		e, err := entry.Parse([]byte(line))
		if err != nil {
			return
		}
		forest := tree.New()
		forest.Add(e)
		for _, width := range []int{0, 40} {
			o := Options{Width: width}
			var out strings.Builder
			out.Write(Line(nil, &e, "", o))
			roots := forest.Roots()
			for _, root := range roots {
				_ = Tree(&out, root, TreeOptions{Options: o})
			}
			_ = Tasks(&out, roots, o)
			_ = Gaps(&out, roots, o)
			if err := harmless(out.String()); err != nil {
				t.Fatalf("%v in %q", err, out.String())
			}
		}
	})
}

func TestWidth(t *testing.T) {
	f := func(s string, want int) {
		t.Helper()
		if got := Width(s); got != want {
			t.Errorf("%q: %d columns, want %d", s, got, want)
		}
	}
	f("", 0)
	f("abc", 3)
	f("größer", 6)
	f("日本語", 6)
	f("🚀", 2)
	f("e\u0301", 1)
	f("✔✖◌†", 4)
	f("\x1b", 4)
	f("\u202e", 6)
	f("\xff", 4)
	f("\ufffd", 1)
}

func TestPenCuts(t *testing.T) {
	f := func(width int, want string, parts ...string) {
		t.Helper()
		p := &pen{width: width}
		for _, part := range parts {
			p.text(none, part)
		}
		p.end()
		if got := strings.TrimSuffix(string(p.dst), "\n"); got != want {
			t.Errorf("width %d, %q: got %q, want %q", width, parts, got, want)
		}
	}
	f(0, "abcdef", "abc", "def")
	f(6, "abcdef", "abc", "def")
	f(5, "abcd…", "abc", "def")
	f(5, "日本…", "日本語", "x")
	f(4, "日…", "日本語")
	f(1, "…", "abc")
	f(6, `\x1b…`, "\x1b\x1b")
	f(3, "ab", "ab ")
}

func TestDuration(t *testing.T) {
	f := func(ms float64, want string) {
		t.Helper()
		if got := Duration(ms); got != want {
			t.Errorf("%v ms: got %s, want %s", ms, got, want)
		}
	}
	f(-1, "")
	f(0, "0µs")
	f(0.42, "420µs")
	f(4.21, "4.2ms")
	f(9.96, "10ms")
	f(482.3, "482ms")
	f(999.7, "1.00s")
	f(1240, "1.24s")
	f(59_900, "59.9s")
	f(59_990, "1m00s")
	f(723_000, "12m03s")
	f(3_599_600, "1h00m")
	f(11_040_000, "3h04m")
	f(198_000_000, "2d07h")
	f(1e300, "∞")
}

func TestCount(t *testing.T) {
	f := func(n uint64, want string) {
		t.Helper()
		if got := count(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(0, "0")
	f(999, "999")
	f(49_980, "49,980")
	f(18446744073709551615, "18,446,744,073,709,551,615")
}

func TestUseColor(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if UseColor(file, func(string) string { return "" }) {
		t.Error("a file gets colours")
	}
	if TerminalWidth(file) != 0 {
		t.Error("a file has a width")
	}
}

func TestPrefixes(t *testing.T) {
	var tasks []*tree.Task
	for _, id := range []string{"0193a5e1c0007a1b8c2d3e4f5a6b7c8d", "0193a5e1c0007a1b8d2d3e4f5a6b7c8d", "0193a5e1c0007a1b8c2d3e4f5a6b7c8d", "ff"} {
		tasks = append(tasks, &tree.Task{Trace: id})
	}
	got := strings.Join(Prefixes(tasks), " ")
	if want := "0193a5e1c0007a1b8c 0193a5e1c0007a1b8d 0193a5e1c0007a1b8c ff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// bulk is a tree of a chain of tasks with entries in each.
func bulk(depth, each int) *tree.Task {
	forest := tree.New()
	add := func(pos string, seq int, level, event string) {
		line := fmt.Sprintf(`{"level":%q,"message":"said","x":%d,"dlog":{"svc":"s","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"a","pos":%q,"proc":"00000000000000aa","seq":%d%s}}`, level, seq, pos, seq, event)
		e, err := entry.Parse([]byte(line))
		if err != nil {
			panic(err)
		}
		forest.Add(e)
	}
	pos, seq := "", 0
	for range depth {
		for n := 1; n <= each; n++ {
			seq++
			event := map[int]string{1: `,"event":"start"`, each: `,"event":"end","outcome":"failed"`}[n]
			add(fmt.Sprintf("%s%d", pos, n+n/2), seq, "info", event)
		}
		pos += "2."
	}
	return forest.Roots()[0]
}

func TestDeepAndWide(t *testing.T) {
	f := func(what string, root *tree.Task, o TreeOptions, least, most int) {
		t.Helper()
		var out strings.Builder
		if err := Tree(&out, root, o); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(out.String(), "\n"); lines < least || lines > most {
			t.Errorf("%s: %d lines, want %d to %d", what, lines, least, most)
		}
		if out.Len() > 16<<20 {
			t.Errorf("%s: %d bytes", what, out.Len())
		}
	}
	f("deep", bulk(1000, 4), TreeOptions{}, 3000, 6000)
	wide := bulk(1, 50_000)
	f("wide", wide, TreeOptions{Options: Options{Width: 100}}, 10, 210)
	f("wide, all", wide, TreeOptions{All: true}, 49_990, 80_000)
}

func TestTreeWriteError(t *testing.T) {
	if err := Tree(fullDisk{}, bulk(2, 4), TreeOptions{}); err == nil {
		t.Error("no error")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func BenchmarkTree(b *testing.B) {
	root := bulk(1, 50_000)
	for b.Loop() {
		if err := Tree(io.Discard, root, TreeOptions{All: true}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(50_000*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func ExampleLine() {
	e, err := entry.Parse([]byte(`{"level":"warn","ms":950,"why":"bank \u001b[31mbusy","time":"2026-11-22T16:02:11.7Z","message":"slow answer","dlog":{"svc":"payments","path":"place-order/charge","proc":"00000000000000aa","seq":7}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(Line(nil, &e, "", Options{Zone: time.UTC})))
	// Output:
	// 16:02:11.700 warn   payments place-order/charge slow answer  ms=950  why="bank \x1b[31mbusy"
}

func ExampleTree() {
	forest := tree.New()
	for _, line := range []string{
		`{"level":"debug","order":"o-17","time":"2026-11-22T16:02:11.4Z","message":"order","dlog":{"svc":"shop","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order","pos":"1","proc":"00000000000000aa","seq":1,"event":"start"}}`,
		`{"level":"debug","time":"2026-11-22T16:02:11.5Z","message":"charge","dlog":{"svc":"bank","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order/charge","pos":"2.1","proc":"00000000000000bb","seq":1,"event":"start"}}`,
		`{"level":"error","error":"card declined","time":"2026-11-22T16:02:12Z","message":"charge","dlog":{"svc":"bank","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order/charge","pos":"2.3","proc":"00000000000000bb","seq":3,"event":"end","outcome":"failed","elapsed_ms":500,"n":3}}`,
		`{"level":"info","order":"o-17","time":"2026-11-22T16:02:12.1Z","message":"order","dlog":{"svc":"shop","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order","pos":"3","proc":"00000000000000aa","seq":2,"event":"end","outcome":"cancelled","elapsed_ms":700,"n":3}}`,
	} {
		e, err := entry.Parse([]byte(line))
		if err != nil {
			fmt.Println(err)
			return
		}
		forest.Add(e)
	}
	for _, root := range forest.Roots() {
		_ = Tree(os.Stdout, root, TreeOptions{Options: Options{Zone: time.UTC}})
	}
	// Output:
	// trace 0193a5e1c0007a1b8c2d3e4f5a6b7c8d, 4 entries, 1 error, 1 missing, Sun 22 Nov 2026 UTC
	// 16:02:11.400   700ms  ⊘ order  shop  cancelled  order=o-17
	// 16:02:11.500   500ms  └─ ✖ charge  bank  error="card declined"
	//                          └─ · 2.2  missing
	// cause: order/charge (bank): card declined
}
