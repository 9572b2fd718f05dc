package structure_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

func TestTreeOfPositions(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx, root := p.Start(context.Background(), "place-order", structure.Str("order", "A-1"))
	zerolog.Ctx(ctx).Info().Msg("reserved")
	ctx2, child := p.Start(ctx, "charge card")
	zerolog.Ctx(ctx2).Warn().Msg("slow")
	child.End(nil)
	root.Export("mailer")
	root.Logger().Error().Msg("oh")
	root.End(nil)

	want := []string{
		"1 start task debug dlog.in.shop.task.place-order place-order",
		"2  info info dlog.in.shop.info.place-order reserved",
		"3.1 start task debug dlog.in.shop.task.place-order.charge=20card charge card",
		"3.2  warn warn dlog.in.shop.warn.place-order.charge=20card slow",
		"3.3 end task info dlog.in.shop.task.place-order.charge=20card charge card",
		"4 export task debug dlog.in.shop.task.place-order mailer",
		"5  error error dlog.in.shop.error.place-order oh",
		"6 end task info dlog.in.shop.task.place-order place-order",
	}
	var got []string
	for i, k := range b.all() {
		token := k.level.Token()
		if k.task {
			token = "task"
		}
		got = append(got, strings.Join([]string{k.Meta.Pos, string(k.Meta.Event), token, k.Level.String(), k.subject, k.Message}, " "))
		if k.Meta.Trace != root.Trace().String() || k.Meta.Seq != uint64(i+1) || k.Meta.Svc != "shop" || k.Meta.Proc != p.ID().String() {
			t.Errorf("identity of entry %d: %+v", i, k.Meta)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p.Open() != 0 {
		t.Errorf("%d tasks are open", p.Open())
	}
}

func TestEndRepeatsTheStart(t *testing.T) {
	p, b, _ := newProcess(t)
	_, tk := p.Start(context.Background(), "place-order", structure.Str("order", "A-1"), structure.Int("items", 3))
	tk.Add(structure.Bool("gift", true))
	tk.End(nil)
	start, end := b.all()[0], b.all()[1]
	if v, _ := end.Field("order"); string(v.Raw) != `"A-1"` {
		t.Errorf("start field on the end: %s", end.Raw)
	}
	if v, _ := end.Field("gift"); string(v.Raw) != "true" {
		t.Errorf("added field: %s", end.Raw)
	}
	if end.Message != start.Message || end.Meta.Started == "" || end.Meta.N != 2 || !end.Meta.HasElapsed {
		t.Errorf("end entry: %s", end.Raw)
	}
	if started, ok := entry.ParseTime(end.Meta.Started); !ok || started.Sub(start.Time).Abs() > time.Second {
		t.Errorf("started %s, start entry %s", end.Meta.Started, start.Time)
	}
}

type odd struct{}

func (*odd) Error() string { panic("even worse") }

func TestOutcomes(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancelLate()
	caused, cause := context.WithCancelCause(context.Background())
	cause(fs.ErrClosed)
	deep := fmt.Errorf("charge: %w", &fs.PathError{Op: "open", Path: "/x", Err: os.ErrNotExist})

	f := func(ctx context.Context, err error, want task.Outcome, level entry.Level, text string) {
		t.Helper()
		p, b, _ := newProcess(t)
		_, tk := p.Start(ctx, "x")
		tk.End(&err)
		end := b.last(t)
		if end.Meta.Outcome != want || end.Level != level || end.Error != text {
			t.Errorf("End(%v): %s", err, end.Raw)
		}
		if (err != nil) != (len(end.Meta.Errors) > 0) {
			t.Errorf("chain of %v: %+v", err, end.Meta.Errors)
		}
	}
	bg := context.Background()
	f(bg, nil, task.Succeeded, entry.Info, "")
	f(bg, deep, task.Failed, entry.Error, "charge: open /x: file does not exist")
	f(bg, fmt.Errorf("call: %w", context.Canceled), task.Cancelled, entry.Warn, "call: context canceled")
	f(bg, context.DeadlineExceeded, task.Failed, entry.Error, "context deadline exceeded") // somebody else's deadline
	f(late, context.DeadlineExceeded, task.Cancelled, entry.Warn, "context deadline exceeded")
	f(cancelled, nil, task.Succeeded, entry.Info, "") // it was done all the same
	f(cancelled, deep, task.Failed, entry.Error, deep.Error())
	f(caused, fs.ErrClosed, task.Cancelled, entry.Warn, "file already closed")
	f(bg, errors.Join(deep, os.ErrExist), task.Failed, entry.Error, deep.Error()+"\nfile already exists")
}

func TestErrorChain(t *testing.T) {
	p, b, _ := newProcess(t)
	err := p.Do(context.Background(), "x", func(context.Context) error {
		return fmt.Errorf("charge: %w", errors.Join(os.ErrExist, &fs.PathError{Op: "open", Path: "/x", Err: os.ErrNotExist}))
	})
	if err == nil {
		t.Fatal("Do swallowed the error")
	}
	var got []string
	for _, e := range b.last(t).Meta.Errors {
		got = append(got, e.Type+": "+e.Text)
	}
	want := []string{
		"*fmt.wrapError: charge: file already exists\nopen /x: file does not exist",
		"*errors.joinError: file already exists\nopen /x: file does not exist",
		"*errors.errorString: file already exists",
		"*fs.PathError: open /x: file does not exist",
		"*errors.errorString: file does not exist",
	}
	if !slices.Equal(got, want) {
		t.Errorf("chain\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestErrorWhoseMethodPanics(t *testing.T) {
	p, b, _ := newProcess(t)
	_ = p.Do(context.Background(), "x", func(context.Context) error { return &odd{} })
	if end := b.last(t); end.Meta.Outcome != task.Failed || !strings.Contains(end.Error, "panicked") {
		t.Errorf("end: %s", end.Raw)
	}
}

func TestPanicIsSaidAndGoesOn(t *testing.T) {
	f := func(value any, text string) {
		t.Helper()
		p, b, _ := newProcess(t)
		got := func() (v any) {
			defer func() { v = recover() }()
			_, tk := p.Start(context.Background(), "x")
			defer tk.End(nil)
			panicHere(value)
			return nil
		}()
		if fmt.Sprint(got) != fmt.Sprint(value) {
			t.Errorf("panic(%v) became %v", value, got)
		}
		end := b.last(t)
		if end.Meta.Outcome != task.Panicked || end.Level != entry.Error || end.Error != text {
			t.Errorf("end: %s", end.Raw)
		}
		if first := strings.SplitN(end.Meta.Stack, "\n", 3)[1]; !strings.Contains(first, "panicHere") {
			t.Errorf("stack begins with %s", first)
		}
	}
	f("boom", "boom")
	f(os.ErrExist, "file already exists")
	f(7, "7")

	p, b, _ := newProcess(t)
	func() {
		defer func() { _ = recover() }()
		_ = p.Do(context.Background(), "x", func(context.Context) error { panicHere("in Do"); return nil })
	}()
	if end := b.last(t); end.Meta.Outcome != task.Panicked || !strings.Contains(end.Meta.Stack, "panicHere") {
		t.Errorf("end: %s", end.Raw)
	}
}

//go:noinline
func panicHere(v any) { panic(v) }

func TestDoSeesGoexit(t *testing.T) {
	p, b, _ := newProcess(t)
	r := p.Go(context.Background(), "x", func(context.Context) error { runtime.Goexit(); return nil })
	if err := r.Wait(); err == nil {
		t.Error("Wait says all is well")
	}
	if end := b.last(t); end.Meta.Outcome != task.Failed || end.Meta.Errors[0].Type != "runtime.Goexit" {
		t.Errorf("end: %s", end.Raw)
	}
}

func TestGoTakesItsNumberAtOnce(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx, root := p.Start(context.Background(), "root")
	hold := make(chan struct{})
	slow := p.Go(ctx, "slow", func(ctx context.Context) error { <-hold; return nil })
	fast := p.Go(ctx, "fast", func(ctx context.Context) error { return os.ErrExist })
	if err := fast.Wait(); !errors.Is(err, os.ErrExist) {
		t.Errorf("Wait: %v", err)
	}
	close(hold)
	<-slow.Done()
	root.End(nil)
	for _, k := range b.all() {
		if want := map[string]string{"slow": "2.", "fast": "3."}[k.Message]; !strings.HasPrefix(k.Meta.Pos, want) {
			t.Errorf("%s at %s", k.Message, k.Meta.Pos)
		}
	}
}

func TestOnlyTheFirstEndCountsAndLaterEntriesAreLate(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx, tk := p.Start(context.Background(), "x")
	tk.End(nil)
	err := os.ErrExist
	tk.End(&err)
	zerolog.Ctx(ctx).Info().Msg("still here")
	_, child := p.Start(ctx, "after")
	child.End(nil)
	all := b.all()
	if len(all) != 5 || !all[2].Meta.Late || all[2].Meta.Pos != "3" || all[1].Meta.N != 2 {
		t.Errorf("%d entries, third %s", len(all), all[2].Raw)
	}
	if all[3].Meta.Late || all[3].Meta.Pos != "4.1" {
		t.Errorf("a task that begins late is none itself: %s", all[3].Raw)
	}
}

func TestRefusedEntriesTakeNoNumberAndAreCounted(t *testing.T) {
	p, b, _ := newProcess(t)
	b.refuse = func(level entry.Level, task bool) bool { return !task && level <= entry.Info }
	ctx, tk := p.Start(context.Background(), "x")
	l := zerolog.Ctx(ctx)
	l.Debug().Send()
	l.Debug().Send()
	l.Info().Send()
	l.Warn().Msg("kept")
	tk.End(nil)
	all := b.all()
	if all[1].Meta.Pos != "2" || all[2].Meta.N != 3 {
		t.Errorf("numbers: %s, %s", all[1].Raw, all[2].Raw)
	}
	if want := map[string]uint64{"debug": 2, "info": 1}; !maps.Equal(all[2].Meta.Refused, want) {
		t.Errorf("refused: %v", all[2].Meta.Refused)
	}
	lg := p.Logger()
	lg.Debug().Send()
	p.Event(entry.Death, zerolog.InfoLevel, []byte(`{"message":"death"}`))
	if want := map[string]uint64{"debug": 1}; !maps.Equal(b.last(t).Meta.Refused, want) {
		t.Errorf("refused outside of tasks: %v", b.last(t).Meta.Refused)
	}
}

func TestRefusedStartKeepsItsNumberAndAnEndThatIsRefusedStillEnds(t *testing.T) {
	p, b, _ := newProcess(t)
	refuse := true
	b.refuse = func(_ entry.Level, task bool) bool { return task && refuse }
	ctx, tk := p.Start(context.Background(), "x")
	zerolog.Ctx(ctx).Info().Msg("first that is kept")
	token := tk.Export("to nobody")
	tk.End(nil)
	zerolog.Ctx(ctx).Info().Msg("late")
	all := b.all()
	if all[0].Meta.Pos != "2" || !all[1].Meta.Late {
		t.Errorf("%s%s", all[0].Raw, all[1].Raw)
	}
	if tok, err := task.ParseToken(token); err != nil || tok.Pos != "3" {
		t.Errorf("token %q: %v", token, err)
	}
}

func TestHandOver(t *testing.T) {
	p, b, _ := newProcess(t)
	q, c, _ := newProcess(t, func(c *structure.Config) { c.Service = "mail" })
	ctx, root := p.Start(context.Background(), "place-order")
	ctx, child := p.Start(ctx, "notify/customer")
	token := child.Export("mailer")
	_ = ctx
	for range 2 { // redelivered
		_, m := q.Import(context.Background(), token, "send-mail", structure.Int("try", 1))
		m.End(nil)
		k := c.last(t)
		pos := task.Position(k.Meta.Pos)
		if k.Meta.Trace != root.Trace().String() || !strings.HasPrefix(k.Meta.Pos, "2.2~") || pos.Depth() != 3 {
			t.Errorf("claim at %s", k.Meta.Pos)
		}
		if k.Meta.Path != "place-order/notify=2Fcustomer/send-mail" || k.subject != "dlog.in.mail.task.place-order.notify=2Fcustomer.send-mail" {
			t.Errorf("path %s, subject %s", k.Meta.Path, k.subject)
		}
	}
	if c.all()[0].Meta.Pos == c.all()[2].Meta.Pos {
		t.Error("two claims collide")
	}
	if export := b.last(t); export.Meta.Event != entry.Export || export.Meta.Pos != "2.2" {
		t.Errorf("export: %s", export.Raw)
	}
}

func TestImportOfWhatIsNoToken(t *testing.T) {
	const span = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	f := func(token, pos string, bad bool) {
		t.Helper()
		p, b, said := newProcess(t)
		ctx, outer := p.Start(context.Background(), "outer")
		_, tk := p.Import(ctx, token, "x")
		tk.End(nil)
		end := b.last(t)
		if end.Meta.Trace == outer.Trace().String() {
			t.Errorf("%q: the task of ctx plays a part", token)
		}
		if !strings.HasPrefix(end.Meta.Pos, pos) {
			t.Errorf("%q: at %s", token, end.Meta.Pos)
		}
		if v, kept := end.Field("bad_token"); kept != bad || bad && len(v.Text(nil)) == 0 {
			t.Errorf("%q: %s", token, end.Raw)
		}
		if (said.String() != "") != bad || strings.Count(said.String(), "\n") > 1 {
			t.Errorf("%q: said %q", token, said)
		}
		outer.End(nil)
	}
	f("", "2", false)
	f("  \n", "2", false)
	f(span, "x00f067aa0ba902b7~", false)
	f("garbage", "2", true)
	f("01-zz", "2", true)
	f("00-zz", "2", true)
	f(strings.Repeat("01-\x00\"", 4000), "2", true)
}

func TestLinks(t *testing.T) {
	p, b, said := newProcess(t)
	_, one := p.Start(context.Background(), "one")
	token := one.Export("batch")
	_, batch := p.Start(context.Background(), "batch", structure.Link(token), structure.Link("nonsense"))
	batch.Link(token)
	batch.Link("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	start := b.last(t)
	batch.End(nil)
	if want := []string{token}; !slices.Equal(start.Meta.Links, want) {
		t.Errorf("links of the start: %v", start.Meta.Links)
	}
	if n := len(b.last(t).Meta.Links); n != 2 {
		t.Errorf("%d links on the end: %s", n, b.last(t).Raw)
	}
	if !strings.Contains(said.String(), "link") {
		t.Errorf("said %q", said)
	}
}

func TestOutermostTasksContinueTheParentProcess(t *testing.T) {
	p, _, _ := newProcess(t)
	_, parent := p.Start(context.Background(), "backup")
	token := parent.Export("child")
	q, b, _ := newProcess(t, func(c *structure.Config) { c.Parent = token })
	for range 2 {
		_, tk := q.Start(context.Background(), "dump")
		tk.End(nil)
		if k := b.last(t); k.Meta.Trace != parent.Trace().String() || k.Meta.Path != "backup/dump" || !strings.HasPrefix(k.Meta.Pos, "2~") {
			t.Errorf("%s", k.Raw)
		}
	}
	_, fresh := q.Import(context.Background(), "", "request")
	if fresh.Trace() == parent.Trace() {
		t.Error("an import of nothing continues the parent process")
	}
	_, _, _ = newProcess(t, func(c *structure.Config) { c.Parent = "garbage" })
}

func TestTraceContext(t *testing.T) {
	p, b, _ := newProcess(t, func(c *structure.Config) {
		c.TraceContext = func(context.Context) ([16]byte, [8]byte, bool) { return [16]byte{1}, [8]byte{2}, true }
	})
	_, tk := p.Start(context.Background(), "x")
	tk.End(nil)
	if k := b.last(t); k.Meta.Trace != "01"+strings.Repeat("0", 30) || !strings.HasPrefix(k.Meta.Pos, "x0200000000000000~") {
		t.Errorf("%s", k.Raw)
	}
}

func TestManyGoroutinesShareOneTask(t *testing.T) {
	p, b, _ := newProcess(t)
	ctx, tk := p.Start(context.Background(), "x")
	hooked := p.Attach(zerolog.New(nil))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				zerolog.Ctx(ctx).Info().Msg("bound")
				hooked.Info().Ctx(ctx).Msg("hooked")
				tk.Add(structure.Int("n", 1))
				_, c := p.Start(ctx, "child")
				c.End(nil)
			}
		})
	}
	wg.Wait()
	tk.End(nil)
	seen := map[task.Position]bool{}
	for _, k := range b.all() {
		if seen[task.Position(k.Meta.Pos)] {
			t.Errorf("position %s twice", k.Meta.Pos)
		}
		seen[task.Position(k.Meta.Pos)] = true
	}
	if n := b.last(t).Meta.N; n != 2402 {
		t.Errorf("the end's number is %d", n)
	}
}
