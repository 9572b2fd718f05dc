package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// idle is a transport that never gets a connection, so that a test reads its queue.
func idle(t *testing.T, cfg Config) *Transport {
	t.Helper()
	cfg.setDefaults()
	if cfg.Queue == nil {
		cfg.Queue = spool.NewMemory(spool.Config{})
	}
	return &Transport{cfg: cfg, queue: cfg.Queue}
}

func TestWriterMakesEntries(t *testing.T) {
	f := func(write func(w *Writer), subject, line string) {
		t.Helper()
		tr := idle(t, Config{Namespace: "shop"})
		write(tr.Writer("check out"))
		it, ok := tr.queue.Next()
		if !ok {
			t.Fatalf("nothing was appended, want %s", line)
		}
		got := masked(it.Line)
		if it.Subject != subject || got != line+"\n" || !json.Valid(it.Line) {
			t.Errorf("got %s %q\nwant %s %q", it.Subject, got, subject, line)
		}
		e, err := entry.Parse(it.Line)
		if err != nil || !e.HasMeta || e.Meta.Svc != "check out" || e.Meta.Seq != 1 {
			t.Errorf("parse %s: %+v, %v", it.Line, e, err)
		}
	}
	level := func(l zerolog.Level, p string) func(*Writer) {
		return func(w *Writer) { w.WriteLevel(l, []byte(p)) }
	}
	plain := func(p string) func(*Writer) { return func(w *Writer) { w.Write([]byte(p)) } }
	const id = `"dlog":{"svc":"check out","proc":"PROC","seq":1`

	f(level(zerolog.InfoLevel, `{"a":1,"time":"x"}`+"\n"), "shop.in.check=20out.info.-", `{"a":1,"time":"x",`+id+`}}`)
	f(level(zerolog.ErrorLevel, `{}`), "shop.in.check=20out.error.-", `{`+id+`,"time":"TIME"}}`)
	f(level(zerolog.NoLevel, `{ }`), "shop.in.check=20out.none.-", `{ `+id+`,"time":"TIME"}}`)
	f(level(zerolog.WarnLevel, "plain \"text\"\n"), "shop.in.check=20out.warn.-", `{"level":"warn","time":"TIME","message":"plain \"text\"",`+id+`}}`)
	f(plain(`{"level":"ERROR","time":1}`), "shop.in.check=20out.error.-", `{"level":"ERROR","time":1,`+id+`}}`)
	f(plain(`{"time":1}`), "shop.in.check=20out.none.-", `{"time":1,`+id+`}}`)
	f(plain("{not json}\r\n"), "shop.in.check=20out.none.-", `{"time":"TIME","message":"{not json}",`+id+`}}`)
	f(plain("\xff\x00"), "shop.in.check=20out.none.-", `{"time":"TIME","message":"`+"\ufffd"+`\u0000",`+id+`}}`)
	f(func(w *Writer) {
		l := zerolog.New(w)
		l.Debug().Str("k", "v").Msg("hi")
	}, "shop.in.check=20out.debug.-", `{"level":"debug","k":"v","message":"hi",`+id+`,"time":"TIME"}}`)
	f(func(w *Writer) { log.New(w, "", 0).Print("std") }, "shop.in.check=20out.none.-", `{"time":"TIME","message":"std",`+id+`}}`)
}

var (
	proc    = regexp.MustCompile(`"proc":"[0-9a-f]{16}"`)
	rfcTime = regexp.MustCompile(`"time":"\d{4}-[^"]*Z"`)
)

func masked(line []byte) string {
	line = proc.ReplaceAll(line, []byte(`"proc":"PROC"`))
	return string(rfcTime.ReplaceAll(line, []byte(`"time":"TIME"`)))
}

func TestWriterSplitsAndCuts(t *testing.T) {
	tr := idle(t, Config{})
	w := tr.Writer("a")
	w.Write([]byte("one\n\n{\"level\":\"info\"}\nthree"))
	for i, want := range []string{"none", "info", "none"} {
		it, ok := tr.queue.Next()
		if !ok || it.Subject != "dlog.in.a."+want+".-" || it.Seq != uint64(i+1) {
			t.Errorf("line %d: %v %s %d", i, ok, it.Subject, it.Seq)
		}
	}
	w.WriteLevel(zerolog.InfoLevel, []byte(`{"message":"`+strings.Repeat("x", 300<<10)+`"}`))
	it, _ := tr.queue.Next()
	if n := len(it.Line); n < 100<<10 || n > entry.MaxLine || !json.Valid(it.Line) {
		t.Errorf("long line became %d bytes", n)
	}
}

func TestWriterAllocatesNothing(t *testing.T) {
	tr := idle(t, Config{Queue: spool.NewMemory(spool.Config{Bytes: 64 << 20})})
	w := tr.Writer("a")
	line := []byte(`{"level":"info","n":3,"message":"reserved"}` + "\n")
	drain := func() {
		for {
			if _, ok := tr.queue.Next(); !ok {
				return
			}
		}
	}
	drain()
	f := func(name string, write func()) {
		t.Helper()
		if n := testing.AllocsPerRun(2000, write); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("WriteLevel", func() { w.WriteLevel(zerolog.InfoLevel, line) })
	f("Write", func() { w.Write(line) })
}

func TestWriterCloseFlushesAndStaysUsable(t *testing.T) {
	bubble(t, func(_ *rig, cfg *Config) { cfg.FatalTimeout = time.Second }, func(t *testing.T, r *rig) {
		w := r.tr.Writer("a")
		l := zerolog.New(w)
		for i := range 3 {
			l.Info().Int("i", i).Send()
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if n := lineCount(r.link.packs()); n != i+1 {
				t.Errorf("%d entries stored after close %d", n, i)
			}
		}
		r.link.in.state(false)
		l.Info().Send()
		start := time.Now()
		if err := w.Close(); err == nil || time.Since(start) != time.Second {
			t.Errorf("close without a server: %v after %v", err, time.Since(start))
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	line := []byte(`{"level":"info","order":"A-17","n":3,"time":"2026-11-22T16:02:11Z","message":"reserved"}` + "\n")
	q := spool.NewMemory(spool.Config{Bytes: 1 << 30})
	cfg := Config{Queue: q}
	cfg.setDefaults()
	w := (&Transport{cfg: cfg, queue: q}).Writer("a")
	b.ReportAllocs()
	for b.Loop() {
		w.WriteLevel(zerolog.InfoLevel, line)
	}
}

// A program that wants the transport alone: any logger's lines go to NATS.
func ExampleTransport_Writer() {
	t, err := Open(Config{URL: "nats://127.0.0.1:4222"})
	if err != nil {
		fmt.Println(err)
		return
	}
	logger := zerolog.New(t.Writer("checkout")).With().Timestamp().Logger()
	logger.Info().Int("n", 3).Msg("reserved")

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		fmt.Println(err) // says how many entries stay, and why
	}
}
