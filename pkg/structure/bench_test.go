package structure_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/rs/zerolog"
)

// nowhere hands out the same frame again and again: what is measured is the call, not a queue.
type nowhere struct{ room [4096]byte }

func (n *nowhere) Reserve(_ string, _ entry.Level, _ bool, max int) (spool.Frame, error) {
	return spool.NewFrame(n.room[:max], 812, n, 0), nil
}
func (*nowhere) CommitFrame(spool.Frame, int) {}
func (*nowhere) AbandonFrame(spool.Frame)     {}

func benchProcess(b *testing.B) *structure.Process {
	b.Helper()
	p, err := structure.New(structure.Config{Service: "checkout", Out: &nowhere{}, Stderr: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkCall compares one logger call with zerolog to nowhere, for lines of about 100, 200 and 600 bytes.
func BenchmarkCall(b *testing.B) {
	p := benchProcess(b)
	ctx, t := p.Start(context.Background(), "place-order")
	defer t.End(nil)
	ctx, t2 := p.Start(ctx, "charge-card")
	defer t2.End(nil)
	deep := ctx
	for i := range 8 {
		deep = context.WithValue(deep, depth(i), i)
	}
	plain := zerolog.New(io.Discard).With().Timestamp().Logger()
	hooked := p.Attach(zerolog.New(nil).With().Timestamp().Logger())
	for _, size := range []struct {
		name, text string
	}{{"100", "x"}, {"200", strings.Repeat("x", 100)}, {"600", strings.Repeat("x", 500)}} {
		say := func(e *zerolog.Event) { e.Str("sku", "A-17").Int("n", 3).Str("text", size.text).Msg("reserved") }
		run := func(name string, f func()) {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
			})
		}
		run("zerolog", func() { say(plain.Info()) })
		run("bound", func() { say(zerolog.Ctx(ctx).Info()) })
		run("bound-depth8", func() { say(zerolog.Ctx(deep).Info()) })
		run("hook", func() { say(hooked.Info().Ctx(ctx)) })
	}
}

// BenchmarkTask compares a whole task, its two entries included, with one call of zerolog to nowhere.
func BenchmarkTask(b *testing.B) {
	p := benchProcess(b)
	plain := zerolog.New(io.Discard).With().Timestamp().Logger()
	b.Run("zerolog-one-call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plain.Info().Str("sku", "A-17").Int("n", 3).Msg("reserved")
		}
	})
	b.Run("task", func(b *testing.B) {
		b.ReportAllocs()
		ctx, t := p.Start(context.Background(), "place-order")
		defer t.End(nil)
		for b.Loop() {
			ctx, t := p.Start(ctx, "charge-card", structure.Str("order", "A-1"))
			zerolog.Ctx(ctx).Info().Str("sku", "A-17").Int("n", 3).Msg("reserved")
			zerolog.Ctx(ctx).Info().Str("sku", "A-17").Int("n", 3).Msg("charged")
			t.End(nil)
		}
	})
}
