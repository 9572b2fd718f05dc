package dlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// lines collects what a client says.
type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) entries(t testing.TB) []entry.Entry {
	t.Helper()
	var all []entry.Entry
	for line := range strings.Lines(l.String()) {
		e, err := entry.Parse([]byte(line))
		if err != nil || !e.HasMeta {
			t.Fatalf("not an entry: %v %s: %s", err, e.MetaErr, line)
		}
		all = append(all, e)
	}
	return all
}

func (l *lines) last(t testing.TB) entry.Entry {
	t.Helper()
	all := l.entries(t)
	return all[len(all)-1]
}

// open returns a client that writes to lines.
func open(t testing.TB, cfg dlog.Config) (*dlog.Client, *lines) {
	t.Helper()
	out := &lines{}
	cfg.Out = structure.Writer(out)
	if cfg.Service == "" {
		cfg.Service = "shop"
	}
	if cfg.Stderr == nil {
		cfg.Stderr = io.Discard
	}
	d, err := dlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d, out
}

// TestExportedNames holds the size of the surface: whoever learns the package reads all of it.
func TestExportedNames(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			names = append(names, exported(decl)...)
		}
	}
	if len(names) > 40 || len(names) < 20 {
		t.Errorf("%d exported names: %s", len(names), strings.Join(names, " "))
	}
}

func exported(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || ofClient(d)) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

func ofClient(d *ast.FuncDecl) bool {
	star, _ := d.Recv.List[0].Type.(*ast.StarExpr)
	if star == nil {
		return false
	}
	id, _ := star.X.(*ast.Ident)
	return id != nil && id.IsExported()
}

func TestLifeOfAProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, out := open(t, dlog.Config{Fields: map[string]any{"region": "eu"}})
		ctx, tk := d.Start(t.Context(), "long")
		time.Sleep(65 * time.Second) // in the bubble's time
		zerolog.Ctx(ctx).Info().Msg("still at it")
		tk.End(nil)
		time.Sleep(65 * time.Second)
		_ = d.Close(t.Context())
		_ = d.Close(t.Context())
		var got []string
		for _, e := range out.entries(t) {
			got = append(got, string(e.Meta.Event))
		}
		if want := "birth start beat beat  end death"; strings.Join(got, " ") != want {
			t.Errorf("said %q, want %q", strings.Join(got, " "), want)
		}
		if e := out.entries(t)[2]; e.Meta.Seq != 3 || e.Meta.Pos != "" || !strings.Contains(string(e.Raw), `"open":1`) {
			t.Errorf("beat: %s", e.Raw)
		}
		if e := out.entries(t)[5]; e.Meta.ElapsedMS != 65_000 {
			t.Errorf("end: %s", e.Raw)
		}
	})
}

func TestBadConfigurationIsToldAllAtOnce(t *testing.T) {
	d, err := dlog.Open(dlog.Config{Out: structure.Writer(nil), Level: "loud", Also: "printer", Caller: "who", Inside: []string{"10.0.0.0/99"}, Proxies: []string{"a b"}})
	if err == nil || d != nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"loud", "printer", "who", "10.0.0.0/99", "a b"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
}

func TestNilClient(t *testing.T) {
	var d *dlog.Client
	ctx, tk := d.Start(context.Background(), "x")
	tk.End(nil)
	if err := d.Do(ctx, "x", func(context.Context) error { return os.ErrExist }); !errors.Is(err, os.ErrExist) {
		t.Error("Do does not run")
	}
	l := d.Attach(zerolog.New(nil))
	l.Info().Send()
	l = d.Logger()
	l.Info().Send()
	slog.New(d.SlogHandler(nil)).With("a", 1).Info("x")
	log.New(d.StdLog(zerolog.InfoLevel), "", 0).Print("x")
	_, _ = d.Writer("").Write([]byte("x"))
	d.Hook().Run(nil, zerolog.InfoLevel, "")
	_, tk = d.Import(ctx, "x", "x")
	tk.End(nil)
	if d.Environ(ctx) != nil || d.Flush(ctx) != nil || d.Close(ctx) != nil || d.Inside("localhost") || d.Trusted("127.0.0.1:1") || d.Tasks() != nil {
		t.Error("a nil client does something")
	}
	_ = d.Config()
	_ = d.Go(ctx, "x", func(context.Context) error { return nil }).Wait()
}

func TestWorksWithoutAServer(t *testing.T) {
	var said lines
	d, err := dlog.Open(dlog.Config{Service: "alone", URL: "nats://127.0.0.1:1", Spool: "memory", Also: "none", Stderr: &said})
	if err != nil {
		t.Fatal(err)
	}
	ctx, tk := d.Start(context.Background(), "x")
	zerolog.Ctx(ctx).Info().Msg("into the queue")
	tk.End(nil)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Flush(gone); err == nil {
		t.Error("Flush says that all is stored")
	}
	err = d.Close(gone)
	if err == nil || !strings.Contains(err.Error(), "5 entries") || !strings.Contains(said.String(), "5 entries") {
		t.Errorf("Close: %v, said %s", err, said.String())
	}
	zerolog.Ctx(ctx).Info().Msg("after Close: refused and counted, no more")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("DLOG_SERVICE", "")
	t.Setenv("OTEL_SERVICE_NAME", "from-otel")
	t.Setenv("DLOG_ALSO", "none")
	t.Setenv("DLOG_URL", "nats://127.0.0.1:1")
	t.Setenv("DLOG_LEVEL", "warn")
	p, _ := open(t, dlog.Config{})
	ctx, parent := p.Start(context.Background(), "backup")
	defer parent.End(nil)
	for _, kv := range p.Environ(ctx) {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	var also lines
	d, err := dlog.Open(dlog.Config{AlsoTo: &also, Spool: "memory", Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	defer d.Close(gone) //nolint:errcheck // nothing listens there
	if c := d.Config(); c.Service != "from-otel" || c.URL != "nats://127.0.0.1:1" {
		t.Errorf("config %+v", c)
	}
	_, tk := d.Start(context.Background(), "dump")
	l := d.Logger()
	l.Info().Msg("below the level")
	err = os.ErrExist
	tk.End(&err)
	e := also.last(t)
	if e.Meta.Path != "backup/dump" || e.Meta.Trace != parent.Trace().String() || strings.Contains(also.String(), "below") {
		t.Errorf("%s", also.String())
	}
	t.Setenv(task.EnvTask, "")
	if tok := os.Getenv("TRACEPARENT"); !strings.HasPrefix(tok, "00-"+parent.Trace().String()) {
		t.Errorf("TRACEPARENT=%s", tok)
	}
}

func TestConsoleShowsWhatHappened(t *testing.T) {
	d, out := open(t, dlog.Config{})
	ctx, tk := d.Start(context.Background(), "place-order")
	zerolog.Ctx(ctx).Info().Str("s", "\x1b[31m").Msg("red \x1b[31m \u202e")
	err := os.ErrExist
	tk.End(&err)
	var shown bytes.Buffer
	w := dlog.NewConsole(&shown)
	for line := range strings.Lines(out.String()) {
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"▶ place-order", "■ place-order failed after", `error="file already exists"`, `red \u001b[31m \u202e`} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not in\n%s", want, shown.String())
		}
	}
	if strings.ContainsAny(shown.String(), "\x1b\u202e") || strings.Contains(shown.String(), "dlog") {
		t.Errorf("%q", shown.String())
	}
}

func TestDefaultAlso(t *testing.T) {
	f := func(want string, terminal bool, file string, env map[string]string) {
		t.Helper()
		got := dlog.DefaultAlso(func(k string) string { return env[k] }, func(*os.File) bool { return terminal }, func(p string) bool { return p == file })
		if got != want {
			t.Errorf("terminal %v, %s, %v: %s, want %s", terminal, file, env, got, want)
		}
	}
	f("none", false, "", nil)
	f("console", true, "/.dockerenv", nil)
	f("stdout", false, "/.dockerenv", nil)
	f("stdout", false, "/run/.containerenv", nil)
	f("stdout", false, "", map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
	f("stdout", false, "", map[string]string{"JOURNAL_STREAM": "8:1"})
}

func TestHosts(t *testing.T) {
	d, _ := open(t, dlog.Config{Inside: []string{"api.example.com", ".corp.example", "203.0.113.0/24", "2001:db8::/32"}, Proxies: []string{"198.51.100.7"}})
	f := func(host string, want bool) {
		t.Helper()
		if got := d.Inside(host); got != want {
			t.Errorf("Inside(%q) = %v", host, got)
		}
	}
	for _, host := range []string{
		"localhost:80", "127.0.0.1", "[::1]:4222", "::1", "10.1.2.3:80", "192.168.0.1", "172.16.0.1", "[fd00::1]:80", "[fe80::1%eth0]:80", "169.254.1.1",
		"payments", "payments:8080", "x.default.svc.cluster.local", "printer.local", "API.example.com:443", "a.corp.example", "203.0.113.9", "[2001:db8::5]:1",
		"::ffff:10.0.0.1",
	} {
		f(host, true)
	}
	for _, host := range []string{"", "example.com", "api.example.com.evil.org", "corp.example", "xcorp.example", "8.8.8.8", "203.0.114.1", "[2001:db9::1]:80", "10.0.0.1.evil.org"} {
		f(host, false)
	}
	if !d.Trusted("198.51.100.7:4711") || d.Trusted("198.51.100.8:4711") || !d.Trusted("10.9.9.9:1") || !d.Trusted("@") || d.Trusted("203.0.113.9:1") {
		t.Error("Trusted")
	}
}

// TestLevelHoldsForTasks: what Config.Level keeps away from other loggers it keeps away from a task's own, the task entries excepted.
func TestLevelHoldsForTasks(t *testing.T) {
	d, out := open(t, dlog.Config{Level: "warn"})
	ctx, tk := d.Start(context.Background(), "outer")
	zerolog.Ctx(ctx).Info().Msg("below")
	inner, sub := d.Start(ctx, "inner")
	zerolog.Ctx(inner).Debug().Msg("below")
	zerolog.Ctx(inner).Warn().Msg("heard")
	sub.End(nil)
	tk.End(nil)
	var said []string
	for _, e := range out.entries(t) {
		said = append(said, e.Message)
	}
	if got, want := strings.Join(said, " "), "birth outer inner heard inner outer"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestStdLog(t *testing.T) {
	d, out := open(t, dlog.Config{Level: "info"})
	l := log.New(d.StdLog(zerolog.WarnLevel), "lib: ", 0)
	l.Printf("two\nlines \x00 %s", "\xff")
	e := out.last(t)
	if e.Level != entry.Warn || !strings.HasPrefix(e.Message, "lib: two\nlines") || e.Time.IsZero() || !strings.HasSuffix(e.Meta.Func, "TestStdLog") {
		t.Errorf("%s", e.Raw)
	}
	n := len(out.String())
	log.New(d.StdLog(zerolog.DebugLevel), "", 0).Print("below the level")
	if len(out.String()) != n {
		t.Error("the level does not hold")
	}
}

func TestSlogHandler(t *testing.T) {
	d, out := open(t, dlog.Config{})
	start := len(out.String())
	results := func() (all []map[string]any) {
		for line := range strings.Lines(out.String()[start:]) {
			m := map[string]any{}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			if msg, ok := m["message"]; ok {
				m[slog.MessageKey] = msg
				delete(m, "message")
			}
			delete(m, "dlog")
			all = append(all, m)
		}
		return all
	}
	if err := slogtest.TestHandler(d.SlogHandler(nil), results); err != nil {
		t.Error(err)
	}
}

type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

type bad struct{}

func (bad) MarshalJSON() ([]byte, error) { panic("oh") }

func TestSlogRecords(t *testing.T) {
	d, out := open(t, dlog.Config{})
	ctx, tk := d.Start(context.Background(), "x")
	defer tk.End(nil)
	f := func(want string, opts *slog.HandlerOptions, say func(*slog.Logger)) {
		t.Helper()
		say(slog.New(d.SlogHandler(opts)))
		e := out.last(t)
		got, _, _ := strings.Cut(string(e.Raw), `,"time"`)
		if got != want || e.Meta.Path != "x" {
			t.Errorf("got  %s\nwant %s", e.Raw, want)
		}
	}
	f(`{"level":"info","a":1,"b":true,"c":"x\"","d":1.5,"e":"EOF","f":null`, nil, func(l *slog.Logger) {
		l.InfoContext(ctx, "m", "a", 1, "b", true, "c", `x"`, "d", 1.5, "e", io.EOF, "f", nil)
	})
	f(`{"level":"error","g":{"a":1,"h":{"b":2}}`, nil, func(l *slog.Logger) {
		l.WithGroup("g").With("a", 1).WithGroup("h").ErrorContext(ctx, "m", "b", 2)
	})
	f(`{"level":"warn","g":{"a":1}`, nil, func(l *slog.Logger) { l.WithGroup("g").With("a", 1).WithGroup("h").WarnContext(ctx, "m") })
	f(`{"level":"debug"`, nil, func(l *slog.Logger) { l.WithGroup("g").DebugContext(ctx, "m", slog.Group("empty", slog.Group("also"))) })
	f(`{"level":"info","d":1500,"v":"resolved"`, nil, func(l *slog.Logger) {
		l.InfoContext(ctx, "m", "d", 1500*time.Millisecond, "v", valuer{slog.StringValue("resolved")})
	})
	f(`{"level":"info","x":"!PANIC: oh","nan":"NaN","fn":"!ERROR: json: unsupported type: func()"`, nil, func(l *slog.Logger) {
		nan := 0.0
		l.InfoContext(ctx, "m", "x", bad{}, "nan", nan/nan, "fn", func() {})
	})
	f(`{"level":"info","A":"***"`, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case a.Key == "a":
			return slog.String("A", "***")
		case a.Key == "b":
			return slog.Attr{}
		}
		return a
	}}, func(l *slog.Logger) { l.InfoContext(ctx, "m", "a", 1, "b", 2) })
	n := len(out.String())
	slog.New(d.SlogHandler(&slog.HandlerOptions{Level: slog.LevelWarn})).InfoContext(ctx, "below")
	if len(out.String()) != n {
		t.Error("the level does not hold")
	}
	slog.New(d.SlogHandler(&slog.HandlerOptions{AddSource: true})).ErrorContext(ctx, "m")
	if e := out.last(t); !strings.Contains(string(e.Raw), `"source":{"function":"`) || !strings.HasSuffix(e.Meta.Func, "TestSlogRecords") {
		t.Errorf("%s", e.Raw)
	}
	// Handlers derived from one do not share memory.
	l := slog.New(d.SlogHandler(nil)).With("a", 1)
	one, two := l.With("b", 1), l.With("c", 2)
	one.InfoContext(ctx, "m")
	if e := out.last(t); !strings.HasPrefix(string(e.Raw), `{"level":"info","a":1,"b":1,`) {
		t.Errorf("%s", e.Raw)
	}
	two.InfoContext(ctx, "m")
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations cannot be counted under the race detector")
	}
	d, err := dlog.Open(dlog.Config{Out: structure.Writer(io.Discard)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background()) //nolint:errcheck // nothing to drain
	ctx, tk := d.Start(context.Background(), "x")
	defer tk.End(nil)
	f := func(what string, limit float64, say func()) {
		t.Helper()
		say()
		if n := testing.AllocsPerRun(1000, say); n > limit {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	l := d.Logger("name")
	attached := d.Attach(zerolog.New(nil).With().Timestamp().Logger())
	sl := slog.New(d.SlogHandler(nil)).With("service", "x")
	f("bound", 0, func() { zerolog.Ctx(ctx).Info().Str("k", "v").Msg("m") })
	f("bound, with caller", 0, func() { zerolog.Ctx(ctx).Error().Str("k", "v").Msg("m") })
	f("hook", 0, func() { attached.Info().Ctx(ctx).Str("k", "v").Msg("m") })
	f("hook and name, with caller", 1, func() { l.Warn().Ctx(ctx).Str("k", "v").Msg("m") })
	f("outside", 0, func() { attached.Info().Str("k", "v").Msg("m") })
	f("slog", 2, func() { sl.InfoContext(ctx, "m", "k", "v") })
}

func BenchmarkCall(b *testing.B) {
	d, err := dlog.Open(dlog.Config{Out: structure.Writer(io.Discard)})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close(context.Background()) //nolint:errcheck // nothing to drain
	ctx, tk := d.Start(context.Background(), "x")
	defer tk.End(nil)
	plain := zerolog.New(io.Discard).With().Timestamp().Logger()
	attached := d.Attach(zerolog.New(nil).With().Timestamp().Logger())
	sl, js := slog.New(d.SlogHandler(nil)), slog.New(slog.NewJSONHandler(io.Discard, nil))
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	run("zerolog-discard", func() { plain.Info().Str("k", "v").Int("n", 1).Msg("m") })
	run("bound", func() { zerolog.Ctx(ctx).Info().Str("k", "v").Int("n", 1).Msg("m") })
	run("bound-error-with-caller", func() { zerolog.Ctx(ctx).Error().Str("k", "v").Int("n", 1).Msg("m") })
	run("hook", func() { attached.Info().Ctx(ctx).Str("k", "v").Int("n", 1).Msg("m") })
	run("slog-json-discard", func() { js.InfoContext(ctx, "m", "k", "v", "n", 1) })
	run("slog", func() { sl.InfoContext(ctx, "m", "k", "v", "n", 1) })
}
