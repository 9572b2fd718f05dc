package structure_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/rs/zerolog"
)

func TestHookFindsTheTaskAndLeavesNoMark(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx, tk := p.Start(context.Background(), "x")
	defer tk.End(nil)
	other, otk := p.Start(context.Background(), "y")
	defer otk.End(nil)
	hook := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) { e.RawJSON("raw", []byte("{\t}")) })

	f := func(what, path, want string, log func(l zerolog.Logger)) {
		t.Helper()
		log(zerolog.New(nil).Hook(p.Hook()).Output(p.Writer("")))
		k := b.last(t)
		got, _, _ := strings.Cut(string(k.Raw), `,"dlog":{`)
		if k.Meta.Path != path || got != want {
			t.Errorf("%s: path %q, %s", what, k.Meta.Path, k.Raw)
		}
	}
	f("event with fields and message", "x", `{"level":"info","n":1,"message":"m"`, func(l zerolog.Logger) { l.Info().Ctx(ctx).Int("n", 1).Msg("m") })
	f("nothing but the mark", "x", `{"level":"info"`, func(l zerolog.Logger) { l.Info().Ctx(ctx).Send() })
	f("no level", "x", `{"message":"m"`, func(l zerolog.Logger) { l.Log().Ctx(ctx).Msg("m") })
	f("no context", "", `{"level":"info","message":"m"`, func(l zerolog.Logger) { l.Info().Msg("m") })
	f("a logger with a context", "y", `{"level":"info","message":"m"`, func(l zerolog.Logger) {
		l = l.With().Ctx(other).Logger()
		l.Info().Msg("m")
	})
	f("raw tabs before and after", "x", `{"level":"info","raw":{	},"raw":{	},"message":"m"`, func(l zerolog.Logger) {
		l = l.Hook(hook)
		l.Info().Ctx(ctx).RawJSON("raw", []byte("{\t}")).Msg("m")
	})
	f("twice attached", "x", `{"level":"info","message":"m"`, func(l zerolog.Logger) {
		l = l.Hook(p.Hook())
		l.Info().Ctx(ctx).Msg("m")
	})
	f("strings with tabs", "", `{"level":"info","s":"\t\"dlog\":\t\"","message":"\t"`, func(l zerolog.Logger) { l.Info().Str("s", "\t\"dlog\":\t\"").Msg("\t") })
}

func TestBoundLoggerWinsOverTheContextOfAnEvent(t *testing.T) {
	p, b, _ := newProcess(t)
	hooked := p.Attach(zerolog.New(nil))
	ctx, tk := p.Start(hooked.WithContext(context.Background()), "x")
	defer tk.End(nil)
	other, otk := p.Start(context.Background(), "y")
	defer otk.End(nil)
	zerolog.Ctx(ctx).Info().Ctx(other).Msg("m")
	if k := b.last(t); k.Meta.Path != "x" || !strings.HasPrefix(string(k.Raw), `{"level":"info","message":"m","dlog":{"svc"`) {
		t.Errorf("%s", k.Raw)
	}
}

func TestHookAfterTheEndIsLate(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx, tk := p.Start(context.Background(), "x")
	tk.End(nil)
	l := p.Attach(zerolog.New(nil), "named")
	l.Info().Ctx(ctx).Msg("m")
	if k := b.last(t); !k.Meta.Late || k.Meta.Pos != "3" || k.Meta.Logger != "named" {
		t.Errorf("%s", k.Raw)
	}
}

// TestMarksOfDeadTasksAreFreed holds that the table does not grow with the number of tasks.
func TestMarksOfDeadTasksAreFreed(t *testing.T) {
	p, _, said := newProcess(t, func(c *structure.Config) { c.Out = structure.Writer(io.Discard) })
	l := p.Attach(zerolog.New(nil))
	var before, after runtime.MemStats
	use := func(n int) {
		for range n {
			ctx, tk := p.Start(context.Background(), "x")
			l.Info().Ctx(ctx).Send()
			tk.End(nil)
		}
		for range 3 { // cleanups run in a goroutine of the runtime after a collection
			runtime.GC()
			runtime.Gosched()
		}
	}
	use(1000)
	runtime.ReadMemStats(&before)
	use(50_000)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("50,000 tasks left %d bytes behind", grown)
	}
	if said.String() != "" {
		t.Errorf("said %s", said)
	}
}

func TestHookWithoutItsWriterIsSaidOnce(t *testing.T) {
	p, _, said := newProcess(t)
	var out bytes.Buffer
	l := zerolog.New(&out).Hook(p.Hook())
	good := p.Attach(zerolog.New(nil))
	ctx, tk := p.Start(context.Background(), "x")
	defer tk.End(nil)
	for range 100 {
		l.Info().Ctx(ctx).Msg("m")
		good.Info().Ctx(ctx).Msg("m")
	}
	if n := strings.Count(said.String(), "\n"); n != 1 || !strings.Contains(said.String(), "logger.Output(") {
		t.Errorf("said %q", said)
	}
	if line, _, _ := bytes.Cut(out.Bytes(), []byte("\n")); !json.Valid(line) {
		t.Errorf("the line is no JSON any more: %s", line)
	}
}

func TestBoundLoggerKeepsWhatItWasGiven(t *testing.T) {
	p, b, _ := newProcess(t)
	var hooked int
	base := zerolog.New(nil).Level(zerolog.WarnLevel).With().Str("app", "x").Logger().
		Hook(zerolog.HookFunc(func(*zerolog.Event, zerolog.Level, string) { hooked++ }))
	ctx, tk := p.Start(base.WithContext(context.Background()), "outer")
	defer tk.End(nil)
	zerolog.Ctx(ctx).Info().Msg("below the level")
	before := len(b.all())
	zerolog.Ctx(ctx).Warn().Msg("kept")
	if k := b.last(t); len(b.all()) != before+1 || hooked != 1 || k.Meta.Pos != "2" || !strings.Contains(string(k.Raw), `"app":"x"`) {
		t.Errorf("hooked %d: %s", hooked, k.Raw)
	}
	// A logger put into the context of a task is the base of the tasks below it.
	l := zerolog.Ctx(ctx).With().Str("user", "u").Logger()
	ctx2, tk2 := p.Start(l.WithContext(ctx), "inner")
	defer tk2.End(nil)
	zerolog.Ctx(ctx2).Error().Msg("m")
	if k := b.last(t); k.Meta.Path != "outer/inner" || !strings.Contains(string(k.Raw), `"app":"x","user":"u"`) {
		t.Errorf("%s", k.Raw)
	}
	if zerolog.Ctx(ctx2).GetLevel() != zerolog.WarnLevel {
		t.Error("the level is gone")
	}
}

// TestContextOfTheLogger holds that other hooks see the task's context without being told.
func TestContextOfTheLogger(t *testing.T) {
	p, _, _ := newProcess(t)
	type key struct{}
	var seen any
	base := zerolog.New(nil).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) { seen = e.GetCtx().Value(key{}) }))
	ctx := context.WithValue(base.WithContext(context.Background()), key{}, "seen")
	ctx, tk := p.Start(ctx, "x")
	defer tk.End(nil)
	inner, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	zerolog.Ctx(inner).Info().Send()
	if seen != "seen" || structure.TaskFrom(inner) != tk {
		t.Errorf("the hook saw %v", seen)
	}
}

func TestFatalFlushesAndTheWriterStaysUsable(t *testing.T) {
	exits, flushes := 0, 0
	zerolog.FatalExitFunc = func() { exits++ }
	defer func() { zerolog.FatalExitFunc = nil }()
	p, b, _ := newProcess(t, func(c *structure.Config) {
		c.Flush = func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("no deadline")
			}
			flushes++
			return nil
		}
	})
	ctx, tk := p.Start(context.Background(), "x")
	defer tk.End(nil)
	zerolog.Ctx(ctx).Fatal().Msg("bound")
	l := p.Attach(zerolog.New(nil))
	l.Fatal().Msg("hooked")
	zerolog.Ctx(ctx).Info().Msg("after")
	if exits != 2 || flushes != 2 || b.last(t).Message != "after" {
		t.Errorf("%d exits, %d flushes", exits, flushes)
	}
}

func TestWriterReadsTheLevelOfALine(t *testing.T) {
	p, b, _ := newProcess(t)
	f := func(line string, want entry.Level) {
		t.Helper()
		_, _ = p.Writer("").Write([]byte(line))
		if k := b.last(t); k.level != want || k.Level != want && want != entry.None {
			t.Errorf("%s: %s", line, k.level)
		}
	}
	f("{\"level\":\"warn\",\"message\":\"m\"}\n", entry.Warn)
	f("{\"message\":\"m\"}\n", entry.None)
	f("{\"level\":\"odd\"}\n", entry.None)
	f("{\"level\":7}\n", entry.None)
	f("text\n", entry.None)
	f("{\"a\":1,}\n", entry.None)
	f("", entry.None)
}

var markPattern = regexp.MustCompile(`"dlog":\t"[0-9a-f]{34}"`)

// FuzzMark tries to make an entry land in a task, or lose part of its line, by what it says.
func FuzzMark(f *testing.F) {
	f.Add("key", "value", []byte(`{"a":1}`))
	f.Add("dlog", "\t\"0123456789abcdef00000000000000000001\"", []byte("{\"dlog\":\t\"00112233445566770000000000000000001\"}"))
	f.Add("", "\t", []byte("[\t\"dlog\":\t\"\"]"))
	p, b, _ := newProcess(f)
	_, victim := p.Start(context.Background(), "victim")
	ctx, own := p.Start(context.Background(), "own")
	f.Cleanup(func() { victim.End(nil); own.End(nil) })
	l := p.Attach(zerolog.New(nil))
	plainLogger := zerolog.New(io.Discard)
	f.Fuzz(func(t *testing.T, key, text string, raw []byte) {
		if !json.Valid(raw) {
			raw = []byte("\t1")
		}
		var plain bytes.Buffer
		say := func(e *zerolog.Event) { e.Str(key, text).RawJSON("raw", raw).Msg(text) }
		pl := plainLogger.Output(&plain)
		say(pl.Info())
		want, _ := bytes.CutSuffix(plain.Bytes(), []byte("}\n"))
		want = bytes.ReplaceAll(want, []byte("\n"), []byte(" "))
		for _, in := range []context.Context{context.Background(), ctx} {
			b.got = b.got[:0]
			say(l.Info().Ctx(in))
			say(zerolog.Ctx(in).Info())
			for _, k := range b.got {
				if k.Meta.Path != structure.TaskFrom(in).Path() {
					t.Fatalf("forged: %q", k.Raw)
				}
				if structure.TaskFrom(in) != nil && !bytes.Contains(k.Raw, []byte(`"dlog":{"svc"`)) {
					t.Fatalf("no place: %q", k.Raw)
				}
			}
			if got, _, _ := cutLast(b.got[0].Raw, []byte(`,"dlog":{"svc"`)); !bytes.Equal(got, want) {
				t.Fatalf("got  %q\nwant %q", got, want)
			}
		}
	})
}

func cutLast(s, sep []byte) (before, after []byte, found bool) {
	if i := bytes.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, nil, false
}

// TestAStolenMarkIsUselessElsewhere: a mark that got out (a hook without its writer) opens nothing in another process.
func TestAStolenMarkIsUselessElsewhere(t *testing.T) {
	p, _, _ := newProcess(t)
	var out bytes.Buffer
	ctx, tk := p.Start(context.Background(), "victim")
	defer tk.End(nil)
	l := zerolog.New(&out).Hook(p.Hook())
	l.Info().Ctx(ctx).Send()
	mark := markPattern.Find(out.Bytes())
	if mark == nil {
		t.Fatalf("no mark in %q", out.String())
	}
	q, b, _ := newProcess(t)
	_, qt := q.Start(context.Background(), "innocent")
	defer qt.End(nil)
	ql := q.Attach(zerolog.New(nil))
	ql.Info().RawJSON("body", fmt.Appendf(nil, "{%s}", mark)).Send()
	if k := b.last(t); k.Meta.Path != "" || !bytes.Contains(k.Raw, mark) {
		t.Errorf("%q", k.Raw)
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations cannot be counted under the race detector")
	}
	p, _, _ := newProcess(t, func(c *structure.Config) { c.Out = structure.Writer(io.Discard) })
	ctx, tk := p.Start(context.Background(), "x")
	defer tk.End(nil)
	deep := ctx
	for i := range 8 {
		deep = context.WithValue(deep, depth(i), i)
	}
	hooked := p.Attach(zerolog.New(nil).With().Timestamp().Logger())
	named := p.Attach(zerolog.New(nil), "named")
	f := func(what string, log func()) {
		t.Helper()
		log()
		if n := testing.AllocsPerRun(1000, log); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	f("bound", func() { zerolog.Ctx(ctx).Info().Str("k", "v").Int("n", 1).Msg("hello") })
	f("bound at depth 8", func() { zerolog.Ctx(deep).Info().Str("k", "v").Msg("hello") })
	f("hook", func() { hooked.Info().Ctx(ctx).Str("k", "v").Msg("hello") })
	f("hook with a name", func() { named.Info().Ctx(deep).Str("k", "v").Msg("hello") })
	f("outside", func() { hooked.Info().Str("k", "v").Msg("hello") })
	f("raw line breaks", func() { zerolog.Ctx(ctx).Info().RawJSON("b", []byte("{\n}")).Send() })
	if n := testing.AllocsPerRun(1000, func() {
		_, tk := p.Start(ctx, "child")
		tk.End(nil)
	}); n > 3 {
		t.Errorf("a task without a logger: %v allocations", n)
	}
}
