package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"
	"go.opentelemetry.io/otel/attribute"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// Bars of the project, as ratios of zerolog writing to nowhere: bound and through the hook, spool in memory or tmpfs and on the disk.
const (
	boundBar, boundDiskBar = 1.35, 1.55
	hookBar, hookDiskBar   = 1.65, 1.85
	taskBar                = 6
)

// bench makes and closes what the variants need.
type bench struct {
	dir, shm string
	closers  []func()
}

func newBench() (*bench, error) {
	b := &bench{}
	var err error
	if b.dir, err = os.MkdirTemp(".", "clientbench"); err != nil { // the disk that the checkout is on
		return nil, err
	}
	b.closers = append(b.closers, func() { os.RemoveAll(b.dir) })
	if runtime.GOOS == "linux" {
		if b.shm, err = os.MkdirTemp("/dev/shm", "clientbench"); err != nil {
			return nil, err
		}
		b.closers = append(b.closers, func() { os.RemoveAll(b.shm) })
	}
	return b, nil
}

func (b *bench) close() {
	for i := len(b.closers) - 1; i >= 0; i-- {
		b.closers[i]()
	}
}

// pads make lines of about 100, 200 and 600 bytes with zerolog; what dlog adds comes on top and is part of what it costs.
var pads = []struct {
	line int
	text string
}{{100, ""}, {200, strings.Repeat("a reservation ", 7)}, {600, strings.Repeat("a reservation ", 36)}}

func say(e *zerolog.Event, i int, text string) {
	e.Str("sku", "A-17").Int("n", i).Str("text", text).Msg("reserved")
}

func benchCalls(rounds, calls int) error {
	b, err := newBench()
	if err != nil {
		return err
	}
	defer b.close()
	worst := map[string]float64{}
	var names []string
	for _, pad := range pads {
		variants, err := b.callVariants(pad.text)
		if err != nil {
			return err
		}
		for _, goroutines := range []int{1, 2} {
			fmt.Printf("\nlogger call, lines of about %d bytes, %d goroutine(s), %d rounds of %d calls, CPU\n", pad.line, goroutines, rounds, calls)
			for i, f := range interleave(variants, rounds, calls, goroutines) {
				printRow(variants[i], f)
				if variants[i].bar > 0 {
					if _, ok := worst[variants[i].name]; !ok {
						names = append(names, variants[i].name)
					}
					worst[variants[i].name] = max(worst[variants[i].name], median(f.ratio)/variants[i].bar)
				}
			}
		}
	}
	fmt.Println("\nworst rows, as a part of the figure to reach (at most 1.00)")
	for _, name := range names {
		fmt.Printf("  %-44s %.2f\n", name, worst[name])
	}
	return nil
}

func printRow(v variant, f figures) {
	bar := ""
	if v.bar > 0 {
		bar = fmt.Sprintf("  to reach: %.2f", v.bar)
	}
	fmt.Printf("  %-44s %6.0f ns (p10 %5.0f)  × %5.2f  %3.0f allocs%s\n", v.name, median(f.ns), quantile(f.ns, .1), median(f.ratio), f.allocs, bar)
}

func plain() zerolog.Logger { return zerolog.New(io.Discard).With().Timestamp().Logger() }

func (b *bench) callVariants(text string) ([]variant, error) {
	nowhere := plain()
	deep := nowhere.WithContext(context.Background())
	for i := range 8 {
		deep = context.WithValue(deep, depth(i), i)
	}
	out := []variant{
		{name: "zerolog → nowhere", call: func(i int) { say(nowhere.Info(), i, text) }},
		{name: "zerolog → nowhere, zerolog.Ctx at depth 8", call: func(i int) { say(zerolog.Ctx(deep).Info(), i, text) }},
	}
	others, err := b.others(text)
	if err != nil {
		return nil, err
	}
	out = append(out, others...)
	for _, place := range b.places() {
		v, err := b.dlogVariants(place, text)
		if err != nil {
			return nil, err
		}
		out = append(out, v...)
	}
	return out, nil
}

// others are the loggers that people use today.
func (b *bench) others(text string) ([]variant, error) {
	f, err := os.OpenFile(filepath.Join(b.dir, "file"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, func() { f.Close() })
	toFile := zerolog.New(f).With().Timestamp().Logger()

	var taken, missed, sent atomic.Int64
	d := diode.NewWriter(countWriter{&taken}, 100000, 0, func(n int) { missed.Add(int64(n)) })
	b.closers = append(b.closers, func() { d.Close() })
	diodes := zerolog.New(d).With().Timestamp().Logger()

	js := slog.New(slog.NewJSONHandler(io.Discard, nil))
	z := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel))

	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(noExporter{})))
	b.closers = append(b.closers, func() { _ = provider.Shutdown(context.Background()) })
	otel := provider.Logger("bench")
	ctx := context.Background()
	return []variant{
		{name: "zerolog → file", call: func(i int) { say(toFile.Info(), i, text) }, clean: func() { _ = f.Truncate(0) }},
		{
			name: "zerolog + diode → nowhere", call: func(i int) { sent.Add(1); say(diodes.Info(), i, text) },
			settle: func() {
				for taken.Load()+missed.Load() < sent.Load() {
					time.Sleep(time.Millisecond)
				}
			},
		},
		{name: "slog JSON → nowhere", call: func(i int) {
			js.LogAttrs(ctx, slog.LevelInfo, "reserved", slog.String("sku", "A-17"), slog.Int("n", i), slog.String("text", text))
		}},
		{name: "zap JSON → nowhere", call: func(i int) {
			z.Info("reserved", zap.String("sku", "A-17"), zap.Int("n", i), zap.String("text", text))
		}},
		{
			name: "OpenTelemetry log SDK, batches → nowhere", call: func(i int) {
				var r otellog.Record
				r.SetTimestamp(time.Now())
				r.SetSeverity(otellog.SeverityInfo)
				r.SetBody(attribute.StringValue("reserved"))
				r.AddAttributes(attribute.String("sku", "A-17"), attribute.Int("n", i), attribute.String("text", text))
				otel.Emit(ctx, r)
			},
			settle: func() { _ = provider.ForceFlush(ctx) },
		},
	}, nil
}

type countWriter struct{ n *atomic.Int64 }

func (w countWriter) Write(p []byte) (int, error) {
	w.n.Add(1)
	return len(p), nil
}

type noExporter struct{}

func (noExporter) Export(context.Context, []sdklog.Record) error { return nil }
func (noExporter) Shutdown(context.Context) error                { return nil }
func (noExporter) ForceFlush(context.Context) error              { return nil }

// place is where a spool lies.
type place struct {
	name, dir string
	disk      bool
}

func (b *bench) places() []place {
	all := []place{{name: "memory"}}
	if b.shm != "" {
		all = append(all, place{name: "tmpfs", dir: filepath.Join(b.shm, "spool")})
	}
	return append(all, place{name: "disk", dir: filepath.Join(b.dir, "spool"), disk: true})
}

type depth int

// dlogVariants log in one task with the spool in one place. Nobody sends: between rounds the queue is emptied.
func (b *bench) dlogVariants(p place, text string) ([]variant, error) {
	d, empty, err := b.client(p, nil)
	if err != nil {
		return nil, err
	}
	stamped := plain()
	same, emptySame, err := b.client(p, &stamped)
	if err != nil {
		return nil, err
	}
	ctx, _ := d.Start(context.Background(), "place-order")
	ctx, _ = d.Start(ctx, "charge-card")
	deep := ctx
	for i := range 8 {
		deep = context.WithValue(deep, depth(i), i)
	}
	sameCtx, _ := same.Start(context.Background(), "place-order")
	sameCtx, _ = same.Start(sameCtx, "charge-card")
	hooked := same.Attach(plain())
	bound, hook := boundBar, hookBar
	if p.disk {
		bound, hook = boundDiskBar, hookDiskBar
	}
	logger := zerolog.Ctx(ctx)
	return []variant{
		{name: "dlog bound, " + p.name, call: func(i int) { say(logger.Info(), i, text) }, clean: empty, bar: bound},
		{name: "dlog bound, zerolog's own time, " + p.name, call: func(i int) { say(zerolog.Ctx(sameCtx).Info(), i, text) }, clean: emptySame, bar: bound},
		{name: "dlog bound, zerolog.Ctx at depth 8, " + p.name, call: func(i int) { say(zerolog.Ctx(deep).Info(), i, text) }, clean: empty, bar: bound},
		{name: "dlog hook, " + p.name, call: func(i int) { say(hooked.Info().Ctx(sameCtx), i, text) }, clean: emptySame, bar: hook},
	}, nil
}

// client opens dlog over a queue that nobody but empty reads.
func (b *bench) client(p place, base *zerolog.Logger) (d *dlog.Client, empty func(), err error) {
	q := spool.NewMemory(spool.Config{Bytes: 64 << 20})
	if p.dir != "" {
		if q, err = spool.Open(spool.Config{Dir: p.dir}); err != nil {
			return nil, nil, err
		}
	}
	if d, err = dlog.Open(dlog.Config{Service: "bench", Out: q, Also: "none", Base: base}); err != nil {
		return nil, nil, err
	}
	empty = func() {
		if err := drain(q); err != nil {
			fmt.Fprintln(os.Stderr, "clientbench:", err)
			os.Exit(1)
		}
	}
	b.closers = append(b.closers, func() { _ = q.Close() })
	return d, empty, nil
}

// drain acks everything as a sender does.
func drain(q spool.Queue) error {
	if n := q.Stats().Refused; len(n) > 0 {
		return fmt.Errorf("the queue refused entries: %+v", n)
	}
	packs := map[string]*spool.Pack{}
	flush := func(p *spool.Pack) error {
		p.Number = q.LastNumber() + 1
		if err := q.Fix(*p); err != nil {
			return err
		}
		q.Acked(p.Number)
		return nil
	}
	for it, ok := q.Next(); ok; it, ok = q.Next() {
		p := packs[it.Subject]
		if p == nil {
			p = &spool.Pack{Subject: it.Subject, First: it.At}
			packs[it.Subject] = p
		}
		p.Count, p.Last, p.CRC = p.Count+1, it.At, spool.Checksum(p.CRC, it.Line)
		if p.Count == 500 {
			if err := flush(p); err != nil {
				return err
			}
			delete(packs, it.Subject)
		}
	}
	var errs []error
	for _, p := range packs {
		errs = append(errs, flush(p))
	}
	return errors.Join(errs...)
}
