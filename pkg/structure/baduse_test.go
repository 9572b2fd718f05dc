package structure_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

func TestPathsAboveTheLimitFold(t *testing.T) {
	p, b, said := newProcess(t, func(c *structure.Config) { c.Paths = 3 })
	subject := func(names ...string) string {
		ctx := context.Background()
		for _, name := range names {
			var tk *structure.Task
			ctx, tk = p.Start(ctx, name)
			defer tk.End(nil)
		}
		k := b.last(t)
		if !strings.HasSuffix(k.Meta.Path, names[len(names)-1]) {
			t.Errorf("the path is folded too: %s", k.Meta.Path)
		}
		return strings.TrimPrefix(k.subject, "dlog.in.shop.task.")
	}
	f := func(want string, names ...string) {
		t.Helper()
		if got := subject(names...); got != want {
			t.Errorf("%v: %s, want %s", names, got, want)
		}
	}
	f("a", "a")
	f("a.b", "a", "b")
	f("c", "c")
	f("a.=", "a", "d")
	f("a.=", "a", "e", "deeper")
	f("=", "f")
	f("c.=", "c", "x")
	f("a.b", "a", "b")
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("said %d lines: %s", n, said)
	}
}

func TestNamesWithIDsAreSaidOnce(t *testing.T) {
	p, b, said := newProcess(t)
	for i := range 2000 {
		_, tk := p.Start(context.Background(), fmt.Sprintf("order-%d", 100000+i))
		tk.End(nil)
	}
	if k := b.last(t); k.subject != "dlog.in.shop.task.order-=" || k.Meta.Path != "order-101999" {
		t.Errorf("%s on %s", k.Raw, k.subject)
	}
	if n := strings.Count(said.String(), "\n"); n != 1 || !strings.Contains(said.String(), "ids in fields") {
		t.Errorf("said %s", said)
	}
}

func TestEndlessRecursionStaysValid(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx := context.Background()
	for range 3000 { // the box checks each entry
		ctx, _ = p.Start(ctx, "a")
	}
	if k := b.last(t); len(k.Meta.Pos) > task.MaxPosition {
		t.Errorf("position of %d bytes", len(k.Meta.Pos))
	}
}

func TestLinesStayLines(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx, tk := p.Start(context.Background(), "x")
	defer tk.End(nil)
	l := zerolog.Ctx(ctx)
	l.Log().Send()
	l.Info().RawJSON("body", []byte("{\n\t\"a\": 1\n}")).Msg("two\nlines")
	if k := b.last(t); k.Message != "two\nlines" || bytes.Count(k.Raw, []byte("\n")) > 1 {
		t.Errorf("%q", k.Raw)
	}
	l.Info().Str("bad", "\xff\xfe\x00").Msg("\u202e")
	empty := zerolog.New(nil).Output(l)
	empty.Log().Send()
	_, _ = l.Write([]byte("plain"))
	long := strings.Repeat("x\"", 200<<10)
	l.Error().Str("long", long).Str("short", "stays").Msg("cut")
	k := b.last(t)
	if v, _ := k.Field("short"); len(k.Raw) > entry.MaxLine || string(v.Raw) != `"stays"` || k.Meta.Cut == "" || k.Meta.Pos == "" {
		t.Errorf("%d bytes, cut %q, pos %s", len(k.Raw), k.Meta.Cut, k.Meta.Pos)
	}
	p.Write(ctx, zerolog.WarnLevel, []byte("no JSON at all\n"))
	if k := b.last(t); k.Message != "no JSON at all" || k.Meta.Path != "x" {
		t.Errorf("%s", k.Raw)
	}
}

func TestHugeErrorKeepsTheEnd(t *testing.T) {
	p, b, _ := newProcess(t)
	err := errors.New(strings.Repeat("\x01é", 100<<10))
	for range 40 {
		err = fmt.Errorf("again: %w", err)
	}
	_, tk := p.Start(context.Background(), "x")
	tk.End(&err)
	if end := b.last(t); end.Meta.Outcome != task.Failed || end.Meta.N != 2 || len(end.Raw) > entry.MaxLine {
		t.Errorf("%d bytes: %.300s", len(end.Raw), end.Raw)
	}
}

func TestNothingIsNeeded(t *testing.T) {
	var p *structure.Process
	var none context.Context
	ctx, tk := p.Start(none, "x")
	err := os.ErrExist
	tk.End(&err)
	tk.Add(structure.Int("n", 1))
	tk.Link("x")
	if tk.Export("x") != "" || tk.Path() != "" || tk.Logger() == nil || ctx == nil || tk.Context() == nil {
		t.Error("a nil task does something")
	}
	ran := false
	if err := p.Do(ctx, "x", func(context.Context) error { ran = true; return os.ErrExist }); !ran || err == nil {
		t.Error("a nil process does not run what it is given")
	}
	if err := p.Go(ctx, "x", func(context.Context) error { return os.ErrExist }).Wait(); err == nil {
		t.Error("Go forgets the error")
	}
	l := p.Attach(zerolog.New(nil))
	l.Info().Send()
	p.Hook().Run(nil, zerolog.InfoLevel, "")
	_, _ = p.Writer("").Write([]byte("x"))

	q, _, _ := newProcess(t)
	if err := q.Do(context.Background(), "x", nil); err == nil {
		t.Error("Do without a function")
	}
	qctx, qt := q.Start(none, "")
	zerolog.Ctx(qctx).Info().Msg("the name is empty")
	qt.End(nil)
	if structure.TaskFrom(none) != nil {
		t.Error("a task from nowhere")
	}
}

func TestPanicIsNotSwallowedByANilTask(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic is gone")
		}
	}()
	var tk *structure.Task
	defer tk.End(nil)
	panic("boom")
}

func TestNamespaceIsChecked(t *testing.T) {
	if _, err := structure.New(structure.Config{Namespace: "Not.One"}); err == nil {
		t.Error("no error")
	}
}
